#include "control/processes.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/command_start.h"
#include "control/command_stream.h"
#include "control/kept_output.h"
#include "control/policy.h"
#include "control/verdict.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::milliseconds kInputLimit{30'000};  // for a process to take what is written to it

Error no_process(const std::string& id) {
  return Error(ErrorCode::not_found, "no process " + quoted(id) + " in this sandbox")
      .with_slug("process_not_found")
      .with_hint(
          "GET /v1/sandboxes/{id}/processes lists them; of those that ended detached ones are dropped when there are "
          "too "
          "many, or their sandbox is stopped, others at once");
}

Error is_attached(const std::string& id) {
  return Error(ErrorCode::failed_precondition,
               "what process " + id + " writes goes to whoever waits for it or follows it, and is not kept")
      .with_slug("process_attached")
      .with_hint("start a command with \"detach\": true to read its output from elsewhere");
}

Error has_ended(const std::string& id, bool background_left) {
  return Error(ErrorCode::failed_precondition, "process " + id + " has ended")
      .with_slug("process_ended")
      .with_hint(background_left ? "\"tree\": true reaches what it left behind" : "its `result` says how");
}

Error stays_open() {
  return Error(ErrorCode::invalid_argument, "the input of a terminal is not closed")
      .with_slug("invalid_request")
      .with_hint("write what one would type: \"\\u0004\" (Ctrl-D) ends what most programs read");
}

Error input_closed() {
  return Error(ErrorCode::failed_precondition, "the process was started without a stdin that can be written to")
      .with_slug("input_closed")
      .with_hint("start it with \"keep_stdin\": true");
}

Error too_many() {
  return Error(ErrorCode::resource_exhausted,
               "the sandbox has " + std::to_string(guest_protocol::kMaxKept) + " detached processes already")
      .with_slug("too_many_processes")
      .with_hint("end some of them, or wait");
}

ProcessNote note_of(const StartProcess& request, const guest_client::StartSpec& spec, const ImageDefaults& image) {
  ProcessNote note;
  note.id = create_prefixed_id(kProcessPrefix);
  note.cmd = shown_command(request.command.cmd);
  note.asked_at = rfc3339_now();
  note.began_ms = boottime_ms();
  note.timeout = request.command.timeout;
  note.has_stdin = spec.keep_stdin || request.terminal;
  note.has_terminal = request.terminal.has_value();
  note.attempt = attempt_of(spec, image);
  return note;
}

// Of one that has not begun yet.
std::shared_ptr<ProcessRecord> record_of(boost::asio::io_context& loop, const std::string& sandbox, ProcessNote note,
                                         guest_client::KeptProcess process) {
  auto record = std::make_shared<ProcessRecord>(loop, std::move(process));
  record->info.id = std::move(note.id);
  record->info.sandbox_id = sandbox;
  record->info.cmd = std::move(note.cmd);
  record->info.cwd = note.attempt.cwd;
  record->info.has_stdin = note.has_stdin;
  record->info.has_terminal = note.has_terminal;
  record->info.merge_stderr = note.attempt.merge_stderr;
  record->had_stdin = note.has_stdin;
  record->info.timeout = note.timeout;
  record->asked_at = std::move(note.asked_at);
  record->began_ms = note.began_ms;
  record->told = std::move(note.told);
  record->attempt = std::move(note.attempt);
  record->oom_kills_before = note.oom_kills_before;
  return record;
}

ProcessNote note_of(const ProcessRecord& record) {
  ProcessNote note;
  note.id = record.info.id;
  note.cmd = record.info.cmd;
  note.asked_at = record.asked_at;
  note.began_ms = record.began_ms;
  note.timeout = record.info.timeout;
  note.has_stdin = record.had_stdin;
  note.has_terminal = record.info.has_terminal;
  note.oom_kills_before = record.oom_kills_before;
  note.attempt = record.attempt;
  return note;
}

