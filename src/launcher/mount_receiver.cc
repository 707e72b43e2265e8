#include "launcher/mount_receiver.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <climits>

#include "os/end_with_parent.h"
#include "os/message_socket.h"
#include "os/sys.h"
#include "sandbox/id_ranges.h"
#include "sandbox/launcher_request.h"

namespace lmsb::launcher {
namespace {

// The receiver's only descriptors.
constexpr int kControl = 3;
constexpr int kCaller = 4;
constexpr int kOutside = 5;

constexpr unsigned kSpareSeconds = 4;  // it ends by itself then, should nobody be there to end it

// Local file systems whose mounts can show other owners (idmapped): the others could not be mounted for a sandbox
// anyway, and among them are those that wait for somebody else's server.
constexpr std::array<std::uint32_t, 12> kFileSystems = {
    0xEF53 /* ext2, 3, 4 */, 0x58465342 /* xfs */,      0x9123683E /* btrfs */,    0xF2F52010 /* f2fs */,
    0x01021994 /* tmpfs */,  0x4D44 /* vfat */,         0x2011BAB0 /* exfat */,    0x7366746E /* ntfs3 */,
    0xE0F5E1E2 /* erofs */,  0x73717368 /* squashfs */, 0xCA451A4E /* bcachefs */, 0x2FC12FC1 /* zfs */};

// After clone: no allocation, no locks, in everything up to receiver_main.

bool keep_only(int control, int caller, int outside) {
  const int high_control = ::fcntl(control, F_DUPFD, 64);
  const int high_caller = ::fcntl(caller, F_DUPFD, 64);
  const int high_outside = outside < 0 ? -1 : ::fcntl(outside, F_DUPFD, 64);
  if (high_control < 0 || high_caller < 0 || (outside >= 0 && high_outside < 0)) return false;
  if (::dup2(high_control, kControl) < 0 || ::dup2(high_caller, kCaller) < 0) return false;
  if (outside >= 0 && ::dup2(high_outside, kOutside) < 0) return false;
  const int last = outside < 0 ? kCaller : kOutside;
  return sys::close_range(0, 2, 0) == 0 && sys::close_range(static_cast<unsigned>(last) + 1, ~0U, 0) == 0;
}

// The caller could stop or kill this process from now on, but not trace it, nor gain by it what it has not.
bool become(const MountCaller& caller, pid_t launcher) {
  if (::setgroups(0, nullptr) < 0 || ::setresgid(caller.gid, caller.gid, caller.gid) < 0 ||
      ::setresuid(caller.uid, caller.uid, caller.uid) < 0)
    return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_DUMPABLE, 0) == 0 && os::end_with_parent(launcher, SIGKILL);
}

// Never asks a server that the caller may run: the kind of file stands in the kernel's memory. Returns an errno.
int check_directory(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  if ((flags & O_PATH) == 0) return EBADF;  // opened for more than naming it
  struct statx facts {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &facts) < 0) return errno;
  if (!S_ISDIR(facts.stx_mode)) return ENOTDIR;
  struct statfs system {};
  if (::fstatfs(fd, &system) < 0) return errno;  // this one may wait: for the caller's own server, at its own cost
  const auto type = static_cast<std::uint32_t>(system.f_type);
  return std::find(kFileSystems.begin(), kFileSystems.end(), type) != kFileSystems.end() ? 0 : EOPNOTSUPP;
}

template <class T>
bool send_struct(int socket, const T& value, const int* fds = nullptr, std::size_t count = 0) {
  const iovec part{const_cast<T*>(&value), sizeof value};  // NOLINT(cppcoreguidelines-pro-type-const-cast): C interface
  return send_message(socket, &part, 1, fds, count);
}

MountWord await_word() {
  MountWord word{};
  ReceivedFds none;
  if (receive_message(kControl, &word, sizeof word, none) != static_cast<ssize_t>(sizeof word)) ::_exit(1);
  return word;
}

