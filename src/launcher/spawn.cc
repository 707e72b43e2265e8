#include "launcher/spawn.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "guest_protocol/setup.h"
#include "launcher/power.h"
#include "os/end_with_parent.h"
#include "os/files.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

// Who is cloned while this lives may be looked at by the launcher, which has no CAP_SYS_PTRACE to open the namespaces
// of others; nobody else can, as its real id is still root's. The launcher itself stays closed to all the rest of the
// time.
class OpenToInspection {
 public:
  OpenToInspection() { ::prctl(PR_SET_DUMPABLE, 1); }
  ~OpenToInspection() { ::prctl(PR_SET_DUMPABLE, 0); }
  OpenToInspection(const OpenToInspection&) = delete;
  OpenToInspection& operator=(const OpenToInspection&) = delete;
};

// While it lives the launcher is another user to the kernel, with all its power: a user namespace that it makes is that
// one's, and of one that is that one's it may open what there is to open. Its real id stays, by which it comes back; it
// never goes on as somebody else.
class AsOwner {
 public:
  explicit AsOwner(uid_t owner) : is_other_(owner != own_) {
    if (!is_other_) return;
    ::prctl(PR_GET_PDEATHSIG, &death_signal_);
    is_there_ = ::seteuid(owner) == 0 && raise_capabilities().ok();
  }
  // The kernel takes back two things from who becomes another user: that it is told of its parent's end, and that it is
  // closed.
  ~AsOwner() {
    if (!is_other_) return;
    LMSB_ASSERT(::seteuid(own_) == 0);
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_PDEATHSIG, death_signal_);
    if (death_signal_ != 0 && ::getppid() != parent_) (void)::raise(death_signal_);
  }
  AsOwner(const AsOwner&) = delete;
  AsOwner& operator=(const AsOwner&) = delete;
  bool is_there() const { return is_there_; }

 private:
  uid_t own_ = ::geteuid();
  pid_t parent_ = ::getppid();
  int death_signal_ = 0;
  bool is_other_;
  bool is_there_ = true;
};

Result<UniqueFd> open_user_namespace(pid_t pid) {
  UniqueFd ns(::open(("/proc/" + std::to_string(pid) + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!ns) return Error::from_errno(errno, "open the user namespace");
  return ns;
}

void end_child(const UniqueFd& process) {
  (void)sys::pidfd_send_signal(process.get(), SIGKILL);
  siginfo_t info{};
  (void)::waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(process.get()), &info, WEXITED);
}

constexpr std::size_t kMaxJoin = 8;

// Everything the child needs, made before the clone: after it there are only system calls.
struct ChildInputs {
  int guest_program;
  int channel;
  std::array<int, kMaxJoin> join;
  std::size_t join_count;
  const char* name;
};

// Where the child has its descriptors: nothing else of the launcher's, or it would hold its own channel open, and the
// launcher's locks, should the launcher die before it has told it anything.
constexpr int kProgramFd = guest_protocol::kChannelFd + 1;
constexpr int kFirstJoinFd = kProgramFd + 1;

// After clone: no allocation, no locks. Any of the final numbers may be taken, so all go out of the way first.
bool keep_only(const ChildInputs& in) {
  constexpr int kOutOfTheWay = 64;
  std::array<int, 2 + kMaxJoin> fds{in.channel, in.guest_program};
  for (std::size_t i = 0; i < in.join_count; ++i) fds[2 + i] = in.join[i];
  const std::size_t count = 2 + in.join_count;
  for (std::size_t i = 0; i < count; ++i)
    if (fds[i] = ::fcntl(fds[i], F_DUPFD, kOutOfTheWay); fds[i] < 0) return false;
  for (std::size_t i = 0; i < count; ++i)
    if (::dup2(fds[i], guest_protocol::kChannelFd + static_cast<int>(i)) < 0) return false;
  return ::fcntl(kProgramFd, F_SETFD, FD_CLOEXEC) == 0 &&
         sys::close_range(guest_protocol::kChannelFd + static_cast<unsigned>(count), ~0U, 0) == 0;
}

[[noreturn]] void child_main(const ChildInputs& in) {
  if (!keep_only(in)) ::_exit(4);
  char byte = 0;
  ssize_t got = 0;
  do got = ::recv(guest_protocol::kChannelFd, &byte, 1, MSG_PEEK);  // the setup message: the maps are written
  while (got < 0 && errno == EINTR);
  if (got <= 0) ::_exit(1);
  for (std::size_t i = 0; i < in.join_count; ++i)
    if (::write(kFirstJoinFd + static_cast<int>(i), "0", 1) != 1) ::_exit(2);
  if (::setgroups(0, nullptr) < 0 || ::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0) ::_exit(3);
  if (sys::close_range(kFirstJoinFd, ~0U, 0) < 0) ::_exit(6);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd)
    if (null < 0 || ::dup2(null, fd) < 0) ::_exit(5);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const std::array<char*, 2> argv = {const_cast<char*>(in.name), nullptr};  // NOLINT: execve wants char*
  static std::array<char*, 1> envp = {nullptr};
  sys::execveat(kProgramFd, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  ::_exit(7);
}

}  // namespace

Result<GuestProcess> spawn_guest(int guest_program, int channel, int cgroup_v2, const std::vector<UniqueFd>& join,
                                 uid_t owner, const char* name) {
  ChildInputs inputs{guest_program, channel, {}, join.size(), name};
  if (join.size() > inputs.join.size()) return Error(ErrorCode::internal, "too many cgroup hierarchies");
  for (std::size_t i = 0; i < join.size(); ++i) inputs.join[i] = join[i].get();
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup_v2);
  const AsOwner as_owner(owner);
  if (!as_owner.is_there()) return Error::from_errno(errno, "become who owns the sandbox");
  const OpenToInspection inspection;
  const pid_t pid = sys::clone3(args);
  if (pid == 0) child_main(inputs);
  if (pid < 0) return Error::from_errno(errno, "clone the guest");
  GuestProcess guest;
  guest.pid = pid;
  guest.pidfd.reset(pidfd);
  auto ns = open_user_namespace(pid);
  if (!ns.ok()) {
    end_child(guest.pidfd);
    return std::move(ns).error();
  }
  guest.user_namespace = *std::move(ns);
  return guest;
}

Status write_id_maps(pid_t pid, const std::string& uid_map, const std::string& gid_map) {
  const std::string process = "/proc/" + std::to_string(pid);
  LMSB_CHECK(os::write_text(process + "/uid_map", uid_map));
  return os::write_text(process + "/gid_map", gid_map);
}

Result<UniqueFd> make_user_namespace(const std::string& uid_map, const std::string& gid_map) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  const OpenToInspection inspection;
  const pid_t launcher = ::getpid();
  const pid_t pid = sys::clone3(args);
  if (pid == 0) {
    if (!os::end_with_parent(launcher, SIGKILL)) ::_exit(0);
    for (;;) ::pause();
  }
  if (pid < 0) return Error::from_errno(errno, "clone a user namespace");
  const UniqueFd process(pidfd);
  const Status mapped = write_id_maps(pid, uid_map, gid_map);
  Result<UniqueFd> ns = mapped.ok() ? open_user_namespace(pid) : Result<UniqueFd>(Error(mapped.error()));
  end_child(process);
  return ns;
}

}  // namespace lmsb::launcher
