#include "control/shell_session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "control/command_end.h"
#include "control/output_capture.h"
#include "control/verdict.h"

namespace lmsb::control {
namespace {

using guest_client::CpuTime;
using guest_client::Stream;
using Clock = std::chrono::steady_clock;

// The bash reads this, and then what session_line() makes of each command, as its script: so a command stands where it
// would in a script, in no loop and in no function, and `break`, `declare` and `return` do there what they do. 7 and 8
// are the streams, whatever a command makes of its own.
//
// A command's text comes as one word between two marks, so that a line which a daemon died with runs nothing. It begins
// with the $? of the one before.
constexpr const char* kScript = R"(exec 7>&1 8>&2 </dev/null
BASH_ARGV0=/bin/bash
__lm_mark= __lm_status=0 __lm_before=0 __lm_command=:
__lm_again() { return "$__lm_before"; }
__lm_take() {
  __lm_mark= __lm_command=: __lm_before=$__lm_status __lm_status=
  [[ $# == 3 && $1 == "$3" ]] || return 0
  __lm_mark=$1
  printf -v __lm_command %b "$2"
}
__lm_end() {
  __lm_status=${__lm_status:-$?}
  [[ -n $__lm_mark ]] || return 0
  printf '\n%s %d\n' "$__lm_mark" "$__lm_status" >&7
  printf '\n%s 0\n' "$__lm_mark" >&8
  __lm_mark=
}
)";

constexpr std::string_view kRun =
    R"(if ((__lm_before)); then __lm_again || eval -- "$__lm_command"; else :; eval -- "$__lm_command"; fi
__lm_end
)";

Error session_over() {
  return Error(ErrorCode::failed_precondition, "the shell session has ended").with_slug("session_over");
}

Error session_busy() {
  return Error(ErrorCode::resource_exhausted,
               std::to_string(ShellSession::kMaxWaiting) + " commands wait for their turn in this shell session")
      .with_slug("session_busy")
      .with_hint("wait for some of them, or take another session");
}

// Processor time between two moments; nothing where either is not known.
void set_cpu_time(Usage& usage, const std::optional<CpuTime>& from, const std::optional<CpuTime>& to) {
  usage.cpu_user_ms = usage.cpu_system_ms = std::nullopt;
  if (!from || !to) return;
  const auto ms = [](std::uint64_t us, std::uint64_t until_us) {
    return static_cast<double>(until_us - std::min(us, until_us)) / 1000;
  };
  usage.cpu_user_ms = ms(from->user_us, to->user_us);
  usage.cpu_system_ms = ms(from->system_us, to->system_us);
}

}  // namespace

std::string tracked_command(const std::string& command) {
  const std::size_t last = command.find_last_not_of(" \t\r\n");
  const bool goes_on =
      last != std::string::npos && std::string_view("|&\\").find(command[last]) != std::string_view::npos;
  if (goes_on || command.find("<<") != std::string::npos) return command;
  return command + "\n\n__lm_status=$?";
}

std::string merged_command(const std::string& command) {
  std::string line = "eval -- '";
  for (const char c : command) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return line + "' 2>&1";
}

std::string session_line(const std::string& command, const std::string& mark) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  static constexpr std::string_view kPlain = "%+,-./:@_";  // to bash, anywhere in a word, and to printf's %b
  std::string line = "__lm_take " + mark + " ";
  for (const char c : command) {
    const auto octet = static_cast<unsigned char>(c);
    const bool is_letter = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
    if (is_letter || (octet >= '0' && octet <= '9') || kPlain.find(c) != std::string_view::npos) {
      line += c;
    } else {
      line.append("\\\\x").append({kDigits[octet >> 4U], kDigits[octet & 15U]});
    }
  }
  return line + " " + mark + "\n";
}

// ---- MarkFinder

