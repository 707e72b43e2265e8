#include "network/gate.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>

#include <gtest/gtest.h>

#include "os/message_socket.h"

namespace lmsb::network {
namespace {

using guest_protocol::GateNote;
using guest_protocol::GatePolicy;

constexpr std::uint16_t kId = 4711;

UniqueFd socket_on_loopback(int type) {
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  return socket;
}

sockaddr_in place_of(const UniqueFd& socket) {
  sockaddr_in place{};
  socklen_t size = sizeof place;
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
  return place;
}

void wait_no_longer_than(const UniqueFd& socket, timeval limit) {
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

UniqueFd connected_to(const UniqueFd& server, int type) {
  UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  wait_no_longer_than(socket, {10, 0});
  const sockaddr_in place = place_of(server);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place), 0);
  return socket;
}

// A gate on a thread of its own, with sockets of this machine in place of a sandbox's.
class GateTest : public testing::Test {
 protected:
  GateTest() : listener_(socket_on_loopback(SOCK_STREAM | SOCK_NONBLOCK)), names_(socket_on_loopback(SOCK_DGRAM)) {
    EXPECT_TRUE(message_socket_pair(daemon_, channel_));
    wait_no_longer_than(daemon_, {10, 0});
    server_ = socket_on_loopback(SOCK_DGRAM | SOCK_NONBLOCK);
    policy_.generation = 7;
    thread_ = std::thread([this] { EXPECT_EQ(Gate(channel_.get()).run(), 0); });
  }
  ~GateTest() override {
    daemon_.reset();
    (void)::shutdown(listener_.get(), SHUT_RDWR);  // one that waits for connections would wait for ever
    thread_.join();
  }

  void give_policy() {
    const sockaddr_in server = place_of(server_);
    policy_.resolver_count = 1;
    policy_.resolvers[0].family = AF_INET;
    policy_.resolvers[0].port = ntohs(server.sin_port);
    std::memcpy(policy_.resolvers[0].address.data(), &server.sin_addr, sizeof server.sin_addr);
    const iovec part{&policy_, sizeof policy_};
    const std::array<int, 2> sockets = {listener_.get(), names_.get()};
    ASSERT_TRUE(send_message(daemon_.get(), &part, 1, sockets.data(), sockets.size()));
  }
  void change_policy() {
    const iovec part{&policy_, sizeof policy_};
    ++policy_.generation;
    ASSERT_TRUE(send_message(daemon_.get(), &part, 1, nullptr, 0));
  }
  // Until a note says that the policy is in force.
  bool hears_policy() {
    GateNote note;
    while (::recv(daemon_.get(), &note, sizeof note, 0) == static_cast<ssize_t>(sizeof note))
      if (note.generation == policy_.generation) return true;
    return false;
  }
  void ask(const UniqueFd& socket, const std::string& name) {
    const std::string question = dns_question(kId, name);
    ASSERT_EQ(::send(socket.get(), question.data(), question.size(), 0), static_cast<ssize_t>(question.size()));
  }
  std::optional<DnsAnswer> answer_to(const std::string& name) {
    const UniqueFd socket = connected_to(names_, SOCK_DGRAM);
    ask(socket, name);
    return hears_answer(socket, name);
  }
  static std::optional<DnsAnswer> hears_answer(const UniqueFd& socket, const std::string& name) {
    std::array<char, 512> answer{};
    const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (size < 0) return std::nullopt;
    return parse_dns_answer({answer.data(), static_cast<std::size_t>(size)}, kId, name);
  }

