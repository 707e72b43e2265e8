#include "launcher/parent.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <functional>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest_protocol/profile.h"
#include "launcher/daemon_view.h"
#include "launcher/handed_files.h"
#include "launcher/orphans.h"
#include "launcher/power.h"
#include "os/file_lock.h"
#include "os/files.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "os/service_manager.h"
#include "os/sys.h"
#include "sandbox/image_directory.h"
#include "sandbox/own_ids.h"

namespace lmsb::launcher {
namespace {

constexpr int kLauncherPatienceMs = 15'000;  // to give everything back
constexpr int kOomScore = -900;              // commands have 500

constexpr const char* kMounts = "/mounts.sock";
// A user's daemon sees nothing of the run directory but what it is shown (daemon_view.h): this is one of it.
constexpr const char* kDesk = "/desk";
constexpr const char* kMountsOfUser = "/desk/mounts.sock";

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

// A name for our cgroups that is the same for every daemon of this run directory and differs from others'.
std::string cgroup_name(const std::string& run_dir) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : run_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

Status make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) return Error::from_errno(errno, "make " + path);
  return {};
}

Status make_parents(const std::string& path, mode_t mode) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    LMSB_CHECK(make_directory(path.substr(0, at), mode));
  return make_directory(path, mode);
}

// Of a user's directories: sockets and data in them are open to who comes by.
Status require_closed(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0) return Error::from_errno(errno, "look at " + path);
  if (S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 077U) == 0) return {};
  return Error(ErrorCode::failed_precondition, path + " is not a directory of this user's alone")
      .with_hint("chmod 700 " + path + ", or choose another with --run-dir and --data-dir");
}

// `path`, and what is above it.
Status make_own(const std::string& path, Starter starter) {
  const bool is_root = starter == Starter::root;
  LMSB_CHECK(make_parents(path, is_root ? 0755 : 0700));
  return is_root ? Status() : require_closed(path);
}

Result<UniqueFd> lock_run_dir(const std::string& run_dir) {
  const std::string path = run_dir + "/lock";
  for (int tries = 0; tries < 8; ++tries) {
    UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return Error::from_errno(errno, "open " + path);
    LMSB_TRY(const bool is_ours, os::lock_file(lock.get()));
    if (!is_ours) break;
    if (os::is_still_named(lock.get(), AT_FDCWD, path.c_str())) return lock;  // an ending parent removes it
  }
  return Error(ErrorCode::already_exists, "another lm-sandbox serves from " + run_dir)
      .with_hint("stop it, or choose another directory with --run-dir");
}

// What this daemon made in the run directory. Only names are removed; what is not ours keeps its directory.
void clean_run_dir(const std::string& run_dir) {
  for (const char* name : {"/api.sock", kMounts, kMountsOfUser, "/daemon/api.sock", "/daemon/files.sock"})
    (void)::unlink((run_dir + name).c_str());
  for (const char* name : {"/daemon", "/private", "/sandboxes", kDesk}) (void)::rmdir((run_dir + name).c_str());
  (void)::unlink((run_dir + "/lock").c_str());  // the next one makes what it needs, and then it is not removed
}

std::vector<std::string> directories_of_daemon(const ParentOptions& o) {
  return {o.run_dir + "/daemon", o.data_dir + "/models", o.data_dir + "/audit", o.data_dir + "/state"};
}

Status put_link(const char* target, const std::string& name) {
  if (::unlink(name.c_str()) < 0 && errno != ENOENT) return Error::from_errno(errno, "remove the old " + name);
  return ::symlink(target, name.c_str()) < 0 ? Error::from_errno(errno, "make " + name) : Status();
}

