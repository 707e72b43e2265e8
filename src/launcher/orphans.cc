#include "launcher/orphans.h"

#include <cerrno>
#include <chrono>
#include <poll.h>
#include <signal.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <vector>

#include "os/small_file.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

sigset_t child_ended() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

Result<std::vector<pid_t>> children() {
  std::vector<pid_t> all;
  const auto text = os::read_whole_file("/proc/thread-self/children", Bytes::MiB(16));
  if (!text.ok())
    return Error(text.error()).with_hint("use a kernel with CONFIG_PROC_CHILDREN, as distributions build it");
  std::istringstream numbers(*text);
  for (pid_t child = 0; numbers >> child;) all.push_back(child);
  return all;
}

// True once none is left; not where that cannot be told. A child's number stays its own until this process, its parent,
// has reaped it.
bool kill_children(const std::set<pid_t>& spared) {
  const auto all = children();
  bool is_done = all.ok();
  for (const pid_t child : all.ok() ? *all : std::vector<pid_t>()) {
    if (spared.contains(child)) continue;
    is_done = false;
    const UniqueFd process(sys::pidfd_open(child));
    if (process) (void)sys::pidfd_send_signal(process.get(), SIGKILL);
  }
  return is_done;
}

void reap() {
  siginfo_t info{};
  int reaped = 0;
  do {
    info.si_pid = 0;
    reaped = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
  } while (reaped == 0 && info.si_pid != 0);
}

}  // namespace

Result<ForeignChildren> ForeignChildren::find() {
  ForeignChildren found;
  LMSB_TRY(const auto all, children());
  for (const pid_t child : all) {
    UniqueFd process(sys::pidfd_open(child));
    if (!process) return Error::from_errno(errno, "open process " + std::to_string(child));
    found.all_.emplace(child, std::move(process));
  }
  return found;
}

std::set<pid_t> ForeignChildren::living() const {
  std::set<pid_t> living;
  for (const auto& [pid, process] : all_) {
    pollfd end{process.get(), POLLIN, 0};
    if (::poll(&end, 1, 0) == 0) living.insert(pid);
  }
  return living;
}

Status adopt_orphans() {
  const sigset_t set = child_ended();
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || ::sigprocmask(SIG_BLOCK, &set, nullptr) < 0)
    return Error::from_errno(errno, "adopt orphans");
  return {};
}

void reap_orphans(const std::set<pid_t>& awaited) {
  siginfo_t info{};
  for (;;) {
    info.si_pid = 0;
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
    if (awaited.contains(info.si_pid)) return;
    (void)::waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
  }
}

void end_orphans(int timeout_ms, const std::set<pid_t>& spared) {
  const sigset_t set = child_ended();
  const auto end = steady_clock::now() + milliseconds(timeout_ms);
  for (reap(); !kill_children(spared); reap()) {  // those of a killed one become ours, too
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    if (left <= 0) return;
    const timespec wait{left / 1000, left % 1000 * 1'000'000};
    (void)::sigtimedwait(&set, nullptr, &wait);
  }
}

}  // namespace lmsb::launcher
