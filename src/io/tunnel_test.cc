#include "io/tunnel.h"

#include <array>
#include <fcntl.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "io/run_blocking.h"
#include "io/socket_stream.h"

namespace lmsb::io {
namespace {

using std::chrono::milliseconds;

// Two connections, joined by a tunnel; their far ends are the test's.
class Tunnelled : public testing::Test {
 protected:
  Tunnelled() {
    std::array<int, 2> pair{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    client_.reset(pair[0]);
    near_client_.reset(pair[1]);
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    near_server_.reset(pair[0]);
    server_.reset(pair[1]);
  }
  void begin(std::string from_client = {}, std::string from_server = {}, milliseconds half_open = kHalfOpen) {
    TunnelEnd left(HeldSocket(std::move(near_client_)), std::move(from_client));
    TunnelEnd right(HeldSocket(std::move(near_server_)), std::move(from_server));
    std::function<void()> done = [this] { is_over_ = true; };
    spawn(loop_, carry(std::move(left), std::move(right), half_open), canceller_, std::move(done));
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  static std::string read(const UniqueFd& from) {
    std::string text(100, '\0');
    const ssize_t count = ::recv(from.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return count < 0 ? "nothing yet" : text;
  }

  boost::asio::io_context loop_{1};
  Canceller canceller_;
  bool is_over_ = false;
  UniqueFd client_;
  UniqueFd near_client_;
  UniqueFd near_server_;
  UniqueFd server_;
};

TEST_F(Tunnelled, CarriesWhatWasReadAheadBeforeWhatComes) {
  begin("from the client, ", "from the server, ");
  ASSERT_EQ(::send(client_.get(), "and more", 8, 0), 8);
  ASSERT_EQ(::send(server_.get(), "too", 3, 0), 3);
  run();
  EXPECT_EQ(read(server_), "from the client, and more");
  EXPECT_EQ(read(client_), "from the server, too");
  EXPECT_FALSE(is_over_);
}

TEST_F(Tunnelled, PassesOnThatOneSideHasNothingMoreToSay) {
  begin();
  ASSERT_EQ(::shutdown(client_.get(), SHUT_WR), 0);
  run();
  EXPECT_EQ(read(server_), "");
  ASSERT_EQ(::send(server_.get(), "the answer", 10, 0), 10);
  run();
  EXPECT_EQ(read(client_), "the answer");
  EXPECT_FALSE(is_over_);
  server_.reset();
  run();
  EXPECT_EQ(read(client_), "");
  EXPECT_TRUE(is_over_);
}

TEST_F(Tunnelled, EndsWhenTheOtherHalfIsSilentForTooLong) {
  begin({}, {}, milliseconds(20));
  ASSERT_EQ(::shutdown(client_.get(), SHUT_WR), 0);
  loop_.run();
  EXPECT_TRUE(is_over_);
  EXPECT_EQ(read(client_), "");
}

TEST_F(Tunnelled, EndsBothWhenItIsCancelled) {
  begin();
  run();
  canceller_.cancel();
  run();
  EXPECT_TRUE(is_over_);
  EXPECT_EQ(read(client_), "");
  EXPECT_EQ(read(server_), "");
}

TEST_F(Tunnelled, EndsBothWhenWhoeverHoldsOneEndsIt) {
  const UniqueFd held(::fcntl(near_server_.get(), F_DUPFD_CLOEXEC, 0));
  begin();
  run();
  ASSERT_EQ(::shutdown(held.get(), SHUT_RDWR), 0);
  run();
  EXPECT_TRUE(is_over_);
  EXPECT_EQ(read(client_), "");
}

TEST_F(Tunnelled, EndsBothWhenOneIsClosed) {
  begin();
  run();
  server_.reset();
  run();
  EXPECT_TRUE(is_over_);
  EXPECT_EQ(read(client_), "");
}

TEST_F(Tunnelled, HoldsOnePieceForAReaderThatIsSlow) {
  begin();
  const std::string piece(65536, 'x');
  std::size_t sent = 0;
  for (int tries = 0; tries < 1000; ++tries) {
    const ssize_t count = ::send(client_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) sent += static_cast<std::size_t>(count);
    run();
    if (count < 0) break;
  }
  EXPECT_LT(sent, std::size_t{4} << 20U);  // what the kernel's two connections hold, and that piece
  std::size_t received = 0;
  std::string room(65536, '\0');
  for (ssize_t count = 0; (count = ::recv(server_.get(), room.data(), room.size(), MSG_DONTWAIT)) > 0; run())
    received += static_cast<std::size_t>(count);
  EXPECT_EQ(received, sent);
}

}  // namespace
}  // namespace lmsb::io
