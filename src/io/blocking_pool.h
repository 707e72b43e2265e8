#pragma once
// BlockingPool: runs work that blocks (files, launches, downloads) on a bounded number of threads, behind a bounded
// queue, so that the event loop never does.
//
//   auto job = pool.run([plan = std::move(plan)] { return launcher.launch(plan); });
//   LMSB_CO_TRY(auto sandbox, co_await std::move(job));
//
// Work starts when the task is awaited, runs to its end even if the task is cancelled, and its result comes back on the
// awaiting task's loop. It must own what it uses. Threads are started when first needed and then kept. A full queue is
// `resource_exhausted` with the slug "busy". Thread-safe. Destroy it before the loops it answers to: that waits for
// running work and answers queued work with `cancelled`.
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/task.h"

namespace lmsb::io {

class BlockingPool {
 public:
  BlockingPool(std::size_t threads, std::size_t queue);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // `work()` returns a Result<T>; so does awaiting this.
  template <class Work>
  auto run(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&>>;

  std::size_t queued() const;  // not yet started

 private:
  class Job {
   public:
    virtual ~Job() = default;
    virtual void run() = 0;              // does the work and answers
    virtual void refuse(Error why) = 0;  // answers without doing it
  };
  template <class Work, class Handler>
  class JobOf;
  struct State;

  void submit(std::unique_ptr<Job> job);
  std::unique_ptr<State> state_;
};

template <class Work, class Handler>
class BlockingPool::JobOf final : public Job {
 public:
  using Answer = std::invoke_result_t<Work&>;
  JobOf(Work work, Handler handler)
      : work_(std::move(work)),
        handler_(std::move(handler)),
        executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler_),
                                      boost::asio::execution::outstanding_work.tracked)) {}
  void run() override {
    Answer result = work_();
    answer(std::move(result));
  }
  void refuse(Error why) override { answer(std::move(why)); }

 private:
  void answer(Answer result) {
    auto executor = executor_;
    boost::asio::post(executor, [handler = std::move(handler_), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    });
  }

  Work work_;
  Handler handler_;
  // Keeps the loop running while the work is elsewhere.
  std::decay_t<decltype(boost::asio::prefer(std::declval<boost::asio::associated_executor_t<Handler>>(),
                                            boost::asio::execution::outstanding_work.tracked))>
      executor_;
};

template <class Work>
auto BlockingPool::run(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&>> {
  using Answer = std::invoke_result_t<Work&>;
  auto start = [this](auto handler, Work w) {
    submit(std::make_unique<JobOf<Work, decltype(handler)>>(std::move(w), std::move(handler)));
  };
  auto started = boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Answer)>(
      std::move(start), boost::asio::use_awaitable, std::move(work));
  co_return co_await std::move(started);
}

}  // namespace lmsb::io
