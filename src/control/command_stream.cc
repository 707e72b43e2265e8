#include "control/command_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "control/command_end.h"
#include "control/verdict.h"
#include "io/event.h"
#include "io/spawn.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxInPipe = 1U << 20U;  // /proc/sys/fs/pipe-max-size, which the sandbox cannot raise

// One stream of the command. Its task reads a piece, or has its relay take one, and the next one when that has been
// taken.
struct Lane {
  Lane(boost::asio::io_context& loop, io::ForeignPipe p) : pipe(std::move(p)), ended(!pipe), taken(loop) {}
  io::ForeignPipe pipe;
  std::uint64_t offset = 0;  // of the piece
  std::uint64_t owed = 0;    // set with the verdict: no octet of the command itself stands behind this one
  std::string piece;
  std::shared_ptr<io::PipeRelay> relay;
  std::size_t relayed = 0;  // in place of `piece`
  bool is_lent = false;     // the event of `relayed` was given: at the next one it has been taken
  bool ended;
  bool is_dry = false;  // has been found empty since the verdict
  io::Event taken;

  bool has_piece() const { return !piece.empty() || relayed > 0; }
  std::optional<Error> failure;  // of reading: what follows is not known
  std::uint64_t waiting() const { return piece.size() + (is_lent ? 0 : relayed); }
  // Whether something of the command itself may still be in the pipe.
  bool owes() const { return !ended && !is_dry && offset < owed; }
};

// What the stream and its tasks share.
struct State {
  State(boost::asio::io_context& loop, StreamPlace p, guest_client::Process started)
      : place(std::move(p)), process(std::move(started)), changed(loop), over(loop) {
    queue_ms = place.slot.waited_ms();
  }
  StreamPlace place;
  guest_client::Process process;
  std::optional<Attachment> attachment;
  Attempt attempt;
  std::uint64_t oom_kills_before = 0;
  double queue_ms = 0;
  Clock::time_point began;
  std::optional<Clock::time_point> given;        // when the reader left with an event; nothing: he waits for one
  std::optional<ExecResult> verdict;             // once the command itself has ended; the sandbox is let go of then
  io::Deadline drained = io::Deadline::never();  // set with the verdict: what is written later does not count
  std::array<std::unique_ptr<Lane>, guest_protocol::kStreams> lanes;
  std::string last_words;  // of its stderr
  bool stopped = false;
  bool freed = false;  // what the command left kept a pipe locked, and was ended for that
  io::Event changed;
  io::Event over;  // of the command, or of the stream

  void note_words(Stream stream, const std::string& octets) {
    if ((stream == Stream::out) != attempt.merge_stderr) return;
    last_words.append(octets, octets.size() - std::min(octets.size(), kReadOfWords));
    if (last_words.size() > kReadOfWords) last_words.erase(0, last_words.size() - kReadOfWords);
  }
  bool is_drained() const { return lanes[0]->ended && lanes[1]->ended; }
  // Whether nothing of the command itself can be in a pipe any more: it is gone, and each pipe has been found empty
  // since, or has given more than a pipe holds.
  bool owes_nothing() const {
    return std::none_of(lanes.begin(), lanes.end(), [](const auto& lane) { return lane->owes(); });
  }
  // Notes which pipes are found empty, and has whoever keeps one locked, so that it cannot be, ended.
  void look_at_pipes() {
    for (const auto& lane : lanes) {
      lane->is_dry = lane->is_dry || (lane->waiting() == 0 && lane->pipe.is_empty());
      if (!lane->owes() || !lane->pipe.is_held()) continue;
      freed = true;
      lane->pipe.want_back();
    }
  }
  const Error* failure() const {
    for (const auto& lane : lanes)
      if (lane->failure) return &*lane->failure;
    return nullptr;
  }
};

// `lane` is of the state that the caller's frame holds.
io::Always<void> take_piece(Lane* lane) {
  if (lane->relay) {
    const auto relayed = co_await lane->pipe.relay(lane->relay, io::PipeRelay::kSize);
    lane->relayed = relayed.ok() ? *relayed : 0;
    if (!relayed.ok()) lane->failure = relayed.error();
  } else {
    auto piece = co_await lane->pipe.read(guest_protocol::kMaxPiece);
    if (!piece.ok()) lane->failure = piece.error();
    if (piece.ok()) lane->piece = *std::move(piece);
  }
  lane->ended = !lane->has_piece();
}

io::Always<void> read_lane(std::shared_ptr<State> state, Lane* lane) {
  while (!state->stopped && !lane->ended) {
    co_await take_piece(lane);
    state->changed.notify_all();
    while (lane->has_piece() && !state->stopped) {
      const Status taken = co_await lane->taken.wait();
      if (!taken.ok()) co_return;
    }
  }
  state->changed.notify_all();
}

