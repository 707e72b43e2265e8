#include "launcher/pair.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/daemon_view.h"
#include "launcher/handed_files.h"
#include "launcher/launcher.h"
#include "launcher/places.h"
#include "launcher/power.h"
#include "os/end_with_parent.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "os/sys.h"
#include "sandbox/image_directory.h"

namespace lmsb::launcher {
namespace {

constexpr int kStoppedByHand = 128 + SIGTERM;

Result<Child> fork_child(const std::function<int()>& body) {
  Child child;
  child.pid = ::fork();
  if (child.pid < 0) return Error::from_errno(errno, "fork");
  if (child.pid == 0) ::_exit(body());
  child.pidfd.reset(sys::pidfd_open(child.pid));
  if (child.pidfd) return child;
  const Error failed = Error::from_errno(errno, "pidfd_open");
  (void)::kill(child.pid, SIGKILL);  // the number is its own until it is reaped
  (void)::waitpid(child.pid, nullptr, 0);
  return failed;
}

int report(const Error& error) {
  std::fprintf(stderr, "lm-sandbox: %s%s%s\n", error.message().c_str(), error.hint().empty() ? "" : "; ",
               error.hint().c_str());
  return 1;
}

int launcher_body(pid_t parent, const Policy& policy, Programs& programs, UniqueFd daemon, UniqueFd ready) {
  ::prctl(PR_SET_NAME, "lmsb-launcher");
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);  // a terminal's Ctrl-C reaches the whole group: the daemon decides when to end
  ::sigaddset(&set, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::sigdelset(&set, SIGINT);
  ::sigdelset(&set, SIGHUP);
  const UniqueFd stop(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!os::end_with_parent(parent, SIGTERM)) return 1;  // that is told to `stop`
  auto launcher = Launcher::create(policy, std::move(programs.guest), std::move(daemon));
  if (!launcher.ok()) return report(launcher.error());
  Status armed = (*launcher)->use_archiver(std::move(programs.archiver));
  if (armed.ok()) armed = (*launcher)->use_gate(std::move(programs.gate));
  if (!armed.ok()) return report(armed.error());
  if (::write(ready.get(), "1", 1) != 1) return 1;
  ready.reset();
  (*launcher)->run(stop.get());
  pollfd was_told{stop.get(), POLLIN, 0};  // by somebody else than the parent, to whom it is as dead as one that died
  return ::poll(&was_told, 1, 0) == 1 ? kStoppedByHand : 0;
}

// The variable tells the next program the number of `socket`, which stays open for it.
bool pass_on(const char* variable, int socket) {
  const int inherited = ::dup(socket);  // without close-on-exec
  return inherited >= 0 && ::setenv(variable, std::to_string(inherited).c_str(), 1) == 0;
}

// What it sees of a user's files; its program may lie among those that it does not.
Status show_daemon(const ParentOptions& o) {
  if (o.starter == Starter::root) return {};
  std::vector<std::string> seen = directories_of_daemon(o);
  for (const std::string& path : {o.data_dir + "/images", desk_of_user(o)}) seen.push_back(path);
  return open_ways(seen);
}

// Gives up every power, then becomes the daemon.
int daemon_body(pid_t parent, const ParentOptions& o, int program, int launcher_socket, int files_socket) {
  if (const Status shown = show_daemon(o); !shown.ok()) return report(shown.error());
  // By a directory that it were in it would get below one that is closed, or out of its view.
  if (::chdir("/") < 0) return report(Error::from_errno(errno, "go to /"));
  const std::array<gid_t, 2> groups = {sandbox::kImagesGid, o.socket_gid};
  if (::setgroups(o.socket_gid != 0 ? 2 : 1, groups.data()) < 0 ||
      ::setresgid(o.daemon_gid, o.daemon_gid, o.daemon_gid) < 0 ||
      ::setresuid(o.daemon_uid, o.daemon_uid, o.daemon_uid) < 0)
    return report(Error::from_errno(errno, "become the daemon's user"));
  if (!os::end_with_parent(parent, SIGTERM)) return 1;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (!pass_on(kLauncherFdVariable, launcher_socket) || !pass_on(kFilesFdVariable, files_socket))
    return report(Error::from_errno(errno, "hand sockets to the daemon"));
  for (const int fd : o.daemon_fds) (void)::fcntl(fd, F_SETFD, 0);
  std::vector<char*> argv;
  for (const std::string& argument : o.daemon_argv) argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
  argv.push_back(nullptr);
  if (const Status given_up = give_up_daemon_power(); !given_up.ok()) return report(given_up.error());
  const std::string path = "/proc/self/fd/" + std::to_string(program);
  ::execv(path.c_str(), argv.data());
  return report(Error::from_errno(errno, "execute " + o.daemon_argv[0]));
}

// Neither the launcher, nor anything that it starts, keeps them.
void close_daemon_fds(const ParentOptions& o) {
  for (const int fd : o.daemon_fds) UniqueFd(fd).reset();
}

}  // namespace

Result<Programs> open_programs(const ParentOptions& o) {
  Programs programs;
  LMSB_TRY(programs.guest, os::make_sealed_copy("lm-sandbox-guest", o.guest_program));
  LMSB_TRY(programs.archiver, os::make_sealed_copy("lm-sandbox-archiver", o.archiver_program));
  LMSB_TRY(programs.gate, os::make_sealed_copy("lm-sandbox-gate", o.gate_program));
  programs.daemon.reset(::open(o.daemon_argv.at(0).c_str(), O_PATH | O_CLOEXEC));
  if (!programs.daemon) return Error::from_errno(errno, "open " + o.daemon_argv[0]);
  return programs;
}

Result<Pair> start_pair(const ParentOptions& options, const Policy& policy, Programs& programs) {
  Pair pair;
  UniqueFd daemon_end, daemon_files;
  if (!message_socket_pair(pair.launcher_end, daemon_end) ||
      !message_socket_pair(pair.files, daemon_files, SOCK_NONBLOCK))
    return Error::from_errno(errno, "socketpair");
  std::array<int, 2> started{};
  if (::pipe2(started.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "pipe");
  pair.started.reset(started[0]);
  UniqueFd says_started(started[1]);
  const pid_t parent = ::getpid();
  LMSB_TRY(pair.launcher, fork_child([&] {
             for (UniqueFd* other : {&daemon_end, &pair.started, &pair.files, &daemon_files, &programs.daemon})
               other->reset();
             close_daemon_fds(options);
             return launcher_body(parent, policy, programs, std::move(pair.launcher_end), std::move(says_started));
           }));
  says_started.reset();
  (void)refuse_descriptors(pair.files.get());  // of the daemon's; best effort, see there
  hand_files(pair.files.get(), options.handed_files);
  auto daemon = fork_child(
      [&] { return daemon_body(parent, options, programs.daemon.get(), daemon_end.get(), daemon_files.get()); });
  if (!daemon.ok()) {
    (void)wait_for(pair.launcher, 0);
    return std::move(daemon).error();
  }
  pair.daemon = *std::move(daemon);
  return pair;
}

bool ends_within(const Child& child, int timeout_ms) {
  pollfd wait{child.pidfd.get(), POLLIN, 0};
  return ::poll(&wait, 1, timeout_ms) == 1;
}

// Its memory is the first thing that goes, and its program with that.
bool is_ending(const Child& child) {
  const std::string program = "/proc/" + std::to_string(child.pid) + "/exe";
  char byte = 0;
  return ::readlink(program.c_str(), &byte, 1) < 0 && errno == ENOENT;
}

int wait_for(const Child& child, int timeout_ms) {
  if (!ends_within(child, timeout_ms)) {
    (void)sys::pidfd_send_signal(child.pidfd.get(), SIGKILL);
    if (!ends_within(child, kKilledMs)) return W_EXITCODE(0, SIGKILL);
  }
  int status = 0;
  return ::waitpid(child.pid, &status, 0) < 0 ? W_EXITCODE(1, 0) : status;
}

int exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace lmsb::launcher
