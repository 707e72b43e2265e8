#pragma once
// Verdict: how a command ended, as far as anybody can say, and what that is called (interfaces.md, "exec: the
// contract"). One way to judge, for commands that are waited for and for those that run on by themselves.
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/wait.h>

#include "control/command_start.h"
#include "control/exec.h"
#include "control/sandbox_handle.h"
#include "guest_client/channel.h"

namespace lmsb::control {

// What is known of its course.
struct Course {
  guest_client::Ending ending;
  bool timed_out = false;
  bool one_shot = false;
  bool ended_by_owner = false;
  bool was_evicted = false;  // it kept the lock of its output's pipe while hands were short (io/foreign_pipe.h)
  std::uint64_t oom_kills_before = 0;
  std::optional<std::uint64_t> oom_kills;  // at its end; nothing: now

  bool is_reported() const { return ending.kind == guest_client::Ending::Kind::exited; }
  bool has_failed() const { return !is_reported() || ending.exited.status != 0; }
  // By SIGKILL itself, or a child of a shell that passes it on.
  bool is_killed() const {
    const int status = ending.exited.status;
    return !is_reported() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
  }
};

// What was tried to start, as far as a verdict needs it. Small: it is kept for as long as the command runs.
struct Attempt {
  std::string program;
  std::string cwd;
  std::string image_digest;
  std::uint64_t cpu_seconds = 0;  // that each of its processes may use; 0 = no limit
  bool merge_stderr = false;
};
Attempt attempt_of(const guest_client::StartSpec& spec, const ImageDefaults& image);

// Everything but its output and the times of waiting. The strongest reason counts. Of a command that could not be
// started: result_of_failed_start()'s; where the working directory is the reason, what a shell would have said and
// returned (126); any other error of it as a hint.
// `sandbox` is null once it is gone: its owner, or the daemon's, ended it.
ExecResult verdict_of(const Course& course, const Attempt& attempt, const SandboxHandle* sandbox);
// A hint where what a command wrote last says that there was no room, whatever was full: a volume, /dev/shm. Only its
// words say so: that is no verdict. "" = none.
std::string hint_of_words(const ExecResult& result, std::string_view written);
constexpr std::size_t kReadOfWords = 4096;  // octets of `written` that are read
// Where nobody can tell whose process it was.
constexpr const char* kOutOfMemoryMeanwhile =
    "meanwhile the kernel killed a process in the sandbox, not surely of this command, for want of memory";
// Of a command that could not be started: what a shell would have said, to stderr or where that goes, and returned had
// it been asked for this program. Errors where that is nobody's fault but ours, or the working directory's.
Result<ExecResult> result_of_failed_start(const guest_client::Ending& ending, const Attempt& attempt);

}  // namespace lmsb::control
