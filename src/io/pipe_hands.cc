#include "io/pipe_hands.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>

#include "io/signals_blocked.h"

namespace lmsb::io {
namespace asio = boost::asio;

namespace {
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGoodbye{500};  // at the loop's end
constexpr int kMostEvictions = 5;                   // then it is lost
constexpr std::chrono::milliseconds kTogether{10};  // closing is in no hurry, and a change of threads for each is dear

// Keeps the hands of a loop as long as the loop.
class HandsOfLoop final : public asio::execution_context::service {
 public:
  using key_type = HandsOfLoop;
  static asio::execution_context::id id;  // NOLINT: Asio's way to know a service
  explicit HandsOfLoop(asio::io_context& loop)
      : asio::execution_context::service(loop), hands(std::make_shared<PipeHands>(loop, PipeHands::Options())) {}
  void shutdown() override { hands->close(); }
  std::shared_ptr<PipeHands> hands;
};
asio::execution_context::id HandsOfLoop::id;  // NOLINT

}  // namespace

struct PipeHands::Job {
  std::function<void()> work;
  std::shared_ptr<Work> told;              // of the loop's thread alone
  std::optional<Clock::time_point> began;  // under the mutex
};

// Of one that no hand does: what it owns ends on a thread of its own, which is left alone.
void PipeHands::drop(const std::shared_ptr<Job>& job) {
  job->told.reset();
  const SignalsBlocked blocked;
  try {
    std::thread([job] { job->work = nullptr; }).detach();
  } catch (const std::system_error&) {
    (void)new std::function<void()>(std::move(job->work));  // NOLINT: lost, as anything else might wait without end
  }
}

struct PipeHands::Shared : std::enable_shared_from_this<PipeHands::Shared> {
  Shared(PipeHands* o, asio::io_context* l, std::size_t i) : owner(o), loop(l), most_idle(i) {}

  // One hand's life. `mutex` is not held.
  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      while (queue.empty() && !closed && idle <= most_idle) changed.wait(lock);
      --idle;
      if (closed || queue.empty()) break;
      const std::shared_ptr<Job> job = std::move(queue.front());
      queue.pop_front();
      job->began = Clock::now();
      lock.unlock();
      job->work();
      job->work = nullptr;  // what it owns ends here, not on the loop
      lock.lock();
      job->began.reset();  // whoever keeps the lock now is in nobody's way
      if (closed) break;
      auto tell = [self = shared_from_this(), job] {
        if (!self->closed) self->owner->finish(job);
      };
      asio::post(*loop, std::move(tell));  // the loop has not ended: it would have closed
    }
    --hands;
    ended.notify_all();
  }

  // As many hands as there is work that nobody is free for. `mutex` is held.
  void start_hands(std::size_t most) {
    while (queue.size() > idle + starting && hands < most) {
      const SignalsBlocked blocked;
      try {
        std::thread([self = shared_from_this()] {
          {
            const std::lock_guard lock(self->mutex);
            --self->starting;
          }
          self->serve();
        }).detach();
        ++hands;
        ++starting;
      } catch (const std::system_error&) {
        most = 0;  // tried again when somebody looks after it
      }
    }
  }

  PipeHands* const owner;
  asio::io_context* const loop;
  const std::size_t most_idle;
  std::mutex mutex;
  std::condition_variable changed;
  std::condition_variable ended;
  std::deque<std::shared_ptr<Job>> queue;
  std::size_t hands = 0;
  std::size_t idle = 0;
  std::size_t starting = 0;
  std::size_t lost = 0;
  bool closed = false;  // set by the loop's thread
};

Task<void> PipeHands::Work::wait(std::shared_ptr<Work> self, Deadline deadline) {
  while (!self->is_done_) {
    if (self->is_stopped_) co_return Error(ErrorCode::cancelled, "wait for a pipe: cancelled");
    LMSB_CO_CHECK(co_await self->changed_.wait(deadline));
  }
  co_return Status();
}

void PipeHands::Work::stop_waiting() {
  is_stopped_ = true;
  changed_.notify_all();
}

std::shared_ptr<PipeHands> PipeHands::of(asio::io_context& loop) { return asio::use_service<HandsOfLoop>(loop).hands; }

PipeHands::PipeHands(asio::io_context& loop, Options options)
    : loop_(loop), options_(options), shared_(std::make_shared<Shared>(this, &loop, options.most_idle)) {}

PipeHands::~PipeHands() { close(); }

void PipeHands::close() {
  close_all();
  std::unique_lock lock(shared_->mutex);
  if (std::exchange(shared_->closed, true)) return;
  const auto left = std::exchange(shared_->queue, {});
  shared_->changed.notify_all();
  alarm_.reset();
  for (const auto& job : works_) job->told.reset();  // a hand may be the last to have the job
  works_.clear();
  for (const auto& job : left) drop(job);
  (void)shared_->ended.wait_for(lock, kGoodbye, [this] { return shared_->hands == 0; });
}

std::shared_ptr<PipeHands::Work> PipeHands::take(std::function<void()> work, Evict evict) {
  const auto job = std::make_shared<Job>();
  job->work = std::move(work);
  job->told = std::make_shared<Work>(loop_);
  job->told->evict_ = std::move(evict);
  auto told = job->told;
  bool is_short = false;
  if (shared_->closed) {  // set by this thread
    drop(job);
    return told;
  }
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->queue.push_back(job);
    shared_->start_hands(options_.most + shared_->lost);
    is_short = shared_->queue.size() > shared_->idle + shared_->starting;
    shared_->changed.notify_one();
  }
  works_.push_back(job);
  if (is_short && !alarm_) look_after();
  return told;
}

