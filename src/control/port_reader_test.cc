#include "control/port_reader.h"

#include <arpa/inet.h>
#include <cstring>

#include <gtest/gtest.h>

#include "guest_protocol/port_records.h"

namespace lmsb::control {
namespace {

using guest_protocol::PortRecord;

PortRecord record(std::uint32_t port, const char* address = "127.0.0.1") {
  PortRecord record{};
  record.magic = guest_protocol::kPortMagic;
  record.is_v6 = std::strchr(address, ':') != nullptr ? 1 : 0;
  EXPECT_EQ(::inet_pton(record.is_v6 != 0 ? AF_INET6 : AF_INET, address, record.address.data()), 1);
  record.port = port;
  return record;
}

std::string octets(const std::vector<PortRecord>& records) {
  return {reinterpret_cast<const char*>(records.data()), records.size() * sizeof(PortRecord)};
}

TEST(PortReader, ReadsWhatListensInOrder) {
  PortRecord owned = record(8000, "::1");
  owned.pid = 12;
  std::strcpy(owned.name.data(), "python3");
  const auto ports = read_ports(octets({owned, record(80)}));
  ASSERT_EQ(ports.size(), 2U);
  EXPECT_EQ(ports[0].port, 80);
  EXPECT_EQ(ports[0].address, "127.0.0.1");
  EXPECT_EQ(ports[0].pid, 0);
  EXPECT_EQ(ports[1].port, 8000);
  EXPECT_EQ(ports[1].address, "::1");
  EXPECT_EQ(ports[1].pid, 12);
  EXPECT_EQ(ports[1].process, "python3");
}

TEST(PortReader, NamesASocketThatIsSharedOnce) {
  EXPECT_EQ(read_ports(octets({record(80), record(80), record(80, "::")})).size(), 2U);
}

TEST(PortReader, StopsAtWhatDoesNotAddUp) {
  for (const std::uint32_t port : {0U, 65536U}) EXPECT_TRUE(read_ports(octets({record(port), record(80)})).empty());
  PortRecord negative = record(80);
  negative.pid = -1;
  EXPECT_TRUE(read_ports(octets({negative})).empty());
  PortRecord other = record(80);
  other.magic = 7;
  EXPECT_EQ(read_ports(octets({record(81), other, record(82)})).size(), 1U);
  EXPECT_TRUE(read_ports(octets({record(80)}).substr(1)).empty());
}

TEST(PortReader, MakesTextOfAnyName) {
  PortRecord named = record(80);
  named.name.fill('\xff');
  EXPECT_EQ(read_ports(octets({named}))[0].process.substr(0, 3), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace lmsb::control