// The daemon writes sockets to the run directory, and models, the audit log and the database to the data directory;
// everything else there is root's.
Status make_directories(const ParentOptions& o) {
  LMSB_CHECK(make_own(o.data_dir, o.starter));
  for (const char* name : {"/private", "/sandboxes"}) LMSB_CHECK(make_directory(o.run_dir + name, 0700));
  LMSB_CHECK(sandbox::make_image_directory(o.data_dir + "/images"));
  for (const std::string& path : directories_of_daemon(o)) {
    LMSB_CHECK(make_directory(path, 0755));
    if (::lchown(path.c_str(), o.daemon_uid, o.daemon_gid) < 0)  // never through a link that somebody put there
      return sandbox::not_given(errno, "give " + path + " to the daemon", path);
  }
  if (o.starter == Starter::user) {
    LMSB_CHECK(make_directory(o.run_dir + kDesk, 0755));
    LMSB_CHECK(put_link("desk/mounts.sock", o.run_dir + kMounts));
  }
  // The socket lives where the daemon may write, its name where users look.
  return put_link("daemon/api.sock", o.run_dir + "/api.sock");
}

Result<Child> fork_child(const std::function<int()>& body) {
  Child child;
  child.pid = ::fork();
  if (child.pid < 0) return Error::from_errno(errno, "fork");
  if (child.pid == 0) ::_exit(body());
  child.pidfd.reset(sys::pidfd_open(child.pid));
  if (!child.pidfd) return Error::from_errno(errno, "pidfd_open");
  return child;
}

int report(const Error& error) {
  std::fprintf(stderr, "lm-sandbox: %s%s%s\n", error.message().c_str(), error.hint().empty() ? "" : "; ",
               error.hint().c_str());
  return 1;
}

// Guests set their limits themselves, and cannot raise what the machine gave us less of (a unit's LimitNOFILE=, say).
void raise_limits() {
  for (const guest_protocol::ResourceLimit& wanted : guest_protocol::kResourceLimits) {
    const auto resource = static_cast<__rlimit_resource>(wanted.resource);
    rlimit now{};
    if (::getrlimit(resource, &now) < 0 || now.rlim_max >= wanted.hard) continue;
    now.rlim_max = wanted.hard;
    (void)::setrlimit(resource,
                      &now);  // needs CAP_SYS_RESOURCE; without it sandboxes get the machine's, which are less
  }
}

// Sealed memfds of what the launcher starts.
struct Programs {
  UniqueFd guest;
  UniqueFd archiver;
  UniqueFd gate;
};

int launcher_body(const Policy& policy, Programs programs, UniqueFd daemon, UniqueFd ready) {
  ::prctl(PR_SET_NAME, "lmsb-launcher");
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);  // a terminal's Ctrl-C reaches the whole group: the daemon decides when to end
  ::sigaddset(&set, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::sigdelset(&set, SIGINT);
  ::sigdelset(&set, SIGHUP);
  const UniqueFd stop(::signalfd(-1, &set, SFD_CLOEXEC));
  raise_limits();
  auto launcher = Launcher::create(policy, std::move(programs.guest), std::move(daemon));
  if (!launcher.ok()) return report(launcher.error());
  Status armed = (*launcher)->use_archiver(std::move(programs.archiver));
  if (armed.ok()) armed = (*launcher)->use_gate(std::move(programs.gate));
  if (!armed.ok()) return report(armed.error());
  if (::write(ready.get(), "1", 1) != 1) return 1;
  ready.reset();
  (*launcher)->run(stop.get());
  return 0;
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
  for (const std::string& path : {o.data_dir + "/images", o.run_dir + kDesk}) seen.push_back(path);
  return open_ways(seen);
}

