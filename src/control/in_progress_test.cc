#include "control/in_progress.h"

#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

io::Always<void> wait(InProgress* all, io::Deadline deadline, bool* is_over) {
  co_await all->wait_none(deadline);
  *is_over = true;
}

TEST(InProgress, IsWaitedForUntilNothingGoesOnOrTheDeadline) {
  boost::asio::io_context loop{1};
  InProgress all(loop);
  auto first = all.begin();
  auto second = all.begin();
  bool is_over = false;
  io::spawn(loop, wait(&all, io::Deadline::never(), &is_over));
  loop.poll();
  first.reset();
  loop.poll();
  EXPECT_FALSE(is_over);
  second.reset();
  loop.restart();
  loop.poll();
  EXPECT_TRUE(is_over);
  const auto third = all.begin();
  is_over = false;
  io::spawn(loop, wait(&all, io::Deadline::in(std::chrono::milliseconds(1)), &is_over));
  loop.restart();
  loop.run();
  EXPECT_TRUE(is_over);
}

}  // namespace
}  // namespace lmsb::control
