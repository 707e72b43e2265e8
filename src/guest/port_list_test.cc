#include "guest/port_list.h"

#include <arpa/inet.h>
#include <cstring>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lmsb::guest
