#include "control/command_run.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"
#include "control/command_end.h"
#include "control/output_capture.h"
#include "control/spill.h"
#include "control/verdict.h"
#include "io/spawn.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::StartSpec;
using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Where the whole of a cut output goes: in a kept sandbox to files of it, in a one-shot nowhere.
struct Spills {
  std::shared_ptr<Spill> out;
  std::shared_ptr<Spill> err;
};

Spills make_spills(boost::asio::io_context& loop, SandboxHandle& sandbox, Bytes size) {
  if (size.count() == 0) return {};
  const std::string path = "/tmp/.lm-sandbox/output-" + std::to_string(sandbox.next_number());
  return {std::make_shared<Spill>(loop, sandbox, path + ".stdout", size),
          std::make_shared<Spill>(loop, sandbox, path + ".stderr", size)};
}

io::Always<void> finish_spills(Spills spills, Bytes size, ExecResult& result) {
  if (!spills.out) co_return;
  const Spill::Kept out = co_await spills.out->finish();
  const Spill::Kept err = co_await spills.err->finish();
  const Spill::Kept& kept = result.out.truncated_bytes > 0 ? out : err;
  result.spill_path = kept.path;
  if (!kept.path.empty() && !kept.is_whole)
    result.hint = "spill_path holds the beginning of the output: it was larger than " + format_bytes(size) +
                  " or than the room on the disk";
}

Result<UniqueFd> stdin_file(const std::string& data) {
  if (data.empty()) return UniqueFd();
  return os::make_sealed_memfd("stdin", data);
}

// Both streams of a command.
struct Outputs {
  OutputCapture out;
  OutputCapture err;
  bool have_ended = false;
  bool were_freed = false;
};

// Waits until both have come to their end, at most until `drained`. Where what the command has left keeps one locked,
// so that not even what the command itself wrote can be read, that is ended. `outputs` is of the caller's frame.
io::Always<void> drain(Outputs* outputs, io::Deadline drained) {
  bool out_ended = co_await outputs->out.wait_end(drained);
  bool err_ended = co_await outputs->err.wait_end(drained);
  const bool out_freed = outputs->out.take_back();
  const bool err_freed = outputs->err.take_back();
  outputs->were_freed = out_freed || err_freed;
  if (outputs->were_freed) {
    const io::Deadline again = io::Deadline::in(kKillGrace);
    out_ended = co_await outputs->out.wait_end(again);
    err_ended = co_await outputs->err.wait_end(again);
  }
  outputs->have_ended = out_ended && err_ended;
}

}  // namespace

io::Task<ExecResult> run_command(boost::asio::io_context& loop, SandboxHandle& sandbox, ImageDefaults image,
                                 Command command, RunPlace place) {
  LMSB_CO_CHECK(check_command(command));
  LMSB_CO_TRY(StartSpec spec, start_spec(image, command));
  spec.deadline_ms = static_cast<std::uint64_t>(command.timeout.count()) + kSpareMs;
  LMSB_CO_TRY(const UniqueFd input, stdin_file(command.stdin_data));
  Course course;
  course.one_shot = place.one_shot;
  course.oom_kills_before = sandbox.oom_kills();
  LMSB_CO_TRY(auto process, sandbox.channel().start(spec, input.get()));
  LMSB_CO_CHECK(co_await process.wait_started(io::Deadline::in(kStartLimit)));
  // A busy machine is not the command's fault: its time begins with it.
  const auto begin = Clock::now();
  const io::Deadline deadline = io::Deadline::in(command.timeout);
  std::optional<Attachment> attachment;
  if (place.attached)
    attachment.emplace(loop, place.attached,
                       attached_info(command, spec.cwd, sandbox.id(), process.pid(), place.process),
                       [&process](int signal, bool whole_tree) { return process.signal(signal, whole_tree); });
  const Spills spills = make_spills(loop, sandbox, place.spill);
  Outputs outputs{{loop, process.take_stdout(), command.output_cap, spills.out},
                  {loop, process.take_stderr(), command.output_cap, spills.err}};

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
  course.was_evicted = process.was_evicted();
  course.ended_by_owner = attachment && attachment->was_ended();
  const Ending& ending = course.ending;
  const Attempt attempt = attempt_of(spec, image);
  if (ending.kind == Ending::Kind::start_failed) {
    LMSB_CO_CHECK(result_of_failed_start(ending, attempt));
    ExecResult refused = verdict_of(course, attempt, &sandbox);
    refused.process_id = place.process;
    if (attachment) attachment->tell_end(refused);
    co_return refused;
  }

  const double wall_ms = milliseconds_since(begin);
  ExecResult result = verdict_of(course, attempt, &sandbox);
  result.process_id = place.process;
  result.usage.wall_ms = wall_ms;
  if (attachment) attachment->tell_end(result);
  attachment.reset();
  // Who waits for a background child waits 200 ms at most; otherwise the end of the stream is only a read away.
  const bool tree_left = course.is_reported() && ending.exited.tree_left != 0;
  const bool is_brief = tree_left || sandbox.is_removed();
  const io::Deadline drained = io::Deadline::in(is_brief ? kPipeGrace : kDrainLimit);
  co_await drain(&outputs, drained);
  result.background_left = tree_left && !outputs.have_ended;
  result.out = outputs.out.take();
  result.err = outputs.err.take();
  const std::string hint = hint_of_words(result, attempt.merge_stderr ? result.out.data : result.err.data);
  if (!hint.empty()) result.hint = hint;
  if (outputs.were_freed) result.hint = kFreed;
  co_await finish_spills(spills, place.spill, result);
  if (result.background_left)
    result.hint =
        place.one_shot ? "a background process was killed with the sandbox" : "a background process still runs";
  co_return result;
}

}  // namespace lmsb::control
