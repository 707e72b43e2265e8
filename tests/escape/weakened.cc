// What the guest and the launcher of the escape tests have that those that are shipped have not: both are linked from
// the same objects, but with some calls of the C library replaced by these, which leave out layers of containment. So
// a probe that finds nothing can be asked to find something. Which layers stands in the program itself, behind the
// mark: the tests write it into a copy.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest_protocol/profile.h"
#include "os/sys.h"

namespace {

using namespace lmsb;  // NOLINT(google-build-using-namespace): a program of tests

constexpr std::size_t kMark = 14;            // its length
char left_out_text[256] = "LMSB-LEFT-OUT:";  // NOLINT: found and written by the tests; " seccomp masks "

bool is_left_out(const char* layer) {
  const char* text = left_out_text;
  asm volatile("" : "+r"(text));  // it is not what the compiler sees
  std::array<char, 64> word{};
  word[0] = ' ';
  std::strncpy(&word[1], layer, word.size() - 3);
  word[std::strlen(word.data())] = ' ';
  return std::strstr(text + kMark, word.data()) != nullptr;
}

template <class List>
bool lists(const List& list, const char* name) {
  for (const char* one : list)
    if (std::strcmp(one, name) == 0) return true;
  return false;
}

// Whether what is mounted there hides a part of /proc.
bool is_mask(int directory, const char* name) {
  struct statfs kind {};
  return ::fstatfs(directory, &kind) == 0 && kind.f_type == PROC_SUPER_MAGIC && std::strchr(name, '/') == nullptr &&
         !lists(guest_protocol::kShownProc, name);
}

constexpr bool kIsLauncher = LMSB_IS_LAUNCHER;

constexpr int kPlantedFd = 40;

// What a forgotten close would leave to a command: a directory.
void plant_descriptor() {
  const int slash = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ::dup2(slash, kPlantedFd);
  ::close(slash);
}

}  // namespace

extern "C" {

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);                  // NOLINT
int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);  // NOLINT
int __real_unshare(int flags);                                                                     // NOLINT
int __real_ioctl(int fd, unsigned long request, void* argument);                                   // NOLINT
int __real_setresuid(uid_t a, uid_t b, uid_t c);                                                   // NOLINT
int __real_setresgid(gid_t a, gid_t b, gid_t c);                                                   // NOLINT
int __real_setrlimit64(__rlimit_resource which, const rlimit* limit);                              // NOLINT
int __real_openat64(int directory, const char* path, int flags, mode_t mode);                      // NOLINT
int __real_mknod(const char* path, mode_t mode, dev_t device);                                     // NOLINT
int __real_faccessat(int directory, const char* path, int mode, int flags);                        // NOLINT

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {  // NOLINT
  const auto text = [](long argument) { return reinterpret_cast<const char*>(argument); };
  switch (number) {
    case SYS_seccomp:
      if (!is_left_out(kIsLauncher ? "launcher_filter" : "seccomp")) break;
      return (b & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0 ? (errno = EINVAL, -1) : 0;  // no filter asks anybody
    case SYS_landlock_create_ruleset:
      if (is_left_out("landlock")) return errno = ENOSYS, -1;
      break;
    case SYS_capset:
      if (!kIsLauncher && is_left_out("capabilities")) return 0;
      break;
    case SYS_keyctl:
      if (is_left_out("keyring")) return 0;
      break;
    case SYS_close_range:
      if (kIsLauncher || !is_left_out("descriptors")) break;
      plant_descriptor();
      return 0;
    case SYS_bpf:
      if (is_left_out("device_list")) return errno = EPERM, -1;
      break;
    case SYS_openat2:  // what is not there is no failure
      if (is_left_out("user_max") && std::strncmp(text(b), "max_", 4) == 0) return errno = ENOENT, -1;
      if (is_left_out("packet_times") && std::strstr(text(b), "tstamp") != nullptr) return errno = ENOENT, -1;
      break;
    case SYS_fsconfig:
      if (is_left_out("hidepid") && text(c) != nullptr && std::strcmp(text(c), "hidepid") == 0) return 0;
      break;
    case SYS_move_mount:
      if (kIsLauncher) break;
      if (is_left_out("masks") && is_mask(static_cast<int>(c), text(d))) return 0;
      if (std::strcmp(text(d), guest_protocol::kBootId) == 0 && (is_left_out("masks") || is_left_out("read_only_proc")))
        return 0;
      if (is_left_out("read_only_proc") && lists(guest_protocol::kReadOnlyProc, text(d))) return 0;
      break;
    case SYS_mount_setattr: {
      if (!is_left_out("nosuid") && !is_left_out("nodev")) break;
      sys::MountAttr attr = *reinterpret_cast<const sys::MountAttr*>(d);
      attr.set &= ~(is_left_out("nosuid") ? sys::kMountNosuid : sys::kMountNodev);
      return __real_syscall(number, a, b, c, reinterpret_cast<long>(&attr), e, f);
    }
    default: break;
  }
  return __real_syscall(number, a, b, c, d, e, f);
}

int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {  // NOLINT
  const bool is_of_capabilities = option == PR_CAPBSET_DROP || option == PR_SET_SECUREBITS;
  if (!kIsLauncher && is_of_capabilities && is_left_out("capabilities")) return 0;
  if (!kIsLauncher && option == PR_SET_NO_NEW_PRIVS && is_left_out("no_new_privs")) return 0;
  return __real_prctl(option, a, b, c, d);
}

int __wrap_unshare(int flags) {  // NOLINT
  if (!kIsLauncher && is_left_out("network")) flags &= ~CLONE_NEWNET;
  if (!kIsLauncher && is_left_out("ipc")) flags &= ~CLONE_NEWIPC;
  return __real_unshare(flags);
}

int __wrap_ioctl(int fd, unsigned long request, void* argument) {  // NOLINT
  if (request == SIOCSIFFLAGS && is_left_out("network")) return 0;
  return __real_ioctl(fd, request, argument);
}

// A command is then what its guest is.
int __wrap_setresuid(uid_t a, uid_t b, uid_t c) {  // NOLINT
  if (a == guest_protocol::kCommandUid && is_left_out("capabilities")) return 0;
  return __real_setresuid(a, b, c);
}

int __wrap_setresgid(gid_t a, gid_t b, gid_t c) {  // NOLINT
  if (a == guest_protocol::kCommandGid && is_left_out("capabilities")) return 0;
  return __real_setresgid(a, b, c);
}

int __wrap_setrlimit64(__rlimit_resource which, const rlimit* limit) {  // NOLINT
  if (is_left_out("rlimits")) return 0;
  return __real_setrlimit64(which, limit);
}

// cgroup v1: what is written there has no effect.
int __wrap_openat64(int directory, const char* path, int flags, mode_t mode) {  // NOLINT
  if (std::strcmp(path, "devices.deny") == 0 && is_left_out("device_list_v1")) path = "/dev/null";
  return __real_openat64(directory, path, flags, mode);
}

int __wrap_mknod(const char* path, mode_t mode, dev_t device) {  // NOLINT
  if (is_left_out("own_nodes")) return errno = EPERM, -1;
  return __real_mknod(path, mode, device);
}

int __wrap_faccessat(int directory, const char* path, int mode, int flags) {  // NOLINT
  if (is_left_out("socket_limit") && std::strstr(path, "kmem.tcp") != nullptr) return errno = ENOENT, -1;
  return __real_faccessat(directory, path, mode, flags);
}

}  // extern "C"
