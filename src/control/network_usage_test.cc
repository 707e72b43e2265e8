#include "control/network_usage.h"

#include <cstdint>
#include <fcntl.h>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

const std::string kHeadings =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier "
    "compressed\n";
const std::string kLoopback =
    "    lo: 5302458   47361    0    0    0     0          0         0  5302458   47361    0    0    0     0       0  "
    "        0\n";
const std::string kEthernet =
    "  eth0: 1847361   20191    0   12    0     0          0         7   274412    2977    0    0    0     0       0  "
    "        0\n";

TEST(NetworkUsage, IsTheSumOfAllInterfacesButLoopback) {
  EXPECT_EQ(*parse_network_counters(kHeadings + kLoopback), NetworkUsage());
  EXPECT_EQ(*parse_network_counters(kHeadings + kLoopback + kEthernet), (NetworkUsage{1847361, 20191, 274412, 2977}));
  EXPECT_EQ(*parse_network_counters(kHeadings + kEthernet + kEthernet),
            (NetworkUsage{2 * 1847361, 2 * 20191, 2 * 274412, 2 * 2977}));
  EXPECT_EQ(*parse_network_counters(kHeadings), NetworkUsage());
}

TEST(NetworkUsage, TakesNumbersThatStandBehindTheNameAtOnce) {
  EXPECT_EQ(*parse_network_counters(kHeadings + "v:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
            (NetworkUsage{1, 2, 9, 10}));
}

TEST(NetworkUsage, DoesNotOverflow) {
  const std::string most = "18446744073709551615";
  const std::string line = "v: " + most + " 1 0 0 0 0 0 0 " + most + " 1 0 0 0 0 0 0\n";
  const auto usage = parse_network_counters(kHeadings + line + line);
  EXPECT_EQ(usage->received_bytes, UINT64_MAX);
  EXPECT_EQ(usage->sent_bytes, UINT64_MAX);
  EXPECT_EQ(usage->sent_packets, 2U);
}

TEST(NetworkUsage, SaysThatAnotherTextIsNone) {
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("x\n"), kHeadings + "eth0 1 2 3\n", kHeadings + "eth0:\n",
        kHeadings + "eth0: 1 2 3\n", kHeadings + "e: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 -1\n",
        kHeadings + "e: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 99999999999999999999\n",
        kHeadings + "e: 1x2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
        kHeadings + kEthernet.substr(0, kEthernet.size() - 1)})
    EXPECT_FALSE(parse_network_counters(text).ok()) << text;
}

TEST(NetworkUsage, OfThisMachineCanBeRead) {
  const UniqueFd counters(::open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(counters);
  EXPECT_TRUE(read_network_counters(counters).ok());
}

}  // namespace
}  // namespace lmsb::control
