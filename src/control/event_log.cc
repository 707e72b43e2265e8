#include "control/event_log.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/post.hpp>

#include "base/clock.h"
#include "json/writer.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kMostUnwritten = 65'536;

// What does not know of its number has none: a command's.
std::string line_of(const Event& event) {
  json::Writer out;
  out.begin_object().key("time").string(event.time);
  if (event.number > 0) out.key("id").string(std::to_string(event.number));
  out.key("event").string(event.type).key("sandbox_id").string(event.sandbox);
  if (event.kind() != "sandbox") out.key(std::string(event.kind()) + "_id").string(event.subject);
  out.key("name").string(event.name).key("owner").string(event.owner).key("by").string(event.by);
  if (!event.outcome.empty()) out.key("outcome").string(event.outcome).key("exit_code").integer(event.exit_code);
  out.end_object();
  return std::move(out).str() + "\n";
}

// Nothing: it is no number.
std::optional<std::uint64_t> number_of(const std::string& id) {
  std::uint64_t number = 0;
  const char* const end = id.data() + id.size();
  const auto read = std::from_chars(id.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return number;
}

// What belongs to a sandbox is seen as that is; the rest has no labels.
bool may_see(const Principal& who, const Event& event) {
  const bool has_labels = event.kind() != "snapshot" && event.kind() != "key";
  return has_labels ? who.sees(event.owner, event.labels) : who.sees(event.owner);
}

}  // namespace

std::string_view to_string(SandboxEvent::Kind kind) {
  switch (kind) {
    case SandboxEvent::Kind::created: return "created";
    case SandboxEvent::Kind::updated: return "updated";
    case SandboxEvent::Kind::paused: return "paused";
    case SandboxEvent::Kind::resumed: return "resumed";
    case SandboxEvent::Kind::stopping: return "stopping";
    case SandboxEvent::Kind::stopped: return "stopped";
    case SandboxEvent::Kind::started: return "started";
    case SandboxEvent::Kind::rolled_back: return "rolled_back";
    case SandboxEvent::Kind::failed: return "failed";
    case SandboxEvent::Kind::removed: return "removed";
  }
  return "removed";
}

EventLog::EventLog(boost::asio::io_context& loop, AuditLog audit, std::unique_ptr<EventJournal> journal)
    : loop_(loop), audit_(std::move(audit)), journal_(std::move(journal)), last_(number_of_now()), came_(loop) {
  history_.lives.push_back(last_);
  history_.unknown = last_;  // what was before
}

EventLog::~EventLog() { write_now(); }

void EventLog::take_over(EventJournal::Before before) {
  if (!journal_) return;
  history_ = journal_->begin(events_, before);
  last_ = life();
  turn_ = events_.last();
}

void EventLog::add(Event event) {
  event.number = last_ + 1;
  event.time = rfc3339_now();
  write_now();  // what came before it
  audit_.write(line_of(event));
  tell(std::move(event));
}

void EventLog::tell(Event event) {
  event.number = ++last_;
  if (event.time.empty()) event.time = rfc3339_now();
  events_.add(event, ++turn_);
  history_.dropped = std::max(history_.dropped, events_.dropped_number());
  if (journal_) journal_->write(event, events_, history_);
  came_.notify_all();
}

void EventLog::add_command(Event event) {
  event.time = rfc3339_now();
  if (audit_.is_kept()) write_later(line_of(event));
  if (following_commands_ == 0) return;
  commands_.add(std::move(event), ++turn_);
  came_.notify_all();
}

void EventLog::note_command(Event event) {
  if (!audit_.is_kept()) return;
  event.time = rfc3339_now();
  write_later(line_of(event));
}

// Once what runs now has ended: a command's answer is on its way then.
void EventLog::write_later(std::string line) {
  const bool is_first = unwritten_.empty();
  unwritten_ += line;
  if (unwritten_.size() > kMostUnwritten) return write_now();
  if (!is_first) return;
  boost::asio::post(loop_, [weak = std::weak_ptr<EventLog*>(self_)] {
    if (const auto self = weak.lock()) (*self)->write_now();
  });
}

void EventLog::write_now() {
  if (!unwritten_.empty()) audit_.write(std::exchange(unwritten_, {}));
}

void EventLog::note(std::string_view event,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  json::Writer out;
  out.begin_object().key("time").string(rfc3339_now()).key("event").string(event);
  for (const auto& [name, value] : fields) out.key(name).string(value);
  out.end_object();
  write_now();
  audit_.write(std::move(out).str() + "\n");
}

