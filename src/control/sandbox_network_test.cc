#include "control/sandbox_network.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "control/test_handle.h"
#include "io/event.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

using guest_protocol::GateNote;
using guest_protocol::GatePolicy;
using guest_protocol::GateShare;
using network::Mode;

// A network of which the test is the guest, and the gate. 64 connections for all, 16 for one.
class SandboxNetworkTest : public testing::Test {
 protected:
  SandboxNetworkTest() {
    handle_ = silent_handle(loop_, guest_);
    ::fcntl(guest_.get(), F_SETFL, O_NONBLOCK);
    SandboxNetwork::Parts parts;
    parts.open_gate = [this] { return make_gate(); };
    parts.wait_ended = [this](std::uint64_t, io::Deadline) { return wait_gone(); };
    parts.policy_of = [](const network::Egress& egress) {
      GatePolicy policy;
      policy.mode = egress.mode;
      policy.max_connections = 99;
      return policy;
    };
    parts.take_place = [this](ConnectionShares::Tell tell) { return shares_->enter("local:1", std::move(tell)); };
    parts.hear = [](const NetworkEvent&) {};
    parts.keep_credentials = [](const std::vector<std::string>&) {};
    network_ = std::make_shared<SandboxNetwork>(loop_, "s1", handle_->channel(), open_, std::move(parts), log_);
  }
  ~SandboxNetworkTest() override {
    if (network_) network_->close();
    let_it_be_gone();
    run();
  }

