#include "cli/subprocess.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/make_pipe.h"
#include "os/sys.h"

namespace lmsb::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxOutput = 64 * 1024;

// Starts the program with its output into `output`; the pid, or an errno as a negative number.
pid_t spawn(std::vector<std::string> words, int output) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, 1);
  ::posix_spawn_file_actions_adddup2(&actions, output, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t reset;
  sigemptyset(&reset);
  ::posix_spawnattr_setsigmask(&attributes, &reset);
  sigaddset(&reset, SIGPIPE);  // ours is ignored, which exec would hand on
  ::posix_spawnattr_setsigdefault(&attributes, &reset);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return error == 0 ? pid : -error;
}

// Waits until `fd` is readable; false when the deadline has passed.
bool readable_before(int fd, Clock::time_point deadline) {
  pollfd polled{fd, POLLIN, 0};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    const int ready = ::poll(&polled, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

// Reads until the end of the stream; false when the deadline has passed.
bool read_before(int fd, std::string& output, Clock::time_point deadline) {
  std::array<char, 4096> buffer;
  while (readable_before(fd, deadline)) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    const std::size_t room = kMaxOutput - output.size();
    output.append(buffer.data(), std::min(static_cast<std::size_t>(got), room));
  }
  return false;
}

int reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<SubprocessResult> run_subprocess(const std::vector<std::string>& argv, std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  LMSB_TRY(os::PipeEnds pipe, os::make_pipe());
  const pid_t pid = spawn(argv, pipe.write.get());
  if (pid < 0) return Error::from_errno(-pid, "start " + argv[0]);
  pipe.write.reset();
  const UniqueFd pidfd(sys::pidfd_open(pid));
  SubprocessResult result;
  const bool in_time = read_before(pipe.read.get(), result.output, deadline) && readable_before(pidfd.get(), deadline);
  if (!in_time) (void)sys::pidfd_send_signal(pidfd.get(), SIGKILL);  // reaped below in any case
  result.status = reap(pid);
  if (!in_time) return Error(ErrorCode::deadline_exceeded, argv[0] + " did not end in time");
  return result;
}

}  // namespace lmsb::cli
