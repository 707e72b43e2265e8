#include "io/event.h"

#include <chrono>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::io {
namespace {

using std::chrono::milliseconds;

Always<void> wait_and_note(Event* event, int name, Deadline deadline, std::vector<int>* order) {
  const Status status = co_await event->wait(deadline);
  order->push_back(status.ok() ? name : -name);
}

TEST(Event, WakesTheLongestWaitingFirst) {
  boost::asio::io_context loop(1);
  Event event(loop);
  std::vector<int> order;
  for (int name = 1; name <= 3; ++name) spawn(loop, wait_and_note(&event, name, Deadline::never(), &order));
  loop.poll();
  event.notify_one();
  loop.poll();
  EXPECT_EQ(order, std::vector<int>({1}));
  event.notify_all();
  loop.restart();
  loop.run();
  EXPECT_EQ(order, std::vector<int>({1, 2, 3}));
}

TEST(Event, HasNoMemory) {
  boost::asio::io_context loop(1);
  Event event(loop);
  event.notify_all();
  const Status status = run_on(loop, event.wait(Deadline::in(milliseconds(5))));
  EXPECT_EQ(status.error().code(), ErrorCode::deadline_exceeded);
  EXPECT_EQ(event.waiting(), 0U);
}

TEST(Event, EndsItsWaitsWhenDestroyed) {
  boost::asio::io_context loop(1);
  auto event = std::make_unique<Event>(loop);
  std::vector<int> order;
  spawn(loop, wait_and_note(event.get(), 1, Deadline::never(), &order));
  loop.poll();
  event.reset();
  loop.restart();
  loop.run();
  EXPECT_EQ(order, std::vector<int>({-1}));
}

TEST(Event, DoesNotSpendANotificationOnACancelledWait) {
  boost::asio::io_context loop(1);
  Event event(loop);
  std::vector<int> order;
  Canceller canceller;
  spawn(loop, wait_and_note(&event, 1, Deadline::never(), &order), canceller);
  spawn(loop, wait_and_note(&event, 2, Deadline::never(), &order));
  loop.poll();
  canceller.cancel();
  loop.restart();
  loop.poll();
  event.notify_one();
  loop.restart();
  loop.run();
  EXPECT_EQ(order, std::vector<int>({-1, 2}));
}

}  // namespace
}  // namespace lmsb::io