// What is known of a process without a note of ours.
ProcessNote unknown_process() {
  ProcessNote note;
  note.id = create_prefixed_id(kProcessPrefix);
  note.asked_at = rfc3339_now();
  note.began_ms = boottime_ms();
  return note;
}

// A moment of CLOCK_BOOTTIME as one of the clock that does not count sleep.
std::chrono::steady_clock::time_point moment_of(std::uint64_t boottime) {
  const std::uint64_t now = boottime_ms();
  return std::chrono::steady_clock::now() - std::chrono::milliseconds(now - std::min(now, boottime));
}

Result<guest_client::StartSpec> kept_spec(const ImageDefaults& image, const StartProcess& request, Bytes spill) {
  Command command = request.command;
  if (request.terminal && !command.env.contains("TERM")) command.env["TERM"] = "xterm-256color";
  LMSB_TRY(guest_client::StartSpec spec, start_spec(image, command));
  spec.deadline_ms = static_cast<std::uint64_t>(command.timeout.count());
  spec.spill = spill;
  spec.keep_stdin = request.keep_stdin || !command.stdin_data.empty();
  if (!request.terminal) return spec;
  spec.columns = request.terminal->columns;
  spec.rows = request.terminal->rows;
  const auto* text = std::get_if<std::string>(&command.cmd);
  if (text != nullptr && text->empty()) spec.argv = {command.shell, "-l"};
  return spec;
}

Error no_terminal() {
  return Error(ErrorCode::failed_precondition, "the process has no terminal")
      .with_slug("no_terminal")
      .with_hint("start it with \"pty\"");
}

}  // namespace

const ExecResult& told_of(const Result<ExecResult>& ran) {
  static const ExecResult unknown;
  return ran.ok() ? *ran : unknown;
}

// ---- Processes

Processes::Processes(boost::asio::io_context& loop, Parts parts, Logger& log)
    : loop_(loop), parts_(std::move(parts)), log_(log) {}

io::Task<ProcessInfo> Processes::start(Principal who, std::string sandbox, StartProcess request) {
  LMSB_CO_CHECK(check_command(request.command));
  if (request.command.timeout.count() == 0) request.command.timeout = parts_.timeout_cap();
  LMSB_CO_CHECK(settle_timeout(request.command, parts_.timeout_cap()));
  LMSB_CO_TRY(auto visit, parts_.registry.visit(who, sandbox));
  const auto handle = visit.sandbox;
  const auto table = visit.processes;
  const ImageDefaults& defaults = *visit.defaults;
  LMSB_CO_TRY(guest_client::StartSpec spec, kept_spec(defaults, request, parts_.spill));
  if (!table->make_room(guest_protocol::kMaxKept)) co_return too_many();
  ProcessNote note = note_of(request, spec, defaults);
  note.oom_kills_before = handle->oom_kills();
  spec.note = pack(note);
  LMSB_CO_TRY(auto process, handle->channel().start_kept(spec, -1));
  const auto record = record_of(loop_, handle->id(), std::move(note), std::move(process));
  record->use = std::move(visit.use);
  record->by = who.name;
  table->add(record);
  Status begun = co_await wait_begun(record, handle);
  if (begun.ok() && !request.command.stdin_data.empty() && !record->info.result)
    begun = co_await record->process.write_stdin(std::move(request.command.stdin_data), !request.keep_stdin,
                                                 io::Deadline::in(kInputLimit));
  if (!begun.ok()) {
    record->process.forget();
    table->remove(record->info.id);
    co_return std::move(begun).error();
  }
  if (!request.keep_stdin && !request.terminal) record->info.has_stdin = false;
  log_.log(LogLevel::debug, "process.started", {{"id", record->info.id}, {"sandbox", record->info.sandbox_id}});
  co_return record->info;
}

