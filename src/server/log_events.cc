#include "server/log_events.h"

#include <utility>

#include "io/event.h"
#include "io/spawn.h"

namespace lmsb::server {
namespace {

// A process that is deleted has nothing more to say.
bool is_gone(const Error& error) { return error.slug() == "process_not_found"; }

StreamEvent named(StreamEvent event, const std::string& process) {
  event.json.insert(1, "\"process\":\"" + process + "\",");  // behind the brace
  return event;
}

class LogSoFar final : public EventSequence {
 public:
  explicit LogSoFar(std::vector<LogSource> sources) : sources_(std::move(sources)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    for (; at_ < sources_.size(); ++at_) {
      auto event = co_await sources_[at_].events->next(deadline);
      if (!event.ok() && is_gone(event.error())) continue;
      if (!event.ok()) co_return std::move(event).error();
      if (*event) co_return named(**std::move(event), sources_[at_].process);
    }
    co_return std::optional<StreamEvent>();
  }

 private:
  std::vector<LogSource> sources_;
  std::size_t at_ = 0;
};

// What the followed log and the tasks that wait for its sources share.
struct Lane {
  Lane(boost::asio::io_context& loop, LogSource s) : source(std::move(s)), taken(loop) {}
  LogSource source;
  std::optional<StreamEvent> event;  // that waits to be taken
  std::optional<Error> failure;
  bool is_over = false;
  io::Event taken;
  io::Canceller canceller;
};

struct Shared {
  Shared(boost::asio::io_context& loop, std::vector<LogSource> sources) : arrived(loop) {
    for (LogSource& source : sources) lanes.push_back(std::make_unique<Lane>(loop, std::move(source)));
  }
  std::vector<std::unique_ptr<Lane>> lanes;
  io::Event arrived;
};

// Until its source is over, or the client has gone. `lane` is of what the frame holds.
io::Always<void> feed(std::shared_ptr<Shared> shared, Lane* lane) {
  while (true) {
    auto event = co_await lane->source.events->next(io::Deadline::never());
    if (!event.ok() && !is_gone(event.error())) lane->failure = event.error();
    if (!event.ok() || !*event) break;
    lane->event = **std::move(event);
    shared->arrived.notify_all();
    Status waited;
    while (lane->event && waited.ok()) waited = co_await lane->taken.wait();
    if (!waited.ok()) break;
  }
  lane->is_over = true;
  shared->arrived.notify_all();
}

class FollowedLog final : public EventSequence {
 public:
  FollowedLog(std::vector<LogSource> ended, std::vector<LogSource> running)
      : ended_(std::move(ended)), sources_(std::move(running)) {}
  ~FollowedLog() override {
    if (!shared_) return;
    for (const auto& lane : shared_->lanes) lane->canceller.cancel();
  }

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (!shared_) {
      LMSB_CO_TRY(auto event, co_await ended_.next(deadline));
      if (event) co_return event;
      begin(*co_await io::this_loop());
    }
    const auto shared = shared_;
    while (true) {
      if (auto event = take(*shared)) co_return event;
      for (const auto& lane : shared->lanes)
        if (lane->failure) co_return *lane->failure;
      if (is_over(*shared)) co_return std::optional<StreamEvent>();
      LMSB_CO_CHECK(co_await shared->arrived.wait(deadline));
    }
  }

 private:
  void begin(boost::asio::io_context& loop) {
    shared_ = std::make_shared<Shared>(loop, std::exchange(sources_, {}));
    for (const auto& lane : shared_->lanes) io::spawn(loop, feed(shared_, lane.get()), lane->canceller);
  }
  // The lanes take turns.
  std::optional<StreamEvent> take(Shared& shared) {
    for (std::size_t i = 0; i < shared.lanes.size(); ++i) {
      turn_ = (turn_ + 1) % shared.lanes.size();
      Lane& lane = *shared.lanes[turn_];
      if (!lane.event) continue;
      auto event = named(*std::exchange(lane.event, std::nullopt), lane.source.process);
      lane.taken.notify_all();
      return event;
    }
    return std::nullopt;
  }
  static bool is_over(const Shared& shared) {
    for (const auto& lane : shared.lanes)
      if (!lane->is_over || lane->event) return false;
    return true;
  }

  LogSoFar ended_;
  std::vector<LogSource> sources_;  // until they begin
  std::shared_ptr<Shared> shared_;
  std::size_t turn_ = 0;
};

}  // namespace

std::unique_ptr<EventSequence> log_so_far(std::vector<LogSource> sources) {
  return std::make_unique<LogSoFar>(std::move(sources));
}

std::unique_ptr<EventSequence> followed_log(std::vector<LogSource> ended, std::vector<LogSource> running) {
  return std::make_unique<FollowedLog>(std::move(ended), std::move(running));
}

}  // namespace lmsb::server