void attach(boost::asio::io_context& loop, State& state, const Command& command, const std::string& cwd) {
  if (!state.place.attached) return;
  ProcessInfo info = attached_info(command, cwd, state.place.sandbox->id(), state.process.pid(), state.place.process);
  info.has_stdin = state.place.input != nullptr;
  state.attachment.emplace(loop, state.place.attached, std::move(info),
                           [&state](int signal, bool whole_tree) { return state.process.signal(signal, whole_tree); });
}

// Until the command has ended, by itself or at its time limit.
io::Always<void> wait_end(std::shared_ptr<State> state, io::Deadline deadline) {
  Course course;
  course.one_shot = state->place.one_shot;
  course.oom_kills_before = state->oom_kills_before;
  auto ended = co_await state->process.wait_ended(deadline);
  if (ended.ok()) {
    course.ending = *ended;
    course.timed_out = course.is_reported() && ended->exited.timed_out != 0;
  } else {
    course.timed_out = true;
    course.ending = co_await wait_killed(state->process, *state->place.sandbox);
  }
  course.was_evicted = state->process.was_evicted();
  course.ended_by_owner = state->attachment && state->attachment->was_ended();
  // Who waits for a background child waits a moment; otherwise the end of the streams is only a read away.
  const bool tree_left = course.is_reported() && course.ending.exited.tree_left != 0;
  state->drained = io::Deadline::in(tree_left ? kPipeGrace : kDrainLimit);
  for (const auto& lane : state->lanes) {
    lane->owed = lane->offset + lane->waiting() + kMaxInPipe;
    lane->is_dry = lane->waiting() == 0 && lane->pipe.is_empty();
  }
  state->verdict = verdict_of(course, state->attempt, state->place.sandbox.get());
  state->verdict->usage.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - state->began).count();
  state->verdict->usage.queue_ms = state->queue_ms;
  state->place.on_verdict(*state->verdict);
  if (state->attachment) state->attachment->tell_end(*state->verdict);
  state->attachment.reset();
  if (state->place.input) state->place.input->end();
  state->place.sandbox.reset();
  state->place.slot = Admission::Slot();
  state->place.use = Life::Use();
  state->changed.notify_all();
  state->over.notify_all();
}

// A command whose output nobody takes stands still sooner or later: it must not keep others from running.
io::Always<void> leave_place_when_stalled(std::shared_ptr<State> state) {
  while (!state->stopped && !state->verdict) {
    const auto patience = io::Deadline::at(state->given.value_or(Clock::now()) + kReaderPatience);
    if (patience.passed()) {
      state->place.slot = Admission::Slot();
      co_return;
    }
    (void)co_await state->over.wait(patience);
  }
}

class PipedStream final : public CommandStream {
 public:
  explicit PipedStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~PipedStream() override {
    state_->stopped = true;
    state_->over.notify_all();
    if (!state_->verdict) state_->process.kill_tree();
    for (const auto& lane : state_->lanes) {
      lane->pipe.cancel();
      lane->taken.notify_all();
    }
  }

  io::Task<std::optional<CommandEvent>> next(io::Deadline deadline) override {
    const auto state = state_;
    state->given.reset();
    auto event = next_of(state, deadline);
    auto given = co_await std::move(event);
    state->given = Clock::now();
    co_return given;
  }

