// The socket for a sandbox's models, as a guest gives it that may be in other hands.
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "guest_client/channel.h"
#include "io/run_blocking.h"
#include "os/message_socket.h"

namespace lmsb::guest_client {
namespace {

using guest_protocol::Kind;
using guest_protocol::Models;

UniqueFd bound_socket(std::uint16_t port, in_addr_t address = INADDR_LOOPBACK, int type = SOCK_STREAM) {
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int yes = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(port);
  here.sin_addr.s_addr = htonl(address);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0) << errno;
  return socket;
}

class GuestModels : public testing::Test {
 protected:
  GuestModels() {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), std::chrono::milliseconds(50));
  }
  void ask() {
    io::spawn(loop_, io::detail::keep(channel_->take_models(), &answer_));
    run();
  }
  void say(const Models& message, const UniqueFd& fd = UniqueFd()) {
    const iovec part{const_cast<Models*>(&message), sizeof message};
    const int number = fd.get();
    ASSERT_TRUE(send_message(guest_.get(), &part, 1, &number, fd ? 1 : 0));
    run();
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }

  static constexpr Models kGiven{{Kind::models, 1}, 0};

  boost::asio::io_context loop_{1};
  UniqueFd guest_;
  std::unique_ptr<Channel> channel_;
  std::optional<Result<UniqueFd>> answer_;
};

// Whoever runs the tests may have something at the port: these share it.
TEST_F(GuestModels, AreASocketAtTheirPlace) {
  ask();
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(guest_protocol::kModelPort);
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0)
    GTEST_SKIP() << "something on this machine has port 11434";
  say(kGiven, socket);
  ASSERT_TRUE(answer_ && answer_->ok());
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestModels, MayHaveNoPlace) {
  ask();
  say({{Kind::models, 1}, EADDRINUSE});
  ASSERT_TRUE(answer_ && !answer_->ok());
  EXPECT_EQ(answer_->error().slug(), "model_port_taken");
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestModels, AreNoOtherDescriptor) {
  std::vector<UniqueFd> others;
  others.push_back(bound_socket(0));
  others.push_back(bound_socket(0, INADDR_LOOPBACK, SOCK_DGRAM));
  others.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const UniqueFd& other : others) {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), std::chrono::milliseconds(50));
    answer_.reset();
    ask();
    say(kGiven, other);
    EXPECT_TRUE(channel_->is_closed());
    EXPECT_TRUE(answer_ && !answer_->ok());
  }
}

TEST_F(GuestModels, ComeWithADescriptorOrWithTheReason) {
  ask();
  say(kGiven);
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(GuestModels, ThatNobodyWaitsForAreLetGoOf) {
  say({{Kind::models, 77}, EMFILE});
  EXPECT_FALSE(channel_->is_closed());
}

}  // namespace
}  // namespace lmsb::guest_client