// ---- Following

bool EventLog::is_known(std::uint64_t number) const {
  if (number == 0 || number == last_) return true;
  const EventRing::Item* const next = events_.after(events_.index_of(number - 1));
  if (next != nullptr && next->event.number == number) return true;
  return std::find(history_.lives.begin(), history_.lives.end(), number) != history_.lives.end();
}

// How many were dropped is known of those of one life.
std::optional<EventStream::Lost> EventLog::lost_since(std::uint64_t number) const {
  if (number < history_.unknown || !(is_known(number) || number < history_.dropped)) return EventStream::Lost();
  if (number >= history_.dropped) return std::nullopt;
  const auto has_begun = [&](std::uint64_t life) { return life > number && life <= history_.dropped; };
  if (std::any_of(history_.lives.begin(), history_.lives.end(), has_begun) || number < history_.lives.front())
    return EventStream::Lost();
  return EventStream::Lost{history_.dropped - number};
}

EventLog::Place EventLog::place_of(const std::optional<std::string>& after) const {
  Place place;
  place.number = last_;
  place.index = events_.last();
  if (!after) return place;
  const auto number = number_of(*after);
  const bool is_one = number && *number <= last_;
  place.number = is_one ? *number : 0;
  place.index = events_.index_of(place.number);
  place.has_restarted = place.number < life();
  place.lost = is_one ? lost_since(place.number) : EventStream::Lost();
  return place;
}

class EventLog::Followed final : public EventStream {
 public:
  Followed(EventLog& log, Principal who, const FollowEvents& asked, Place place)
      : log_(log),
        who_(std::move(who)),
        sandbox_(asked.sandbox),
        has_commands_(asked.processes),
        place_(place),
        seen_commands_(log.commands_.last()) {
    if (place_.lost) missed_ = place_.lost->count.value_or(0);
    ++log_.following_;
    if (has_commands_) ++log_.following_commands_;
    ++log_.of_owner_[who_.name];
  }
  ~Followed() override {
    --log_.following_;
    if (has_commands_) --log_.following_commands_;
    if (--log_.of_owner_[who_.name] == 0) log_.of_owner_.erase(who_.name);
  }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;

  io::Task<Next> next(io::Deadline deadline) override {
    while (true) {
      const EventRing::Item* const item = take();
      if (item == nullptr) {
        LMSB_CO_CHECK(co_await log_.came_.wait(deadline));
        continue;
      }
      if (is_for_him(item->event)) co_return Next{item->event, std::exchange(missed_, 0)};
    }
  }
  std::string position() const override { return std::to_string(place_.number); }
  bool has_restarted() const override { return place_.has_restarted; }
  std::optional<Lost> lost() const override { return place_.lost; }

 private:
  // The next of both kinds, in the order in which they came.
  const EventRing::Item* take() {
    const EventRing::Item* const event = log_.events_.after(place_.index);
    const EventRing::Item* const command = has_commands_ ? log_.commands_.after(seen_commands_) : nullptr;
    if (command != nullptr && (event == nullptr || command->turn < event->turn)) {
      missed_ += command->index - seen_commands_ - 1;
      seen_commands_ = command->index;
      return command;
    }
    if (event == nullptr) return nullptr;
    missed_ += event->index - place_.index - 1;
    place_.index = event->index;
    place_.number = event->event.number;
    return event;
  }
  bool is_for_him(const Event& event) const {
    if (!may_see(who_, event)) return false;
    return sandbox_.empty() || event.sandbox == sandbox_ || (event.kind() == "sandbox" && event.name == sandbox_);
  }

  EventLog& log_;
  Principal who_;
  std::string sandbox_;
  bool has_commands_;
  Place place_;
  std::uint64_t seen_commands_;
  std::uint64_t missed_ = 0;
};

Result<std::unique_ptr<EventStream>> EventLog::follow(Principal who, FollowEvents asked) {
  const auto mine = of_owner_.find(who.name);
  const bool has_too_many = mine != of_owner_.end() && mine->second >= kMaxOfOwner;
  if (has_too_many || following_ >= kMaxFollowers)
    return Error(ErrorCode::resource_exhausted, "too many follow events already")
        .with_slug("too_many_followers")
        .with_hint("64 streams of one owner and 512 in all: read one, and pass on what it says");
  const Place place = place_of(asked.after);
  std::unique_ptr<EventStream> stream = std::make_unique<Followed>(*this, std::move(who), asked, place);
  return stream;
}

}  // namespace lmsb::control
