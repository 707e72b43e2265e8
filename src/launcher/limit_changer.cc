#include "launcher/limit_changer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "launcher/helper_process.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

constexpr int kKind = 10;
constexpr int kFirst = 3;

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

// The three directories at 3, 4 and 5, and nothing else.
bool keep_only(const BranchDirectories& branch, BranchDirectories& kept) {
  std::array<int, 3> high{};
  const std::array<int, 3> low{branch.memory.get(), branch.cpu.get(), branch.processes.get()};
  for (std::size_t i = 0; i < low.size(); ++i) {
    high[i] = ::fcntl(low[i], F_DUPFD_CLOEXEC, kFirst + static_cast<int>(low.size()));
    if (high[i] < 0) return false;
  }
  for (std::size_t i = 0; i < high.size(); ++i)
    if (::dup2(high[i], kFirst + static_cast<int>(i)) < 0) return false;
  kept.is_v1 = branch.is_v1;
  kept.memory.reset(kFirst);
  kept.cpu.reset(kFirst + 1);
  kept.processes.reset(kFirst + 2);
  return sys::close_range(kFirst + 3, ~0U, 0) == 0;
}

[[noreturn]] void changer_main(const BranchDirectories& branch, const BranchLimits& to,
                               std::chrono::milliseconds limit) {
  BranchDirectories kept;
  if (!keep_only(branch, kept)) ::_exit(errno);
  (void)::setpriority(PRIO_PROCESS, 0, kKind);
  limit_time(limit);
  const Status changed = change_limits(kept, to);
  if (changed.ok()) ::_exit(0);
  const int error = changed.error().sys_errno();
  ::_exit(error == EINTR ? EBUSY : error > 0 && error < 128 ? error : EIO);
}

}  // namespace

Result<GuestProcess> start_limit_changer(const BranchDirectories& branch, const BranchLimits& to,
                                         std::chrono::milliseconds limit) {
  LMSB_TRY(GuestProcess process, fork_helper("lmsb-limits"));
  if (process.pid == 0) changer_main(branch, to, limit);
  return process;
}

}  // namespace lmsb::launcher
