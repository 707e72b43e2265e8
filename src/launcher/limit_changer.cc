#include "launcher/limit_changer.h"

#include <cerrno>
#include <csignal>
#include <sys/resource.h>
#include <sys/time.h>

#include "launcher/helper_process.h"

namespace lmsb::launcher {
namespace {

constexpr int kKind = 10;

extern "C" void interrupt(int) {}

// Ends the system call that waits then (EINTR), and again those that begin later. Whoever started us may have had the
// signal blocked.
void limit_time(std::chrono::milliseconds limit) {
  struct sigaction action {};
  action.sa_handler = interrupt;
  (void)::sigaction(SIGALRM, &action, nullptr);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  (void)::sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
  const auto count = limit.count();
  const itimerval timer{{0, 50'000}, {count / 1000, count % 1000 * 1000}};
  (void)::setitimer(ITIMER_REAL, &timer, nullptr);
}

[[noreturn]] void changer_main(const BranchDirectories& branch, const BranchLimits& to,
                               std::chrono::milliseconds limit) {
  (void)::setpriority(PRIO_PROCESS, 0, kKind);
  limit_time(limit);
  const Status changed = change_limits(branch, to);
  if (changed.ok()) ::_exit(0);
  const int error = changed.error().sys_errno();
  ::_exit(error == EINTR ? EBUSY : error > 0 && error < 128 ? error : EIO);
}

}  // namespace

Result<GuestProcess> start_limit_changer(const BranchDirectories& branch, const BranchLimits& to,
                                         std::chrono::milliseconds limit) {
  LMSB_TRY(GuestProcess process,
           fork_helper("lmsb-limits", {branch.memory.get(), branch.cpu.get(), branch.processes.get()}));
  if (process.pid == 0) changer_main(branch, to, limit);
  return process;
}

}  // namespace lmsb::launcher
