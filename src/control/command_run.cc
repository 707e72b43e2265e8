#include "control/command_run.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"
#include "control/output_capture.h"
#include "control/spill.h"
#include "io/spawn.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::StartSpec;
using guest_protocol::Program;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStartLimit{30'000};  // from the request to the guest's word that it has begun
constexpr std::chrono::milliseconds kPipeGrace{200};      // for a background child that holds the output
constexpr std::chrono::milliseconds kDrainLimit{10'000};  // for output that nobody holds any more
constexpr std::chrono::milliseconds kKillGrace{2'000};    // from a kill to the guest's report
constexpr std::uint64_t kSpareMs = 5'000;                 // the guest's own deadline comes this much later

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? std::string("SIG") + name : "SIG" + std::to_string(signal);
}

std::vector<std::string> environment(const ImageDefaults& image, const Command& command, const std::string& cwd) {
  std::map<std::string, std::string> all = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                                            {"HOME", "/home/user"},
                                            {"USER", "user"},
                                            {"LOGNAME", "user"},
                                            {"SHELL", "/bin/bash"},
                                            {"LANG", "C.UTF-8"},
                                            {"PWD", cwd}};
  for (const auto& [name, value] : image.env) all[name] = value;
  for (const auto& [name, value] : command.env) all[name] = value;
  std::vector<std::string> list;
  list.reserve(all.size());
  for (const auto& [name, value] : all) list.push_back(name + "=" + value);
  return list;
}

StartSpec start_spec(const ImageDefaults& image, const Command& command) {
  StartSpec spec;
  spec.cwd = command.cwd.empty() ? image.workdir : command.cwd;
  spec.env = environment(image, command, spec.cwd);
  if (const auto* argv = std::get_if<Argv>(&command.cmd)) {
    spec.argv = *argv;
  } else {
    spec.program = command.shell.empty() ? Program::shell : Program::exec;
    spec.argv = {command.shell, "-c", std::get<std::string>(command.cmd)};
  }
  spec.spare_deadline_ms = static_cast<std::uint64_t>(command.timeout.count()) + kSpareMs;
  return spec;
}

// What a shell would have said and returned had it been asked for this program.
Result<ExecResult> result_of_failed_start(const Ending& ending, const StartSpec& spec, const SandboxHandle& sandbox,
                                          const ImageDefaults& image) {
  using guest_protocol::Step;
  if (ending.step == Step::command_cwd)
    return Error::from_errno(ending.error, "working directory " + quoted(spec.cwd)).with_slug("invalid_cwd");
  if (ending.step != Step::command_exec) {
    auto error =
        Error::from_errno(ending.error, std::string("start the command: ") + guest_protocol::to_string(ending.step));
    if (ending.error == EAGAIN)
      return std::move(error).with_slug("too_many_processes").with_hint("the sandbox is at its limit of processes");
    return error;
  }
  ExecResult result;
  result.sandbox_id = sandbox.id();
  result.image_digest = image.digest;
  result.outcome = Outcome::exited;
  result.exit_code = ending.error == ENOENT ? 127 : 126;
  const std::string program = spec.program == Program::shell ? "/bin/sh" : spec.argv.front();
  result.err.data =
      program + ": " + (ending.error == ENOENT ? "command not found" : std::strerror(ending.error)) + "\n";
  result.err.cut_at = result.err.data.size();
  return result;
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

// How one command ended, as far as anybody can say.
struct Course {
  Ending ending;
  bool timed_out = false;
  bool one_shot = false;
  std::uint64_t oom_kills_before = 0;

  bool is_reported() const { return ending.kind == Ending::Kind::exited; }
  bool has_failed() const { return !is_reported() || ending.exited.status != 0; }
  // By SIGKILL itself, or a child of a shell that passes it on.
  bool is_killed() const {
    const int status = ending.exited.status;
    return !is_reported() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
  }
};

// A one-shot that ran out of memory dies whole. In a kept sandbox the kernel kills one process of perhaps several
// commands: it is the verdict of those that died by it.
bool is_out_of_memory(const Course& course, const SandboxHandle& sandbox) {
  if (!(course.one_shot ? course.has_failed() : course.is_killed())) return false;
  // Of a sandbox that is gone only the kernel's count says why: its notice also comes when the cgroup is removed.
  return sandbox.oom_kills() > course.oom_kills_before || (course.is_reported() && sandbox.has_oom_notice());
}

// A write that found no room fails (exit status), or faults where the file was mapped.
bool is_disk_full(const Course& course) {
  const int status = course.ending.exited.status;
  return course.ending.exited.disk_full != 0 && (WIFEXITED(status) || WTERMSIG(status) == SIGBUS);
}

// The verdict, from the strongest reason to the weakest.
void judge(ExecResult& result, const Course& course, const SandboxHandle& sandbox) {
  if (course.is_reported()) set_exit(result, course.ending.exited.status);
  if (course.timed_out) return set_killed(result, Outcome::timed_out);
  if (is_out_of_memory(course, sandbox)) return set_killed(result, Outcome::oom_killed);
  if (course.is_killed() && sandbox.is_removed()) return set_killed(result, Outcome::cancelled);
  if (!course.is_reported()) {
    result.outcome = Outcome::lost;
    result.exit_code = 128 + SIGKILL;
  } else if (course.has_failed() && is_disk_full(course)) {
    result.outcome = Outcome::disk_full;
  }
}

void set_usage(ExecResult& result, const Course& course, const SandboxHandle& sandbox) {
  if (course.one_shot) {  // a kept sandbox's counters are of all its commands
    result.usage.max_memory_bytes = sandbox.peak_memory_bytes();
    result.usage.max_processes = sandbox.peak_processes();
  }
  if (!course.is_reported()) return;
  const guest_protocol::Exited& exited = course.ending.exited;
  result.usage.cpu_user_ms = static_cast<double>(exited.cpu_user_us) / 1000;
  result.usage.cpu_system_ms = static_cast<double>(exited.cpu_system_us) / 1000;
  result.usage.max_memory_bytes = std::max(result.usage.max_memory_bytes, exited.max_rss_bytes);
}

// After a kill: the guest's report, or `lost` when even killing everything brings none.
io::Always<Ending> wait_killed(guest_client::Process& process, SandboxHandle& sandbox) {
  process.kill_tree();
  auto ended = co_await process.wait_ended(io::Deadline::in(kKillGrace));
  if (ended.ok()) co_return *ended;
  sandbox.kill_commands();
  auto last = co_await process.wait_ended(io::Deadline::in(kKillGrace));
  if (last.ok()) co_return *last;
  co_return Ending{};
}

// Where the whole of a cut output goes: in a kept sandbox to files of it, in a one-shot nowhere.
struct Spills {
  std::shared_ptr<Spill> out;
  std::shared_ptr<Spill> err;
};

Spills make_spills(boost::asio::io_context& loop, SandboxHandle& sandbox, bool one_shot) {
  if (one_shot) return {};
  const std::string path = "/tmp/.lm-sandbox/output-" + std::to_string(sandbox.next_number());
  return {std::make_shared<Spill>(loop, sandbox, path + ".stdout"),
          std::make_shared<Spill>(loop, sandbox, path + ".stderr")};
}

io::Always<void> finish_spills(Spills spills, ExecResult& result) {
  if (!spills.out) co_return;
  const Spill::Kept out = co_await spills.out->finish();
  const Spill::Kept err = co_await spills.err->finish();
  const Spill::Kept& kept = result.out.truncated_bytes > 0 ? out : err;
  result.spill_path = kept.path;
  if (!kept.path.empty() && !kept.is_whole)
    result.hint =
        "spill_path holds the beginning of the output: it was larger than 64 MiB or than the room on the disk";
}

Result<UniqueFd> stdin_file(const std::string& data) {
  if (data.empty()) return UniqueFd();
  return os::make_sealed_memfd("stdin", data);
}

}  // namespace

Status check_command(const Command& command) {
  const auto too_long = [] {
    return Error(ErrorCode::invalid_argument, "an argument is longer than 131071 bytes, which is all that Linux takes")
        .with_slug("command_too_large")
        .with_hint("send the script as a file (POST /v1/run, files) or by stdin");
  };
  const auto check = [&](const std::string& text) -> Status {
    if (text.size() > kMaxArgument) return too_long();
    if (text.find('\0') != std::string::npos)
      return Error(ErrorCode::invalid_argument, "a NUL character cannot be part of a command")
          .with_slug("invalid_command");
    return {};
  };
  if (const auto* argv = std::get_if<Argv>(&command.cmd)) {
    if (argv->empty()) return Error(ErrorCode::invalid_argument, "cmd is an empty list").with_slug("invalid_command");
    for (const std::string& argument : *argv) LMSB_CHECK(check(argument));
  } else {
    LMSB_CHECK(check(std::get<std::string>(command.cmd)));
  }
  LMSB_CHECK(check(command.shell));
  LMSB_CHECK(check(command.cwd));
  for (const auto& [name, value] : command.env) {
    if (name.empty() || name.find('=') != std::string::npos)
      return Error(ErrorCode::invalid_argument, "malformed environment variable name " + quoted(name))
          .with_slug("invalid_env");
    LMSB_CHECK(check(name));
    LMSB_CHECK(check(value));
  }
  if (!command.user.empty() && command.user != "user" && command.user != "1000")
    return Error(ErrorCode::permission_denied, "user " + quoted(command.user) + " is not allowed in this sandbox")
        .with_slug("user_not_allowed")
        .with_hint("leave `user` out: commands run as user (uid 1000)");
  return {};
}

io::Task<ExecResult> run_command(boost::asio::io_context& loop, SandboxHandle& sandbox, ImageDefaults image,
                                 Command command, bool one_shot) {
  LMSB_CO_CHECK(check_command(command));
  const StartSpec spec = start_spec(image, command);
  LMSB_CO_TRY(const UniqueFd input, stdin_file(command.stdin_data));
  Course course;
  course.one_shot = one_shot;
  course.oom_kills_before = sandbox.oom_kills();
  LMSB_CO_TRY(auto process, sandbox.channel().start(spec, input.get()));
  LMSB_CO_CHECK(co_await process.wait_started(io::Deadline::in(kStartLimit)));
  // A busy machine is not the command's fault: its time begins with it.
  const auto begin = Clock::now();
  const io::Deadline deadline = io::Deadline::in(command.timeout);
  const Spills spills = make_spills(loop, sandbox, one_shot);
  OutputCapture out(loop, process.take_stdout(), command.output_cap, spills.out);
  OutputCapture err(loop, process.take_stderr(), command.output_cap, spills.err);

  auto ended = co_await process.wait_ended(deadline);
  if (ended.ok()) {
    course.ending = *ended;
    course.timed_out = course.is_reported() && ended->exited.timed_out != 0;  // the guest was first: a busy daemon
  } else if (ended.error().code() == ErrorCode::deadline_exceeded) {
    course.timed_out = true;
    course.ending = co_await wait_killed(process, sandbox);
  } else {
    co_return std::move(ended).error();  // cancelled: dropping the process kills its tree
  }
  const Ending& ending = course.ending;
  if (ending.kind == Ending::Kind::start_failed) co_return result_of_failed_start(ending, spec, sandbox, image);

  ExecResult result;
  result.usage.wall_ms = milliseconds_since(begin);
  // Who waits for a background child waits 200 ms at most; otherwise the end of the stream is only a read away.
  const bool tree_left = course.is_reported() && ending.exited.tree_left != 0;
  const io::Deadline drained = io::Deadline::in(tree_left ? kPipeGrace : kDrainLimit);
  const bool out_ended = co_await out.wait_end(drained);
  const bool err_ended = co_await err.wait_end(drained);
  result.background_left = tree_left && (!out_ended || !err_ended);
  judge(result, course, sandbox);
  set_usage(result, course, sandbox);
  result.out = out.take();
  result.err = err.take();
  result.sandbox_id = sandbox.id();
  result.image_digest = image.digest;
  co_await finish_spills(spills, result);
  if (result.background_left)
    result.hint = one_shot ? "a background process was killed with the sandbox" : "a background process still runs";
  co_return result;
}

}  // namespace lmsb::control
