#include "io/stream.h"

#include <array>
#include <chrono>
#include <fcntl.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::io {
namespace {

using std::chrono::milliseconds;

struct Pair {
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0); }
  UniqueFd first() { return UniqueFd(std::exchange(fds[0], -1)); }
  UniqueFd second() { return UniqueFd(std::exchange(fds[1], -1)); }
  std::array<int, 2> fds{};
};

Always<void> write_and_close(FdStream stream, std::string data) {
  const Status status = co_await stream.write_all(std::move(data));
  EXPECT_TRUE(status.ok());
}

TEST(FdStream, CarriesMoreThanTheKernelHoldsFromEndToEnd) {
  Pair pair;
  boost::asio::io_context loop(1);
  FdStream reader(loop.get_executor(), pair.first());
  std::string data(5'000'000, 'a');
  data.back() = 'z';
  spawn(loop, write_and_close(FdStream(loop.get_executor(), pair.second()), data));
  const Result<std::string> all = run_on(loop, reader.read_all(Bytes::MiB(8)));
  EXPECT_EQ(all.value(), data);
}

TEST(FdStream, StopsReadingAtItsLimit) {
  Pair pair;
  boost::asio::io_context loop(1);
  FdStream reader(loop.get_executor(), pair.first());
  const UniqueFd writer = pair.second();
  ASSERT_EQ(::send(writer.get(), "12345", 5, 0), 5);
  EXPECT_EQ(run_on(loop, reader.read_all(Bytes(4))).error().code(), ErrorCode::resource_exhausted);
}

TEST(FdStream, GivesUpReadingAtTheDeadline) {
  Pair pair;
  boost::asio::io_context loop(1);
  FdStream reader(loop.get_executor(), pair.first());
  const UniqueFd writer = pair.second();
  const auto result = run_on(loop, reader.read_all(Bytes(4), Deadline::in(milliseconds(5))));
  EXPECT_EQ(result.error().code(), ErrorCode::deadline_exceeded);
}

TEST(FdStream, GivesItsDescriptorBack) {
  Pair pair;
  boost::asio::io_context loop(1);
  FdStream stream(loop.get_executor(), pair.first());
  const UniqueFd back = std::move(stream).release();
  EXPECT_GE(::fcntl(back.get(), F_GETFD), 0);
}

}  // namespace
}  // namespace lmsb::io