  UniqueFd daemon_;
  UniqueFd channel_;
  UniqueFd listener_;
  UniqueFd names_;
  UniqueFd server_;  // of names, which never answers
  GatePolicy policy_;
  std::thread thread_;
};

TEST_F(GateTest, SaysAgainThatAPolicyIsInForceWhereTheDaemonDidNotKeepUp) {
  const GateNote earlier;
  while (::send(channel_.get(), &earlier, sizeof earlier, MSG_DONTWAIT) > 0) continue;
  ASSERT_EQ(errno, EAGAIN);
  give_policy();
  ASSERT_TRUE(answer_to("good.test")) << "it has the policy";
  EXPECT_TRUE(hears_policy());
}

TEST_F(GateTest, IsNotHeldUpByTheOptionsOfTheSandboxsListener) {
  ASSERT_EQ(::fcntl(listener_.get(), F_SETFL, 0), 0);
  give_policy();
  ASSERT_TRUE(hears_policy());
  const UniqueFd client = connected_to(listener_, SOCK_STREAM);
  char octet = 0;
  EXPECT_EQ(::recv(client.get(), &octet, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_TRUE(answer_to("good.test"));
}

TEST_F(GateTest, AsksNobodyForNamesOfTheMachinesOwnNetworkInModeOpen) {
  policy_.mode = Mode::open;
  give_policy();
  ASSERT_TRUE(hears_policy());
  for (const char* name : {"router", "db.internal"}) {
    const auto answer = answer_to(name);
    ASSERT_TRUE(answer) << name;
    EXPECT_EQ(answer->code, DnsCode::no_such_name) << name;
  }
  std::array<char, 512> question{};
  EXPECT_EQ(::recv(server_.get(), question.data(), question.size(), 0), -1);
  ASSERT_EQ(::fcntl(server_.get(), F_SETFL, 0), 0);
  wait_no_longer_than(server_, {10, 0});
  ask(connected_to(names_, SOCK_DGRAM), "example.org");
  EXPECT_GT(::recv(server_.get(), question.data(), question.size(), 0), 0);
}

TEST_F(GateTest, AsksNoMoreForANameThatIsNotAllowedAnyMore) {
  policy_.mode = Mode::allowlist;
  policy_.rule_count = 2;
  (void)std::string_view("good.test").copy(policy_.rules[0].name.data(), 31);
  (void)std::string_view("kept.test").copy(policy_.rules[1].name.data(), 31);
  give_policy();
  ASSERT_TRUE(hears_policy());
  ASSERT_EQ(::fcntl(server_.get(), F_SETFL, 0), 0);
  wait_no_longer_than(server_, {10, 0});
  std::array<char, 512> question{};
  const UniqueFd client = connected_to(names_, SOCK_DGRAM);
  for (const char* name : {"good.test", "kept.test"}) {
    ask(client, name);
    ASSERT_GT(::recv(server_.get(), question.data(), question.size(), 0), 0) << name;
  }
  policy_.rules[0] = policy_.rules[1];
  change_policy();
  const auto answer = hears_answer(client, "good.test");
  ASSERT_TRUE(answer) << "who asked is told";
  EXPECT_EQ(answer->code, DnsCode::no_such_name);
  while (::recv(server_.get(), question.data(), question.size(), MSG_DONTWAIT) > 0) continue;  // asked before
  const ssize_t size = ::recv(server_.get(), question.data(), question.size(), 0);
  ASSERT_GT(size, 0) << "the other one is asked for";
  EXPECT_NE(std::string_view(question.data(), static_cast<std::size_t>(size)).find("kept"), std::string_view::npos);
}

TEST_F(GateTest, GivesACredentialsHostAnAddressOfItsOwnAndAsksNobodyForIt) {
  policy_.mode = Mode::allowlist;
  policy_.credential_count = 1;
  (void)std::string_view("api").copy(policy_.credentials[0].name.data(), 31);
  (void)std::string_view("api.example").copy(policy_.credentials[0].host.data(), 31);
  give_policy();
  const auto answer = answer_to("api.internal");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->addresses.size(), 1U);
  EXPECT_TRUE(NameAddresses::is_one(answer->addresses[0]));
  for (const char* name : {"other.internal", "api.example", "api", "x.api.internal"}) {
    const auto other = answer_to(name);
    ASSERT_TRUE(other) << name;
    EXPECT_EQ(other->code, DnsCode::no_such_name) << name;
  }
  std::array<char, 512> question{};
  EXPECT_EQ(::recv(server_.get(), question.data(), question.size(), 0), -1);
}

}  // namespace
}  // namespace lmsb::network