// One hand closes them one after the other.
struct PipeHands::Closing {
  struct End {
    std::shared_ptr<UniqueFd> end;
    Evict evict;
  };
  void close() {
    while (const auto end = take_next()) end->reset();
  }
  std::shared_ptr<UniqueFd> take_next() {
    const std::lock_guard lock(mutex);
    begun = Clock::now();
    return next < ends.size() ? std::move(ends[next++].end) : nullptr;
  }
  // Those that the hand has not come to.
  std::vector<End> take_rest() {
    const std::lock_guard lock(mutex);
    std::vector<End> rest(std::make_move_iterator(ends.begin() + static_cast<std::ptrdiff_t>(next)),
                          std::make_move_iterator(ends.end()));
    ends.resize(next);
    return rest;
  }

  // Whether the one that is being closed has been kept from it for so long.
  bool is_kept(std::chrono::milliseconds patience) {
    const std::lock_guard lock(mutex);
    return !ends.empty() && next == ends.size() && Clock::now() - begun >= patience;
  }

  std::mutex mutex;
  std::vector<End> ends;
  std::size_t next = 0;     // the one before it is being closed
  Clock::time_point begun;  // with that
  int evicted = 0;          // of the loop's thread alone
};

void PipeHands::close_soon(std::shared_ptr<UniqueFd> end, Evict evict) {
  if (shared_->closed) {  // set by this thread, which must not be the last to have the end
    (void)take([last = std::move(end)] {}, {});
    return;
  }
  if (!closing_) closing_ = std::make_shared<Closing>();
  closing_->ends.push_back({std::move(end), std::move(evict)});
  if (!closing_alarm_)
    closing_alarm_ = std::make_unique<Alarm>(loop_.get_executor(), Deadline::in(kTogether), [this] { close_all(); });
}

void PipeHands::close_all() {
  closing_alarm_.reset();
  if (!closing_) return;
  const auto closing = std::exchange(closing_, nullptr);
  // Whoever keeps one of them keeps no other.
  auto evict = [this, closing](int) {
    for (Closing::End& other : closing->take_rest()) close_soon(std::move(other.end), std::move(other.evict));
    if (!closing->is_kept(options_.patience)) return;  // others have used the time up
    if (const Evict& last = closing->ends.back().evict) last(closing->evicted++);
  };
  give_up(take([closing] { closing->close(); }, std::move(evict)));
}

void PipeHands::give_up(const std::shared_ptr<Work>& work) {
  work->is_unwanted_ = true;
  if (!work->is_done_) look_after();
}

void PipeHands::finish(const std::shared_ptr<Job>& job) {
  const auto told = std::move(job->told);
  works_.remove(job);
  if (works_.empty()) alarm_.reset();
  if (told->is_lost_) {
    const std::lock_guard lock(shared_->mutex);
    --shared_->lost;
  }
  told->evict_ = nullptr;
  told->is_done_ = true;
  told->changed_.notify_all();
}

// Evicts whom it is time for, and comes again when it is time for the next.
void PipeHands::look_after() {
  std::size_t wanted = 0;
  Deadline wanted_from = Deadline::never();
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->closed) return;
    shared_->start_hands(options_.most + shared_->lost);
    const std::size_t served = shared_->idle + shared_->starting;
    wanted = shared_->queue.size() - std::min(shared_->queue.size(), served);
    if (wanted > 0) wanted_from = Deadline::at(shared_->queue.front()->told->asked() + options_.wait_for_hand);
  }
  const Deadline next = evict_due(wanted, wanted_from);
  alarm_.reset();
  if (!next.is_never()) alarm_ = std::make_unique<Alarm>(loop_.get_executor(), next, [this] { look_after(); });
}

// When it is time for the next one.
Deadline PipeHands::evict_due(std::size_t wanted, Deadline wanted_from) {
  Deadline next = wanted > 0 ? Deadline::in(options_.patience) : Deadline::never();
  std::vector<std::pair<Evict, int>> evicted;
  for (const auto& job : works_) {
    Work& work = *job->told;
    const std::lock_guard lock(shared_->mutex);
    if (work.is_lost_ || (!work.is_unwanted_ && wanted == 0)) continue;
    if (!job->began) {
      if (work.is_unwanted_) next = std::min(next, Deadline::in(options_.patience));
      continue;
    }
    Deadline due = Deadline::at(*job->began + options_.patience * (1 + work.evictions_));
    if (!work.is_unwanted_) {
      --wanted;
      due = std::max(due, wanted_from);
    }
    if (due.passed()) {
      evicted.emplace_back(work.evict_, work.evictions_);
      if (++work.evictions_ == kMostEvictions && shared_->lost < options_.most_lost) {
        work.is_lost_ = true;
        ++shared_->lost;
      }
      due = Deadline::in(options_.patience);
    }
    next = std::min(next, due);
  }
  for (const auto& [evict, times] : evicted)
    if (evict) evict(times);
  return next;
}

}  // namespace lmsb::io