void Processes::take_up(KeptSandbox& sandbox, std::vector<guest_client::HeldProcess> held) {
  ProcessTable& table = *sandbox.processes;
  for (guest_client::HeldProcess& process : held) {
    ProcessNote note = unpack_process_note(process.note).value_or(unknown_process());
    const bool is_session = !note.session.empty();
    const bool is_taken = is_session ? table.sessions.contains(note.session) || table.sessions.size() >= kMaxSessions
                                     : table.find(note.id) != nullptr;
    const bool is_over = is_session && (process.process.has_ended() || !note.reads_script);
    if (is_taken || is_over) {
      process.process.forget();
    } else if (is_session) {
      table.sessions[note.session] =
          std::make_shared<ShellSession>(loop_, sandbox.handle, ShellSession::About(note), std::move(process.process),
                                         ShellSession::Bash::may_be_busy);
    } else {
      take_up_process(sandbox, std::move(process), std::move(note));
    }
  }
}

void Processes::take_up_process(const KeptSandbox& sandbox, guest_client::HeldProcess held, ProcessNote note) {
  const auto began = moment_of(note.began_ms);
  const auto record = record_of(loop_, sandbox.info.id, std::move(note), std::move(held.process));
  record->began = began;
  record->info.started_at = record->asked_at;
  record->info.pid = record->process.pid();
  record->info.has_stdin = held.has_stdin;
  if (held.ended_ms != 0) record->ended = std::max(moment_of(held.ended_ms), began);
  if (!record->process.has_ended()) record->use = Life::Use(sandbox.life);
  sandbox.processes->add(record);
  io::spawn(loop_, follow(this, record, sandbox.handle));
}

// Ends when the command runs, or has a verdict because there is no such program.
io::Task<void> Processes::wait_begun(std::shared_ptr<ProcessRecord> record, std::weak_ptr<SandboxHandle> sandbox) {
  LMSB_CO_CHECK(co_await record->process.wait_started(io::Deadline::in(kStartLimit)));
  if (!record->process.has_begun()) {
    LMSB_CO_TRY(const auto ending, co_await record->process.wait_ended(io::Deadline::never()));
    const auto result = result_of_failed_start(ending, record->attempt);
    if (!result.ok()) co_return result.error();
  }
  record->began = std::chrono::steady_clock::now();
  record->info.started_at = record->asked_at;
  record->info.pid = record->process.pid();
  const CommandNote note{record->info.sandbox_id, record->info.id, record->by};
  parts_.tell(note, nullptr);
  io::spawn(loop_, follow(this, record, sandbox));
  co_return Status();
}

// Waits for the end of a process and sets its verdict. Whoever holds the record sees it.
io::Always<void> Processes::follow(Processes* self, std::shared_ptr<ProcessRecord> record,
                                   std::weak_ptr<SandboxHandle> sandbox) {
  const auto ending = co_await record->process.wait_ended(io::Deadline::never());
  const auto handle = sandbox.lock();
  Course course;
  if (ending.ok()) course.ending = *ending;
  course.ended_by_owner = record->is_forgotten;
  course.oom_kills_before = record->oom_kills_before;
  if (record->told) course.oom_kills = record->told->oom_kills;
  course.timed_out = course.is_reported() && course.ending.exited.timed_out != 0;
  ExecResult result = verdict_of(course, record->attempt, handle.get());
  record->failure = std::exchange(record->attempt.merge_stderr ? result.out : result.err, {}).data;
  result.sandbox_id = record->info.sandbox_id;
  result.background_left = course.is_reported() && course.ending.exited.tree_left != 0;
  const auto now = std::chrono::steady_clock::now();
  const auto ended = record->ended.value_or(now);
  result.usage.wall_ms = std::chrono::duration<double, std::milli>(ended - record->began).count();
  const auto since = std::chrono::floor<std::chrono::milliseconds>(now - ended);
  record->info.ended_at = rfc3339_in(-since);
  record->ended_ms = boottime_ms() - static_cast<std::uint64_t>(since.count());
  if (record->told) {
    result.usage.wall_ms = record->told->wall_ms;
    record->info.ended_at = record->told->ended_at;
  } else if (handle) {
    ProcessNote note = note_of(*record);
    note.told = {handle->oom_kills(), record->info.ended_at, result.usage.wall_ms};
    record->process.keep_note(pack(note));
  }
  record->info.has_stdin = false;
  record->use = Life::Use();
  record->info.result = std::move(result);
  record->changed.notify_all();
  if (record->told) co_return;
  self->parts_.count(*record->info.result);
  const CommandNote note{record->info.sandbox_id, record->info.id, record->by};
  self->parts_.tell(note, &*record->info.result);
}

