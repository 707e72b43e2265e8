#include "control/event_log.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <random>

#include "base/clock.h"
#include "json/writer.h"

namespace lmsb::control {
namespace {

std::string line_of(const SandboxEvent& event) {
  json::Writer out;
  out.begin_object()
      .key("time")
      .string(event.time)
      .key("event")
      .string("sandbox." + std::string(to_string(event.kind)));
  out.key("sandbox_id").string(event.sandbox).key("name").string(event.name);
  out.key("owner").string(event.owner).key("by").string(event.by).end_object();
  return std::move(out).str() + "\n";
}

// Told apart from that of every other start of the daemon.
std::string new_life() {
  std::random_device random;
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%08x", random());
  return text.data();
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

EventLog::EventLog(boost::asio::io_context& loop, AuditLog audit)
    : audit_(std::move(audit)), life_(new_life()), came_(loop) {}

void EventLog::add(SandboxEvent event) {
  event.number = ++last_;
  event.id = id_of(last_);
  event.time = rfc3339_now();
  audit_.write(line_of(event));
  if (events_.size() == kKept) events_.pop_front();
  events_.push_back(std::move(event));
  came_.notify_all();
}

const SandboxEvent* EventLog::after(std::uint64_t number) const {
  if (number >= last_ || events_.empty()) return nullptr;
  const std::uint64_t first = events_.front().number;
  return number < first ? &events_.front() : &events_[number - first + 1];
}

std::optional<std::uint64_t> EventLog::number_of(const std::string& id) const {
  if (!id.starts_with(life_ + "-")) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = id.data() + id.size();
  const auto read = std::from_chars(id.data() + life_.size() + 1, end, number);
  if (read.ec != std::errc() || read.ptr != end || number > last_) return std::nullopt;
  return number;
}

void EventLog::note(std::string_view event,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  json::Writer out;
  out.begin_object().key("time").string(rfc3339_now()).key("event").string(event);
  for (const auto& [name, value] : fields) out.key(name).string(value);
  out.end_object();
  audit_.write(std::move(out).str() + "\n");
}

class EventLog::Followed final : public EventStream {
 public:
  Followed(EventLog& log, Principal who, std::string sandbox, std::uint64_t seen, bool has_restarted)
      : log_(log), who_(std::move(who)), sandbox_(std::move(sandbox)), seen_(seen), has_restarted_(has_restarted) {
    ++log_.following_;
    ++log_.of_owner_[who_.name];
  }
  ~Followed() override {
    --log_.following_;
    if (--log_.of_owner_[who_.name] == 0) log_.of_owner_.erase(who_.name);
  }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;

  io::Task<Next> next(io::Deadline deadline) override {
    while (true) {
      const SandboxEvent* event = log_.after(seen_);
      if (event == nullptr) {
        LMSB_CO_CHECK(co_await log_.came_.wait(deadline));
        continue;
      }
      missed_ += event->number - seen_ - 1;
      seen_ = event->number;
      if (is_for_him(*event)) co_return Next{*event, std::exchange(missed_, 0)};
    }
  }
  std::string position() const override { return log_.id_of(seen_); }
  bool has_restarted() const override { return has_restarted_; }

 private:
  bool is_for_him(const SandboxEvent& event) const {
    return who_.sees(event.owner, event.labels) &&
           (sandbox_.empty() || event.sandbox == sandbox_ || event.name == sandbox_);
  }

  EventLog& log_;
  Principal who_;
  std::string sandbox_;
  std::uint64_t seen_;
  bool has_restarted_;
  std::uint64_t missed_ = 0;
};

Result<std::unique_ptr<EventStream>> EventLog::follow(Principal who, std::string sandbox,
                                                      const std::optional<std::string>& after) {
  const auto mine = of_owner_.find(who.name);
  const bool has_too_many = mine != of_owner_.end() && mine->second >= kMaxOfOwner;
  if (has_too_many || following_ >= kMaxFollowers)
    return Error(ErrorCode::resource_exhausted, "too many follow events already")
        .with_slug("too_many_followers")
        .with_hint("64 streams of one owner and 512 in all: read one, and pass on what it says");
  const auto number = after ? number_of(*after) : last_;
  std::unique_ptr<EventStream> stream =
      std::make_unique<Followed>(*this, std::move(who), std::move(sandbox), number.value_or(0), !number);
  return stream;
}

}  // namespace lmsb::control
