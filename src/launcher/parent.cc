#include "launcher/parent.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/cgroup_tree.h"
#include "launcher/handed_files.h"
#include "launcher/heal_limit.h"
#include "launcher/orphans.h"
#include "launcher/pair.h"
#include "launcher/places.h"
#include "launcher/power.h"
#include "os/end_with_parent.h"
#include "os/service_manager.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

constexpr int kPatienceMs = 15'000;  // for the daemon to answer, and the launcher to give everything back
constexpr int kOomScore = -900;      // commands have 500

// A name for our cgroups that is the same for every daemon of this run directory and differs from others'.
std::string cgroup_name(const std::string& run_dir) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : run_dir) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  return text.data();
}

Policy policy_of(const ParentOptions& options) {
  Policy policy;
  policy.image_root = options.data_dir + "/images";
  policy.scratch = options.run_dir + "/private";
  policy.cgroup_name = cgroup_name(options.run_dir);
  policy.meetings = options.run_dir + "/sandboxes";
  policy.sandboxes_stay = options.sandboxes_stay && !options.die_with_parent;
  policy.mounts_socket = mounts_socket(options);
  policy.starter = options.starter;
  policy.id_locks = options.id_locks;
  policy.ids_of_sandbox = options.ids_of_sandbox;
  policy.own_ranges = options.own_ranges;
  policy.daemon_uid = options.daemon_uid;
  policy.caps = options.caps;
  policy.devices = options.devices;
  if (options.disks != "memory") policy.disks = options.data_dir + "/disks";
  policy.needs_store = options.disks == "store";
  policy.store_bytes = options.store_bytes;
  return policy;
}

// What follows from when a manager asked for it, by the same clock.
std::string reloading() {
  timespec now{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &now);
  return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000);
}

// "was killed by signal 9 (Killed)"
std::string how_it_ended(int status) {
  if (!WIFSIGNALED(status)) return "ended with status " + std::to_string(exit_status(status));
  const int signal = WTERMSIG(status);
  return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

void say(const std::string& text) { std::fprintf(stderr, "lm-sandbox: %s\n", text.c_str()); }

// "60 s", "24 h"
std::string in_words(std::chrono::seconds time) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(time);
  return hours == time ? std::to_string(hours.count()) + " h" : std::to_string(time.count()) + " s";
}

// How a pair has ended. Statuses as waitpid(2) has them.
struct PairEnd {
  int daemon = 0;
  int launcher = 0;
  bool could_start = true;      // false: the launcher could not
  bool launcher_first = false;  // the launcher died, and the daemon ended for it
};

class Parent {
 public:
  explicit Parent(const ParentOptions& options) : options_(options), policy_(policy_of(options)) {}
  Result<int> run();

 private:
  Status prepare();
  Status watch_signals();
  bool watch(Pair& pair);
  bool note_started(Pair& pair);
  bool take_word(const Pair& pair);
  void take_signals(const Pair* pair);
  PairEnd end(Pair& pair, bool could_start);
  bool heals(const PairEnd& end);
  int status_of(const PairEnd& end) const;
  Result<Pair> start();
  void end_what_is_left();
  void leave_nothing(bool was_given_back);

  const ParentOptions& options_;
  const Policy policy_;
  os::ServiceManager manager_;
  PlaceLocks locks_;
  UniqueFd signals_;                  // a signalfd, never waited for
  std::vector<UniqueFd> daemon_fds_;  // as long as there may be another daemon
  Programs programs_;
  ForeignChildren foreign_;
  HealLimit limit_;
  bool is_asked_ = false;    // to end
  bool has_served_ = false;  // a daemon has said so
  bool is_healing_ = false;  // and the service manager knows
};

Status Parent::watch_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, signal);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  ::sigaddset(&set, SIGPIPE);  // who read our stderr may have gone; the launcher has it from here, too
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return signals_ ? Status() : Error::from_errno(errno, "signalfd");
}

