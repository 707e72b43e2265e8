#include "guest/posture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "guest/files.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

constexpr int kMaxCapability = 63;
constexpr std::size_t kMaxFilter = 4096;  // BPF_MAXINSNS

constexpr unsigned kWaitKillable = 1U << 5U;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV of newer headers

constexpr unsigned long kSecurebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                      SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

// Of root: who has uid 0 has what it may, who becomes somebody else loses it, with what they run at the latest (until
// then setpriv(1) and others keep it, to give it up bit by bit).
constexpr unsigned long kRootSecurebits = SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                          SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

template <std::size_t N>
constexpr std::uint64_t mask_of(const std::array<unsigned, N>& capabilities) {
  std::uint64_t mask = 0;
  for (const unsigned capability : capabilities) mask |= std::uint64_t{1} << capability;
  return mask;
}

// For whoever is run, now and later: bit N of `bounding` is capability N.
int bound_capabilities(std::uint64_t bounding, unsigned long securebits) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return errno;
  for (int capability = 0; capability <= kMaxCapability; ++capability) {
    if ((bounding >> capability & 1U) != 0 || ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno != EINVAL) return errno;
    break;  // past the last that this kernel knows
  }
  return ::prctl(PR_SET_SECUREBITS, securebits, 0, 0, 0) < 0 ? errno : 0;
}

int set_ids(std::uint32_t id) {
  if (::setresgid(id, id, id) < 0 || ::setresuid(id, id, id) < 0) return errno;
  // What its memory holds is the guest's until it runs something else.
  return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? errno : 0;
}

int set_capabilities(std::uint64_t mask) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i].effective = static_cast<std::uint32_t>(mask >> (32U * i));
    data[i].permitted = data[i].effective;
  }
  return ::syscall(SYS_capset, &header, data.data()) < 0 ? errno : 0;
}

// Returns what seccomp(2) does: a descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER, else 0; or -errno.
int install_filter(const sock_filter* program, std::size_t count, unsigned flags = 0) {
  const sock_fprog filter{static_cast<unsigned short>(count), const_cast<sock_filter*>(program)};  // NOLINT: C API
  const int installed = sys::seccomp(SECCOMP_SET_MODE_FILTER, flags, &filter);
  return installed < 0 ? -errno : installed;
}

// Installs `first` and, behind it, the program in the file.
int install_from(std::span<const sock_filter> first, int fd, unsigned flags) {
  static std::array<sock_filter, kMaxFilter> program;
  std::copy(first.begin(), first.end(), program.begin());
  const std::span<sock_filter> rest = std::span(program).subspan(first.size());
  struct stat info {};
  if (::fstat(fd, &info) < 0) return -errno;
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0 || size % sizeof(sock_filter) != 0) return -ENOEXEC;
  if (size > rest.size_bytes()) return -E2BIG;
  const ssize_t got = ::pread(fd, rest.data(), size, 0);
  if (got != static_cast<ssize_t>(size)) return got < 0 ? -errno : -EIO;
  return install_filter(program.data(), first.size() + size / sizeof(sock_filter), flags);
}

constexpr std::uint64_t kReadRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWriteRights =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | sys::kLandlockTruncate;
constexpr std::uint64_t kNodeRights = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;  // never granted

std::uint64_t rights_of_abi(int abi) {
  std::uint64_t rights = kReadRights | kWriteRights | kNodeRights;
  if (abi < 2) rights &= ~std::uint64_t{LANDLOCK_ACCESS_FS_REFER};
  if (abi < 3) rights &= ~sys::kLandlockTruncate;
  if (abi >= 5) rights |= sys::kLandlockIoctlDev;
  return rights;
}

int allow(int ruleset, int root, const char* path, std::uint64_t rights) {
  const int opened = *path == '\0' ? ::openat(root, ".", O_PATH | O_CLOEXEC) : open_beneath(root, path, O_PATH);
  if (opened == -ENOENT || opened == -ELOOP) return 0;  // the image has no such directory, or only a link to one
  if (opened < 0) return *path == '\0' ? errno : -opened;
  const UniqueFd parent(opened);
  struct stat kind {};
  if (::fstat(opened, &kind) < 0) return errno;
  constexpr std::uint64_t kFileRights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                        LANDLOCK_ACCESS_FS_WRITE_FILE | sys::kLandlockTruncate | sys::kLandlockIoctlDev;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(kind.st_mode) ? rights : rights & kFileRights;
  rule.parent_fd = opened;
  return sys::landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule) < 0 ? errno : 0;
}

}  // namespace

int keep_capabilities(std::uint64_t mask) {
  if (const int error = bound_capabilities(0, kSecurebits); error != 0) return error;
  return set_capabilities(mask);
}

