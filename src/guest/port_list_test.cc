#include "guest/port_list.h"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::guest {
namespace {

constexpr const char* kListening =
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 "
    "0\n";

TEST(PortList, ReadsWhatListens) {
  ListeningSocket socket;
  ASSERT_TRUE(parse_socket_line(kListening, false, socket));
  EXPECT_EQ(socket.record.port, 8080U);
  EXPECT_EQ(socket.inode, 4711U);
  EXPECT_EQ(socket.record.is_v6, 0U);
  in_addr loopback{htonl(INADDR_LOOPBACK)};
  EXPECT_EQ(std::memcmp(socket.record.address.data(), &loopback, sizeof loopback), 0);
}

TEST(PortList, ReadsAddressesOfIpV6InNetworkOrder) {
  ListeningSocket socket;
  const char* const line =
      "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 "
      "00:00000000 00000000  1000        0 12 1 0 100 0 0 10 0";
  ASSERT_TRUE(parse_socket_line(line, true, socket));
  EXPECT_EQ(socket.record.port, 80U);
  EXPECT_EQ(std::memcmp(socket.record.address.data(), &in6addr_loopback, sizeof in6addr_loopback), 0);
}

TEST(PortList, PassesOverWhatDoesNotListen) {
  ListeningSocket socket;
  std::string connected = kListening;
  connected.replace(connected.find(" 0A "), 4, " 01 ");
  EXPECT_FALSE(parse_socket_line(connected, false, socket));
  EXPECT_FALSE(parse_socket_line("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when", false, socket));
}

TEST(PortList, PassesOverWhatIsMalformed) {
  ListeningSocket socket;
  const std::string whole = kListening;
  for (std::size_t size = 0; size < whole.find("4711"); ++size)
    EXPECT_FALSE(parse_socket_line(std::string_view(whole).substr(0, size), false, socket)) << size;
  EXPECT_FALSE(parse_socket_line(kListening, true, socket));
}

TEST(PortList, SaysWhatListensWithoutLookingWhoseItIs) {
  const UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  ASSERT_EQ(::bind(server.get(), reinterpret_cast<const sockaddr*>(&place), size), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  ASSERT_EQ(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  ASSERT_EQ(list_without_owners(proc.get(), write_end.get()), 0);
  write_end.reset();
  bool is_there = false;
  guest_protocol::PortRecord record{};
  while (::read(read_end.get(), &record, sizeof record) == ssize_t{sizeof record}) {
    EXPECT_EQ(record.pid, 0);
    is_there = is_there || record.port == ntohs(place.sin_port);
  }
  EXPECT_TRUE(is_there);
}

}  // namespace
}  // namespace lmsb::guest
