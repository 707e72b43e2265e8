#include "io/pipe_relay.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::io {
namespace {

struct Ends {
  UniqueFd read, write;
};

// One that waits, as a hostile maker would leave it.
Ends blocking_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Ends socket_pair() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string all_there(const UniqueFd& socket) {
  std::string text(1U << 20U, '\0');
  const ssize_t n = ::recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

struct RelayTest : testing::Test {
  std::shared_ptr<PipeRelay> relay = *PipeRelay::make();
  Ends pipe = blocking_pipe();
  Ends socket = socket_pair();
};

TEST_F(RelayTest, TakesWhatIsThereAndNoMoreThanItIsTold) {
  ASSERT_EQ(::write(pipe.write.get(), "abcdef", 6), 6);
  EXPECT_EQ(relay->take_now(pipe.read, 4), 4);
  EXPECT_EQ(relay->held(), 4U);
  EXPECT_EQ(relay->give_now(socket.write), 4);
  EXPECT_EQ(relay->held(), 0U);
  EXPECT_EQ(relay->take_now(pipe.read, PipeRelay::kSize), 2);
  EXPECT_EQ(relay->give_now(socket.write), 2);
  EXPECT_EQ(all_there(socket.read), "abcdef");
}

TEST_F(RelayTest, WaitsForNeitherSide) {
  errno = 0;
  EXPECT_EQ(relay->take_now(pipe.read, 10), -1);
  EXPECT_EQ(errno, EAGAIN);
  PipeRelay::widen(pipe.write);
  const std::string much(PipeRelay::kSize, 'x');
  ASSERT_EQ(::write(pipe.write.get(), much.data(), much.size()), static_cast<ssize_t>(much.size()));
  ASSERT_EQ(relay->take_now(pipe.read, much.size()), static_cast<ssize_t>(much.size()));
  ssize_t given = 0;
  while ((given = relay->give_now(socket.write)) > 0) {
  }
  EXPECT_EQ(given, -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_GT(relay->held(), 0U);
}

TEST_F(RelayTest, TellsTheEnd) {
  ASSERT_EQ(::write(pipe.write.get(), "abc", 3), 3);
  pipe.write.reset();
  EXPECT_EQ(relay->take_now(pipe.read, 10), 3);
  EXPECT_EQ(relay->give_now(socket.write), 3);
  EXPECT_EQ(relay->take_now(pipe.read, 10), 0);
}

TEST_F(RelayTest, KeepsWhatItHoldsFromTheMakersOfThePipe) {
  ASSERT_EQ(::write(pipe.write.get(), "abc", 3), 3);
  ASSERT_EQ(relay->take_now(pipe.read, 10), 3);
  ASSERT_EQ(::write(pipe.write.get(), "xyz", 3), 3);
  std::array<char, 10> stolen{};
  ASSERT_EQ(::read(pipe.read.get(), stolen.data(), stolen.size()), 3);
  EXPECT_EQ(std::string(stolen.data(), 3), "xyz");
  EXPECT_EQ(relay->give_now(socket.write), 3);
  EXPECT_EQ(all_there(socket.read), "abc");
}

}  // namespace
}  // namespace lmsb::io