Status Parent::prepare() {
  ::umask(022);
  raise_limits();
  if (options_.die_with_parent && !os::end_with_parent(options_.started_by, SIGTERM))
    return Error(ErrorCode::cancelled, "the command that started this daemon has ended");
  LMSB_CHECK(close_all_but(options_.daemon_fds));
  for (const int fd : options_.daemon_fds) daemon_fds_.emplace_back(fd);
  LMSB_TRY(foreign_, ForeignChildren::find());
  manager_ = os::ServiceManager::from_environment();
  if (options_.die_with_parent) manager_ = {};  // a command's own daemon is no service
  (void)lower_oom_score(kOomScore);             // daemon and launcher have it from here
  LMSB_CHECK(adopt_orphans());
  LMSB_TRY(locks_, make_places(options_));
  LMSB_TRY(programs_, open_programs(options_));
  LMSB_CHECK(watch_signals());
  for (const UniqueFd& fd : daemon_fds_) (void)::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return {};
}

// False: the launcher cannot be, and has said why.
bool Parent::note_started(Pair& pair) {
  char byte = 0;
  if (::read(pair.started.get(), &byte, 1) != 1) return false;
  pair.launcher_end.reset();
  return true;
}

// False: the daemon has said all that it will.
bool Parent::take_word(const Pair& pair) {
  const auto word = launcher::take_word(pair.files.get());
  if (word == DaemonWord::files) hand_files(pair.files.get(), options_.handed_files);
  if (word == DaemonWord::ready) {
    has_served_ = true;
    manager_.tell(std::exchange(is_healing_, false) ? "READY=1\nSTATUS=" : "READY=1");
  }
  return word.has_value();
}

// All that wait. `pair` is who hears of them, if somebody is there.
void Parent::take_signals(const Pair* pair) {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      if (pair != nullptr) reap_orphans({pair->launcher.pid, pair->daemon.pid});
    } else if (info.ssi_signo == SIGHUP) {
      manager_.tell(reloading());
      if (pair != nullptr) hand_files(pair->files.get(), options_.handed_files);  // the next one gets them anyway
    } else {
      is_asked_ = true;
      daemon_fds_.clear();  // who connects from now on is refused
      manager_.tell("STOPPING=1");
      if (pair != nullptr) (void)sys::pidfd_send_signal(pair->daemon.pidfd.get(), static_cast<int>(info.ssi_signo));
    }
  }
}

