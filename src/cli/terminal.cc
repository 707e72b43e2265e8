#include "cli/terminal.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/end_with_parent.h"

namespace lmsb::cli {
namespace {

std::optional<termios> terminal_state() {
  termios state{};
  if (::tcgetattr(STDIN_FILENO, &state) < 0) return std::nullopt;
  return state;
}

void restore(const std::optional<termios>& state) {
  if (!state) return;
  // From the background (the child was stopped with it) the kernel would stop us for that.
  const auto before = ::signal(SIGTTOU, SIG_IGN);
  (void)::tcsetattr(STDIN_FILENO, TCSADRAIN, &*state);
  ::signal(SIGTTOU, before);
}

// Waits for the child, passing on what asks us to end. Returns its status as wait(2) has it.
int wait_for(pid_t child, const sigset_t& signals) {
  while (true) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) return status;
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&signals, &info);
    if (signal > 0 && signal != SIGCHLD) ::kill(child, signal);  // it is not reaped yet: the number is its own
  }
}

}  // namespace

bool is_on_terminal() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1; }

Error no_terminal() {
  const bool neither = ::isatty(STDIN_FILENO) == 0 && ::isatty(STDOUT_FILENO) == 0;
  const std::string which = neither ? "stdin and stdout are" : ::isatty(STDIN_FILENO) == 0 ? "stdin is" : "stdout is";
  return Error(ErrorCode::failed_precondition, which + " no terminal")
      .with_hint("leave -t out, or run exec in place of shell");
}

WindowSize window_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

EndingSignalsHeld::EndingSignalsHeld() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT}) ::sigaddset(&signals, signal);
  (void)::sigprocmask(SIG_BLOCK, &signals, &before_);
}

EndingSignalsHeld::~EndingSignalsHeld() { (void)::sigprocmask(SIG_SETMASK, &before_, nullptr); }

RawMode::RawMode() : before_(terminal_state()) {
  if (!before_) return;
  termios raw = *before_;
  ::cfmakeraw(&raw);
  (void)::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

RawMode::~RawMode() { restore(before_); }

Result<int> run_guarded(const std::function<int()>& session) {
  const auto before = terminal_state();
  sigset_t signals;
  sigset_t old;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, &old);
  ::signal(SIGCHLD, SIG_DFL);  // who started us may have had it ignored: then the child's end is not told
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &old, nullptr);
    if (!os::end_with_parent(parent, SIGTERM)) ::_exit(125);
    ::_exit(session());
  }
  const int error = errno;
  const int status = child > 0 ? wait_for(child, signals) : 0;
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  if (child < 0) return Error::from_errno(error, "start the session");
  restore(before);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return Error(ErrorCode::cancelled, std::string("the session was ended by ") + ::strsignal(WTERMSIG(status)));
}

}  // namespace lmsb::cli
