#include "io/socket_stream.h"

#include <array>
#include <string>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::io {
namespace {

// A stream whose other end has sent all at once what is read an octet at a time.
class BusyStream : public testing::Test {
 protected:
  static constexpr std::size_t kSize = 1000;

  BusyStream() {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    other_.reset(pair[1]);
    stream_ = std::make_unique<SocketStream>(loop_.get_executor(), HeldSocket(UniqueFd(pair[0])));
    const std::string text(kSize, 'x');
    EXPECT_EQ(::send(other_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(kSize));
  }
  static Always<void> read_all(SocketStream* stream, std::size_t* read, ErrorCode* end) {
    char octet = 0;
    while (*read < kSize) {
      const auto count = co_await stream->read_some(&octet, 1);
      if (!count.ok()) {
        *end = count.error().code();
        co_return;
      }
      *read += *count;
    }
  }

  boost::asio::io_context loop_{1};
  UniqueFd other_;
  std::unique_ptr<SocketStream> stream_;
  Canceller canceller_;
  std::size_t read_ = 0;
  ErrorCode end_ = ErrorCode::internal;
};

TEST_F(BusyStream, LeavesOthersTheirTurn) {
  std::size_t read_before_others = kSize;
  spawn(loop_, read_all(stream_.get(), &read_, &end_));
  boost::asio::post(loop_, [&] { read_before_others = read_; });
  loop_.run();
  EXPECT_EQ(read_, kSize);
  EXPECT_LT(read_before_others, 20U);
}

TEST_F(BusyStream, EndsWithItsTask) {
  spawn(loop_, read_all(stream_.get(), &read_, &end_), canceller_);
  boost::asio::post(loop_, [this] { canceller_.cancel(); });
  loop_.run();
  EXPECT_LT(read_, 40U);
  EXPECT_EQ(end_, ErrorCode::cancelled);
}

}  // namespace
}  // namespace lmsb::io
