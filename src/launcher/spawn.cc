#include "launcher/spawn.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "guest_protocol/setup.h"
#include "os/files.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

// Who is cloned while this lives may be looked at by the launcher, which has no CAP_SYS_PTRACE to open the namespaces
// of others; nobody else can, as it is still root. The launcher itself stays closed to all the rest of the time.
class OpenToInspection {
 public:
  OpenToInspection() { ::prctl(PR_SET_DUMPABLE, 1); }
  ~OpenToInspection() { ::prctl(PR_SET_DUMPABLE, 0); }
  OpenToInspection(const OpenToInspection&) = delete;
  OpenToInspection& operator=(const OpenToInspection&) = delete;
};

// Everything the child needs, made before the clone: after it there are only system calls.
struct ChildInputs {
  int guest_program;
  int channel;
  const int* join;
  std::size_t join_count;
};

// After clone: no allocation, no locks.
[[noreturn]] void child_main(const ChildInputs& in) {
  constexpr int kProgramFd = guest_protocol::kChannelFd + 1;
  char byte = 0;
  ssize_t got = 0;
  do got = ::recv(in.channel, &byte, 1, MSG_PEEK);  // the setup message: the maps are written
  while (got < 0 && errno == EINTR);
  if (got <= 0) ::_exit(1);
  for (std::size_t i = 0; i < in.join_count; ++i)
    if (::write(in.join[i], "0", 1) != 1) ::_exit(2);
  if (::setgroups(0, nullptr) < 0 || ::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0) ::_exit(3);
  // Out of the way of the final numbers first, since any number may be taken.
  const int channel = ::fcntl(in.channel, F_DUPFD, 64);
  const int program = ::fcntl(in.guest_program, F_DUPFD, 64);
  const int null = ::open("/dev/null", O_RDWR);
  if (channel < 0 || program < 0 || null < 0) ::_exit(4);
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(null, fd) < 0) ::_exit(5);
  if (::dup2(channel, guest_protocol::kChannelFd) < 0) ::_exit(5);
  if (::dup3(program, kProgramFd, O_CLOEXEC) < 0) ::_exit(5);
  if (sys::close_range(kProgramFd + 1, ~0U, 0) < 0) ::_exit(6);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  static char name[] = "lm-sandbox-guest";  // NOLINT: execve wants char*
  static std::array<char*, 2> argv = {name, nullptr};
  static std::array<char*, 1> envp = {nullptr};
  sys::execveat(kProgramFd, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  ::_exit(7);
}

}  // namespace

Result<GuestProcess> spawn_guest(int guest_program, int channel, int cgroup_v2, const std::vector<UniqueFd>& join) {
  std::array<int, 8> join_fds{};
  if (join.size() > join_fds.size()) return Error(ErrorCode::internal, "too many cgroup hierarchies");
  for (std::size_t i = 0; i < join.size(); ++i) join_fds[i] = join[i].get();
  const ChildInputs inputs{guest_program, channel, join_fds.data(), join.size()};
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup_v2);
  const OpenToInspection inspection;
  const pid_t pid = sys::clone3(args);
  if (pid == 0) child_main(inputs);
  if (pid < 0) return Error::from_errno(errno, "clone the guest");
  GuestProcess guest;
  guest.pid = pid;
  guest.pidfd.reset(pidfd);
  return guest;
}

Status write_id_maps(pid_t pid, const std::string& uid_map, const std::string& gid_map) {
  const std::string process = "/proc/" + std::to_string(pid);
  LMSB_CHECK(os::write_text(process + "/uid_map", uid_map));
  return os::write_text(process + "/gid_map", gid_map);
}

Result<UniqueFd> user_namespace_of(pid_t pid) {
  UniqueFd ns(::open(("/proc/" + std::to_string(pid) + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!ns) return Error::from_errno(errno, "open the user namespace");
  return ns;
}

Result<UniqueFd> make_user_namespace(const std::string& uid_map, const std::string& gid_map) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  const OpenToInspection inspection;
  const pid_t pid = sys::clone3(args);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  }
  if (pid < 0) return Error::from_errno(errno, "clone a user namespace");
  const UniqueFd process(pidfd);
  const Status mapped = write_id_maps(pid, uid_map, gid_map);
  Result<UniqueFd> ns = mapped.ok() ? user_namespace_of(pid) : Result<UniqueFd>(Error(mapped.error()));
  (void)sys::pidfd_send_signal(process.get(), SIGKILL);
  siginfo_t info{};
  (void)::waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(process.get()), &info, WEXITED);
  return ns;
}

}  // namespace lmsb::launcher
