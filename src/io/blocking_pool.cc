#include "io/blocking_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "io/signals_blocked.h"

namespace lmsb::io {
struct BlockingPool::State {
  State(std::size_t t, std::size_t q) : max_threads(t), max_queue(q) {}

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (stopping) return;
      std::unique_ptr<Job> job = std::move(jobs.front());
      jobs.pop_front();
      ++running;
      lock.unlock();
      job->run();
      job.reset();
      lock.lock();
      --running;
    }
  }

  // Takes the job unless the queue is full. `mutex` is held.
  bool accept(std::unique_ptr<Job>& job) {
    const std::size_t unfinished = running + jobs.size();
    if (unfinished >= max_threads + max_queue) return false;
    jobs.push_back(std::move(job));
    if (threads.size() < max_threads && unfinished >= threads.size()) {
      const SignalsBlocked blocked;
      threads.emplace_back([this] { work(); });
    }
    return true;
  }

  const std::size_t max_threads;
  const std::size_t max_queue;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Job>> jobs;
  std::vector<std::thread> threads;
  std::size_t running = 0;  // jobs that threads have taken
  bool stopping = false;
};

BlockingPool::BlockingPool(std::size_t threads, std::size_t queue) : state_(std::make_unique<State>(threads, queue)) {
  LMSB_ASSERT(threads > 0);
}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
  for (auto& job : state_->jobs) job->refuse(Error(ErrorCode::cancelled, "blocking work: the pool is closing"));
}

void BlockingPool::submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->accept(job)) {
      state_->changed.notify_one();
      return;
    }
  }
  Error full(ErrorCode::resource_exhausted,
             "blocking work: " + std::to_string(state_->max_queue) + " jobs are waiting already");
  job->refuse(std::move(full).with_hint("try again in a moment").with_slug("busy"));
}

std::size_t BlockingPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  return state_->jobs.size();
}

}  // namespace lmsb::io