// Gives up every power, then becomes the daemon.
int daemon_body(const ParentOptions& o, int launcher_socket, int files_socket) {
  const bool is_of_user = o.starter == Starter::user;
  const UniqueFd program(is_of_user ? ::open(o.daemon_argv[0].c_str(), O_PATH | O_CLOEXEC) : -1);
  if (is_of_user && !program) return report(Error::from_errno(errno, "open " + o.daemon_argv[0]));
  if (const Status shown = show_daemon(o); !shown.ok()) return report(shown.error());
  // By a directory that it were in it would get below one that is closed, or out of its view.
  if (::chdir("/") < 0) return report(Error::from_errno(errno, "go to /"));
  const std::array<gid_t, 2> groups = {sandbox::kImagesGid, o.socket_gid};
  if (::setgroups(o.socket_gid != 0 ? 2 : 1, groups.data()) < 0 ||
      ::setresgid(o.daemon_gid, o.daemon_gid, o.daemon_gid) < 0 ||
      ::setresuid(o.daemon_uid, o.daemon_uid, o.daemon_uid) < 0)
    return report(Error::from_errno(errno, "become the daemon's user"));
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) return report(Error::from_errno(errno, "give up power for the daemon"));
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
  const std::string path = is_of_user ? "/proc/self/fd/" + std::to_string(program.get()) : o.daemon_argv[0];
  ::execv(path.c_str(), argv.data());
  return report(Error::from_errno(errno, "execute " + o.daemon_argv[0]));
}

// Waits for a child at most `timeout_ms`; kills it afterwards. Returns its exit status (128 + signal).
int wait_for(const Child& child, int timeout_ms) {
  pollfd wait{child.pidfd.get(), POLLIN, 0};
  if (::poll(&wait, 1, timeout_ms) == 0) (void)sys::pidfd_send_signal(child.pidfd.get(), SIGKILL);
  int status = 0;
  if (::waitpid(child.pid, &status, 0) < 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What supervise() works with; everything is owned by run_parent().
struct Watched {
  const Child& daemon;
  const Child& launcher;
  int signals;       // a signalfd
  int files_socket;  // the daemon's words
  const std::vector<std::string>& files;
  const os::ServiceManager& manager;
};

// What follows from when a manager asked for it, by the same clock.
std::string reloading() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000);
}

