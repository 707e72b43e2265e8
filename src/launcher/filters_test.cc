#include "launcher/filters.h"

#include <cerrno>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string_view>
#include <sys/syscall.h>

#include <gtest/gtest.h>

#include "sandbox/seccomp_table.h"

namespace lmsb::launcher {
namespace {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refuse(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }

// What a filter answers to calls.
class Filter {
 public:
  explicit Filter(const SeccompTables& tables) : program_(*compile_seccomp(tables)) {}
  std::uint32_t operator()(long number, std::vector<std::uint64_t> args = {}) const {
    return evaluate_seccomp(program_, static_cast<int>(number), args, AUDIT_ARCH_X86_64);
  }

 private:
  std::vector<sock_filter> program_;
};

TEST(LauncherFilter, RefusesWhatLaunchersNeverDo) {
  const Filter filter(launcher_filter());
  for (const long call : {SYS_ptrace, SYS_bpf, SYS_kexec_load, SYS_init_module, SYS_reboot, SYS_open_by_handle_at})
    EXPECT_EQ(filter(call), refuse(EPERM)) << call;
  EXPECT_EQ(filter(SYS_io_uring_setup), refuse(ENOSYS));
  for (const long call : {SYS_mount, SYS_clone3, SYS_setns, SYS_execveat, 1000})
    EXPECT_EQ(filter(call), kAllow) << call;
}

TEST(LauncherFilter, TakesNothingFromSandboxesThatTheirOwnListGives) {
  const Filter launcher(launcher_filter());
  const Filter sandbox(sandbox::seccomp_tables(guest_protocol::Profile::user));
  for (long call = 0; call < 500; ++call) EXPECT_TRUE(sandbox(call) != kAllow || launcher(call) == kAllow) << call;
}

TEST(ArchiverFilter, AllowsWhatATreeNeedsAndNothingThatLeadsElsewhere) {
  const Filter filter(archiver_filter());
  for (const long call : {SYS_openat, SYS_pread64, SYS_mkdirat, SYS_linkat, SYS_fsetxattr, SYS_exit_group})
    EXPECT_EQ(filter(call), kAllow) << call;
  for (const long call : {SYS_open, SYS_execve, SYS_execveat, SYS_clone, SYS_fork, SYS_socket, SYS_connect, SYS_mount,
                          SYS_unshare, SYS_setns, SYS_ptrace, SYS_ioctl, SYS_unlinkat, SYS_renameat2, SYS_chroot,
                          SYS_capset, SYS_keyctl, SYS_kill, SYS_setxattr})
    EXPECT_NE(filter(call), kAllow) << call;
}

TEST(ArchiverFilter, AllowsOfDevicesTheMarkOfWhatWasRemovedAlone) {
  const Filter filter(archiver_filter());
  EXPECT_EQ(filter(SYS_mknodat, {3, 0, 0010600, 0}), kAllow) << "a FIFO";
  EXPECT_EQ(filter(SYS_mknodat, {3, 0, 0020000, 0}), kAllow) << "the mark";
  EXPECT_EQ(filter(SYS_mknodat, {3, 0, 0020000, 0x103}), refuse(EPERM)) << "/dev/null";
  EXPECT_EQ(filter(SYS_mknodat, {3, 0, 0060000, 0}), refuse(EPERM)) << "a block device";
  EXPECT_EQ(filter(SYS_mknodat, {3, 0, 0140000, 0}), refuse(EPERM)) << "a socket";
}

TEST(DaemonFilter, AllowsNoNewProcessAndNoPower) {
  const Filter filter(daemon_filter());
  EXPECT_EQ(filter(SYS_clone, {0x3d0f00}), kAllow) << "a thread";
  EXPECT_EQ(filter(SYS_clone, {17}), refuse(EPERM)) << "a process";
  EXPECT_EQ(filter(SYS_clone, {0x10000000}), refuse(EPERM)) << "a user namespace";
  EXPECT_EQ(filter(SYS_clone3), refuse(ENOSYS));
  for (const long call :
       {SYS_fork, SYS_vfork, SYS_unshare, SYS_setns, SYS_mount, SYS_ptrace, SYS_bpf, SYS_keyctl, SYS_kill,
        SYS_process_vm_readv, SYS_setuid, SYS_capset, SYS_mknod, SYS_chroot, SYS_userfaultfd})
    EXPECT_NE(filter(call), kAllow) << call;
}

TEST(DaemonFilter, AllowsTheSocketsThatTheDaemonUses) {
  const Filter filter(daemon_filter());
  EXPECT_EQ(filter(SYS_socket, {1, 5 | 02000000, 0}), kAllow) << "unix, seqpacket, close-on-exec";
  EXPECT_EQ(filter(SYS_socket, {2, 1, 6}), kAllow);
  EXPECT_EQ(filter(SYS_socket, {10, 2, 0}), kAllow);
  EXPECT_EQ(filter(SYS_socket, {16, 3 | 02000000, 0}), kAllow) << "netlink route, for name look-ups";
  EXPECT_EQ(filter(SYS_socket, {16, 2, 4}), kAllow) << "netlink sock_diag";
  EXPECT_EQ(filter(SYS_socket, {16, 3, 12}), refuse(EPROTONOSUPPORT)) << "netlink netfilter";
  EXPECT_EQ(filter(SYS_socket, {2, 3, 1}), refuse(EPERM)) << "raw";
  EXPECT_EQ(filter(SYS_socket, {17, 3, 0}), refuse(EAFNOSUPPORT)) << "packet";
}

}  // namespace
}  // namespace lmsb::launcher
