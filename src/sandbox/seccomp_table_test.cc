#include "sandbox/seccomp_table.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "guest_protocol/setup.h"

namespace lmsb::sandbox {
namespace {

constexpr std::uint32_t refused(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }

class SeccompTable : public testing::Test {
 protected:
  std::uint32_t answer(int number, const std::vector<std::uint64_t>& args = {},
                       std::uint32_t arch = AUDIT_ARCH_X86_64) {
    static const auto program = *compile_seccomp(seccomp_tables(guest_protocol::Profile::user));
    return evaluate_seccomp(program, number, args, arch);
  }
};

TEST_F(SeccompTable, AllowsWhatProgramsLiveOn) {
  for (const int number : {SYS_read, SYS_write, SYS_openat, SYS_execve, SYS_mmap, SYS_futex, SYS_clock_gettime,
                           SYS_epoll_wait, SYS_exit_group})
    EXPECT_EQ(answer(number), SECCOMP_RET_ALLOW) << number;
}

TEST_F(SeccompTable, RefusesWhatReachesOutOfASandbox) {
  for (const int number : {SYS_mount,
                           SYS_umount2,
                           SYS_pivot_root,
                           SYS_setns,
                           SYS_unshare,
                           SYS_ptrace,
                           SYS_bpf,
                           SYS_perf_event_open,
                           SYS_open_by_handle_at,
                           SYS_init_module,
                           SYS_kexec_load,
                           SYS_reboot,
                           SYS_process_vm_readv,
                           SYS_swapon,
                           SYS_settimeofday,
                           SYS_iopl,
                           SYS_fsopen,
                           SYS_move_mount,
                           SYS_open_tree,
                           SYS_quotactl,
                           SYS_syslog,
                           SYS_chroot})
    EXPECT_EQ(answer(number), refused(EPERM)) << number;
}

TEST_F(SeccompTable, LooksLikeAnOlderKernelForNewCalls) {
  for (const int number : {SYS_io_uring_setup, SYS_io_setup, SYS_io_submit, SYS_keyctl, SYS_add_key, SYS_userfaultfd,
                           SYS_memfd_secret, 463, 500, 5000})
    EXPECT_EQ(answer(number), refused(ENOSYS)) << number;
}

TEST_F(SeccompTable, KillsForeignArchitectures) {
  EXPECT_EQ(answer(SYS_read, {}, AUDIT_ARCH_I386), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(answer(SYS_read | 0x40000000), SECCOMP_RET_KILL_PROCESS);
}

TEST_F(SeccompTable, RefusesNewNamespacesByClone) {
  EXPECT_EQ(answer(SYS_clone, {17}), SECCOMP_RET_ALLOW);
  for (const std::uint64_t flag :
       {0x10000000U, 0x20000000U, 0x40000000U, 0x00020000U, 0x02000000U, 0x04000000U, 0x08000000U})
    EXPECT_EQ(answer(SYS_clone, {flag | 17}), refused(EPERM)) << flag;
}

TEST_F(SeccompTable, AllowsSocketsByFamilyTypeAndProtocol) {
  EXPECT_EQ(answer(SYS_socket, {1, 1, 0}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_socket, {2, 1 | 02000000, 6}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_socket, {10, 2, 17}), SECCOMP_RET_ALLOW);
  for (const std::uint64_t family : {3U, 17U, 38U, 40U, 44U, 29U})
    EXPECT_EQ(answer(SYS_socket, {family, 1, 0}), refused(EAFNOSUPPORT));
  EXPECT_EQ(answer(SYS_socket, {16, 3 | 02000000, 0}), refused(EOPNOTSUPP)) << "where no guest gives one";
  for (const std::uint64_t protocol : {4U, 9U, 12U, 16U})
    EXPECT_EQ(answer(SYS_socket, {16, 3, protocol}), refused(EPROTONOSUPPORT)) << "as without audit, netfilter, ...";
  EXPECT_EQ(answer(SYS_socket, {2, 3, 1}), refused(EPERM));
  EXPECT_EQ(answer(SYS_socket, {2, 1, 132}), refused(EPROTONOSUPPORT));
}

TEST_F(SeccompTable, ComparesTheLowHalfOfAnArgumentOnly) {
  constexpr std::uint64_t kHigh = 0xdeadbeef00000000;
  EXPECT_EQ(answer(SYS_ioctl, {0, 0x5412}), refused(EPERM));
  EXPECT_EQ(answer(SYS_ioctl, {0, kHigh | 0x5412}), refused(EPERM));
  EXPECT_EQ(answer(SYS_ioctl, {0, 0x5401}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_socket, {kHigh | 40, 1, 0}), refused(EAFNOSUPPORT));
}

TEST_F(SeccompTable, RefusesDeviceNodesAndOddPersonalities) {
  EXPECT_EQ(answer(SYS_mknodat, {0, 0, 0x1000}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_mknodat, {0, 0, 0x2000 | 0666}), refused(EPERM));
  EXPECT_EQ(answer(SYS_mknodat, {0, 0, 0x6000 | 0666}), refused(EPERM));
  EXPECT_EQ(answer(SYS_personality, {0xffffffff}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_personality, {0x0040000}), refused(EPERM));
}

TEST_F(SeccompTable, RefusesEveryWayToMakeASetuidFile) {
  for (const std::uint64_t mode : {04755U, 02755U, 06000U}) {
    EXPECT_EQ(answer(SYS_chmod, {0, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_fchmod, {0, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_fchmodat, {0, 0, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_creat, {0, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_open, {0, O_WRONLY | O_CREAT, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_openat, {0, 0, O_WRONLY | O_CREAT | O_EXCL, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_openat, {0, 0, O_WRONLY | O_TMPFILE, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_mkdirat, {0, 0, mode}), refused(EPERM));
    EXPECT_EQ(answer(SYS_mknodat, {0, 0, 0x8000 | mode}), refused(EPERM));
  }
  EXPECT_EQ(answer(SYS_openat2), refused(ENOSYS));
  EXPECT_EQ(answer(452 /* fchmodat2 */), refused(ENOSYS));
}

TEST_F(SeccompTable, LooksAtTheModeOfAnOpenOnlyWhenItMakesAFile) {
  EXPECT_EQ(answer(SYS_openat, {0, 0, O_RDONLY, 04755}), SECCOMP_RET_ALLOW);  // what is left in the register
  EXPECT_EQ(answer(SYS_open, {0, O_RDONLY | O_DIRECTORY, 04755}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_openat, {0, 0, O_WRONLY | O_CREAT, 01644}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_chmod, {0, 01777}), SECCOMP_RET_ALLOW);
}

TEST_F(SeccompTable, RefusesHugePagesWhichNoMemoryLimitCounts) {
  EXPECT_EQ(answer(SYS_mmap, {0, 4096, 3, 0x22}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_mmap, {0, 4096, 3, 0x22 | 0x40000}), refused(ENOMEM));
  EXPECT_EQ(answer(SYS_memfd_create, {0, 1}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_memfd_create, {0, 4}), refused(ENOMEM));
  EXPECT_EQ(answer(SYS_shmget, {0, 4096, 04000 | 0600}), refused(ENOMEM));
}

TEST_F(SeccompTable, KeepsTheLimitOfCoreDumpsWhereItIs) {
  EXPECT_EQ(answer(SYS_setrlimit, {7, 1}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_setrlimit, {4, 1}), refused(0)) << "su goes on only where this succeeds";
  EXPECT_EQ(answer(SYS_prlimit64, {0, 4, 0, 0x7f0000001000}), SECCOMP_RET_ALLOW);  // asks only
  EXPECT_EQ(answer(SYS_prlimit64, {0, 4, 0x7f0000001000, 0}), refused(0));
  EXPECT_EQ(answer(SYS_prlimit64, {0, 4, 0x100000000, 0}), refused(0));
  EXPECT_EQ(answer(SYS_prlimit64, {0, 4, 0x1000, 0}), refused(0));
  EXPECT_EQ(answer(SYS_prlimit64, {0, 7, 0x1000, 0}), SECCOMP_RET_ALLOW);
}

TEST_F(SeccompTable, RefusesProgramsOnSockets) {
  for (const std::uint64_t option : {26U, 51U}) EXPECT_EQ(answer(SYS_setsockopt, {3, 1, option}), refused(ENOPROTOOPT));
  for (const std::uint64_t option : {50U, 52U}) EXPECT_EQ(answer(SYS_setsockopt, {3, 1, option}), refused(EPERM));
  EXPECT_EQ(answer(SYS_setsockopt, {3, 1, 2 /* REUSEADDR */}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_setsockopt, {3, 6, 26}), SECCOMP_RET_ALLOW) << "of TCP it is another option";
}

TEST_F(SeccompTable, RefusesQueuesThatNoMemoryLimitCounts) {
  for (const std::uint64_t option : {37U, 65U, 60U, 61U})
    EXPECT_EQ(answer(SYS_setsockopt, {3, 1, option}), refused(ENOPROTOOPT)) << option;
  EXPECT_EQ(answer(SYS_setsockopt, {3, 0, 11}), refused(0)) << "the C library goes on only where this succeeds";
  EXPECT_EQ(answer(SYS_setsockopt, {3, 41, 25}), refused(0));
  EXPECT_EQ(answer(SYS_setsockopt, {3, 6, 25}), SECCOMP_RET_ALLOW) << "of TCP it is another option";
}

TEST_F(SeccompTable, RefusesRealTimePriorities) {
  EXPECT_EQ(answer(SYS_sched_setscheduler, {0, 1}), refused(EPERM));
  EXPECT_EQ(answer(SYS_sched_setattr), refused(EPERM));
  EXPECT_EQ(answer(SYS_ioprio_set, {1, 0, 1U << 13U}), refused(EPERM));
  EXPECT_EQ(answer(SYS_ioprio_set, {1, 0, 2U << 13U}), SECCOMP_RET_ALLOW);
}

TEST_F(SeccompTable, KeepsNoListsThatNoLimitCounts) {
  for (const std::uint64_t key : {14, 32, 38, 39, 40, 41, 42})
    EXPECT_EQ(answer(SYS_setsockopt, {3, 6, key}), refused(ENOPROTOOPT)) << key;
  for (const std::uint64_t sender : {38, 39, 41, 43, 46, 48})
    EXPECT_EQ(answer(SYS_setsockopt, {3, 0, sender}), refused(ENODEV)) << sender;
  for (const std::uint64_t group : {20, 27, 42, 43, 46, 48})
    EXPECT_EQ(answer(SYS_setsockopt, {3, 41, group}), refused(ENODEV)) << group;
  EXPECT_EQ(answer(SYS_setsockopt, {3, 0, 35}), SECCOMP_RET_ALLOW) << "IP_ADD_MEMBERSHIP: 20 a socket";
  EXPECT_EQ(answer(SYS_setsockopt, {3, 0, 42}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_setsockopt, {3, 41, 26}), SECCOMP_RET_ALLOW) << "IPV6_V6ONLY";
}

TEST_F(SeccompTable, RefusesLeasesByWhichWhoOwnsAFileKeepsOthersFromIt) {
  for (const std::uint64_t command : {1024U /* F_SETLEASE */, 1040U /* F_SETDELEG */})
    EXPECT_EQ(answer(SYS_fcntl, {3, command, F_WRLCK}), refused(EINVAL)) << command;
  for (const int command : {F_DUPFD, F_SETFD, F_SETFL, F_SETLK, F_OFD_SETLK, F_GETLEASE, F_ADD_SEALS, F_SETPIPE_SZ})
    EXPECT_EQ(answer(SYS_fcntl, {3, static_cast<std::uint64_t>(command)}), SECCOMP_RET_ALLOW) << command;
}

std::string line_of(const SeccompArgument& rule) {
  std::ostringstream text;
  text << rule.call << ' ' << rule.index << ' ' << rule.mask << ' ' << static_cast<int>(rule.test) << ' ' << rule.error
       << ' ' << rule.when_index << ' ' << rule.when_value << ' ' << rule.when_mask << ' '
       << static_cast<int>(rule.half);
  for (const std::uint32_t value : rule.values) text << ' ' << value;
  return text.str();
}

std::vector<std::string> lines_of(std::span<const SeccompArgument> rules) {
  std::vector<std::string> lines;
  for (const SeccompArgument& rule : rules) lines.push_back(line_of(rule));
  return lines;
}

// All that the tables say, one line each.
std::string text_of(const SeccompTables& tables) {
  std::ostringstream text;
  text << tables.default_error << ' ' << tables.highest_known << '\n';
  for (const SeccompCall& call : tables.calls)
    text << (call.name == nullptr ? "" : call.name) << ' ' << call.number << ' ' << call.error << '\n';
  for (const std::string& line : lines_of(tables.arguments)) text << line << '\n';
  return text.str();
}

TEST_F(SeccompTable, IsTheOneOfTheGuestsVersion) {
  const SeccompTables tables = seccomp_tables(guest_protocol::Profile::user);
  EXPECT_EQ(std::to_string(guest_protocol::kVersion) + " " + to_hex(sha256(text_of(tables))),
            "11 cbcf4ccd5ebc999939efb45a3f64c5c240a16d44bdd8e1611cb3285a47a67593")
      << "a later daemon takes up sandboxes of the same version, with the filter that they have: raise kVersion "
         "(guest_protocol/setup.h) if a release has this one, then write both here";
}

std::uint32_t answer_to_root(SetIdFiles set_id_files, int number, const std::vector<std::uint64_t>& args = {}) {
  static const auto refusing = *compile_seccomp(seccomp_tables(guest_protocol::Profile::root, SetIdFiles::refused));
  static const auto allowing = *compile_seccomp(seccomp_tables(guest_protocol::Profile::root, SetIdFiles::allowed));
  const auto& program = set_id_files == SetIdFiles::allowed ? allowing : refusing;
  return evaluate_seccomp(program, number, args, AUDIT_ARCH_X86_64);
}

TEST_F(SeccompTable, OfRootDiffersInAnotherRootDirectoryTheUsersNamespaceAndSetIdFilesAlone) {
  constexpr int kLast = 470;
  for (const SetIdFiles set_id_files : {SetIdFiles::refused, SetIdFiles::allowed})
    for (int number = 0; number <= kLast; ++number)
      if (number != SYS_chroot && number != SYS_setns) {
        EXPECT_EQ(answer_to_root(set_id_files, number), answer(number)) << number;
      }
  EXPECT_EQ(answer_to_root(SetIdFiles::refused, SYS_chroot), SECCOMP_RET_ALLOW);
  EXPECT_EQ(answer(SYS_chroot), refused(EPERM));
  EXPECT_EQ(answer_to_root(SetIdFiles::refused, SYS_setns, {3, CLONE_NEWUSER}), SECCOMP_RET_ALLOW) << "the guest's";
  for (const std::uint64_t others : {0, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNS})
    EXPECT_EQ(answer_to_root(SetIdFiles::refused, SYS_setns, {3, others}), refused(EPERM)) << others;
}

TEST_F(SeccompTable, LeavesOutTheRulesOfSetIdFilesAndNoOther) {
  using guest_protocol::Profile;
  const auto refusing = seccomp_tables(Profile::root, SetIdFiles::refused).arguments;
  const auto allowing = seccomp_tables(Profile::root, SetIdFiles::allowed).arguments;
  const auto kept = lines_of(allowing);
  std::vector<std::string> left_out;
  std::vector<std::string> rest;
  for (const SeccompArgument& rule : refusing) {
    const bool is_kept = std::find(kept.begin(), kept.end(), line_of(rule)) != kept.end();
    if (is_kept) rest.push_back(line_of(rule));
    if (!is_kept) left_out.emplace_back(rule.call);
  }
  EXPECT_EQ(rest, kept);
  EXPECT_EQ(left_out, (std::vector<std::string>{"openat", "openat", "open", "open", "creat", "chmod", "fchmod",
                                                "fchmodat", "mkdir", "mkdirat", "mknod", "mknodat"}));
}

TEST_F(SeccompTable, LetsRootMakeSetIdFilesOnlyWhereItIsSaid) {
  struct Way {
    int number;
    std::vector<std::uint64_t> args;
  };
  for (const Way& way : std::vector<Way>{{SYS_chmod, {0, 04755}},
                                         {SYS_fchmod, {3, 02755}},
                                         {SYS_fchmodat, {3, 0, 06755}},
                                         {SYS_openat, {3, 0, O_CREAT, 04755}},
                                         {SYS_openat, {3, 0, O_TMPFILE, 02755}},
                                         {SYS_open, {0, O_CREAT, 04755}},
                                         {SYS_creat, {0, 04755}},
                                         {SYS_mkdir, {0, 02755}},
                                         {SYS_mkdirat, {3, 0, 02755}},
                                         {SYS_mknod, {0, 0100000 | 04755}},
                                         {SYS_mknodat, {3, 0, 0100000 | 04755}}}) {
    EXPECT_EQ(answer(way.number, way.args), refused(EPERM)) << way.number;
    EXPECT_EQ(answer_to_root(SetIdFiles::refused, way.number, way.args), refused(EPERM)) << way.number;
    EXPECT_EQ(answer_to_root(SetIdFiles::allowed, way.number, way.args), SECCOMP_RET_ALLOW) << way.number;
  }
  EXPECT_EQ(answer_to_root(SetIdFiles::allowed, SYS_mknod, {0, 0020000}), refused(EPERM)) << "a device";
}

TEST_F(SeccompTable, OfRootIsTheOneOfTheGuestsVersion) {
  using guest_protocol::Profile;
  const std::string text =
      text_of(seccomp_tables(Profile::root)) + text_of(seccomp_tables(Profile::root, SetIdFiles::allowed));
  EXPECT_EQ(std::to_string(guest_protocol::kVersion) + " " + to_hex(sha256(text)),
            "11 bd73c0a6dbc885d7839d87ef7e01d86ca0582a4c65c44b2eba230b501f39172a")
      << "as above";
}

TEST_F(SeccompTable, LeavesNoCallWithRulesUnlisted) {
  const SeccompTables tables = seccomp_tables(guest_protocol::Profile::user);
  for (const SeccompArgument& rule : tables.arguments) {
    const auto listed = std::find_if(tables.calls.begin(), tables.calls.end(), [&rule](const SeccompCall& call) {
      return call.name != nullptr && std::string_view(call.name) == rule.call;
    });
    ASSERT_NE(listed, tables.calls.end()) << rule.call;
    EXPECT_EQ(listed->error, 0) << rule.call;
  }
}

}  // namespace
}  // namespace lmsb::sandbox
