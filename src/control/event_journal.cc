#include "control/event_journal.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "json/value.h"
#include "json/writer.h"
#include "os/files.h"

namespace lmsb::control {
namespace {

constexpr std::uint64_t kMostSize = 64ULL << 20U;     // of a file that is read
constexpr std::uint64_t kRewriteSize = 32ULL << 20U;  // when it is written anew
constexpr std::uint64_t kBetweenLives = 1'000'000;    // numbers that nobody gets: more than are lost with the power
constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";

std::string line_of(const Event& event) {
  json::Writer out;
  out.begin_object().key("number").unsigned_integer(event.number).key("time").string(event.time);
  out.key("type").string(event.type).key("sandbox").string(event.sandbox).key("subject").string(event.subject);
  out.key("name").string(event.name).key("owner").string(event.owner).key("labels").begin_object();
  for (const auto& [name, value] : event.labels) out.key(name).string(value);
  out.end_object().key("by").string(event.by).end_object();
  return std::move(out).str() + "\n";
}

std::string life_line(std::uint64_t number, const std::string& boot) {
  json::Writer out;
  out.begin_object().key("life").unsigned_integer(number).key("boot").string(boot).end_object();
  return std::move(out).str() + "\n";
}

std::string text_of(json::Value line, std::string_view name) {
  const auto value = line.find(name);
  return value ? std::string(value->string().value_or("")) : std::string();
}

std::optional<std::uint64_t> number_of(json::Value line, std::string_view name) {
  const auto value = line.find(name);
  const auto number = value ? value->integer() : std::nullopt;
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

Event event_of(json::Value line, std::uint64_t number) {
  Event event;
  event.number = number;
  event.time = text_of(line, "time");
  event.type = text_of(line, "type");
  event.sandbox = text_of(line, "sandbox");
  event.subject = text_of(line, "subject");
  event.name = text_of(line, "name");
  event.owner = text_of(line, "owner");
  event.by = text_of(line, "by");
  if (const auto labels = line.find("labels"))
    for (const auto& [name, value] : labels->members())
      event.labels.emplace(std::string(name), std::string(value.string().value_or("")));
  return event;
}

Status write_all(BorrowedFd file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return Error::from_errno(written < 0 ? errno : ENOSPC, "write the file of events");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

std::uint64_t number_of_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

// Line by line. `is_cut`: what comes next may follow upon something that is missing.
struct EventJournal::Reading {
  EventRing& ring;
  EventHistory history;
  std::uint64_t last = 0;
  bool is_cut = false;
  bool has_ended = true;  // the life that is being read
  std::string boot;

  void take(std::string_view text) {
    json::ParseFault fault;
    const auto line = json::Document::parse(text, fault);
    if (!line) {
      is_cut = true;
    } else if (const auto number = number_of(line->root(), "number")) {
      if (*number <= last) return;  // of no use to anybody
      reach(*number, *number != last + 1);
      ring.add(event_of(line->root(), *number), 0);
    } else if (const auto life = number_of(line->root(), "life")) {
      begin(*life, text_of(line->root(), "boot"));
    } else if (const auto end = number_of(line->root(), "end")) {
      has_ended = true;
      is_cut = is_cut || *end != last;
    } else {
      history.dropped = std::max(history.dropped, number_of(line->root(), "dropped").value_or(0));
      history.unknown = std::max(history.unknown, number_of(line->root(), "unknown").value_or(0));
      last = std::max(last, history.dropped);
    }
  }
  void begin(std::uint64_t life, std::string of_boot) {
    const bool has_events = life >= last;  // else the first of them were dropped, or all
    if (has_events) reach(life, !has_ended && of_boot != boot);
    history.lives.push_back(life);
    boot = std::move(of_boot);
    has_ended = false;
  }
  void reach(std::uint64_t number, bool may_lack_some) {
    if (may_lack_some || is_cut) history.unknown = number;
    is_cut = false;
    last = number;
  }
};

EventJournal::~EventJournal() {
  if (!file_) return;
  json::Writer out;
  out.begin_object().key("end").unsigned_integer(last_).end_object();
  Status ended = append(std::move(out).str() + "\n");
  if (ended.ok() && ::fdatasync(file_.get()) < 0) ended = Error::from_errno(errno, "sync the file of events");
  complain(ended);
}

Status EventJournal::read(Reading& reading, Before before) const {
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) {
    reading.is_cut = before == Before::unknown;
    return {};
  }
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open the file of events");
  if (static_cast<std::uint64_t>(info.st_size) > kMostSize)
    return Error(ErrorCode::failed_precondition, "the file of events is too large");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got < 0) return Error::from_errno(errno, "read the file of events");
  text.resize(static_cast<std::size_t>(got));
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    reading.take(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

EventHistory EventJournal::begin(EventRing& ring, Before before) {
  Reading reading{ring, {}, 0, false, true, {}};
  boot_ = os::read_text(kBootId);
  boot_.resize(std::min(boot_.find('\n'), boot_.size()));
  const Status had = read(reading, before);
  complain(had);
  if (!had.ok()) reading.is_cut = true;
  reading.begin(std::max(number_of_now(), reading.last + kBetweenLives), boot_);
  auto& lives = reading.history.lives;
  if (lives.size() > kMostLives) lives.erase(lives.begin(), lives.end() - kMostLives);
  reading.history.dropped = std::max(reading.history.dropped, ring.dropped_number());
  last_ = reading.last;
  Status begun = rewrite(ring, reading.history);
  if (begun.ok() && ::fdatasync(file_.get()) < 0) begun = Error::from_errno(errno, "sync the file of events");
  complain(begun);
  return std::move(reading.history);
}

// In place of what was, in one step.
Status EventJournal::rewrite(const EventRing& ring, const EventHistory& history) {
  const std::string fresh = path_ + ".new";
  json::Writer head;
  head.begin_object().key("dropped").unsigned_integer(history.dropped);
  std::string text = std::move(head.key("unknown").unsigned_integer(history.unknown).end_object()).str() + "\n";
  auto life = history.lives.begin();
  for (const EventRing::Item& item : ring.items()) {
    for (; life != history.lives.end() && *life < item.event.number; ++life) text += life_line(*life, boot_);
    text += line_of(item.event);
  }
  for (; life != history.lives.end(); ++life) text += life_line(*life, boot_);
  UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return Error::from_errno(errno, "make the file of events");
  if (Status written = write_all(BorrowedFd(file.get()), text); !written.ok()) {
    (void)::unlink(fresh.c_str());
    return written;
  }
  if (::rename(fresh.c_str(), path_.c_str()) < 0)
    return Error::from_errno(errno, "put the file of events in its place");
  file_ = std::move(file);
  size_ = text.size();
  appended_ = 0;
  return {};
}

Status EventJournal::append(const std::string& line) {
  if (!file_) return Error(ErrorCode::unavailable, "there is no file of events");
  Status written = write_all(BorrowedFd(file_.get()), line);
  if (written.ok()) {
    size_ += line.size();
    ++appended_;
  } else {
    (void)!::ftruncate(file_.get(), static_cast<off_t>(size_));  // no half a line
  }
  return written;
}

// A later event that is written shows that one before it was not; so does the end.
void EventJournal::write(const Event& event, const EventRing& ring, const EventHistory& history) {
  last_ = event.number;
  complain(append(line_of(event)));
  if (!file_ || appended_ >= 2 * ring.items().size() + 1000 || size_ > kRewriteSize) complain(rewrite(ring, history));
}

void EventJournal::complain(const Status& status) {
  if (!status.ok() && !has_complained_)
    log_.log(LogLevel::error, "events.failed", {{"path", path_}, {"error", status.error().message()}});
  has_complained_ = !status.ok();
}

}  // namespace lmsb::control
