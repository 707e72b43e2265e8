#include "control/verdict.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <signal.h>

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::StartSpec;
using guest_protocol::Program;

constexpr const char* kEvicted =
    "killed: it waited in splice(2) or sendfile(2) with its own output locked, while others waited for their turn";

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : "SIG" + std::to_string(signal);
}

void set_exit(ExecResult& result, int status) {
  if (WIFSIGNALED(status)) {
    result.outcome = Outcome::signaled;
    result.exit_code = 128 + WTERMSIG(status);
    result.signal = signal_name(WTERMSIG(status));
  } else {
    result.outcome = Outcome::exited;
    result.exit_code = WEXITSTATUS(status);
  }
}

void set_killed(ExecResult& result, Outcome outcome) {
  result.outcome = outcome;
  result.exit_code = 128 + SIGKILL;
  result.signal = "SIGKILL";
}

// A one-shot that ran out of memory dies whole. In a kept sandbox the kernel kills one process of perhaps several
// commands: it is the verdict of those that died by it.
bool is_out_of_memory(const Course& course, const SandboxHandle* sandbox) {
  if (sandbox == nullptr) return false;
  if (!(course.one_shot ? course.has_failed() : course.is_killed())) return false;
  // Of a sandbox that is gone only the kernel's count says why: its notice also comes when the cgroup is removed.
  return course.oom_kills.value_or(sandbox->oom_kills()) > course.oom_kills_before ||
         (course.is_reported() && sandbox->has_oom_notice());
}

// A write that found no room fails (exit status), or faults where the file was mapped. That the disk is full is no
// reason to fail: only of who has filled it the kernel refused something.
bool is_disk_full(const Course& course) {
  const int status = course.ending.exited.status;
  return course.ending.exited.disk_filled != 0 && (WIFEXITED(status) || WTERMSIG(status) == SIGBUS);
}

// Whether the kernel has killed something in the sandbox for want of memory while this ran.
bool saw_out_of_memory(const Course& course, const SandboxHandle* sandbox) {
  if (sandbox == nullptr && !course.oom_kills) return false;
  return (course.oom_kills ? *course.oom_kills : sandbox->oom_kills()) > course.oom_kills_before;
}

// What its own end does not say, and is surely so.
std::string circumstances(const ExecResult& result, const Course& course, bool saw_oom) {
  if (result.outcome == Outcome::signaled && result.signal == "SIGXFSZ")
    return "a file was to grow beyond what one may have: limits.file_bytes of the command, else 16 TiB";
  if (result.outcome != Outcome::exited && result.outcome != Outcome::signaled) return {};
  if (result.oom_killed)
    return "the kernel killed a process of it for want of memory; limits.memory_bytes sets how much";
  if (saw_oom) return kOutOfMemoryMeanwhile;
  if (course.is_reported() && course.ending.exited.disk_full != 0)
    return "the sandbox's disk is full, which need not be why this failed; limits.disk_bytes sets its size";
  return {};
}

// A process that has used its time gets SIGXCPU, and one that goes on all the same SIGKILL; or it was a child of a
// shell that passes it on.
bool is_out_of_time(const Course& course, const Attempt& attempt) {
  if (attempt.cpu_seconds == 0 || !course.is_reported()) return false;
  const int status = course.ending.exited.status;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) return true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGXCPU) return true;
  const std::uint64_t used = course.ending.exited.cpu_user_us + course.ending.exited.cpu_system_us;
  return course.is_killed() && used >= attempt.cpu_seconds * 1'000'000;
}

// Sets outcome, exit code and signal: the strongest reason counts.
void judge(ExecResult& result, const Course& course, const Attempt& attempt, const SandboxHandle* sandbox) {
  if (course.is_reported()) set_exit(result, course.ending.exited.status);
  if (course.timed_out) return set_killed(result, Outcome::timed_out);
  if (is_out_of_memory(course, sandbox)) return set_killed(result, Outcome::oom_killed);
  const bool is_removed = sandbox == nullptr || sandbox->is_removed();
  if (course.is_killed() && (course.ended_by_owner || is_removed)) return set_killed(result, Outcome::cancelled);
  if (is_out_of_time(course, attempt)) {
    result.outcome = Outcome::cpu_timed_out;
  } else if (!course.is_reported()) {
    result.outcome = Outcome::lost;
    result.exit_code = 128 + SIGKILL;
  } else if (course.has_failed() && is_disk_full(course)) {
    result.outcome = Outcome::disk_full;
  }
}