std::string MarkFinder::take(std::string_view octets) {
  if (found_) return {};
  const std::size_t before = held_.size();
  held_ += octets;
  std::size_t output = held_.size() - std::min(held_.size(), begin_.size() - 1);  // where nothing is found
  for (std::size_t at = held_.find(begin_); at != std::string::npos; at = held_.find(begin_, at + 1)) {
    const std::size_t digits = at + begin_.size();
    const std::size_t end = std::min(held_.find_first_not_of("0123456789", digits), held_.size());
    if (end - digits > kMaxDigits) continue;
    if (end == held_.size()) {  // it may become one
      output = std::min(output, at);
      break;
    }
    if (held_[end] != '\n' || end == digits) continue;
    std::from_chars(held_.data() + digits, held_.data() + end, number_);
    found_ = true;
    used_ += end + 1 - before;
    held_.resize(at);
    return std::exchange(held_, {});
  }
  used_ += octets.size();
  std::string certain = held_.substr(0, output);
  held_.erase(0, output);
  return certain;
}

std::string MarkFinder::rest() { return std::exchange(held_, {}); }

// ---- ShellSession

io::Task<std::shared_ptr<ShellSession>> ShellSession::start(boost::asio::io_context& loop,
                                                            std::shared_ptr<SandboxHandle> sandbox, ImageDefaults image,
                                                            std::string name) {
  Command command;
  command.cmd = Argv{"/bin/bash", "--noprofile", "--norc", "/dev/stdin"};
  LMSB_CO_TRY(guest_client::StartSpec spec, start_spec(image, command));
  spec.keep_stdin = true;
  ProcessNote note;
  note.session = std::move(name);
  note.asked_at = rfc3339_now();
  note.attempt.image_digest = std::move(image.digest);
  spec.note = pack(note);
  LMSB_CO_TRY(auto process, sandbox->channel().start_kept(spec, -1));
  const auto session = std::make_shared<ShellSession>(loop, sandbox, About(note), std::move(process));
  session->unread_ = kScript;
  LMSB_CO_CHECK(co_await session->process_.wait_started(io::Deadline::in(kStartLimit)));
  // Whether there is a bash at all: it answers an empty command.
  Command nothing;
  nothing.cmd = std::string(":");
  nothing.timeout = kStartLimit;
  LMSB_CO_TRY(const auto first, co_await session->run_in_turn(std::move(nothing)));
  if (first.outcome == Outcome::timed_out)
    co_return Error(ErrorCode::unavailable, "the shell has not begun within 30 s").with_slug("sandbox_silent");
  if (session->is_over())
    co_return Error(ErrorCode::failed_precondition, "a shell session needs /bin/bash, which this image has not")
        .with_slug("no_bash")
        .with_hint("leave `session` out, or take an image with bash");
  co_return session;
}

