#include "guest_client/kept_process.h"

#include <cerrno>

#include "guest_client/channel_state.h"

namespace lmsb::guest_client {

using guest_protocol::Kind;
using guest_protocol::kMaxPiece;

namespace {

using State = std::shared_ptr<ProcessState>;

constexpr std::size_t kInputPiece = 16 * 1024;  // several fit into the socket at once

Error input_closed() {
  return Error(ErrorCode::failed_precondition, "the process does not read its stdin")
      .with_slug("input_closed")
      .with_hint("it has ended, has closed it, or was started without one (\"stdin\": true keeps it open)");
}

// Asks once. The piece is empty where there is nothing yet.
io::Task<Piece> read_once(State state, Stream stream, std::uint64_t offset, Before before) {
  const auto channel = state->channel.lock();
  if (!channel || channel->closed) co_return guest_gone();
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
  while (!channel->send(request)) {
    if (errno != EAGAIN) co_return guest_gone();
    LMSB_CO_CHECK(co_await ChannelState::wait_room(channel));
  }
  state->reads[request.ticket] = read;
  while (!read->piece) {
    if (channel->closed) co_return guest_gone();
    Status changed = co_await state->changed.wait();
    if (changed.ok()) continue;
    state->reads.erase(request.ticket);
    co_return std::move(changed).error();
  }
  if (read->error != 0) co_return Error::from_errno(read->error, "read the output of a process");
  co_return *std::move(read->piece);
}

io::Task<void> write_piece(State state, std::string piece, bool close, io::Deadline deadline) {
  const auto channel = state->channel.lock();
  if (!channel || channel->closed) co_return guest_gone();
  guest_protocol::WriteStdin request{};
  request.header = {Kind::write_stdin, state->sequence};
  request.size = static_cast<std::uint32_t>(piece.size());
  request.close = close ? 1 : 0;
  state->written.reset();
  while (!channel->send(request, piece)) {
    if (errno != EAGAIN) co_return guest_gone();
    LMSB_CO_CHECK(co_await ChannelState::wait_room(channel));
  }
  while (!state->written) {
    if (channel->closed) co_return guest_gone();
    LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  }
  const int error = *state->written;
  if (error == EPIPE || error == ESRCH) co_return input_closed();
  if (error != 0) co_return Error::from_errno(error, "write to the stdin of a process");
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

io::Task<Ending> KeptProcess::wait_ended(io::Deadline deadline) const {
  const auto state = state_;
  while (!state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  co_return *state->ending;
}

io::Task<Piece> KeptProcess::read(Stream stream, std::uint64_t offset, io::Deadline wait, Before before) const {
  const auto state = state_;
  for (;;) {
    const std::uint64_t seen = state->grown[static_cast<std::size_t>(stream)];
    LMSB_CO_TRY(auto piece, co_await read_once(state, stream, offset, before));
    if (!piece.data.empty() || piece.ended || wait.passed()) co_return piece;
    while (state->grown[static_cast<std::size_t>(stream)] == seen) {
      Status changed = co_await state->changed.wait(wait);
      if (changed.ok()) continue;
      if (changed.error().code() == ErrorCode::deadline_exceeded) co_return piece;
      co_return std::move(changed).error();
    }
  }
}

std::uint64_t KeptProcess::news() const { return state_->grown[0] + state_->grown[1] + (state_->ending ? 1 : 0); }

io::Task<void> KeptProcess::wait_news(std::uint64_t seen, io::Deadline deadline) const {
  const KeptProcess self = *this;
  while (self.news() == seen) LMSB_CO_CHECK(co_await self.state_->changed.wait(deadline));
  co_return Status();
}

io::Task<void> KeptProcess::write_stdin(std::string data, bool close, io::Deadline deadline) const {
  const auto state = state_;
  while (state->is_writing) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  state->is_writing = true;
  Status written;
  std::size_t done = 0;
  do {
    std::string piece = data.substr(done, kInputPiece);
    done += piece.size();
    written = co_await write_piece(state, std::move(piece), close && done == data.size(), deadline);
  } while (written.ok() && done < data.size());
  // A piece that was cut short is still on its way: the next writer is told EBUSY by the guest until it has gone.
  state->is_writing = false;
  state->changed.notify_all();
  co_return written;
}

void KeptProcess::resize(std::uint16_t columns, std::uint16_t rows) const {
  const auto channel = state_->channel.lock();
  if (channel && !channel->closed)
    (void)channel->send(guest_protocol::Resize{{Kind::resize, state_->sequence}, columns, rows});
}

void KeptProcess::signal(int signal, bool whole_tree) const {
  if (const auto channel = state_->channel.lock()) (void)channel->send_kill(state_->sequence, signal, whole_tree);
}

void KeptProcess::forget() const {
  const auto channel = state_->channel.lock();
  if (!channel) return;
  (void)channel->send(guest_protocol::Header{Kind::forget, state_->sequence});
  channel->processes.erase(state_->sequence);
}

}  // namespace lmsb::guest_client