io::Task<std::shared_ptr<CommandStream>> Processes::run(Principal who, std::string sandbox, FollowCommand request) {
  LMSB_CO_CHECK(check_command(request.command));
  if (request.command.timeout.count() == 0) request.command.timeout = parts_.timeout_cap();
  LMSB_CO_CHECK(settle_timeout(request.command, parts_.timeout_cap()));
  LMSB_CO_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  const std::string id = kept->info.id;  // it may be removed, or paused, while the command waits
  const Life::Use waiting(kept->life);
  StreamPlace place;
  place.relay = std::move(request.relay);
  LMSB_CO_TRY(place.slot, co_await parts_.admission.enter(who.name));
  LMSB_CO_TRY(auto visit, parts_.registry.come_back(who, id));
  place.sandbox = std::move(visit.sandbox);
  place.image = *visit.defaults;
  place.use = std::move(visit.use);
  place.attached = visit.processes->attached;
  place.process = create_prefixed_id(kProcessPrefix);
  if (request.takes_input) place.input = visit.processes->take_input(loop_, place.process);
  const CommandNote note{id, place.process, who.name};
  place.on_start = [this, note] { parts_.tell(note, nullptr); };
  place.on_verdict = [this, note](const ExecResult& result) {
    parts_.count(result);
    parts_.tell(note, &result);
  };
  co_return co_await open_command_stream(loop_, std::move(place), std::move(request.command));
}

Result<std::vector<ProcessInfo>> Processes::list(const Principal& who, const std::string& sandbox) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  std::vector<ProcessInfo> all;
  for (const auto& record : kept->processes->all())
    if (!record->info.started_at.empty()) all.push_back(record->info);
  for (const auto& command : kept->processes->attached->all()) all.push_back(command->info());
  std::stable_sort(all.begin(), all.end(),
                   [](const ProcessInfo& a, const ProcessInfo& b) { return a.started_at < b.started_at; });
  return all;
}

Result<std::shared_ptr<AttachedCommand>> Processes::find_attached(const Principal& who, const std::string& sandbox,
                                                                  const std::string& process) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  return kept->processes->attached->find(process);
}

Result<std::shared_ptr<ProcessRecord>> Processes::find(const Principal& who, const std::string& sandbox,
                                                       const std::string& process) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  auto record = kept->processes->find(process);
  if (record) return record;
  return kept->processes->attached->find(process) ? is_attached(process) : no_process(process);
}

Result<std::shared_ptr<ProcessRecord>> Processes::find_terminal(const Principal& who, const std::string& sandbox,
                                                                const std::string& process) {
  auto record = find(who, sandbox, process);
  if (record.ok() ? !(*record)->info.has_terminal : record.error().slug() == "process_attached") return no_terminal();
  return record;
}

io::Task<ProcessInfo> Processes::get(Principal who, std::string sandbox, std::string process,
                                     std::chrono::milliseconds wait) {
  const io::Deadline deadline = io::Deadline::in(wait);
  LMSB_CO_TRY(const auto attached, find_attached(who, sandbox, process));
  if (attached) {
    Status ended = co_await attached->wait_end(deadline);
    if (!ended.ok() && ended.error().code() != ErrorCode::deadline_exceeded) co_return std::move(ended).error();
    if (ended.ok() && !attached->info().result) co_return no_process(process);  // its caller has gone
    co_return attached->info();
  }
  LMSB_CO_TRY(const auto record, find(who, sandbox, process));
  while (!record->info.result && !deadline.passed()) {
    Status changed = co_await record->changed.wait(deadline);
    if (!changed.ok() && changed.error().code() != ErrorCode::deadline_exceeded) co_return std::move(changed).error();
  }
  co_return record->info;
}