// Sets what it used, except for the times of waiting.
void set_usage(ExecResult& result, const Course& course, const SandboxHandle* sandbox) {
  if (course.one_shot && sandbox != nullptr) {  // a kept sandbox's counters are of all its commands
    if (const std::uint64_t peak = sandbox->peak_memory_bytes(); peak > 0) result.usage.max_memory_bytes = peak;
    result.usage.max_processes = sandbox->peak_processes();
  }
  if (!course.is_reported()) return;
  const guest_protocol::Exited& exited = course.ending.exited;
  result.usage.cpu_user_ms = static_cast<double>(exited.cpu_user_us) / 1000;
  result.usage.cpu_system_ms = static_cast<double>(exited.cpu_system_us) / 1000;
  result.usage.max_memory_bytes = std::max(result.usage.max_memory_bytes.value_or(0), exited.max_rss_bytes);
}

// What a shell says to stderr and returns where it is its user's fault. Nothing has run.
ExecResult refusal(const Attempt& attempt, int exit_code, std::string words) {
  ExecResult result;
  result.outcome = Outcome::exited;
  result.exit_code = exit_code;
  result.usage.cpu_user_ms = result.usage.cpu_system_ms = 0;
  result.usage.max_memory_bytes = 0;
  Output& said = attempt.merge_stderr ? result.out : result.err;
  said.data = std::move(words) + "\n";
  said.cut_at = said.data.size();
  return result;
}

}  // namespace

Attempt attempt_of(const StartSpec& spec, const ImageDefaults& image) {
  constexpr std::size_t kMaxPath = 4096;  // PATH_MAX: no longer one names anything
  const std::string program = spec.program == Program::shell ? "/bin/sh" : spec.argv.front().substr(0, kMaxPath);
  return {program, spec.cwd.substr(0, kMaxPath), image.digest, spec.limits.cpu_seconds, spec.merge_stderr};
}

ExecResult verdict_of(const Course& course, const Attempt& attempt, const SandboxHandle* sandbox) {
  ExecResult result;
  if (course.ending.kind == Ending::Kind::start_failed) {
    auto failed = result_of_failed_start(course.ending, attempt);
    if (failed.ok()) {
      result = *std::move(failed);
    } else if (failed.error().slug() == "invalid_cwd") {
      result = refusal(attempt, 126, failed.error().message());
    } else {
      result.hint = failed.error().message();
    }
  } else {
    judge(result, course, attempt, sandbox);
    const bool saw_oom = saw_out_of_memory(course, sandbox);
    const bool is_its = course.one_shot || (course.is_reported() && course.ending.exited.was_alone != 0);
    result.oom_killed = result.outcome == Outcome::oom_killed || (saw_oom && is_its);
    result.hint = circumstances(result, course, saw_oom);
    if (course.was_evicted && result.outcome == Outcome::signaled) result.hint = kEvicted;
    set_usage(result, course, sandbox);
  }
  if (sandbox != nullptr) result.sandbox_id = sandbox->id();
  result.image_digest = attempt.image_digest;
  return result;
}

std::string hint_of_words(const ExecResult& result, std::string_view written) {
  if (!result.hint.empty() || result.outcome != Outcome::exited || result.exit_code == 0) return {};
  std::string words(written.substr(written.size() - std::min(written.size(), kReadOfWords)));
  std::transform(words.begin(), words.end(), words.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  for (const char* refusal : {"disk quota exceeded", "no space left on device"})
    if (words.find(refusal) != std::string::npos)
      return "it says that there was no room: the sandbox's disk (limits.disk_bytes), a volume (its size_bytes) or "
             "/dev/shm is full";
  return {};
}

Result<ExecResult> result_of_failed_start(const Ending& ending, const Attempt& attempt) {
  if (ending.step != guest_protocol::Step::command_exec) return not_started("start the command", attempt.cwd, ending);
  if (ending.error == ENOENT) return refusal(attempt, 127, attempt.program + ": command not found");
  return refusal(attempt, 126, attempt.program + ": " + std::strerror(ending.error));
}

}  // namespace lmsb::control
