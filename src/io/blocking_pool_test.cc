#include "io/blocking_pool.h"

#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::io {
namespace {

Result<std::string> thread_name() { return std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())); }

Always<void> note(Task<int> task, std::vector<Result<int>>* out) {
  Result<int> result = co_await std::move(task);
  out->push_back(std::move(result));
}

// Work that lasts until `gate` opens.
struct Gated {
  std::shared_future<void> gate;
  int value;
  Result<int> operator()() {
    gate.wait();
    return value;
  }
};

TEST(BlockingPool, RunsWorkOnAnotherThreadAndBringsTheResultBack) {
  BlockingPool pool(2, 10);
  const Result<std::string> there = run_blocking(pool.run(thread_name));
  EXPECT_NE(there.value(), thread_name().value());
}

TEST(BlockingPool, BringsErrorsBack) {
  BlockingPool pool(1, 1);
  auto work = [] { return Status(Error(ErrorCode::not_found, "no such thing")); };
  EXPECT_EQ(run_blocking(pool.run(work)).error().message(), "no such thing");
}

TEST(BlockingPool, RefusesWhatDoesNotFitItsQueue) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  BlockingPool pool(1, 1);
  boost::asio::io_context loop(1);
  std::vector<Result<int>> results;
  for (int i = 0; i < 3; ++i) spawn(loop, note(pool.run(Gated{opened, i}), &results));
  while (results.empty()) loop.run_one();
  EXPECT_EQ(results[0].error().code(), ErrorCode::resource_exhausted);
  EXPECT_EQ(results[0].error().slug(), "busy");
  gate.set_value();
  loop.run();
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[1].value(), 0);
  EXPECT_EQ(results[2].value(), 1);
}

TEST(BlockingPool, FinishesWorkWhoseTaskWasCancelled) {
  std::promise<void> gate;
  BlockingPool pool(1, 1);
  boost::asio::io_context loop(1);
  std::vector<Result<int>> results;
  Canceller canceller;
  spawn(loop, note(pool.run(Gated{gate.get_future().share(), 7}), &results), canceller);
  loop.poll();
  canceller.cancel();
  gate.set_value();
  loop.run();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].value(), 7);
}

TEST(BlockingPool, AnswersQueuedWorkWithCancelledWhenItCloses) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  boost::asio::io_context loop(1);
  std::vector<Result<int>> results;
  auto pool = std::make_unique<BlockingPool>(1, 5);
  for (int i = 0; i < 2; ++i) spawn(loop, note(pool->run(Gated{opened, i}), &results));
  loop.poll();
  while (pool->queued() == 2) std::this_thread::yield();
  auto close = std::async(std::launch::async, [&pool] { pool.reset(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until it is closing; right in either order
  gate.set_value();
  close.get();
  loop.run();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_TRUE(results[0].ok());
}

}  // namespace
}  // namespace lmsb::io
