#include "network/resolver.h"

#include <array>
#include <cstring>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

constexpr std::uint64_t kBegin = 1000;  // milliseconds
constexpr unsigned char kServerFailure = 2;

// With a name server of this machine that says what the test has it say, at times that the test makes up.
class ResolverTest : public testing::Test {
 protected:
  ResolverTest() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), server_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    EXPECT_EQ(::bind(server_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(::getsockname(server_.get(), reinterpret_cast<sockaddr*>(&here), &size), 0);
    guest_protocol::GateResolver server;
    server.family = AF_INET;
    server.port = ntohs(here.sin_port);
    std::memcpy(server.address.data(), &here.sin_addr, sizeof here.sin_addr);
    resolver_.use({&server, 1});
  }

  // How many questions have come since the last time; `last_` is the last of them.
  int asked() {
    int count = 0;
    for (socklen_t size = sizeof from_;; ++count, size = sizeof from_) {
      std::array<char, 512> question{};
      const ssize_t octets = ::recvfrom(server_.get(), question.data(), question.size(), MSG_DONTWAIT,
                                        reinterpret_cast<sockaddr*>(&from_), &size);
      if (octets < 0) return count;
      last_.assign(question.data(), static_cast<std::size_t>(octets));
    }
  }
  void say_it_failed() {
    last_[2] = static_cast<char>(0x81);
    last_[3] = static_cast<char>(0x80 | kServerFailure);
    EXPECT_GT(
        ::sendto(server_.get(), last_.data(), last_.size(), 0, reinterpret_cast<const sockaddr*>(&from_), sizeof from_),
        0);
  }

  UniqueFd epoll_;
  UniqueFd server_;
  Resolver resolver_{epoll_.get(), [](std::uint64_t number) { return number; }};
  std::string last_;
  sockaddr_in from_{};
};

TEST_F(ResolverTest, HasSoManyQuestionsASecondWhateverIsAskedAgain) {
  for (std::size_t i = 0; i < Resolver::kMaxLookups; ++i)
    EXPECT_FALSE(resolver_.ask("n" + std::to_string(i) + ".test", kBegin));
  EXPECT_EQ(asked(), 64) << "as many as may be at once, together";
  constexpr std::uint64_t kSeconds = 3;
  int again = 0;
  for (std::uint64_t passed = 0; passed <= kSeconds * 1000; passed += 10) {
    (void)resolver_.handle_deadlines(kBegin + passed);
    again += asked();
  }
  const int most = static_cast<int>(Resolver::kQuestionsAtOnce + kSeconds * Resolver::kQuestionsPerSecond) - 64;
  EXPECT_LE(again, most);
  EXPECT_GE(again, most - 1) << "those that are left wait for their turn";
}

TEST_F(ResolverTest, AsksAServerThatHasFailedOnceMoreAndNotAtOnce) {
  EXPECT_FALSE(resolver_.ask("good.test", kBegin));
  EXPECT_EQ(asked(), 1);
  say_it_failed();
  EXPECT_FALSE(resolver_.handle(1, kBegin + 1));
  EXPECT_TRUE(resolver_.handle_deadlines(kBegin + Resolver::kPatienceMs - 1).empty());
  EXPECT_EQ(asked(), 0);
  EXPECT_TRUE(resolver_.handle_deadlines(kBegin + Resolver::kPatienceMs).empty());
  EXPECT_EQ(asked(), 1);
  say_it_failed();
  EXPECT_EQ(resolver_.handle(1, kBegin + Resolver::kPatienceMs + 1), "good.test");
  EXPECT_EQ(resolver_.result("good.test").code, DnsCode::failure);
  EXPECT_EQ(resolver_.first_deadline_ms(), UINT64_MAX);
}

}  // namespace
}  // namespace lmsb::network