  io::Task<std::unique_ptr<Gate>> make_gate() {
    sandbox::LaunchedSandbox launched;
    launched.serial = 1;
    EXPECT_TRUE(message_socket_pair(launched.only, gate_));
    ::fcntl(gate_.get(), F_SETFL, O_NONBLOCK);
    co_return std::make_unique<Gate>(loop_, std::move(launched), [](std::uint64_t) {});
  }
  io::Task<void> wait_gone() {
    while (lingers_) LMSB_CO_CHECK(co_await gone_.wait());
    co_return Status();
  }
  // Nothing is left any more of a gate that lingered.
  void let_it_be_gone() {
    lingers_ = false;
    gone_.notify_all();
    run();
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  // It serves, by `open_`.
  void serve() {
    io::spawn(loop_, keep_result(SandboxNetwork::open(network_)));
    run();
    give_sockets();
    const auto policy = hear<GatePolicy>();
    ASSERT_TRUE(policy);
    EXPECT_EQ(policy->mode, Mode::open);
    EXPECT_EQ(policy->max_connections, 16U);
    note(policy->generation, 0);
    ASSERT_TRUE(result_ && result_->ok());
    io::spawn(loop_, SandboxNetwork::keep(network_));
    run();
  }
  GatePolicy change(Mode mode) {
    result_.reset();
    io::spawn(loop_, keep_result(SandboxNetwork::change(network_, {mode, {}})));
    run();
    const GatePolicy policy = hear<GatePolicy>().value_or(GatePolicy());
    note(policy.generation, 0);
    EXPECT_TRUE(result_ && result_->ok());
    return policy;
  }
  // What the guest is asked for.
  void give_sockets() {
    guest_protocol::Header header{};
    ASSERT_EQ(::recv(guest_.get(), &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
    header.kind = guest_protocol::Kind::network;
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UniqueFd names(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const std::array<int, 2> fds = {listener.get(), names.get()};
    const iovec part{&header, sizeof header};
    ASSERT_TRUE(send_message(guest_.get(), &part, 1, fds.data(), fds.size()));
    run();
  }
  // The next message to the gate, if it is one of those.
  template <class Message>
  std::optional<Message> hear() {
    static GatePolicy buffer;  // the largest
    ReceivedFds fds;
    const ssize_t size = receive_message(gate_.get(), &buffer, sizeof buffer, fds, MSG_DONTWAIT);
    if (size != static_cast<ssize_t>(sizeof(Message))) return std::nullopt;
    Message message;
    std::memcpy(&message, &buffer, sizeof message);
    return message;
  }
  void note(std::uint32_t generation, std::uint32_t connections) {
    GateNote note;
    note.generation = generation;
    note.connections = connections;
    ASSERT_EQ(::send(gate_.get(), &note, sizeof note, 0), static_cast<ssize_t>(sizeof note));
    run();
  }
  // Others of the same owner, so that the sandbox's share is another one: 16, 8, 4, 2, 1.
  void let_others_be(std::size_t count) {
    while (others_.size() > count) others_.pop_back();
    while (others_.size() < count) others_.push_back(shares_->enter("local:1", [](std::uint32_t) {}));
  }
  // Its share is another one, 8 or 16, and nothing is told on the way.
  void make_another() { let_others_be(others_.empty() ? 3 : 0); }
  // So many messages that the gate takes no more, and what it would have to take next is a share that is smaller, or
  // larger.
  void fill(bool smaller) {
    UniqueFd one, other;
    ASSERT_TRUE(message_socket_pair(one, other));
    GateShare share;
    std::size_t most = 0;
    while (::send(one.get(), &share, sizeof share, MSG_DONTWAIT) > 0) ++most;
    if ((most % 2 == 0) != smaller) {
      make_another();
      ASSERT_TRUE(hear<GateShare>());
    }
    for (std::size_t i = 0; i < most; ++i) make_another();
    ASSERT_EQ(others_.empty(), smaller) << "16, and 8 are next";
  }
  io::Always<void> keep_result(io::Task<void> task) { result_ = co_await std::move(task); }

  boost::asio::io_context loop_;
  Logger log_{LogLevel::error, LogFormat::text};
  const network::Egress open_{Mode::open, {}};
  std::shared_ptr<ConnectionShares> shares_ = std::make_shared<ConnectionShares>(64, 16);
  std::vector<std::unique_ptr<ConnectionShares::Place>> others_;
  io::Event gone_{loop_};
  bool lingers_ = false;  // a gate that was lost
  UniqueFd guest_;
  UniqueFd gate_;
  std::shared_ptr<SandboxHandle> handle_;
  std::shared_ptr<SandboxNetwork> network_;
  std::optional<Status> result_;
};

TEST_F(SandboxNetworkTest, TellsItsGateOfAnotherShare) {
  serve();
  let_others_be(3);
  const auto said = hear<GateShare>();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->max_connections, 8U);
  EXPECT_FALSE(hear<GateShare>());
}

TEST_F(SandboxNetworkTest, SaysALargerShareAgainThatTheGateDidNotTake) {
  serve();
  fill(false);
  make_another();
  run();
  while (const auto said = hear<GateShare>()) EXPECT_EQ(said->max_connections % 8, 0U);
  note(1, 0);
  const auto again = hear<GateShare>();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->max_connections, 16U);
  note(1, 0);
  EXPECT_FALSE(hear<GateShare>()) << "once";
}

TEST_F(SandboxNetworkTest, EndsAGateThatDoesNotTakeASmallerShare) {
  serve();
  fill(true);
  make_another();
  run();
  while (hear<GateShare>()) {
  }
  char octet = 0;
  EXPECT_EQ(::recv(gate_.get(), &octet, 1, MSG_DONTWAIT), 0) << "it is let go of";
}

TEST_F(SandboxNetworkTest, KeepsItsShareUntilNothingIsLeftOfALostGate) {
  serve();
  lingers_ = true;
  gate_.reset();
  run();
  io::spawn(loop_, keep_result(SandboxNetwork::change(network_, {Mode::none, {}})));
  run();
  EXPECT_EQ(shares_->held(), 16U);
  let_it_be_gone();
  EXPECT_TRUE(result_ && result_->ok());
  EXPECT_EQ(shares_->held(), 0U);
}

TEST_F(SandboxNetworkTest, KeepsItsShareUntilNothingIsLeftOfAClosedOne) {
  serve();
  lingers_ = true;
  network_->close();
  network_.reset();
  run();
  EXPECT_EQ(shares_->held(), 16U);
  let_it_be_gone();
  EXPECT_EQ(shares_->held(), 0U);
}

TEST_F(SandboxNetworkTest, KeepsItsShareUntilAPolicyThatLetsNothingOutIsInForce) {
  serve();
  io::spawn(loop_, keep_result(SandboxNetwork::change(network_, {Mode::none, {}})));
  run();
  note(1, 0);
  EXPECT_EQ(shares_->held(), 16U);
  note(2, 0);
  EXPECT_EQ(shares_->held(), 0U);
}

TEST_F(SandboxNetworkTest, GivesItsShareBackWhileItsPolicyLetsNothingOut) {
  serve();
  EXPECT_EQ(shares_->held(), 16U);
  const GatePolicy none = change(Mode::none);
  EXPECT_EQ(none.mode, Mode::none);
  EXPECT_EQ(none.max_connections, 99U) << "none of them leads anywhere, and is told so";
  EXPECT_EQ(shares_->held(), 0U);
  note(none.generation, 500);
  EXPECT_EQ(shares_->held(), 0U);
  let_others_be(3);
  EXPECT_FALSE(hear<GateShare>());
  const GatePolicy open = change(Mode::open);
  EXPECT_EQ(open.mode, Mode::open);
  EXPECT_EQ(open.max_connections, 8U);
  EXPECT_EQ(shares_->held(), 32U);
}

}  // namespace
}  // namespace lmsb::control
