#include "guest/command.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "guest/become.h"
#include "guest/posture.h"
#include "guest/users.h"
#include "guest_protocol/profile.h"
#include "os/message_socket.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Step;

constexpr int kRequestBuffer = 212992;  // doubled by the kernel: one start request of the largest size fits

constexpr int kStandbySocket = 3;

struct Pipes {
  UniqueFd out_read, out_write, err_read, err_write;
};

bool make_pipe(UniqueFd& read, UniqueFd& write, gid_t group) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return false;
  read.reset(ends[0]);
  write.reset(ends[1]);
  // The command may open its own output by name (/dev/stdout), for writing and no more: who could read it could keep
  // its lock without being a writer, and the daemon takes a pipe without writers for its own (io/foreign_pipe.h). The
  // guest's id is no id of commands', so not even root among them may do more with it than its group.
  return ::fchown(ends[1], static_cast<uid_t>(-1), group) == 0 && ::fchmod(ends[1], 0220) == 0;
}

int format_cgroup_path(std::array<char, 32>& path, std::uint32_t number) {
  return std::snprintf(path.data(), path.size(), "work/c-%u", number);
}

// The child starts with copies of all that the guest holds for other commands. It keeps none: an input that is closed
// must be seen to be closed, however long this one waits for its command.
int keep_only(int& socket) {
  if (::dup3(socket, kStandbySocket, O_CLOEXEC) < 0) return errno;  // which is where the guest has its channel
  socket = kStandbySocket;
  return sys::close_range(kStandbySocket + 1, ~0U, 0) < 0 ? errno : 0;
}

// In the child: from here on only what the command may do.
[[noreturn]] void run_standby(const Pipes& pipes, int socket, const Confinement& confinement) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  BecomeFailure failure{Step::command_fork, 0};
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(pipes.out_write.get(), 1) < 0 || ::dup2(pipes.err_write.get(), 2) < 0) failure.error = errno;
  if (failure.error == 0 && confinement.users >= 0) failure.error = enter_users(confinement.users);
  if (failure.error == 0) failure.error = raise_oom_score(confinement.proc);
  if (failure.error == 0) failure.error = limit_open_files(OpenFiles::of_command);
  if (failure.error == 0) failure.error = restrict_command(confinement.landlock_ruleset);
  if (failure.error == 0) failure.error = keep_only(socket);
  if (failure.error == 0) become_command(socket, confinement.profile);
  const iovec part{&failure, sizeof failure};
  (void)send_message(socket, &part, 1);
  ::_exit(127);
}

// Forks it into its cgroup, which is there. Returns 0 or an errno.
int fork_into_cgroup(const Confinement& confinement, Standby& standby, Step& failed) {
  failed = Step::command_stdio;
  Pipes pipes;
  UniqueFd child_socket;
  const gid_t group = guest_protocol::command_id(confinement.profile);
  if (!make_pipe(pipes.out_read, pipes.out_write, group) || !make_pipe(pipes.err_read, pipes.err_write, group))
    return errno;
  if (!message_socket_pair(standby.socket, child_socket)) return errno;
  (void)::setsockopt(standby.socket.get(), SOL_SOCKET, SO_SNDBUF, &kRequestBuffer, sizeof kRequestBuffer);

  failed = Step::command_fork;
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(standby.cgroup.get());
  const pid_t pid = sys::clone3(args);
  if (pid < 0) return errno;
  if (pid == 0) run_standby(pipes, child_socket.get(), confinement);
  standby.pid = pid;
  standby.pidfd.reset(pidfd);
  standby.out = std::move(pipes.out_read);
  standby.err = std::move(pipes.err_read);
  return 0;
}

}  // namespace

int fork_standby(int cgroup, std::uint32_t number, const Confinement& confinement, Standby& standby, Step& failed) {
  failed = Step::command_cgroup;
  std::array<char, 32> path{};
  format_cgroup_path(path, number);
  if (::mkdirat(cgroup, path.data(), 0755) < 0) return errno;
  standby.cgroup_number = number;
  standby.cgroup = open_command_cgroup(cgroup, number);
  const int error = standby.cgroup ? fork_into_cgroup(confinement, standby, failed) : errno;
  if (error != 0) remove_command_cgroup(cgroup, number);
  return error;
}

Confinement to_look_at_commands(Confinement confinement) {
  confinement.landlock_ruleset = -1;
  return confinement;
}

int give_output_to_user(const Standby& standby) {
  for (const int end : {standby.out.get(), standby.err.get()})
    if (::fchown(end, static_cast<uid_t>(-1), guest_protocol::kCommandGid) < 0 || ::fchmod(end, 0222) < 0) return errno;
  return 0;
}

UniqueFd open_command_cgroup(int cgroup, std::uint32_t number) {
  std::array<char, 32> path{};
  format_cgroup_path(path, number);
  return UniqueFd(::openat(cgroup, path.data(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

void remove_command_cgroup(int cgroup, std::uint32_t number) {
  std::array<char, 32> path{};
  format_cgroup_path(path, number);
  (void)::unlinkat(cgroup, path.data(), AT_REMOVEDIR);  // still busy: the launcher removes the whole tree later
}

}  // namespace lmsb::guest
