#include "guest_client/port_socket.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "guest_client/channel.h"
#include "io/run_blocking.h"
#include "os/message_socket.h"

namespace lmsb::guest_client {
namespace {

using guest_protocol::Header;
using guest_protocol::Kind;

// Both ends of a connection by TCP.
struct TcpPair {
  TcpPair() {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), generic, &size), 0);
    near.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(near.get(), generic, size), 0);
    far.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  UniqueFd near;
  UniqueFd far;
};

// A channel whose other end, the guest's, is the test.
class GuestPorts : public testing::Test {
 protected:
  GuestPorts() {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), std::chrono::milliseconds(50));
  }

  void ask(io::Canceller canceller = io::Canceller()) {
    io::spawn(loop_, io::detail::keep(channel_->connect_port(8000), &answer_), std::move(canceller));
    run();
  }
  template <class Message>
  void say(const Message& message, std::vector<int> fds = {}) {
    const iovec part{const_cast<Message*>(&message), sizeof message};
    ASSERT_TRUE(send_message(guest_.get(), &part, 1, fds.data(), fds.size()));
    run();
  }
  // What the guest was asked.
  guest_protocol::ConnectPort heard() {
    guest_protocol::ConnectPort request{};
    ReceivedFds fds;
    EXPECT_EQ(receive_message(guest_.get(), &request, sizeof request, fds, MSG_DONTWAIT),
              static_cast<ssize_t>(sizeof request));
    return request;
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }

  static constexpr Header kConnected{Kind::port_connected, 1};

  boost::asio::io_context loop_{1};
  UniqueFd guest_;
  std::unique_ptr<Channel> channel_;
  std::optional<Result<PortSocket>> answer_;
};

TEST_F(GuestPorts, HandOutAConnectionThatNeverWaits) {
  ask();
  EXPECT_EQ(heard().port, 8000U);
  const TcpPair pair;
  say(kConnected, {pair.near.get()});
  ASSERT_TRUE(answer_ && answer_->ok());
  const int fd = (*answer_)->fd().get();
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(::send(fd, "x", 1, 0), 1);
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestPorts, SayWhenNothingListens) {
  ask();
  say(guest_protocol::PortFailed{{Kind::port_failed, 1}, ECONNREFUSED});
  ASSERT_TRUE(answer_ && !answer_->ok());
  EXPECT_EQ(answer_->error().slug(), "port_not_listening");
}

TEST_F(GuestPorts, SayWhyThereIsNoConnectionElse) {
  const std::vector<std::pair<int, std::string>> told = {
      {ETIMEDOUT, "port_timeout"},     {EAGAIN, "sandbox_busy"},       {EMFILE, "sandbox_busy"},
      {EADDRNOTAVAIL, "sandbox_busy"}, {ECONNRESET, "port_no_answer"}, {ENETUNREACH, "port_no_answer"}};
  std::uint32_t sequence = 0;
  for (const auto& [error, slug] : told) {
    answer_.reset();
    ask();
    say(guest_protocol::PortFailed{{Kind::port_failed, ++sequence}, error});
    ASSERT_TRUE(answer_ && !answer_->ok());
    EXPECT_EQ(answer_->error().slug(), slug);
  }
}

TEST_F(GuestPorts, EndTheChannelForWhatIsNoTcpSocketOrMoreThanOne) {
  const TcpPair pair;
  std::array<int, 2> others{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, others.data()), 0);
  const UniqueFd stream(others[0]);
  const UniqueFd other(others[1]);
  const UniqueFd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<std::vector<int>> wrong = {
      {}, {stream.get()}, {datagrams.get()}, {file.get()}, {pair.near.get(), pair.far.get()}};
  for (const auto& fds : wrong) {
    UniqueFd ours;
    ASSERT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours));
    answer_.reset();
    ask();
    say(kConnected, fds);
    EXPECT_TRUE(channel_->is_closed());
    ASSERT_TRUE(answer_ && !answer_->ok());
    EXPECT_EQ(answer_->error().slug(), "sandbox_lost");
  }
}

TEST_F(GuestPorts, CloseAConnectionThatNobodyWaitsForAnyMore) {
  io::Canceller canceller;
  ask(canceller);
  canceller.cancel();
  run();
  ASSERT_TRUE(answer_ && !answer_->ok());
  TcpPair pair;
  say(kConnected, {pair.near.get()});
  pair.near.reset();
  char octet = 0;
  EXPECT_EQ(::recv(pair.far.get(), &octet, 1, 0), 0);  // the channel has kept none
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestPorts, EndWithTheirChannel) {
  ask();
  const TcpPair pair;
  say(kConnected, {pair.near.get()});
  ASSERT_TRUE(answer_ && answer_->ok());
  channel_->close();
  char octet = 0;
  EXPECT_EQ(::recv((*answer_)->fd().get(), &octet, 1, 0), 0);
  EXPECT_EQ(::recv(pair.far.get(), &octet, 1, 0), 0);
}

TEST_F(GuestPorts, WaitNoLongerThanAnyGuestMayTake) {
  ask();
  loop_.run_for(std::chrono::seconds(1));
  ASSERT_TRUE(answer_ && !answer_->ok());
  EXPECT_EQ(answer_->error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(GuestPorts, SurviveAnAnswerThatComesTwice) {
  ask();
  const TcpPair pair;
  say(kConnected, {pair.near.get()});
  say(kConnected, {pair.near.get()});
  say(guest_protocol::PortFailed{{Kind::port_failed, 1}, 0});
  EXPECT_TRUE(answer_ && answer_->ok());
  EXPECT_FALSE(channel_->is_closed());
}

}  // namespace
}  // namespace lmsb::guest_client
