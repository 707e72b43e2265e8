#include "guest_client/kept_process.h"

#include <cerrno>
#include <csignal>
#include <map>

#include "base/assert.h"
#include "guest_client/channel_state.h"
#include "guest_client/guest_error.h"

namespace lmsb::guest_client {

using guest_protocol::Header;
using guest_protocol::Kind;
using guest_protocol::kMaxPiece;

namespace {

using State = std::shared_ptr<ProcessState>;

Error input_closed() {
  return Error(ErrorCode::failed_precondition, "the process does not read its stdin")
      .with_slug("input_closed")
      .with_hint("it has ended, has closed it, or was started without one (\"keep_stdin\": true keeps it open)");
}

Error forgotten() { return Error(ErrorCode::not_found, "the process is forgotten").with_slug("process_not_found"); }

Error no_answer() {
  return Error(ErrorCode::unavailable, "the sandbox does not answer")
      .with_slug("sandbox_silent")
      .with_hint("it may be starved of CPU: try again, or delete it");
}

// Whether the guest can still say something of it.
Status check_alive(const ProcessState& state) {
  if (state.is_forgotten) return forgotten();
  const auto channel = state.channel.lock();
  if (!channel || channel->closed) return guest_gone();
  return {};
}

// Sends to the guest, waiting for room. Errors: unavailable, deadline_exceeded, cancelled.
template <class Message>
io::Task<void> send(std::shared_ptr<ChannelState> channel, Message message, std::string data, io::Deadline deadline) {
  while (!channel->send(message, data)) {
    if (errno != EAGAIN) co_return guest_gone();
    LMSB_CO_CHECK(co_await ChannelState::wait_room(channel, deadline));
  }
  co_return Status();
}

// The error of a wait for the guest's answer to a question that any guest answers at once.
Error silence(Error error) { return error.code() == ErrorCode::deadline_exceeded ? no_answer() : std::move(error); }

// Sends a question of the guest's, and waits until it is answered: `pending` has something in `answer` then. Who goes
// before takes it out of `table`. `table` is of `state`.
template <class Message, class Pending, class Answer>
io::Task<void> ask(State state, Message request, std::map<std::uint32_t, std::shared_ptr<Pending>>* table,
                   std::shared_ptr<Pending> pending, std::optional<Answer> Pending::*answer) {
  const auto channel = state->channel.lock();
  const io::Deadline deadline = io::Deadline::in(channel->answer_limit);
  std::string no_data;
  Status asked = co_await send(channel, request, std::move(no_data), deadline);
  if (!asked.ok()) co_return silence(std::move(asked).error());
  (*table)[request.ticket] = pending;
  while (!(pending.get()->*answer)) {
    LMSB_CO_CHECK(check_alive(*state));
    Status changed = co_await state->changed.wait(deadline);
    if (changed.ok()) continue;
    table->erase(request.ticket);
    co_return silence(std::move(changed).error());
  }
  if (pending->error == ESRCH) co_return forgotten();
  if (pending->error != 0) co_return guest_error(pending->error, "read the output of a process");
  co_return Status();
}

// Asks once. The piece is empty where there is nothing yet.
io::Task<Piece> read_once(State state, Stream stream, std::uint64_t offset, Before before, Times times) {
  LMSB_CO_CHECK(check_alive(*state));
  const auto read = std::make_shared<ProcessState::Read>();
  read->stream = stream;
  read->offset = offset;
  guest_protocol::ReadOutput request{};
  request.header = {Kind::read_output, state->sequence};
  request.ticket = state->next_ticket++;
  request.stream = stream;
  request.offset = offset;
  request.size = kMaxPiece;
  request.discard = before == Before::dropped ? 1 : 0;
  request.by_time = times == Times::wanted ? 1 : 0;
  LMSB_CO_CHECK(co_await ask(state, request, &state->reads, read, &ProcessState::Read::piece));
  co_return *std::move(read->piece);
}

io::Task<void> write_piece(State state, std::string piece, bool close, io::Deadline deadline) {
  LMSB_CO_CHECK(check_alive(*state));
  const auto channel = state->channel.lock();
  guest_protocol::WriteStdin request{};
  request.header = {Kind::write_stdin, state->sequence};
  request.size = static_cast<std::uint32_t>(piece.size());
  request.close = close ? 1 : 0;
  state->written.reset();
  LMSB_CO_CHECK(co_await send(channel, request, std::move(piece), deadline));
  while (!state->written) {
    LMSB_CO_CHECK(check_alive(*state));
    Status changed = co_await state->changed.wait(deadline);
    if (changed.ok()) continue;
    state->is_cut_short = !state->written;
    co_return std::move(changed).error();
  }
  const int error = *state->written;
  if (error == EPIPE || error == ESRCH) co_return input_closed();
  if (error != 0) co_return guest_error(error, "write to the stdin of a process");
  co_return Status();
}

}  // namespace

io::Task<void> KeptProcess::wait_started(io::Deadline deadline) const {
  const auto state = state_;
  while (!state->started && !state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (!state->started && state->ending->kind == Ending::Kind::lost) co_return guest_gone();
  co_return Status();
}

bool KeptProcess::has_begun() const { return state_->started; }
int KeptProcess::pid() const { return state_->pid; }
bool KeptProcess::has_ended() const { return state_->ending.has_value(); }
bool KeptProcess::is_out_of_reach() const { return !check_alive(*state_).ok(); }

io::Task<Ending> KeptProcess::wait_ended(io::Deadline deadline) const {
  const auto state = state_;
  while (!state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  co_return *state->ending;
}

io::Task<Piece> KeptProcess::read(Stream stream, std::uint64_t offset, io::Deadline wait, Before before,
                                  Times times) const {
  const auto state = state_;
  for (;;) {
    const std::uint64_t seen = state->grown[static_cast<std::size_t>(stream)];
    LMSB_CO_TRY(auto piece, co_await read_once(state, stream, offset, before, times));
    if (!piece.data.empty() || piece.ended || wait.passed()) co_return piece;
    while (state->grown[static_cast<std::size_t>(stream)] == seen) {
      LMSB_CO_CHECK(check_alive(*state));
      Status changed = co_await state->changed.wait(wait);
      if (changed.ok()) continue;
      if (changed.error().code() == ErrorCode::deadline_exceeded) co_return piece;
      co_return std::move(changed).error();
    }
  }
}

io::Task<Span> KeptProcess::find(Stream stream, Period period) const {
  const auto state = state_;
  LMSB_CO_CHECK(check_alive(*state));
  const auto search = std::make_shared<ProcessState::Search>();
  search->stream = stream;
  guest_protocol::FindOutput request{};
  request.header = {Kind::find_output, state->sequence};
  request.ticket = state->next_ticket++;
  request.stream = stream;
  request.since_ms = period.since_ms;
  request.until_ms = period.until_ms;
  LMSB_CO_CHECK(co_await ask(state, request, &state->searches, search, &ProcessState::Search::span));
  co_return *search->span;
}

std::uint64_t KeptProcess::news() const {
  return state_->grown[0] + state_->grown[1] + (state_->ending ? 1 : 0) + (is_out_of_reach() ? 1 : 0);
}

io::Task<void> KeptProcess::wait_news(std::uint64_t seen, io::Deadline deadline) const {
  const KeptProcess self = *this;
  while (self.news() == seen) LMSB_CO_CHECK(co_await self.state_->changed.wait(deadline));
  co_return Status();
}

io::Task<void> KeptProcess::write_stdin(std::string data, bool close, io::Deadline deadline) const {
  const auto state = state_;
  while (state->is_writing) {
    LMSB_CO_CHECK(check_alive(*state));
    LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  }
  state->is_writing = true;
  Status written;
  std::size_t done = 0;
  do {
    std::string piece = data.substr(done, kInputPiece);
    done += piece.size();
    written = co_await write_piece(state, std::move(piece), close && done == data.size(), deadline);
  } while (written.ok() && done < data.size());
  if (state->is_cut_short) co_return written;  // it is the guest's word that lets the next one write
  state->is_writing = false;
  state->changed.notify_all();
  co_return written;
}

std::shared_ptr<const AskedCpuTime> KeptProcess::ask_cpu_time() const {
  auto asked = std::make_shared<AskedCpuTime>();
  const auto channel = state_->channel.lock();
  const bool is_asked = check_alive(*state_).ok() && channel->send(Header{Kind::read_usage, state_->sequence});
  asked->is_answered = !is_asked;
  if (is_asked) state_->asked_cpu.push_back(asked);
  return asked;
}

io::Always<std::optional<CpuTime>> KeptProcess::wait_cpu_time(std::shared_ptr<const AskedCpuTime> asked) const {
  const auto state = state_;
  const auto channel = state->channel.lock();
  const io::Deadline deadline = io::Deadline::in(channel ? channel->answer_limit : std::chrono::milliseconds(0));
  while (!asked->is_answered && check_alive(*state).ok()) {
    const Status changed = co_await state->changed.wait(deadline);
    if (!changed.ok()) break;
  }
  co_return asked->time;
}

void KeptProcess::keep_note(const std::string& note) const {
  LMSB_ASSERT(note.size() <= guest_protocol::kMaxNote);
  const auto channel = state_->channel.lock();
  if (!channel || state_->is_forgotten) return;
  const guest_protocol::KeepNote request{{Kind::keep_note, state_->sequence}, static_cast<std::uint32_t>(note.size())};
  ChannelState::send_surely(channel, request, note);
}

void KeptProcess::resize(std::uint16_t columns, std::uint16_t rows) const {
  const auto channel = state_->channel.lock();
  if (channel && !channel->closed)
    (void)channel->send(guest_protocol::Resize{{Kind::resize, state_->sequence}, columns, rows});
}

Status KeptProcess::signal(int signal, bool whole_tree) const {
  return ChannelState::signal(*state_, signal, whole_tree);
}

void KeptProcess::hang_up() const {
  if (const auto channel = state_->channel.lock()) ChannelState::signal_tree(channel, state_->sequence, SIGHUP);
}

void KeptProcess::kill() const {
  if (const auto channel = state_->channel.lock()) ChannelState::signal_tree(channel, state_->sequence, SIGKILL);
}

void KeptProcess::forget() const {
  if (std::exchange(state_->is_forgotten, true)) return;
  if (!state_->ending) state_->ending = Ending{};  // nobody will hear of its real one
  state_->changed.notify_all();
  const auto channel = state_->channel.lock();
  if (!channel) return;
  ChannelState::send_surely(channel, guest_protocol::Header{Kind::forget, state_->sequence});
  channel->processes.erase(state_->sequence);
}

}  // namespace lmsb::guest_client
