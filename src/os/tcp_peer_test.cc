#include "os/tcp_peer.h"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb {
namespace {

sockaddr_storage name_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  EXPECT_EQ(ask(fd, reinterpret_cast<sockaddr*>(&name), &size), 0);
  return name;
}

// A listener on loopback and one connection to it.
class TcpPeer : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    listener_.reset(::socket(GetParam(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(GetParam());
    if (GetParam() == AF_INET) {
      reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
    }
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      GTEST_SKIP() << "no IPv6 here";
    ASSERT_EQ(::listen(listener_.get(), 5), 0);
  }
  void connect() {
    const sockaddr_storage address = name_of(listener_.get(), ::getsockname);
    client_.reset(::socket(GetParam(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    accept();
  }
  void accept() {
    served_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(served_);
  }
  Result<std::uint32_t> ask() {
    return tcp_peer_uid(name_of(served_.get(), ::getpeername), name_of(served_.get(), ::getsockname));
  }

  UniqueFd listener_;
  UniqueFd client_;
  UniqueFd served_;
};

TEST_P(TcpPeer, IsThisUserWhenWeConnectedOurselves) {
  connect();
  EXPECT_EQ(ask().value(), ::getuid());
}

TEST_P(TcpPeer, IsAnotherUserWhenTheyConnected) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to be another user";
  const sockaddr_storage address = name_of(listener_.get(), ::getsockname);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(4242) != 0) ::_exit(1);
    const int fd = ::socket(GetParam(), SOCK_STREAM, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(2);
    char octet = 0;
    (void)!::read(fd, &octet, 1);  // until the test closes
    ::_exit(0);
  }
  accept();
  EXPECT_EQ(ask().value(), 4242U);
  served_.reset();
  ::waitpid(child, nullptr, 0);
}

TEST_P(TcpPeer, IsNotKnownOnceItHasClosed) {
  connect();
  const auto theirs = name_of(served_.get(), ::getpeername);
  const auto ours = name_of(served_.get(), ::getsockname);
  client_.reset();
  EXPECT_FALSE(tcp_peer_uid(theirs, ours).ok()) << "a closed socket belongs to nobody, not to root";
}

TEST_P(TcpPeer, IsNotTakenFromAListenerOnTheSamePort) {
  const auto address = name_of(listener_.get(), ::getsockname);
  sockaddr_storage nobody = address;
  if (GetParam() == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&nobody)->sin_port = htons(1);
  } else {
    reinterpret_cast<sockaddr_in6*>(&nobody)->sin6_port = htons(1);
  }
  EXPECT_FALSE(tcp_peer_uid(address, nobody).ok());
}

INSTANTIATE_TEST_SUITE_P(Families, TcpPeer, testing::Values(AF_INET, AF_INET6));

TEST_P(TcpPeer, OfAPortIsFoundByItsListener) {
  const auto address = name_of(listener_.get(), ::getsockname);
  const std::uint16_t port = ntohs(GetParam() == AF_INET ? reinterpret_cast<const sockaddr_in*>(&address)->sin_port
                                                         : reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  const auto holder = find_port_holder(port);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, ::getpid());
  EXPECT_NE(holder->command.find("os_tests"), std::string::npos) << holder->command;
  listener_.reset();
  EXPECT_FALSE(find_port_holder(port));
}

}  // namespace
}  // namespace lmsb
