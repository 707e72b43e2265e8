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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/sudo_arguments.h"
#include "guest/sudo_message.h"
#include "guest/sudo_run.h"
#include "os/message_socket.h"

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

UniqueFd connect_to_guest() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  const std::string_view name = guest_protocol::kSudoSocket;
  std::memcpy(&place.sun_path[1], name.data(), name.size());  // NOLINT: the first octet is 0
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  int connected = -1;
  if (socket) do
      connected = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&place), size);
    while (connected < 0 && errno == EINTR);
  if (connected < 0) return {};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
  return socket;
}

// With what this process has as stdin, stdout, stderr, and as its directory. Returns 0 or an errno.
int send_call(int socket, char* const* arguments, char* const* variables) {
  const std::size_t size = write_request(arguments, variables, buffer);
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

int explain(int error) {
  if (error == EPERM) say_sudo("only root and the user of the sandbox become others here");
  if (error == EPROTO) say_sudo("the request was not understood");
  if (error != EPERM && error != EPROTO) say_sudo("root could not be reached");
  return 1;
}

// Waits for the command's end. `signals`: a signalfd of kPassedSignals.
int follow(int socket, int signals) {
  bool has_started = false;
  std::array<pollfd, 2> waits = {{{socket, POLLIN, 0}, {signals, POLLIN, 0}}};
  for (;;) {
    const int ready = ::poll(waits.data(), waits.size(), has_started ? -1 : guest_protocol::kSudoCallersPatienceMs);
    if (ready < 0 && errno != EINTR) return 1;
    if (ready == 0) return say_sudo("nobody answers: too many commands are run by sudo at once"), 1;
    signalfd_siginfo info{};
    if (ready > 0 && (waits[1].revents & POLLIN) != 0 && ::read(signals, &info, sizeof info) > 0) {
      const auto signal = static_cast<int>(info.ssi_signo);
      const bool ends = signal != SIGWINCH && signal != SIGTSTP;
      if (!has_started && ends) return end_as(signal);
      if (signal == SIGTSTP) stop_with_command(socket);
      if (signal != SIGTSTP) pass_on(socket, signal);
    }
    if (ready <= 0 || waits[0].revents == 0) continue;
    SudoAnswer answer{};
    const ssize_t size = receive_without_descriptors(socket, &answer, sizeof answer);
    if (size < 0 && errno == ECONNRESET) continue;  // it has not read all that was sent; what it has said is there yet
    if (size != static_cast<ssize_t>(sizeof answer)) return say_sudo("the command was killed"), 1;
    if (answer.kind == SudoAnswer::Kind::ended) return end_as(answer.value);
    if (answer.kind == SudoAnswer::Kind::refused) return explain(answer.value);
    has_started = true;
  }
}

}  // namespace

int ask_for_root(char** arguments, char** envp) {
  const UniqueFd socket = connect_to_guest();
  if (!socket) return say_sudo("nobody answers in this sandbox: it was not made with the profile root"), 1;
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kPassedSignals)
    if (!is_ignored(signal)) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return explain(errno);
  if (const int error = send_call(socket.get(), arguments, envp); error == E2BIG) {
    return say_sudo("arguments and variables are too long"), 1;
  } else if (error != 0 && error != EPIPE && error != ECONNRESET) {
    return explain(error);
  }
  return follow(socket.get(), signals.get());
}

int run_sudo(char** argv, char** envp) {
  if (argv[0] == nullptr) return 1;
  char** const arguments = argv + 1;
  const bool is_root = ::geteuid() == 0;
  if (is_root && arguments[0] != nullptr && std::strcmp(arguments[0], guest_protocol::kSudoServe) == 0)
    return serve_caller();
  if (!open_standard()) return 1;
  // What is wrong is said at once.
  const SudoArguments parsed = parse_sudo(arguments);
  int status = 0;
  if (answer_alone(parsed, status)) return status;
  return is_root ? run_as(parsed, {::getuid(), ::getgid()}, envp) : ask_for_root(arguments, envp);
}

}  // namespace lmsb::guest
