#include "guest/netlink_door.h"

#include <linux/audit.h>
#include <sys/syscall.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/seccomp_compiler.h"

namespace lmsb::guest {
namespace {

constexpr std::array<std::uint32_t, 2> kOurs = {0x12345678, 0x9abcdef0};
constexpr std::uint32_t kBehind = SECCOMP_RET_ERRNO | 99U;

// What the rules say, and kBehind where they say nothing.
std::uint32_t answer(int number, const std::vector<std::uint64_t>& args, std::uint32_t arch = AUDIT_ARCH_X86_64) {
  const NetlinkDoor::Rules rules = NetlinkDoor::rules(kOurs);
  std::vector<sock_filter> program(rules.begin(), rules.end());
  program.push_back({BPF_RET | BPF_K, 0, 0, kBehind});
  return evaluate_seccomp(program, number, args, arch);
}

TEST(NetlinkDoor, AsksForSocketsOfRoutes) {
  EXPECT_EQ(answer(SYS_socket, {16, 3, 0}), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(answer(SYS_socket, {16, 2 | 02000000 /* CLOEXEC */, 0}), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(answer(SYS_socket, {0xdeadbeef00000010, 3 | 04000 /* NONBLOCK */, 0}), SECCOMP_RET_USER_NOTIF);
}

TEST(NetlinkDoor, AllowsThoseOfTheGuestAlone) {
  EXPECT_EQ(answer(SYS_socket, {16, 3, 0, kOurs[0], kOurs[1]}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_socket, {16, 3, 0, kOurs[0], 0}), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(answer(SYS_socket, {16, 3, 0, 0, kOurs[1]}), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(answer(SYS_socket, {16, 3, 12, kOurs[0], kOurs[1]}), kBehind) << "of routes alone";
  EXPECT_EQ(answer(SYS_socket, {17, 3, 0, kOurs[0], kOurs[1]}), kBehind);
}

TEST(NetlinkDoor, LeavesEverythingElseToWhatStandsBehind) {
  EXPECT_EQ(answer(SYS_socket, {2, 1, 0}), kBehind);
  EXPECT_EQ(answer(SYS_socket, {16, 1, 0}), kBehind) << "no such type";
  EXPECT_EQ(answer(SYS_socket, {16, 3, 4}), kBehind) << "sock_diag";
  EXPECT_EQ(answer(SYS_socketpair, {16, 3, 0}), kBehind);
  EXPECT_EQ(answer(SYS_socket | 0x40000000, {16, 3, 0}), kBehind) << "of x32";
  EXPECT_EQ(answer(SYS_socket, {16, 3, 0}, AUDIT_ARCH_I386), kBehind);
}

constexpr std::string_view kProtocols =
    "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh "
    "gp "
    "em\nUNIX-STREAM 1088      5      -1   NI       0   yes  kernel      y  y\nTCP       2328      2       1   no     "
    "320   yes  kernel      y  y\nNETLINK   1096      7      -1   NI       0   no   kernel      n  n\n";

TEST(NetlinkDoor, ReadsTheKernelsCountOfItsSockets) {
  std::uint64_t count = 0;
  EXPECT_TRUE(parse_netlink_count(kProtocols, count));
  EXPECT_EQ(count, 7U);
  EXPECT_FALSE(parse_netlink_count(kProtocols.substr(0, kProtocols.find("NETLINK")), count));
  EXPECT_FALSE(parse_netlink_count("protocol\nNETLINK   1096\n", count));
  EXPECT_FALSE(parse_netlink_count("protocol\nNETLINK   1096  -1\n", count));
  EXPECT_FALSE(parse_netlink_count("", count));
}

}  // namespace
}  // namespace lmsb::guest