// Its id last: the securebits let it keep what it has.
int become_guest(guest_protocol::Profile profile) {
  if (const int error = keep_capabilities(mask_of(guest_protocol::kGuestCapabilities)); error != 0) return error;
  const std::uint32_t id = guest_protocol::guest_id(profile);
  return id == 0 ? 0 : set_ids(id);
}

int drop_all_capabilities() { return set_capabilities(0); }

int no_new_privs() { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0; }

int limit_open_files(OpenFiles whose) {
  for (const guest_protocol::ResourceLimit& limit : guest_protocol::kResourceLimits) {
    if (limit.resource != RLIMIT_NOFILE) continue;
    rlimit value{};
    if (::getrlimit(RLIMIT_NOFILE, &value) < 0) return errno;
    value.rlim_cur = whose == OpenFiles::of_guest ? value.rlim_max : std::min<rlim_t>(limit.soft, value.rlim_max);
    return ::setrlimit(RLIMIT_NOFILE, &value) < 0 ? errno : 0;
  }
  return EINVAL;
}

int limit_resource(int resource, std::uint64_t soft, std::uint64_t hard) {
  const auto which = static_cast<__rlimit_resource>(resource);
  rlimit now{};
  if (::getrlimit(which, &now) < 0) return errno;
  const rlimit value{std::min<rlim_t>(soft, now.rlim_max), std::min<rlim_t>(hard, now.rlim_max)};
  return ::setrlimit(which, &value) < 0 ? errno : 0;
}

int unshare_namespaces() {
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0) return errno;
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ? errno : 0;
}

int leave_session_keyring() { return sys::join_session_keyring() < 0 && errno != ENOSYS ? errno : 0; }

int install_seccomp_from(int fd) { return -install_from({}, fd, 0); }

int install_seccomp_behind(std::span<const sock_filter> first, int fd, UniqueFd& listener) {
  int made = install_from(first, fd, SECCOMP_FILTER_FLAG_NEW_LISTENER | kWaitKillable);
  if (made == -EINVAL) made = install_from(first, fd, SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (made < 0) return -made;
  listener.reset(made);
  return 0;
}

int make_landlock_ruleset(int root, const guest_protocol::Setup& setup, int& abi) {
  abi = sys::landlock_create_ruleset(nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) {
    abi = 0;
    return -errno;
  }
  const std::uint64_t handled = rights_of_abi(abi);
  const std::uint64_t attr = handled;  // struct landlock_ruleset_attr of ABI 1: one field
  const int ruleset = sys::landlock_create_ruleset(&attr, sizeof attr, 0);
  if (ruleset < 0) return -errno;
  const std::uint64_t write = (kReadRights | kWriteRights) & handled;
  const std::uint64_t device =
      (kReadRights | LANDLOCK_ACCESS_FS_WRITE_FILE | sys::kLandlockTruncate | sys::kLandlockIoctlDev) & handled;
  const bool has_root = setup.profile == guest_protocol::Profile::root;
  int error = allow(ruleset, root, "", has_root ? write : kReadRights);
  // Not proc: a command could lower its oom score below the guest's. With root it is mounted read-only.
  if (error == 0) error = allow(ruleset, root, "dev", device);
  for (const char* path : {"workspace", "tmp", "home", "var/tmp", "dev/shm"})
    if (error == 0) error = allow(ruleset, root, path, write);
  for (std::uint32_t i = 0; i < setup.mount_count && error == 0; ++i)
    if (setup.mounts[i].read_only == 0) error = allow(ruleset, root, setup.mounts[i].target.data(), write);
  if (error != 0) {
    ::close(ruleset);
    return -error;
  }
  return ruleset;
}

int restrict_command(int landlock_ruleset) {
  if (landlock_ruleset >= 0 && sys::landlock_restrict_self(landlock_ruleset) < 0) return errno;
  constexpr std::array<sock_filter, 6> kGuestsAlone = {{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_clone3},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, SYS_setns},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  }};
  return -install_filter(kGuestsAlone.data(), kGuestsAlone.size());
}

int become_command_user(guest_protocol::Profile profile, bool as_user) {
  const bool is_root = profile == guest_protocol::Profile::root && !as_user;
  const std::uint64_t kept = is_root ? mask_of(guest_protocol::kRootCapabilities) : 0;
  if (profile == guest_protocol::Profile::root)  // its capabilities there are new
    if (const int error = bound_capabilities(kept, is_root ? kRootSecurebits : kSecurebits); error != 0) return error;
  if (::setgroups(0, nullptr) < 0) return errno;
  if (const int error = set_ids(is_root ? 0 : guest_protocol::kCommandUid); error != 0) return error;
  return set_capabilities(kept);
}

}  // namespace lmsb::guest