void handle_signal(const Watched& w) {
  signalfd_siginfo info{};
  if (::read(w.signals, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return;
  if (info.ssi_signo == SIGHUP) {
    w.manager.tell(reloading());
    return hand_files(w.files_socket, w.files);
  }
  w.manager.tell("STOPPING=1");
  (void)sys::pidfd_send_signal(w.daemon.pidfd.get(), static_cast<int>(info.ssi_signo));
}

// False: the daemon has said all that it will.
bool handle_word(const Watched& w) {
  const auto word = take_word(w.files_socket);
  if (word == DaemonWord::files) hand_files(w.files_socket, w.files);
  if (word == DaemonWord::ready) w.manager.tell("READY=1");
  return word.has_value();
}

// Until daemon or launcher ends: pass signals, files and words on.
void supervise(const Watched& w) {
  std::array<pollfd, 4> waits = {{{w.daemon.pidfd.get(), POLLIN, 0},
                                  {w.launcher.pidfd.get(), POLLIN, 0},
                                  {w.signals, POLLIN, 0},
                                  {w.files_socket, POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if ((waits[2].revents & POLLIN) != 0) handle_signal(w);
    if (waits[3].revents != 0 && !handle_word(w)) waits[3].fd = -1;  // the daemon has closed its end
    if (((waits[0].revents | waits[1].revents) & POLLIN) != 0) return;
  }
}

// Neither launcher nor parent, nor anything that they start, keeps them.
void close_daemon_fds(const ParentOptions& o) {
  for (const int fd : o.daemon_fds) UniqueFd(fd).reset();
}

Policy policy_of(const ParentOptions& options) {
  Policy policy;
  policy.image_root = options.data_dir + "/images";
  policy.scratch = options.run_dir + "/private";
  policy.cgroup_name = cgroup_name(options.run_dir);
  policy.meetings = options.run_dir + "/sandboxes";
  policy.sandboxes_stay = options.sandboxes_stay && !options.die_with_parent;
  policy.mounts_socket = options.run_dir + (options.starter == Starter::root ? kMounts : kMountsOfUser);
  policy.starter = options.starter;
  policy.id_locks = options.id_locks;
  policy.ids_of_sandbox = options.ids_of_sandbox;
  policy.own_ranges = options.own_ranges;
  policy.daemon_uid = options.daemon_uid;
  policy.caps = options.caps;
  if (options.disks != "memory") policy.disks = options.data_dir + "/disks";
  policy.needs_store = options.disks == "store";
  policy.store_bytes = options.store_bytes;
  return policy;
}

}  // namespace

Result<int> run_parent(const ParentOptions& options) {
  ::umask(022);
  if (options.die_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  LMSB_CHECK(close_all_but(options.daemon_fds));
  os::ServiceManager manager = os::ServiceManager::from_environment();
  if (options.die_with_parent) manager = {};  // a command's own daemon is no service
  (void)lower_oom_score(kOomScore);           // daemon and launcher have it from here
  LMSB_CHECK(adopt_orphans());
  LMSB_CHECK(make_own(options.run_dir, options.starter));
  LMSB_TRY(const UniqueFd lock, lock_run_dir(options.run_dir));
  LMSB_CHECK(make_directories(options));
  Programs programs;
  LMSB_TRY(programs.guest, os::make_sealed_copy("lm-sandbox-guest", options.guest_program));
  LMSB_TRY(programs.archiver, os::make_sealed_copy("lm-sandbox-archiver", options.archiver_program));
  LMSB_TRY(programs.gate, os::make_sealed_copy("lm-sandbox-gate", options.gate_program));
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!signals) return Error::from_errno(errno, "signalfd");
  for (const int fd : options.daemon_fds) (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);

  UniqueFd launcher_end, daemon_end, files_end, daemon_files_end;
  if (!message_socket_pair(launcher_end, daemon_end) ||
      !message_socket_pair(files_end, daemon_files_end, SOCK_NONBLOCK))
    return Error::from_errno(errno, "socketpair");
  std::array<int, 2> ready{};
  if (::pipe2(ready.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "pipe");
  UniqueFd ready_read(ready[0]), ready_write(ready[1]);
  const Policy policy = policy_of(options);
  LMSB_TRY(const Child launcher, fork_child([&] {
             for (UniqueFd* other : {&daemon_end, &ready_read, &files_end, &daemon_files_end}) other->reset();
             close_daemon_fds(options);
             return launcher_body(policy, std::move(programs), std::move(launcher_end), std::move(ready_write));
           }));
  ready_write.reset();
  (void)refuse_descriptors(files_end.get());  // of the daemon's; best effort, see there
  hand_files(files_end.get(), options.handed_files);
  LMSB_TRY(const Child daemon,
           fork_child([&] { return daemon_body(options, daemon_end.get(), daemon_files_end.get()); }));
  daemon_end.reset();
  daemon_files_end.reset();
  close_daemon_fds(options);
  char byte = 0;
  const bool started = ::read(ready_read.get(), &byte, 1) == 1;
  // A launcher that cannot be has said why; the daemon, which has begun nothing, does not hear of it.
  if (!started) (void)sys::pidfd_send_signal(daemon.pidfd.get(), SIGKILL);
  launcher_end.reset();
  if (started) supervise({daemon, launcher, signals.get(), files_end.get(), options.handed_files, manager});
  (void)sys::pidfd_send_signal(daemon.pidfd.get(), SIGTERM);
  const int status = wait_for(daemon, kLauncherPatienceMs);  // its end closes the launcher's socket
  const int launcher_status = wait_for(launcher, kLauncherPatienceMs);
  const auto staying = policy.sandboxes_stay ? CgroupTree::staying_guests(policy.cgroup_name) : std::set<pid_t>();
  end_orphans(kLauncherPatienceMs, staying);
  clean_run_dir(options.run_dir);
  if (!started) return std::max(launcher_status, 1);
  return status != 0 ? status : launcher_status;
}

}  // namespace lmsb::launcher