// Until daemon or launcher ends: passes signals, files and words on. False: the launcher could not start.
bool Parent::watch(Pair& pair) {
  std::array<pollfd, 5> waits = {{{pair.daemon.pidfd.get(), POLLIN, 0},
                                  {pair.launcher.pidfd.get(), POLLIN, 0},
                                  {signals_.get(), POLLIN, 0},
                                  {pair.files.get(), POLLIN, 0},
                                  {pair.started.get(), POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return true;
    }
    if ((waits[2].revents & POLLIN) != 0) take_signals(&pair);
    if (waits[3].revents != 0 && !take_word(pair)) waits[3].fd = -1;  // the daemon has closed its end
    if (std::exchange(waits[4].revents, short{0}) != 0) {
      if (!note_started(pair)) return false;
      waits[4].fd = -1;
    }
    if (((waits[0].revents | waits[1].revents) & POLLIN) != 0) return true;
  }
}

PairEnd Parent::end(Pair& pair, bool could_start) {
  const bool daemon_lived = !ends_within(pair.daemon, 0);
  // A daemon that has begun nothing is not to say that its launcher has gone: that one has said why.
  if (!could_start) (void)sys::pidfd_send_signal(pair.daemon.pidfd.get(), SIGKILL);
  pair.launcher_end.reset();
  (void)sys::pidfd_send_signal(pair.daemon.pidfd.get(), SIGTERM);
  PairEnd end;
  end.could_start = could_start;
  end.daemon = wait_for(pair.daemon, kPatienceMs);  // its end closes the launcher's socket
  if (!daemon_lived && exit_status(end.daemon) != kLauncherGone) daemon_fds_.clear();  // nobody will answer
  take_signals(nullptr);  // who was asked to end meanwhile begins with it, however long the launcher takes
  const bool ended_by_itself = ends_within(pair.launcher, kPatienceMs) || is_ending(pair.launcher);
  end.launcher = wait_for(pair.launcher, 0);
  // A launcher ends with 0 when its daemon has gone, which it may see before we do. What the daemon says of a launcher
  // that did, or that we have ended, is nothing: it may be somebody's.
  end.launcher_first =
      ended_by_itself && end.launcher != 0 && (daemon_lived || exit_status(end.daemon) == kLauncherGone);
  end_what_is_left();
  return end;
}

// What nobody else waits for ends; but where it cannot be told what stays, all does, until the next launcher looks.
void Parent::end_what_is_left() {
  std::set<pid_t> spared = foreign_.living();
  if (policy_.sandboxes_stay) {
    auto staying = CgroupTree::staying_guests(policy_.cgroup_name, policy_.starter);
    if (!staying.ok())
      return say("warning: what the launcher left is left alone: which sandboxes stay cannot be told: " +
                 staying.error().message());
    spared.merge(*staying);
  }
  end_orphans(kPatienceMs, spared);
}

bool Parent::heals(const PairEnd& end) {
  take_signals(nullptr);
  if (is_asked_ || options_.die_with_parent) return false;
  const std::string how = "the launcher " + how_it_ended(end.launcher);
  if (!end.could_start && WIFSIGNALED(end.launcher)) say(how + " while it started");
  if (!end.could_start || !end.launcher_first || !has_served_) return false;
  if (const auto bound = limit_.take(HealLimit::Time::clock::now())) {
    say(how + "; it was started again " + std::to_string(bound->most) + " times within " + in_words(bound->within) +
        ", so all ends; what it said stands above");
    return false;
  }
  const char* what =
      policy_.sandboxes_stay ? "sandboxes that stay go on, others have ended" : "its sandboxes have ended";
  say("warning: " + how + ": it and the daemon start again; " + what);
  manager_.tell("STATUS=The launcher " + how_it_ended(end.launcher) + ": it and the daemon start again");
  is_healing_ = true;
  return true;
}

// One that is asked to end before it can listen to that dies of it, and has ended as it was to.
int Parent::status_of(const PairEnd& end) const {
  const auto status = [this](int ended) {
    const int code = exit_status(ended);
    return is_asked_ && (code == 128 + SIGTERM || code == 128 + SIGINT) ? 0 : code;
  };
  if (!end.could_start) return std::max(exit_status(end.launcher), 1);
  if (end.launcher_first || end.daemon == 0) return status(end.launcher);
  return status(end.daemon);
}

void Parent::leave_nothing(bool was_given_back) {
  if (!was_given_back) CgroupTree::sweep(options_.starter);
  clean_run_dir(options_.run_dir);
}

// With an error nothing has been started.
Result<Pair> Parent::start() {
  // Whoever waits for the first daemon's line sees the end of it, and later ones write to nowhere.
  const bool ends_line = options_.ready_fd >= 0 && !has_served_;
  const UniqueFd null(ends_line ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1);
  if (ends_line && !null) return Error::from_errno(errno, "open /dev/null");
  LMSB_TRY(Pair pair, start_pair(options_, policy_, programs_));
  if (ends_line) (void)::dup3(null.get(), options_.ready_fd, O_CLOEXEC);  // both are open
  return pair;
}

Result<int> Parent::run() {
  LMSB_CHECK(prepare());
  for (;;) {
    auto started = start();
    if (!started.ok()) {
      end_what_is_left();  // of a pair, too
      leave_nothing(false);
      return std::move(started).error();
    }
    Pair pair = *std::move(started);
    if (options_.die_with_parent) daemon_fds_.clear();   // it has no second daemon
    reap_orphans({pair.launcher.pid, pair.daemon.pid});  // whose end was told while nobody listened
    const bool could_start = watch(pair);
    const PairEnd ended = end(pair, could_start);
    if (heals(ended)) continue;
    leave_nothing(ended.launcher == 0);
    return status_of(ended);
  }
}

}  // namespace

Result<int> run_parent(const ParentOptions& options) { return Parent(options).run(); }

}  // namespace lmsb::launcher