bool is_same(int a, int b) {
  struct statx first {};
  struct statx second {};
  for (const auto& [fd, facts] : {std::pair(a, &first), std::pair(b, &second)})
    if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, facts) < 0) return false;
  return first.stx_ino == second.stx_ino && first.stx_dev_major == second.stx_dev_major &&
         first.stx_dev_minor == second.stx_dev_minor;
}

// Whose a directory is that is of the user's subordinate ids: of containers and sandboxes, which own files by them. In
// a sandbox that shares the ids they would be its own.
bool is_of_sandboxes(int directory) {
  struct statx facts {};
  if (::statx(directory, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_UID | STATX_GID, &facts) < 0) return true;
  return facts.stx_uid >= sandbox::kImageRangeBase || facts.stx_gid >= sandbox::kImageRangeBase;
}

// The directory in this mount namespace. Returns an errno.
int open_again(UniqueFd& directory) {
  std::array<char, 32> link{};
  std::array<char, PATH_MAX> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", directory.get());
  const ssize_t size = ::readlink(link.data(), path.data(), path.size() - 1);
  if (size < 0) return errno;
  if (path[0] != '/') return ENOENT;
  constexpr std::uint64_t kNoLinks = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd opened(sys::openat2(AT_FDCWD, path.data(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0, kNoLinks));
  if (!opened) return errno;
  if (!is_same(directory.get(), opened.get())) return ESTALE;
  if (is_of_sandboxes(opened.get())) return EOWNERDEAD;
  directory = std::move(opened);
  return 0;
}

// Takes the offer and tells the launcher what it is.
bool take_offer(bool is_outside) {
  sandbox::MountOffer offer{};
  ReceivedFds fds;
  MountFound found{EPROTO};
  const ssize_t size = receive_message(kCaller, &offer, sizeof offer, fds);
  if (sandbox::is_offer(&offer, size, fds.count)) found.error = check_directory(fds.fds[0].get());
  if (found.error == 0 && is_outside) found.error = open_again(fds.fds[0]);
  const int directory = fds.fds[0].get();
  return found.error == 0 ? send_struct(kControl, found, &directory, 1) : send_struct(kControl, found);
}

// Of a user's desk the user, in the namespace that directories are opened in; who is not known there ends.
bool become_receiver(const MountCaller& caller, bool is_outside, pid_t launcher) {
  if (!is_outside) return become(caller, launcher);
  return ::setns(kOutside, CLONE_NEWNS) == 0 && ::close(kOutside) == 0 && become({0, 0}, launcher);
}

[[noreturn]] void receiver_main(int listener, int control, int outside, pid_t launcher) {
  ::prctl(PR_SET_NAME, "lmsb-receiver");
  if (!os::end_with_parent(launcher, SIGKILL)) ::_exit(1);
  ::alarm(kSpareSeconds);
  const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (accepted < 0 || !keep_only(control, accepted, outside)) ::_exit(1);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(kCaller, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) ::_exit(1);
  const MountCaller caller{peer.uid, peer.gid};
  if (!send_struct(kControl, caller)) ::_exit(1);
  MountWord word = await_word();
  if (word.take_offer != 0) {
    if (!become_receiver(caller, outside >= 0, launcher) || !take_offer(outside >= 0)) ::_exit(1);
    word = await_word();
  }
  (void)send_struct(kCaller, word.reply);
  ::_exit(0);
}

}  // namespace

Result<MountReceiver> start_mount_receiver(int listener, int outside) {
  MountReceiver receiver;
  UniqueFd theirs;
  if (!message_socket_pair(receiver.control, theirs)) return Error::from_errno(errno, "socketpair");
  if (::fcntl(receiver.control.get(), F_SETFL, O_NONBLOCK) < 0) return Error::from_errno(errno, "fcntl");
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  const pid_t launcher = ::getpid();
  receiver.process.pid = sys::clone3(args);
  if (receiver.process.pid == 0) receiver_main(listener, theirs.get(), outside, launcher);
  if (receiver.process.pid < 0) return Error::from_errno(errno, "fork a receiver");
  receiver.process.pidfd.reset(pidfd);
  return receiver;
}

}  // namespace lmsb::launcher