 private:
  io::Task<std::optional<CommandEvent>> next_of(std::shared_ptr<State> state, io::Deadline deadline) {
    if (!std::exchange(has_begun_, true)) co_return started(*state);
    take_back(*state);
    while (!is_over_) {
      const bool grace_is_over = state->drained.passed();
      if (grace_is_over) state->look_at_pipes();
      if (grace_is_over && state->failure() == nullptr && state->owes_nothing()) co_return last(*state);
      if (auto event = piece_of(*state)) co_return event;
      if (const Error* failure = state->failure()) co_return *failure;
      if (state->verdict && state->is_drained()) co_return last(*state);
      // The end of the grace is no error of the wait: what comes then is the result.
      const io::Deadline again = grace_is_over ? io::Deadline::in(kPipeGrace) : state->drained;
      const io::Deadline until = std::min(deadline, again);
      Status changed = co_await state->changed.wait(until);
      if (changed.ok()) continue;
      if (changed.error().code() != ErrorCode::deadline_exceeded || deadline.passed())
        co_return std::move(changed).error();
    }
    co_return std::optional<CommandEvent>();
  }
  static std::optional<CommandEvent> started(const State& state) {
    CommandEvent event;
    event.pid = state.process.pid();
    event.process = state.place.process;
    return event;
  }
  // What was lent with the last event has been taken.
  static void take_back(State& state) {
    for (const auto& lane : state.lanes) {
      if (!std::exchange(lane->is_lent, false)) continue;
      lane->relayed = 0;
      lane->taken.notify_all();
    }
  }
  // What is there of either stream; the two take turns.
  std::optional<CommandEvent> piece_of(State& state) {
    for (std::size_t i = 0; i < state.lanes.size(); ++i) {
      turn_ = (turn_ + 1) % state.lanes.size();
      Lane& lane = *state.lanes[turn_];
      if (lane.waiting() == 0) continue;
      CommandEvent event;
      event.kind = CommandEvent::Kind::output;
      event.stream = static_cast<Stream>(turn_);
      event.offset = lane.offset;
      event.data = std::exchange(lane.piece, {});
      event.relayed = lane.relayed;
      state.note_words(event.stream, event.data);
      lane.is_lent = lane.relayed > 0;
      lane.offset += event.data.size() + event.relayed;
      if (!lane.is_lent) lane.taken.notify_all();
      return event;
    }
    return std::nullopt;
  }
  std::optional<CommandEvent> last(State& state) {
    CommandEvent event;
    // What a shell would have said of a program that cannot be executed.
    for (const Stream stream : {Stream::out, Stream::err}) {
      Output& said = stream == Stream::out ? state.verdict->out : state.verdict->err;
      if (said.data.empty()) continue;
      event.kind = CommandEvent::Kind::output;
      event.stream = stream;
      event.data = std::exchange(said, {}).data;
      return event;
    }
    is_over_ = true;
    event.kind = CommandEvent::Kind::result;
    event.result = std::move(*state.verdict);
    const std::string hint = hint_of_words(*event.result, state.last_words);
    if (!hint.empty()) event.result->hint = hint;
    event.result->background_left = !state.is_drained();
    if (event.result->background_left)
      event.result->hint =
          state.place.one_shot ? "a background process was killed with the sandbox" : "a background process still runs";
    if (!event.result->background_left && state.freed) event.result->hint = kFreed;
    return event;
  }

  std::shared_ptr<State> state_;
  std::size_t turn_ = 0;
  bool has_begun_ = false;
  bool is_over_ = false;
};

}  // namespace

io::Task<std::shared_ptr<CommandStream>> open_command_stream(boost::asio::io_context& loop, StreamPlace place,
                                                             Command command) {
  UniqueFd input;
  if (place.input) {
    LMSB_CO_CHECK(
        co_await CommandInput::write(place.input, std::move(command.stdin_data), false, io::Deadline::never()));
    LMSB_CO_TRY(input, place.input->make());
  } else if (!command.stdin_data.empty()) {
    LMSB_CO_TRY(input, os::make_sealed_memfd("stdin", command.stdin_data));
  }
  LMSB_CO_TRY(guest_client::StartSpec spec, start_spec(place.image, command));
  spec.deadline_ms = static_cast<std::uint64_t>(command.timeout.count()) + kSpareMs;
  const std::uint64_t oom_kills = place.sandbox->oom_kills();
  LMSB_CO_TRY(auto process, place.sandbox->channel().start(spec, input.get()));
  input.reset();
  LMSB_CO_CHECK(co_await process.wait_started(io::Deadline::in(kStartLimit)));
  const auto state = std::make_shared<State>(loop, std::move(place), std::move(process));
  state->attempt = attempt_of(spec, state->place.image);
  state->oom_kills_before = oom_kills;
  attach(loop, *state, command, spec.cwd);
  state->began = Clock::now();
  state->given = state->began;  // until he asks for the first
  state->lanes[0] = std::make_unique<Lane>(loop, state->process.take_stdout());
  state->lanes[1] = std::make_unique<Lane>(loop, state->process.take_stderr());
  state->lanes[0]->relay = state->place.relay;
  for (const auto& lane : state->lanes) io::spawn(loop, read_lane(state, lane.get()));
  if (state->place.on_start) state->place.on_start();
  io::spawn(loop, wait_end(state, io::Deadline::in(command.timeout)));
  if (state->place.input) {
    CommandInput::begin(state->place.input, state->process.eviction());
    state->place.slot = Admission::Slot();  // it is talked to, perhaps for hours
  } else {
    io::spawn(loop, leave_place_when_stalled(state));
  }
  std::shared_ptr<CommandStream> stream = std::make_shared<PipedStream>(state);
  co_return stream;
}

}  // namespace lmsb::control
