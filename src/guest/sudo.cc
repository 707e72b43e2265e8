#include "guest/sudo.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/sudo_arguments.h"
#include "guest/sudo_message.h"
#include "guest/sudo_run.h"
#include "os/message_socket.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::SudoAnswer;
using guest_protocol::SudoSignal;

constexpr int kBuffer = 212992;  // doubled by the kernel: one request of the largest size fits

SudoBuffer buffer;

// As the command ended: whoever waits for sudo learns what it would have learned of the command.
int end_as(int status) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal = WTERMSIG(status);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::signal(signal, SIG_DFL);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);
  return 128 + signal;
}

// `patience`: how often kSudoCallersPatienceMs may pass yet. With errno.
UniqueFd connect_to_guest(int& patience) {
  constexpr timeval kOnce{guest_protocol::kSudoCallersPatienceMs / 1000, 0};
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  const std::string_view name = guest_protocol::kSudoSocket;
  std::memcpy(&place.sun_path[1], name.data(), name.size());  // NOLINT: the first octet is 0
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer) < 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kOnce, sizeof kOnce) < 0)
    return {};
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&place), size) < 0)
    if (errno != EINTR && (errno != EAGAIN || --patience == 0)) return {};
  return socket;
}

std::uint32_t present_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

// With what this process has as stdin, stdout, stderr, and as its directory. Returns 0 or an errno.
int send_call(int socket, char* const* arguments, char* const* variables) {
  const std::size_t size = write_request(arguments, variables, present_umask(), buffer);
  if (size == 0) return E2BIG;
  const UniqueFd directory(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno;
  const std::array<int, guest_protocol::kSudoDescriptors> fds = {0, 1, 2, directory.get()};
  const iovec part{buffer.data(), size};
  return send_message(socket, &part, 1, fds.data(), fds.size()) ? 0 : errno;
}

// Where one of stdin, stdout, stderr is closed, the next file that is opened would be it.
bool open_standard() {
  int fd = -1;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  return fd > 2 && ::close(fd) == 0;
}

// By whoever started sudo, as nohup does.
bool is_ignored(int signal) {
  struct sigaction now {};
  return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

void pass_on(int socket, int signal) {
  const SudoSignal message{signal};
  (void)::send(socket, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);  // a command that is stopped gets enough
}

// Ctrl-Z: the command first. Whether this process may stop the kernel knows: not where nobody could let it go on.
void stop_with_command(int socket) {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  pass_on(socket, SIGSTOP);
  ::raise(SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
  pass_on(socket, SIGCONT);
}

const char* reason_of(int error) {
  switch (error) {
    case ECONNREFUSED: return "nobody answers in this sandbox: it was not made with the profile root";
    case ETIMEDOUT: return "nobody answers: too many commands are run by sudo, or were left behind by it";
    case EPERM: return "only root and the user of the sandbox become others here";
    case EPROTO: return "the request was not understood";
    case E2BIG: return "arguments and variables are too long";
    case EPIPE: return "the command was killed";
    default: return "root could not be reached";
  }
}

int explain(int error) {
  say_sudo(reason_of(error));
  return 1;
}

// Returns the signal that is to end this process, else 0.
int take_signal(int socket, int signals, bool has_started) {
  signalfd_siginfo info{};
  if (::read(signals, &info, sizeof info) <= 0) return 0;
  const auto signal = static_cast<int>(info.ssi_signo);
  if (!has_started && signal != SIGWINCH && signal != SIGTSTP) return signal;
  if (signal == SIGTSTP) {
    stop_with_command(socket);
  } else {
    pass_on(socket, signal);
  }
  return 0;
}

// Until then the guest counts it among what its caller's command has left behind.
void wait_for_end(const UniqueFd& process) {
  constexpr int kAMomentMs = 1000;
  pollfd end{process.get(), POLLIN, 0};
  if (process) (void)::poll(&end, 1, kAMomentMs);
}

// Waits for the command's end. `signals`: a signalfd of kPassedSignals; `patience`: as connect_to_guest() has left it.
int follow(int socket, int signals, int patience) {
  bool has_started = false;
  UniqueFd server;
  std::array<pollfd, 2> waits = {{{socket, POLLIN, 0}, {signals, POLLIN, 0}}};
  for (;;) {
    const int ready = ::poll(waits.data(), waits.size(), has_started ? -1 : guest_protocol::kSudoCallersPatienceMs);
    if (ready < 0 && errno != EINTR) return explain(errno);
    if (ready == 0 && --patience == 0) return explain(ETIMEDOUT);
    if (ready <= 0) continue;
    // What was said first: a signal may come of what the command has done, which has started then.
    SudoAnswer answer{};
    const ssize_t size = receive_without_descriptors(socket, &answer, sizeof answer, MSG_DONTWAIT);
    if (size < 0 && errno == ECONNRESET) continue;  // it has not read all that was sent; what it has said is there yet
    if (size < 0 && errno == EAGAIN) {
      if (const int signal = take_signal(socket, signals, has_started); signal != 0) return end_as(signal);
      continue;
    }
    if (size != static_cast<ssize_t>(sizeof answer)) return explain(has_started ? EPIPE : ECONNRESET);
    switch (answer.kind) {
      case SudoAnswer::Kind::refused: return explain(answer.value);
      case SudoAnswer::Kind::ended: return wait_for_end(server), end_as(answer.value);
      case SudoAnswer::Kind::started: has_started = true; server.reset(sys::pidfd_open(answer.value));
    }
  }
}

// A terminal that is another group's at the moment is not read: the kernel would stop this process for it, but not one
// of another session.
void leave_terminal_alone() {
  const pid_t front = ::tcgetpgrp(0);
  if (front < 0 || front == ::getpgrp()) return;
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null) (void)::dup2(null.get(), 0);
}

}  // namespace

int ask_for_root(char** arguments, char** envp) {
  int patience = guest_protocol::kSudoCallersPatience;
  const UniqueFd socket = connect_to_guest(patience);
  if (!socket) return explain(errno == EAGAIN ? ETIMEDOUT : errno);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kPassedSignals)
    if (!is_ignored(signal)) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return explain(errno);
  leave_terminal_alone();
  const int error = send_call(socket.get(), arguments, envp);
  if (error != 0 && error != EPIPE && error != ECONNRESET) return explain(error);  // those have said why
  return follow(socket.get(), signals.get(), patience);
}

int run_sudo(char** argv, char** envp) {
  if (argv[0] == nullptr) return 1;
  char** const arguments = argv + 1;
  const bool is_root = ::geteuid() == 0;
  if (is_root && arguments[0] != nullptr && std::strcmp(arguments[0], guest_protocol::kSudoServe) == 0) serve_caller();
  if (!open_standard()) return 1;
  // What is wrong is said at once.
  const SudoArguments parsed = parse_sudo(arguments);
  int status = 0;
  if (answer_alone(parsed, status)) return status;
  return is_root ? run_as(parsed, {::getuid(), ::getgid(), present_umask()}, envp) : ask_for_root(arguments, envp);
}

}  // namespace lmsb::guest
