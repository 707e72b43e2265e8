#include "control/sandbox_handle.h"

#include <array>
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/spawn.h"
#include "os/memfd.h"
#include "os/message_socket.h"

namespace lmsb::control {
namespace {

// A sandbox whose kernel is the test: what is written to `freeze` is read here, and its state never changes.
class SandboxHandleTest : public testing::Test {
 protected:
  SandboxHandleTest() { make("/proc/self/mounts"); }

  void make(const char* state) {
    sandbox::LaunchedSandbox launched;
    EXPECT_TRUE(message_socket_pair(launched.channel, guest_));
    launched.freeze = make_pipe(freeze_);
    // Can be read and waited for as cgroup.events is, and says nothing of "frozen" or "populated".
    launched.state.reset(::open(state, O_RDONLY | O_CLOEXEC));
    launched.kill = make_pipe(kill_);
    sandbox::SandboxSpec spec;
    spec.lifetime = sandbox::Lifetime::kept;
    handle_ =
        std::make_shared<SandboxHandle>(loop_, spec, std::move(launched), SandboxHandle::Guest::fresh,
                                        [](std::uint64_t, std::optional<SandboxHandle::Disk>, Capacity::Share) {});
  }

  // Returns the end for writing.
  static UniqueFd make_pipe(UniqueFd& read) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read.reset(ends[0]);
    return UniqueFd(ends[1]);
  }
  static io::Always<void> pause(std::shared_ptr<SandboxHandle> handle, Status* ended, bool* is_over) {
    *ended = co_await handle->pause(io::Deadline::in(std::chrono::milliseconds(20)));
    *is_over = true;
  }
  static io::Always<void> wind_down(std::shared_ptr<SandboxHandle> handle, io::Deadline::Clock::duration grace,
                                    Status* ended, bool* is_over) {
    *ended = co_await handle->wind_down(io::Deadline::in(grace));
    *is_over = true;
  }
  std::string written() const {
    std::array<char, 16> text{};
    const ssize_t size = ::read(freeze_.get(), text.data(), text.size());
    return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }
  void run_until(const bool& is_over) {
    while (!is_over && loop_.run_one() > 0) {
    }
  }

  boost::asio::io_context loop_;
  UniqueFd guest_;
  UniqueFd freeze_;
  UniqueFd kill_;
  std::shared_ptr<SandboxHandle> handle_;
  Status ended_;
  bool is_over_ = false;
};

TEST_F(SandboxHandleTest, LetsAllGoOnWhenOneCannotBeStopped) {
  io::spawn(loop_, pause(handle_, &ended_, &is_over_));
  run_until(is_over_);
  ASSERT_FALSE(ended_.ok());
  EXPECT_EQ(ended_.error().slug(), "pause_failed");
  EXPECT_EQ(written(), "10");
}

TEST_F(SandboxHandleTest, APauseOfWhatIsGoneEndsAtOnce) {
  make("/dev/null");
  io::spawn(loop_, pause(handle_, &ended_, &is_over_));
  run_until(is_over_);
  EXPECT_EQ(ended_.error().slug(), "sandbox_lost");
}

TEST_F(SandboxHandleTest, APauseEndsWithItsSandbox) {
  io::spawn(loop_, pause(handle_, &ended_, &is_over_));
  loop_.poll();
  handle_->end();
  run_until(is_over_);
  EXPECT_EQ(ended_.error().slug(), "sandbox_lost");
  EXPECT_EQ(written(), "1");
}

TEST_F(SandboxHandleTest, NoMoreIsWaitedForWhereNothingRuns) {
  make("/dev/null");
  io::spawn(loop_, wind_down(handle_, std::chrono::hours(1), &ended_, &is_over_));
  run_until(is_over_);
  EXPECT_TRUE(ended_.ok());
}

TEST_F(SandboxHandleTest, WhatRunsOnIsWaitedForUntilTheDeadline) {
  io::spawn(loop_, wind_down(handle_, std::chrono::milliseconds(20), &ended_, &is_over_));
  run_until(is_over_);
  EXPECT_EQ(ended_.error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(SandboxHandleTest, WhoIsInAHurryCutsTheWaitShort) {
  io::spawn(loop_, wind_down(handle_, std::chrono::hours(1), &ended_, &is_over_));
  loop_.poll();
  handle_->hurry(io::Deadline::in(std::chrono::hours(2)));
  loop_.poll();
  EXPECT_FALSE(is_over_) << "nobody makes it longer";
  handle_->hurry(io::Deadline::in(std::chrono::milliseconds(1)));
  run_until(is_over_);
  EXPECT_EQ(ended_.error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(SandboxHandleTest, AWindingDownEndsWithItsSandbox) {
  io::spawn(loop_, wind_down(handle_, std::chrono::hours(1), &ended_, &is_over_));
  loop_.poll();
  handle_->end();
  run_until(is_over_);
  EXPECT_EQ(ended_.error().slug(), "sandbox_lost");
}

}  // namespace
}  // namespace lmsb::control