io::Task<OutputPiece> Processes::output(Principal who, std::string sandbox, std::string process, OutputAsked asked) {
  LMSB_CO_TRY(auto record, find(who, sandbox, process));
  co_return co_await read_kept(std::move(record), asked);
}

io::Task<OutputSpan> Processes::find_output(Principal who, std::string sandbox, std::string process, Stream stream,
                                            OutputPeriod period) {
  LMSB_CO_TRY(auto record, find(who, sandbox, process));
  co_return co_await find_kept(std::move(record), stream, period);
}

Result<std::shared_ptr<CommandStream>> Processes::follow(const Principal& who, const std::string& sandbox,
                                                         const std::string& process, FollowFrom from) {
  LMSB_TRY(auto record, find(who, sandbox, process));
  return follow_kept(std::move(record), from);
}

io::Task<void> Processes::write_stdin(Principal who, std::string sandbox, std::string process, std::string data,
                                      bool close) {
  LMSB_CO_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  LMSB_CO_TRY(const auto visit, kept->visit_to_talk());
  const auto attached = kept->processes->attached->find(process);
  if (auto input = kept->processes->input_of(process)) {
    LMSB_CO_CHECK(
        co_await CommandInput::write(std::move(input), std::move(data), close, io::Deadline::in(kInputLimit)));
    if (attached && close) attached->note_input_closed();
    co_return Status();
  }
  if (attached) co_return input_closed();
  LMSB_CO_TRY(const auto record, find(who, sandbox, process));
  if (close && record->info.has_terminal) co_return stays_open();
  const bool is_closed_again = close && data.empty() && record->had_stdin && !record->info.has_stdin;
  if (is_closed_again) co_return Status();
  LMSB_CO_CHECK(co_await record->process.write_stdin(std::move(data), close, io::Deadline::in(kInputLimit)));
  if (close) record->info.has_stdin = false;
  co_return Status();
}

Status Processes::signal(const Principal& who, const std::string& sandbox, const std::string& process, int signal,
                         bool whole_tree) {
  LMSB_TRY(const auto attached, find_attached(who, sandbox, process));
  if (attached) return attached->signal(signal, whole_tree);
  LMSB_TRY(const auto record, find(who, sandbox, process));
  const auto& result = record->info.result;
  if (result && !(whole_tree && result->background_left)) return has_ended(process, result->background_left);
  return record->process.signal(signal, whole_tree);
}

Status Processes::resize(const Principal& who, const std::string& sandbox, const std::string& process,
                         TerminalSize size) {
  LMSB_TRY(const auto record, find_terminal(who, sandbox, process));
  record->process.resize(size.columns, size.rows);
  return {};
}

Result<TerminalHolder> Processes::take_terminal(const Principal& who, const std::string& sandbox,
                                                const std::string& process) {
  LMSB_TRY(const auto record, find_terminal(who, sandbox, process));
  ++record->terminal_holder;
  record->changed.notify_all();
  return TerminalHolder{record->terminal_holder, record->info};
}

io::Task<void> Processes::wait_taken(Principal who, std::string sandbox, TerminalHolder holder) {
  LMSB_CO_TRY(const auto record, find(who, sandbox, holder.process.id));
  while (record->terminal_holder == holder.number && !record->info.result)
    LMSB_CO_CHECK(co_await record->changed.wait());
  if (record->terminal_holder != holder.number) co_return Status();
  co_return Error(ErrorCode::failed_precondition, "the process has ended").with_slug("process_ended");
}

Status Processes::forget(const Principal& who, const std::string& sandbox, const std::string& process) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  const auto table = kept->processes;
  if (const auto attached = table->attached->find(process)) return table->attached->end(attached);
  const auto record = table->find(process);
  if (!record) return no_process(process);
  record->is_forgotten = true;
  record->process.forget();
  record->changed.notify_all();
  table->remove(process);
  return {};
}

}  // namespace lmsb::control
