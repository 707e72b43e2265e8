#include "launcher/spawn.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/capability.h>
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

constexpr std::size_t kMaxJoin = 8;
constexpr unsigned kLastCapability = 63;

// What the child needs, and what it says when it fails. The launcher waits until it has executed the guest.
struct Child {
  int guest_program = -1;
  int channel = -1;
  std::array<int, kMaxJoin> join{};
  std::size_t join_count = 0;
  int executed = -1;  // closed by the kernel once the child has memory of its own: vfork ends a moment earlier
  int error = 0;
};

[[noreturn]] void fail(Child& child) {
  child.error = errno;
  ::_exit(1);
}

// The channel and what joins the cgroups, where the guest looks for them; behind them, until the program is executed,
// that and `executed`. Nothing else of the launcher's. Any of these numbers may be taken: all go out of the way first.
// Returns the program's.
int keep_only(Child& child) {
  constexpr int kOutOfTheWay = 64;
  std::array<int, 3 + kMaxJoin> fds{child.channel};
  for (std::size_t i = 0; i < child.join_count; ++i) fds[1 + i] = child.join[i];
  fds[1 + child.join_count] = child.guest_program;
  fds[2 + child.join_count] = child.executed;
  const std::size_t count = 3 + child.join_count;
  for (std::size_t i = 0; i < count; ++i)
    if (fds[i] = ::fcntl(fds[i], F_DUPFD, kOutOfTheWay); fds[i] < 0) fail(child);
  for (std::size_t i = 0; i < count; ++i)
    if (::dup2(fds[i], guest_protocol::kChannelFd + static_cast<int>(i)) < 0) fail(child);
  const int program = guest_protocol::kChannelFd + static_cast<int>(1 + child.join_count);
  for (const int fd : {program, program + 1})
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) fail(child);
  if (sys::close_range(static_cast<unsigned>(program) + 2, ~0U, 0) < 0) fail(child);
  return program;
}

// Whoever executes a program without being root in its user namespace, and nobody is before its maps are written,
// keeps only its ambient capabilities.
void keep_capabilities_across_exec(Child& child) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) < 0) fail(child);
  for (__user_cap_data_struct& set : sets) set.inheritable = set.permitted;
  if (::syscall(SYS_capset, &header, sets.data()) < 0) fail(child);
  for (unsigned capability = 0; capability <= kLastCapability; ++capability) {
    if ((sets[capability / 32].permitted >> capability % 32 & 1U) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) fail(child);
  }
}

// In the launcher's own memory, which waits: system calls only, no allocation.
void run_child(void* argument) {
  Child& child = *static_cast<Child*>(argument);
  const int program = keep_only(child);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd)
    if (null < 0 || ::dup2(null, fd) < 0) fail(child);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  keep_capabilities_across_exec(child);
  static char name[] = "lm-sandbox-guest";  // NOLINT: execve wants char*
  static std::array<char*, 2> argv = {name, nullptr};
  static std::array<char*, 1> envp = {nullptr};
  sys::execveat(program, "", argv.data(), envp.data(), AT_EMPTY_PATH);
  fail(child);
}

}  // namespace

Result<GuestProcess> spawn_guest(int guest_program, int channel, int cgroup_v2, const std::vector<UniqueFd>& join) {
  alignas(16) static std::array<char, 65536> stack;
  std::array<int, 2> executed{};
  if (::pipe2(executed.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "pipe");
  const UniqueFd executed_read(executed[0]);
  UniqueFd executed_write(executed[1]);
  Child child;
  child.guest_program = guest_program;
  child.channel = channel;
  child.join_count = join.size();
  child.executed = executed_write.get();
  if (join.size() > child.join.size()) return Error(ErrorCode::internal, "too many cgroup hierarchies");
  for (std::size_t i = 0; i < join.size(); ++i) child.join[i] = join[i].get();
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup_v2);
  GuestProcess guest;
  guest.pid = sys::clone3_vfork(args, stack, run_child, &child);
  if (guest.pid < 0) return Error::from_errno(errno, "clone the guest");
  guest.pidfd.reset(pidfd);
  executed_write.reset();
  char nothing = 0;
  while (::read(executed_read.get(), &nothing, 1) < 0 && errno == EINTR) {
  }
  if (child.error == 0) return guest;
  siginfo_t info{};
  (void)::waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(pidfd), &info, WEXITED);
  return Error::from_errno(child.error, "execute the guest");
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
  const pid_t launcher = ::getpid();
  const pid_t pid = sys::clone3(args);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launcher) ::_exit(0);  // it died before the line above
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
