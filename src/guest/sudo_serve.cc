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

#include "guest/sudo.h"
#include "guest/sudo_arguments.h"
#include "guest/sudo_message.h"
#include "guest/sudo_run.h"
#include "guest_protocol/profile.h"
#include "os/message_socket.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::SudoAnswer;
using guest_protocol::SudoSignal;

constexpr int kGone = 1;          // the guest ends what is left
constexpr int kMostRefused = 64;  // of one process, which is one control group

SudoBuffer buffer;
SudoCall call;

// Who asks, and is still there as long as neither descriptor says otherwise. Not closed: what a caller has passed and
// nobody has taken makes whoever lets go of it wait for as long as its owner has set (a TCP socket that lingers), but
// for a process that exits.
struct Client {
  int connection = -1;
  int process = -1;  // a pidfd: the connection may be anybody's
  ucred who{};
};

void answer(const Client& client, SudoAnswer::Kind kind, int value) {
  const SudoAnswer message{kind, value};
  (void)::send(client.connection, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

[[noreturn]] void refuse(const Client& client, int error) {
  answer(client, SudoAnswer::Kind::refused, error);
  ::_exit(kGone);
}

bool is_gone(const Client& client) {
  std::array<pollfd, 2> looks = {{{client.connection, 0, 0}, {client.process, POLLIN, 0}}};
  return ::poll(looks.data(), looks.size(), 0) != 0;
}

// Returns 0 or an errno.
int identify(Client& client) {
  socklen_t size = sizeof client.who;
  if (::getsockopt(client.connection, SOL_SOCKET, SO_PEERCRED, &client.who, &size) < 0) return errno;
  if (client.who.uid != 0 && client.who.uid != guest_protocol::kCommandUid) return EPERM;
  client.process = sys::pidfd_open(client.who.pid);
  return client.process < 0 ? errno : 0;
}

// The first who may be served and is still there; who stands before it is refused.
Client accept_client() {
  for (int refused = 0; refused < kMostRefused; ++refused) {
    Client client;
    client.connection = ::accept4(0, nullptr, nullptr, SOCK_CLOEXEC);
    if (client.connection < 0) ::_exit(refused == 0 ? guest_protocol::kSudoNobody : kGone);
    const int error = identify(client);
    if (error == 0 && !is_gone(client)) return client;
    answer(client, SudoAnswer::Kind::refused, error);
  }
  ::_exit(kGone);
}

// From here on the guest knows whose end is to be this one's, too, and lets the next caller be served.
void let_the_next_in(const Client& client) {
  const auto caller = static_cast<std::uint64_t>(client.who.pid);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::write(1, &caller, sizeof caller) != ssize_t{sizeof caller}) refuse(client, errno);
  for (const int fd : {0, 1, 2}) (void)::dup2(null, fd);
}

// Returns 0 or an errno.
int receive_call(const Client& client, ReceivedFds& fds) {
  pollfd wait{client.connection, POLLIN, 0};
  if (::poll(&wait, 1, -1) < 0) return errno;
  const ssize_t size = receive_message(client.connection, buffer.data(), buffer.size(), fds, MSG_DONTWAIT);
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

// Whoever has given up in the queue, or while it spoke, does not have its command started after all.
pid_t start_command(const Client& client) {
  ReceivedFds fds;
  if (const int error = receive_call(client, fds); error != 0) refuse(client, error);
  if (is_gone(client)) refuse(client, ECANCELED);
  answer(client, SudoAnswer::Kind::started, ::getpid());  // first: what the command does may bring its caller a signal
  const pid_t command = ::fork();
  if (command < 0) refuse(client, errno);
  if (command == 0) become_called(fds, {client.who.uid, client.who.gid, call.umask});
  return command;
}

// What comes with it is let go, which may wait (Client): not for long.
bool pass_on_signal(const Client& client, pid_t command) {
  SudoSignal wanted{};
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(1);
  const ssize_t size = receive_without_descriptors(client.connection, &wanted, sizeof wanted, MSG_DONTWAIT);
  ::alarm(0);
  ::signal(SIGALRM, SIG_IGN);
  if (size < 0 && errno == EAGAIN) return true;
  if (size != static_cast<ssize_t>(sizeof wanted) || !may_be_sent(wanted.signal)) return false;
  // The whole tree was told, this process and the command among it: not once more.
  sigset_t told;
  ::sigemptyset(&told);
  ::sigaddset(&told, wanted.signal);
  const timespec now{};
  if (::sigtimedwait(&told, nullptr, &now) == wanted.signal) return true;
  if (::kill(-command, wanted.signal) < 0) (void)::kill(command, wanted.signal);  // it is not in its session yet
  return true;
}

// Until the command or its caller has ended. `children`: a signalfd of SIGCHLD. Returns how this process is to end.
int accompany(const Client& client, int children, pid_t command) {
  std::array<pollfd, 3> waits = {{{client.connection, POLLIN, 0}, {client.process, POLLIN, 0}, {children, POLLIN, 0}}};
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
    if (waits[1].revents != 0) return kGone;
    if (waits[0].revents != 0 && !pass_on_signal(client, command)) return kGone;
  }
}

// What its caller's command is told is told this process, too, which goes on: only its own alarm ends it.
int watch_children() {
  sigset_t set;
  ::sigfillset(&set);
  ::sigdelset(&set, SIGALRM);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

void serve_caller() {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const int children = watch_children();
  ::alarm(guest_protocol::kSudoPatienceS);
  const Client client = accept_client();
  let_the_next_in(client);
  const pid_t command = start_command(client);
  ::alarm(0);
  ::signal(SIGALRM, SIG_IGN);  // what its caller's tree is told is told this one, too
  ::_exit(accompany(client, children, command));
}

}  // namespace lmsb::guest