// The right to use the bash, until it is dropped.
class ShellSession::Turn {
 public:
  explicit Turn(ShellSession& session) : session_(session) { session_.is_busy_ = true; }
  ~Turn() {
    session_.is_busy_ = false;
    session_.running_.reset();
    session_.free_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  ShellSession& session_;
};

ShellSession::ShellSession(boost::asio::io_context& loop, const std::shared_ptr<SandboxHandle>& sandbox, About about,
                           guest_client::KeptProcess process, Bash bash)
    : loop_(loop),
      sandbox_(sandbox),
      about_(std::move(about)),
      process_(std::move(process)),
      is_behind_(bash == Bash::may_be_busy),
      free_(loop) {}

ShellSession::~ShellSession() { process_.forget(); }

io::Task<ExecResult> ShellSession::run(std::shared_ptr<ShellSession> self, Command command, Entrance entrance) {
  if (self->free_.waiting() >= kMaxWaiting) co_return session_busy();
  const auto queued = Clock::now();
  while (self->is_busy_) LMSB_CO_CHECK(co_await self->free_.wait());
  if (self->is_over()) co_return session_over();
  const Turn turn(*self);
  LMSB_CO_TRY(const auto slot, co_await entrance.admission.enter(entrance.caller));
  if (self->is_over()) co_return session_over();
  LMSB_CO_CHECK(entrance.check());
  self->attach(command, std::move(entrance.attached), entrance.process);
  const std::chrono::duration<double, std::milli> waited = Clock::now() - queued;
  auto result = co_await self->catch_up_and_run(std::move(command));
  if (result.ok()) {
    result->usage.queue_ms = waited.count();
    result->process_id = std::move(entrance.process);
    self->running_->tell_end(*result);
  } else {  // nobody knows where it stands
    self->is_over_ = true;
    self->process_.forget();
  }
  co_return result;
}

io::Task<void> ShellSession::wait_idle(std::shared_ptr<ShellSession> self, io::Deadline deadline) {
  while (self->is_busy_) LMSB_CO_CHECK(co_await self->free_.wait(deadline));
  co_return Status();
}

void ShellSession::attach(const Command& command, std::shared_ptr<AttachedCommands> all, std::string id) {
  ProcessInfo info = attached_info(command, "", sandbox_id(), process_.pid(), std::move(id));
  info.session = about_.name;
  running_.emplace(loop_, std::move(all), std::move(info),
                   [this](int signal, bool whole_tree) { return process_.signal(signal, whole_tree); });
}

void ShellSession::end() {
  was_ended_ = true;
  process_.kill();
}

SessionInfo ShellSession::info() const {
  SessionInfo info;
  info.name = about_.name;
  info.sandbox_id = sandbox_id();
  info.pid = process_.pid();
  info.started_at = about_.started_at;
  if (is_behind_) info.state = SessionInfo::State::unknown;
  if (is_busy_) info.state = SessionInfo::State::busy;
  if (running_) info.command = running_->command().info();
  info.waiting = free_.waiting();
  return info;
}

// Nobody's wait holds the sandbox: its owner can end it at any time.
std::uint64_t ShellSession::oom_kills() const {
  const auto sandbox = sandbox_.lock();
  return sandbox ? sandbox->oom_kills() : 0;
}

std::string ShellSession::sandbox_id() const {
  const auto sandbox = sandbox_.lock();
  return sandbox ? sandbox->id() : "";
}

// An empty command ends when all before it has, and with it stands where the next one's output begins.
io::Task<ExecResult> ShellSession::catch_up_and_run(Command command) {
  if (std::exchange(is_behind_, false)) {
    LMSB_CO_CHECK(co_await process_.write_stdin(std::string(kCatchUp), false, io::Deadline::in(command.timeout)));
    Command nothing;
    nothing.cmd = std::string(":");
    nothing.timeout = command.timeout;
    nothing.output_cap = Bytes(0);
    LMSB_CO_TRY(auto before, co_await run_in_turn(std::move(nothing)));
    if (is_over()) co_return before;
  }
  co_return co_await run_in_turn(std::move(command));
}

io::Task<ExecResult> ShellSession::run_in_turn(Command command) {
  Before before;
  before.oom_kills = oom_kills();
  before.cpu = process_.ask_cpu_time();
  const auto begin = Clock::now();
  const io::Deadline deadline = io::Deadline::in(command.timeout);
  const std::string mark = create_prefixed_id("end_");
  const std::string text = tracked_command(std::get<std::string>(command.cmd));
  std::string line = std::exchange(unread_, {});
  line += session_line(command.merge_stderr ? merged_command(text) : text, mark);
  ExecResult result;
  Status written = co_await write(std::move(line), deadline);
  std::shared_ptr<const guest_client::AskedCpuTime> asked_after;
  std::optional<int> status;  // nothing: it did not come to its end in this bash
  bool timed_out = !written.ok() && written.error().code() == ErrorCode::deadline_exceeded;
  if (written.ok()) {
    auto out = co_await read_stream(Stream::out, mark, command.output_cap, deadline, &result.out);
    asked_after = process_.ask_cpu_time();  // it is done, but for the mark behind stderr: nobody waits for the answer
    auto err = Result<std::optional<int>>(std::nullopt);
    if (out.ok()) err = co_await read_stream(Stream::err, mark, command.output_cap, deadline, &result.err);
    const auto& failed = out.ok() ? err : out;
    timed_out = !failed.ok() && failed.error().code() == ErrorCode::deadline_exceeded;
    if (!failed.ok() && !timed_out) co_return failed.error();
    if (failed.ok() && err->has_value()) status = *out;
  } else if (!timed_out && written.error().slug() != "input_closed") {
    co_return std::move(written).error();
  }
  result.usage.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  if (!status || process_.has_ended())
    co_return co_await conclude(timed_out && !process_.has_ended(), before, std::move(result));
  const auto after = co_await process_.wait_cpu_time(asked_after);
  set_cpu_time(result.usage, before.cpu->time, after);
  result.outcome = Outcome::exited;
  result.exit_code = *status;
  result.sandbox_id = sandbox_id();
  result.image_digest = about_.image_digest;
  if (oom_kills() > before.oom_kills) result.hint = kOutOfMemoryMeanwhile;
  co_return result;
}

// What runs it follows in one message, so that there is never a part of that: whoever comes after a daemon that died
// would have the rest of it read together with his own.
io::Task<void> ShellSession::write(std::string line, io::Deadline deadline) {
  std::string run(kRun);
  if (line.size() + run.size() <= guest_client::KeptProcess::kInputPiece) {
    line += run;
    co_return co_await process_.write_stdin(std::move(line), false, deadline);
  }
  LMSB_CO_CHECK(co_await process_.write_stdin(std::move(line), false, deadline));
  co_return co_await process_.write_stdin(std::move(run), false, deadline);
}

// Reads one stream to the command's mark; returns the number that stands behind it. Nothing where the stream ended
// without one, or the bash did: what it has left in the background may hold the stream for long.
io::Task<std::optional<int>> ShellSession::read_stream(Stream stream, std::string mark, Bytes cap,
                                                       io::Deadline deadline, Output* output) {
  MarkFinder finder(mark);
  HeadAndTail kept(cap.count());
  std::uint64_t& offset = offsets_[static_cast<std::size_t>(stream)];
  io::Deadline grace = io::Deadline::never();
  Status failure;
  while (failure.ok()) {
    const std::uint64_t seen = process_.news();
    const std::uint64_t asked = offset + finder.used();
    auto piece =
        co_await process_.read(stream, asked, io::Deadline::in(Clock::duration(0)), guest_client::Before::dropped);
    if (!piece.ok()) {
      failure = std::move(piece).error();
      break;
    }
    offset += piece->offset - asked;
    kept.lose(piece->offset - asked);
    kept.append(finder.take(piece->data));
    if (finder.is_found() || (piece->data.empty() && piece->ended) || grace.passed()) break;
    if (process_.has_ended() && grace.is_never()) grace = io::Deadline::in(kPipeGrace);
    if (deadline.passed()) failure = Error(ErrorCode::deadline_exceeded, "the command is not done");
    if (!piece->data.empty() || !failure.ok()) continue;
    Status news = co_await process_.wait_news(seen, std::min(deadline, grace));
    if (!news.ok() && news.error().code() != ErrorCode::deadline_exceeded) failure = std::move(news);
  }
  if (!finder.is_found()) kept.append(finder.rest());
  offset += finder.used();
  *output = kept.take();
  if (!failure.ok()) co_return std::move(failure).error();
  co_return finder.is_found() ? std::optional(finder.number()) : std::nullopt;
}

// The bash is gone, or has to go: its end is the verdict.
io::Task<ExecResult> ShellSession::conclude(bool timed_out, Before before, ExecResult result) {
  is_over_ = true;
  if (timed_out) process_.kill();
  Course course;
  course.timed_out = timed_out;
  course.oom_kills_before = before.oom_kills;
  course.ended_by_owner = was_ended_ || (running_ && running_->was_ended());
  auto ended = co_await process_.wait_ended(io::Deadline::in(kKillGrace));
  if (!ended.ok() && !timed_out) {  // it lives, and says nothing any more
    process_.kill();
    ended = co_await process_.wait_ended(io::Deadline::in(kKillGrace));
  }
  if (ended.ok()) course.ending = *ended;
  const auto sandbox = sandbox_.lock();
  ExecResult verdict = verdict_of(course, Attempt{"/bin/bash", "", about_.image_digest}, sandbox.get());
  verdict.out = std::move(result.out);
  verdict.err = std::move(result.err);
  verdict.usage.wall_ms = result.usage.wall_ms;
  verdict.usage.max_memory_bytes = std::nullopt;  // the bash's, of all its commands
  const guest_protocol::Exited& exited = course.ending.exited;
  const CpuTime after{exited.cpu_user_us, exited.cpu_system_us};
  set_cpu_time(verdict.usage, before.cpu->time, course.is_reported() ? std::optional(after) : std::nullopt);
  if (!verdict.hint.empty()) verdict.hint += "; ";
  verdict.hint += "the shell session has ended with this command: the next one begins in a new shell";
  co_return verdict;
}

}  // namespace lmsb::control
