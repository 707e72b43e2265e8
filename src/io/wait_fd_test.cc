#include "io/wait_fd.h"

#include <array>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::io {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

Always<void> note(Task<void> task, std::vector<Status>* out) {
  Status status = co_await std::move(task);
  out->push_back(std::move(status));
}

TEST(WaitFd, ReturnsAtOnceWhenDataIsThere) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  EXPECT_TRUE(run_blocking(wait_readable(pipe.read)).ok());
  EXPECT_TRUE(run_blocking(wait_readable(pipe.read)).ok()) << "the octet was not read, so it is still there";
}

TEST(WaitFd, SeesTheEndOfAPipe) {
  Pipe pipe;
  pipe.write.reset();
  EXPECT_TRUE(run_blocking(wait_readable(pipe.read)).ok());
}

TEST(WaitFd, GivesUpAtTheDeadline) {
  Pipe pipe;
  const Status status = run_blocking(wait_readable(pipe.read, Deadline::in(milliseconds(10))));
  EXPECT_EQ(status.error().code(), ErrorCode::deadline_exceeded);
}

// Asio uses the state of a released descriptor again at once, also when an event for it is still queued: the wait of
// whoever got it ended though nothing was there. In the daemon that killed sandboxes, as out of memory.
Task<void> take_over_a_released_watch(const Pipe& first, const Pipe& second, const Pipe& third) {
  const auto loop = co_await boost::asio::this_coro::executor;
  FdWatch watch(loop, first.read);
  auto released = std::make_unique<FdWatch>(loop, second.read);
  EXPECT_EQ(::write(first.write.get(), "x", 1) + ::write(second.write.get(), "x", 1), 2);
  LMSB_CO_CHECK(co_await watch.readable());
  released.reset();
  FdWatch heir(loop, third.read);
  co_return co_await heir.readable(Deadline::in(milliseconds(20)));
}

TEST(WaitFd, IsNotWokenByAnEventOfAnotherDescriptor) {
  const Pipe first;
  const Pipe second;
  const Pipe third;
  const Status status = run_blocking(take_over_a_released_watch(first, second, third));
  ASSERT_FALSE(status.ok()) << "woken, but nothing is there";
  EXPECT_EQ(status.error().code(), ErrorCode::deadline_exceeded);
}

TEST(WaitFd, LeavesTheDescriptorOpen) {
  Pipe pipe;
  (void)run_blocking(wait_readable(pipe.read, Deadline::in(milliseconds(1))));
  EXPECT_GE(::fcntl(pipe.read.get(), F_GETFD), 0);
}

TEST(WaitFd, WakesWhenAProcessEnds) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::usleep(20'000);
    ::_exit(0);
  }
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  EXPECT_TRUE(run_blocking(wait_readable(pidfd, Deadline::in(milliseconds(5000)))).ok());
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), child);
}

TEST(WaitFd, WaitsForMessagesOfASeqpacketSocket) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  ASSERT_EQ(::send(theirs.get(), "hello", 5, 0), 5);
  EXPECT_TRUE(run_blocking(wait_readable(ours)).ok());
}

TEST(WaitFd, EndsWithCancelledWhenItsTaskIsCancelled) {
  Pipe pipe;
  boost::asio::io_context loop(1);
  std::vector<Status> ended;
  Canceller canceller;
  spawn(loop, note(wait_readable(pipe.read), &ended), canceller);
  loop.poll();
  canceller.cancel();
  loop.run();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].error().code(), ErrorCode::cancelled);
}

Always<void> wait_twice(BorrowedFd fd, std::vector<Status>* out) {
  out->push_back(co_await wait_readable(fd));
  out->push_back(co_await wait_readable(fd));
  co_await forget_cancellation();
  out->push_back(co_await wait_readable(fd, Deadline::in(milliseconds(5))));
}

TEST(WaitFd, RefusesLaterWaitsOfACancelledTaskUntilItForgets) {
  Pipe pipe;
  boost::asio::io_context loop(1);
  std::vector<Status> ended;
  Canceller canceller;
  spawn(loop, wait_twice(pipe.read, &ended), canceller);
  loop.poll();
  canceller.cancel();
  loop.run();
  ASSERT_EQ(ended.size(), 3U);
  EXPECT_EQ(ended[0].error().code(), ErrorCode::cancelled);
  EXPECT_EQ(ended[1].error().code(), ErrorCode::cancelled);
  EXPECT_EQ(ended[2].error().code(), ErrorCode::deadline_exceeded);
}

TEST(WaitFd, MayBeDestroyedWithItsLoopWhileWaiting) {
  Pipe pipe;
  {
    boost::asio::io_context loop(1);
    std::vector<Status> ended;
    spawn(loop, note(wait_readable(pipe.read, Deadline::in(std::chrono::hours(1))), &ended));
    loop.poll();
  }
  EXPECT_GE(::fcntl(pipe.read.get(), F_GETFD), 0);
}

Task<int> wait_many(boost::asio::io_context* loop, BorrowedFd read, BorrowedFd write) {
  FdWatch watch(loop->get_executor(), read);
  int rounds = 0;
  for (; rounds < 100; ++rounds) {
    EXPECT_EQ(::write(write.get(), "x", 1), 1);
    LMSB_CO_CHECK(co_await watch.readable());
    char octet = 0;
    EXPECT_EQ(::read(read.get(), &octet, 1), 1);
  }
  co_return rounds;
}

TEST(FdWatch, WaitsAgainAndAgainOnOneRegistration) {
  Pipe pipe;
  boost::asio::io_context loop(1);
  const Result<int> rounds = run_on(loop, wait_many(&loop, pipe.read, pipe.write));
  EXPECT_EQ(rounds.value(), 100);
}

// A socket that takes no more; its other end.
Task<void> wait_both_ways(UniqueFd* ours, UniqueFd* theirs, std::vector<Status>* read) {
  const auto loop = co_await boost::asio::this_coro::executor;
  FdWatch watch(loop, *ours);
  co_await spawn_here(note(watch.readable(), read));
  const Status written = co_await watch.writable(Deadline::in(milliseconds(10)));
  EXPECT_EQ(written.error().code(), ErrorCode::deadline_exceeded);
  EXPECT_TRUE(read->empty());
  EXPECT_EQ(::write(theirs->get(), "x", 1), 1);
  while (read->empty()) LMSB_CO_CHECK(co_await sleep_until(Deadline::in(milliseconds(1))));
  co_return Status();
}

TEST(FdWatch, ADeadlineInOneDirectionLeavesTheOtherAlone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const std::string much(65536, 'x');
  while (::write(ours.get(), much.data(), much.size()) > 0) {
  }
  std::vector<Status> read;
  EXPECT_TRUE(run_blocking(wait_both_ways(&ours, &theirs, &read)).ok());
  ASSERT_EQ(read.size(), 1U);
  EXPECT_TRUE(read[0].ok());
}

TEST(FdWatch, OfADescriptorThatIsNotOpenIsAnError) {
  EXPECT_FALSE(run_blocking(wait_readable(BorrowedFd(987654))).ok());
}

}  // namespace
}  // namespace lmsb::io
