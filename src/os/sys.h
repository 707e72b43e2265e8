#pragma once
// sys: Linux system calls that glibc 2.35 has no wrapper for, as thin functions with the kernel's own contract
// (-1 and errno), and the constants that older kernel headers lack. Header-only and allocation-free, so that the
// guest and code after fork may use it. See each call's man page.
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// <linux/mount.h> and <sys/mount.h> cannot be included together before glibc 2.37, so the few constants stand here.
namespace lmsb::sys {

constexpr unsigned kFsopenCloexec = 1;
constexpr unsigned kFsmountCloexec = 1;
constexpr unsigned kFsconfigSetFlag = 0;
constexpr unsigned kFsconfigSetString = 1;
constexpr unsigned kFsconfigCmdCreate = 6;
constexpr unsigned kOpenTreeClone = 1;
constexpr unsigned kMoveMountFEmptyPath = 0x4;
constexpr unsigned kMoveMountTEmptyPath = 0x40;
constexpr std::uint64_t kMountRdonly = 0x1;
constexpr std::uint64_t kMountNosuid = 0x2;
constexpr std::uint64_t kMountNodev = 0x4;
constexpr std::uint64_t kMountNoexec = 0x8;
constexpr std::uint64_t kMountNoatime = 0x10;
constexpr std::uint64_t kMountIdmap = 0x100000;

struct MountAttr {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t propagation = 0;
  std::uint64_t userns_fd = 0;
};

inline int to_int(long result) { return static_cast<int>(result); }

inline int fsopen(const char* type, unsigned flags) { return to_int(::syscall(SYS_fsopen, type, flags)); }
inline int fsconfig(int fd, unsigned command, const char* key, const void* value, int aux) {
  return to_int(::syscall(SYS_fsconfig, fd, command, key, value, aux));
}
inline int fsmount(int fd, unsigned flags, unsigned attributes) {
  return to_int(::syscall(SYS_fsmount, fd, flags, attributes));
}
inline int open_tree(int dir, const char* path, unsigned flags) {
  return to_int(::syscall(SYS_open_tree, dir, path, flags));
}
inline int move_mount(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return to_int(::syscall(SYS_move_mount, from_dir, from, to_dir, to, flags));
}
inline int mount_setattr(int dir, const char* path, unsigned flags, const MountAttr& attr) {
  return to_int(::syscall(SYS_mount_setattr, dir, path, flags, &attr, sizeof attr));
}
inline int pivot_root(const char* new_root, const char* put_old) {
  return to_int(::syscall(SYS_pivot_root, new_root, put_old));
}
inline pid_t clone3(clone_args& args) { return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args)); }
inline int openat2(int dir, const char* path, std::uint64_t flags, std::uint64_t mode, std::uint64_t resolve) {
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  return to_int(::syscall(SYS_openat2, dir, path, &how, sizeof how));
}
inline int pidfd_send_signal(int pidfd, int signal) {
  return to_int(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
inline int pidfd_open(pid_t pid) { return to_int(::syscall(SYS_pidfd_open, pid, 0)); }
inline int close_range(unsigned first, unsigned last, unsigned flags) {
  return to_int(::syscall(SYS_close_range, first, last, flags));
}
inline int execveat(int dir, const char* path, char* const* argv, char* const* envp, int flags) {
  return to_int(::syscall(SYS_execveat, dir, path, argv, envp, flags));
}
inline int landlock_create_ruleset(const void* attr, std::size_t size, unsigned flags) {
  return to_int(::syscall(SYS_landlock_create_ruleset, attr, size, flags));
}
inline int landlock_add_rule(int ruleset, unsigned type, const void* attr) {
  return to_int(::syscall(SYS_landlock_add_rule, ruleset, type, attr, 0));
}
inline int landlock_restrict_self(int ruleset) { return to_int(::syscall(SYS_landlock_restrict_self, ruleset, 0)); }
inline long join_session_keyring() { return ::syscall(SYS_keyctl, 1L /* KEYCTL_JOIN_SESSION_KEYRING */, nullptr); }
inline int seccomp(unsigned operation, unsigned flags, const void* arg) {
  return to_int(::syscall(SYS_seccomp, operation, flags, arg));
}

// Landlock access rights newer than the headers of kernel 6.1 (ABI 3: 6.2, ABI 5: 6.10).
constexpr std::uint64_t kLandlockTruncate = 1ULL << 14U;
constexpr std::uint64_t kLandlockIoctlDev = 1ULL << 15U;

}  // namespace lmsb::sys
