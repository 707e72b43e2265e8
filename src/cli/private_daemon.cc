#include "cli/private_daemon.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.h"
#include "cli/api.h"
#include "cli/private_directory.h"
#include "io/signals_blocked.h"
#include "os/make_pipe.h"
#include "os/small_file.h"
#include "os/sys.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReadyWithin{30'000};
constexpr milliseconds kEndWithin{10'000};
constexpr int kReadyFd = 3;  // of the daemon

// Those that would end us: one that is ignored (nohup) stays ignored, and a handler keeps what it handles.
sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) sigaddset(&set, signal);
  }
  return set;
}

// Waits until one of `fds` is readable; the index, or -1 when the time is over.
int wait_readable(const std::vector<int>& fds, milliseconds timeout) {
  std::vector<pollfd> polled;
  for (const int fd : fds) polled.push_back({fd, POLLIN, 0});
  int ready = 0;
  do ready = ::poll(polled.data(), polled.size(), static_cast<int>(timeout.count()));
  while (ready < 0 && errno == EINTR);
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents != 0) return static_cast<int>(i);
  }
  return -1;
}

// The last line with something in it.
std::string last_line(std::string_view text) {
  const std::size_t end = text.find_last_not_of("\n ");
  if (end == std::string_view::npos) return "";
  text = text.substr(0, end + 1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

// What posix_spawn is told: stdin from /dev/null, output to the log, the ready pipe as kReadyFd, own session (so that
// the terminal's Ctrl-C reaches only us), no signals blocked.
class SpawnSettings {
 public:
  SpawnSettings(int ready, const std::string& log) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    ::posix_spawn_file_actions_adddup2(&actions_, ready, kReadyFd);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t reset = ending_signals();
    sigaddset(&reset, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes_, &reset);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  // The child's pid, or an errno as a negative number.
  pid_t spawn(const std::string& program, std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, argv.data(), environ);
    return error == 0 ? pid : -error;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

struct PrivateDaemon::State {
  ~State() {
    end();
    stop_watching();
  }

  // Starts the thread that waits for the ending signals, which are blocked everywhere else from now on.
  Status watch_signals() {
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, &old_mask);
    signal_fd.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    stop_fd.reset(::eventfd(0, EFD_CLOEXEC));
    if (!signal_fd || !stop_fd) return Error::from_errno(errno, "make a descriptor for signals");
    const io::SignalsBlocked blocked;  // what else comes is for the main thread
    watcher = std::thread([this] { end_with_a_signal(); });
    return {};
  }

  void end_with_a_signal() {
    signalfd_siginfo info{};
    do {
      if (wait_readable({stop_fd.get(), signal_fd.get()}, milliseconds(-1)) != 1) return;
    } while (::read(signal_fd.get(), &info, sizeof info) != sizeof info);  // a session may have taken it (terminal.h)
    end();
    const int signal = static_cast<int>(info.ssi_signo);
    ::signal(signal, SIG_DFL);
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    ::raise(signal);
  }

  void stop_watching() {
    if (!watcher.joinable()) return;
    (void)::eventfd_write(stop_fd.get(), 1);  // cannot fail: the counter is 0
    watcher.join();
    ::pthread_sigmask(SIG_SETMASK, &old_mask, nullptr);
  }

  Status make_directory() {
    const std::lock_guard lock(mutex);
    LMSB_TRY(directory, PrivateDirectory::create());
    return {};
  }

  Status spawn(const std::string& program, const std::string& data_dir, int ready) {
    std::vector<std::string> words{"lm-sandbox",
                                   "serve",
                                   "--listen",
                                   "off",
                                   "--run-dir",
                                   directory.path() + "/run",
                                   "--disks",
                                   "memory",
                                   "--ready-fd",
                                   std::to_string(kReadyFd),
                                   "--die-with-parent",
                                   "--started-by",
                                   std::to_string(::getpid())};
    if (!data_dir.empty()) words.insert(words.end(), {"--data-dir", data_dir});
    SpawnSettings settings(ready, directory.path() + "/serve.log");
    const std::lock_guard lock(mutex);
    const pid_t spawned = settings.spawn(program, std::move(words));
    if (spawned < 0) return Error::from_errno(-spawned, "start " + program);
    pid = spawned;
    pidfd.reset(sys::pidfd_open(pid));
    return {};
  }

  Error death() const {
    const std::string line = last_line(os::read_small_file(directory.path() + "/serve.log").value_or(""));
    constexpr std::string_view kOwnName = "lm-sandbox: ";
    const std::string cause = line.starts_with(kOwnName) ? line.substr(kOwnName.size()) : line;
    return Error(ErrorCode::unavailable,
                 "start a private daemon: " + (cause.empty() ? "it ended without a word" : cause));
  }

  // Reads the line that serve writes to --ready-fd.
  Status await_ready(int ready) {
    const int which = wait_readable({ready, pidfd.get()}, kReadyWithin);
    if (which < 0) return Error(ErrorCode::deadline_exceeded, "start a private daemon: not ready after 30 s");
    if (which > 0 && wait_readable({ready}, milliseconds(0)) < 0) return death();
    std::array<char, 4096> line;
    const ssize_t got = ::read(ready, line.data(), line.size());
    if (got <= 0) {
      (void)wait_readable({pidfd.get()}, milliseconds(1000));  // let it finish what it has to say
      return death();
    }
    LMSB_TRY(const auto document,
             parse_json({line.data(), static_cast<std::size_t>(got)}, "the ready line of the private daemon"));
    socket = text_field(document.root(), "socket");
    if (socket.empty()) return Error(ErrorCode::internal, "the private daemon named no socket");
    return {};
  }

  // Ends the daemon and removes its directory. From either thread; the second call finds nothing left.
  void end() {
    const std::lock_guard lock(mutex);
    if (pid > 0) {
      (void)sys::pidfd_send_signal(pidfd.get(), SIGTERM);  // already gone is as good
      if (wait_readable({pidfd.get()}, kEndWithin) < 0) (void)sys::pidfd_send_signal(pidfd.get(), SIGKILL);
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      pid = -1;
    }
    directory.remove();
  }

  std::mutex mutex;  // guards pid and directory against the watcher
  pid_t pid = -1;    // not reaped before end(), so that the number stays ours
  UniqueFd pidfd;
  PrivateDirectory directory;
  std::string socket;
  UniqueFd signal_fd;
  UniqueFd stop_fd;
  sigset_t old_mask{};
  std::thread watcher;
};

PrivateDaemon::PrivateDaemon(std::unique_ptr<State> state) : state_(std::move(state)) {}
PrivateDaemon::~PrivateDaemon() = default;
const std::string& PrivateDaemon::socket() const { return state_->socket; }

Result<std::unique_ptr<PrivateDaemon>> PrivateDaemon::start(const std::string& program, const std::string& data_dir) {
  auto state = std::make_unique<State>();
  LMSB_CHECK(state->watch_signals());
  LMSB_CHECK(state->make_directory());
  LMSB_TRY(os::PipeEnds pipe, os::make_pipe());
  LMSB_CHECK(state->spawn(program, data_dir, pipe.write.get()));
  pipe.write.reset();
  LMSB_CHECK(state->await_ready(pipe.read.get()));
  return std::unique_ptr<PrivateDaemon>(new PrivateDaemon(std::move(state)));
}

}  // namespace lmsb::cli
