#include "launcher/helper_process.h"

#include <cerrno>
#include <csignal>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <utility>

#include "launcher/power.h"
#include "os/end_with_parent.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

constexpr auto kPidfd = static_cast<idtype_t>(3);  // P_PIDFD

}  // namespace

Result<GuestProcess> fork_helper(const char* name, std::vector<int> kept) {
  const pid_t launcher = ::getpid();
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  GuestProcess process;
  process.pid = static_cast<pid_t>(sys::clone3(args));
  if (process.pid < 0) return Error::from_errno(errno, "fork");
  if (process.pid > 0) {
    process.pidfd.reset(pidfd);
    return process;
  }
  ::prctl(PR_SET_NAME, name);
  if (!os::end_with_parent(launcher, SIGKILL)) ::_exit(EIO);
  if (!close_all_but(std::move(kept)).ok()) ::_exit(EIO);
  return process;
}

std::optional<int> reap(GuestProcess& process) {
  siginfo_t info{};
  const auto pidfd = static_cast<id_t>(process.pidfd.get());
  const int waited = ::waitid(kPidfd, pidfd, &info, WEXITED | WNOHANG);
  pollfd end{process.pidfd.get(), POLLIN, 0};
  if (!process.is_child && ::poll(&end, 1, 0) == 1) {
    process = GuestProcess();
    return 0;
  }
  if (waited < 0 || info.si_pid == 0) return std::nullopt;
  process = GuestProcess();
  return info.si_code == CLD_EXITED ? info.si_status : EIO;
}

}  // namespace lmsb::launcher
