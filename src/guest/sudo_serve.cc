#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/sudo.h"
#include "guest/sudo_arguments.h"
#include "guest/sudo_message.h"
#include "guest/sudo_run.h"
#include "guest_protocol/profile.h"
#include "os/message_socket.h"

namespace lmsb::guest {
namespace {

using guest_protocol::SudoAnswer;
using guest_protocol::SudoSignal;

constexpr int kGone = 1;  // the guest ends what is left

SudoBuffer buffer;
SudoCall call;

void answer(int client, SudoAnswer::Kind kind, int value) {
  const SudoAnswer message{kind, value};
  (void)::send(client, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int refuse(int client, int error) {
  answer(client, SudoAnswer::Kind::refused, error);
  return kGone;
}

// From here on the guest lets the next caller be served: it waits for the end of this process's stdout.
int let_the_next_in() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {0, 1, 2})
    if (!null || ::dup2(null.get(), fd) < 0) return errno;
  return 0;
}

// Returns 0 or an errno.
int receive_call(int client, ReceivedFds& fds) {
  pollfd wait{client, POLLIN, 0};
  if (::poll(&wait, 1, guest_protocol::kSudoPatienceMs) <= 0) return EPROTO;
  const ssize_t size = receive_message(client, buffer.data(), buffer.size(), fds, MSG_DONTWAIT);
  if (size <= 0 || fds.count != guest_protocol::kSudoDescriptors) return EPROTO;
  return read_request({buffer.data(), static_cast<std::size_t>(size)}, call) ? 0 : EPROTO;
}

// The command's process: a session of its own, so that its signals reach all of its group and nobody else.
[[noreturn]] void become_called(const ReceivedFds& fds, const SudoCaller& caller) {
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int i = 0; i < 3; ++i)
    if (::dup2(fds.fds[static_cast<std::size_t>(i)].get(), i) < 0) ::_exit(1);
  if (::fchdir(fds.fds[3].get()) < 0) {
    say_sudo("the present directory cannot be entered");
    ::_exit(1);
  }
  const SudoArguments arguments = parse_sudo(call.arguments.data());
  int status = 0;
  if (!answer_alone(arguments, status)) status = run_as(arguments, caller, call.variables.data());
  ::_exit(status);
}

// Until the command or its caller has ended. `children`: a signalfd of SIGCHLD.
int accompany(int client, int children, pid_t command) {
  std::array<pollfd, 2> waits = {{{client, POLLIN, 0}, {children, POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return kGone;
    signalfd_siginfo info{};
    while (::read(children, &info, sizeof info) > 0) {
    }
    int status = 0;
    if (::waitpid(command, &status, WNOHANG) == command) {
      answer(client, SudoAnswer::Kind::ended, status);
      return guest_protocol::kSudoServed;
    }
    if (waits[0].revents == 0) continue;
    SudoSignal wanted{};
    const ssize_t size = receive_without_descriptors(client, &wanted, sizeof wanted, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) continue;
    if (size != static_cast<ssize_t>(sizeof wanted) || !may_be_sent(wanted.signal)) return kGone;
    if (::kill(-command, wanted.signal) < 0) (void)::kill(command, wanted.signal);  // it is not in its session yet
  }
}

}  // namespace

int serve_caller() {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const UniqueFd client(::accept4(0, nullptr, nullptr, SOCK_CLOEXEC));
  if (!client) return guest_protocol::kSudoNobody;
  if (const int error = let_the_next_in(); error != 0) return refuse(client.get(), error);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return refuse(client.get(), errno);
  if (peer.uid != 0 && peer.uid != guest_protocol::kCommandUid) return refuse(client.get(), EPERM);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  const UniqueFd children(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!children) return refuse(client.get(), errno);
  pid_t command = -1;
  {
    ReceivedFds fds;
    if (const int error = receive_call(client.get(), fds); error != 0) return refuse(client.get(), error);
    command = ::fork();
    if (command < 0) return refuse(client.get(), errno);
    if (command == 0) become_called(fds, {peer.uid, peer.gid});
  }
  answer(client.get(), SudoAnswer::Kind::started, 0);
  return accompany(client.get(), children.get(), command);
}

}  // namespace lmsb::guest
