#include "guest_client/channel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>

#include "base/clock.h"
#include "guest_client/channel_state.h"
#include "guest_client/guest_error.h"
#include "io/spawn.h"
#include "os/pipe.h"

namespace lmsb::guest_client {

using guest_protocol::Kind;

namespace {

template <class Message>
bool read_as(Message& message, const char* data, std::size_t size) {
  if (size != sizeof message) return false;
  std::memcpy(&message, data, sizeof message);
  return true;
}

// Reads messages until the guest goes. Holds the state while the channel lives.
io::Always<void> read_messages(std::shared_ptr<ChannelState> state) {
  constexpr int kTurn = 32;  // messages before others have theirs: a flood must not hold the loop
  // One loop, one thread, and no wait between a message's arrival and its end: never in use twice.
  static std::array<char, sizeof(guest_protocol::OutputPiece) + guest_protocol::kMaxPiece> buffer;
  for (int taken = 1; !state->closed; ++taken) {
    if (taken % kTurn == 0) {
      const Status turn = co_await state->watch.readable();
      if (!turn.ok()) break;
    }
    ReceivedFds fds;
    const ssize_t size = receive_message(state->socket.get(), buffer.data(), buffer.size(), fds, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
      const Status readable = co_await state->watch.readable();
      if (!readable.ok()) break;
      continue;
    }
    if (size <= 0 || !state->dispatch(buffer.data(), static_cast<std::size_t>(size), fds)) break;
  }
  state->close();
}

// Sends what is owed until all of it has been taken.
io::Always<void> send_owed(std::shared_ptr<ChannelState> state) {
  while (!state->closed && !state->owed.empty()) {
    const std::string& message = state->owed.front();
    const iovec part{const_cast<char*>(message.data()), message.size()};  // NOLINT: C interface
    if (send_message(state->socket.get(), &part, 1)) {
      state->owed.pop_front();
    } else if (errno == EAGAIN) {
      const Status room = co_await ChannelState::wait_room(state, io::Deadline::never());
      if (!room.ok()) break;
    } else {
      break;
    }
  }
  state->owed.clear();
}

// Whether a piece can be the answer to a read at `asked`. What lies beyond the stream's end so far is answered with
// nothing.
bool adds_up(const guest_protocol::OutputPiece& piece, std::uint64_t asked) {
  if (piece.size == 0) return piece.offset >= asked;
  return piece.offset >= asked && piece.end >= piece.offset && piece.end - piece.offset >= piece.size;
}

// Nothing: it runs.
std::optional<Ending> ending_of(const guest_protocol::Held& held) {
  Ending ending;
  switch (held.state) {
    case guest_protocol::Held::State::runs: return std::nullopt;
    case guest_protocol::Held::State::exited:
      ending.kind = Ending::Kind::exited;
      ending.exited = held.exited;
      return ending;
    case guest_protocol::Held::State::start_failed:
      ending.kind = Ending::Kind::start_failed;
      ending.step = held.failure.step;
      ending.error = held.failure.error;
      return ending;
  }
  return ending;  // no word of ours: lost
}

Error launch_failed(const guest_protocol::Failed& failed) {
  Error error = Error::from_errno(failed.error, std::string("launch: ") + guest_protocol::to_string(failed.step));
  if (failed.step == guest_protocol::Step::network)
    return std::move(error).with_hint(
        "networks need nftables with transparent proxies in the kernel: modprobe nft_tproxy");
  // The sandbox's disk may have a link, a file or a directory where another is meant.
  if (!is_of_a_tree(failed.error)) return error;
  Error of_its_disk = std::move(error).with_code(ErrorCode::failed_precondition);
  if (failed.step != guest_protocol::Step::mounts) return of_its_disk;
  return std::move(of_its_disk)
      .with_slug("invalid_mount_target")
      .with_hint("where a directory or volume is to be mounted there is a link, or no directory");
}

}  // namespace

Error guest_gone() { return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost"); }

Error guest_busy() {
  return Error(ErrorCode::resource_exhausted, "the sandbox does not keep up with requests").with_slug("sandbox_busy");
}

void ChannelState::close() {
  if (closed) return;
  closed = true;
  watch.cancel();
  changed.notify_all();
  owed.clear();
  end_ports();
  (void)::shutdown(socket.get(), SHUT_RDWR);  // the reader's task may hold the descriptor a moment longer
  for (const auto& [sequence, weak] : std::exchange(processes, {}))
    if (const auto process = weak.lock()) {
      if (!process->ending) process->ending = Ending{};
      process->changed.notify_all();
    }
  on_eviction = {};
  if (const auto told = std::exchange(on_closed, {})) told();
}

std::shared_ptr<ProcessState> ChannelState::find(std::uint32_t sequence) {
  const auto found = processes.find(sequence);
  return found == processes.end() ? nullptr : found->second.lock();
}

void ChannelState::end(std::uint32_t sequence, const Ending& ending) {
  const auto process = find(sequence);
  if (process) {
    if (!process->ending) process->ending = ending;
    process->changed.notify_all();
  }
  if (!process || !process->is_kept) processes.erase(sequence);  // a kept one's output can still be read
  changed.notify_all();
}

bool ChannelState::dispatch(const char* message, std::size_t size, ReceivedFds& fds) {
  guest_protocol::Header header{};
  if (size < sizeof header) return false;
  std::memcpy(&header, message, sizeof header);
  switch (header.kind) {
    case Kind::ready: {
      guest_protocol::Ready value{};
      if (!read_as(value, message, size)) return false;
      ready = value;
      changed.notify_all();
      return true;
    }
    case Kind::failed: {
      guest_protocol::Failed value{};
      if (!read_as(value, message, size)) return false;
      failed = value;
      return false;
    }
    case Kind::started: {
      guest_protocol::Started value{};
      return read_as(value, message, size) && take_started(value, fds);
    }
    case Kind::start_failed: {
      guest_protocol::StartFailed value{};
      if (!read_as(value, message, size)) return false;
      Ending ending;
      ending.kind = Ending::Kind::start_failed;
      ending.step = value.step;
      ending.error = value.error;
      end(header.sequence, ending);
      return true;
    }
    case Kind::exited: {
      Ending ending;
      ending.kind = Ending::Kind::exited;
      if (!read_as(ending.exited, message, size)) return false;
      end(header.sequence, ending);
      return true;
    }
    case Kind::stdin_done:
    case Kind::output:
    case Kind::output_grew: return take_kept(header.kind, message, size);
    case Kind::output_span: return take_span(message, size);
    case Kind::usage: return take_usage(message, size);
    case Kind::held: return take_held(message, size);
    case Kind::port_connected: return size == sizeof header && take_port(header.sequence, fds);
    case Kind::network: return size == sizeof header && take_network(header.sequence, fds);
    case Kind::models: {
      guest_protocol::Models value{};
      return read_as(value, message, size) && take_models(value, fds);
    }
    case Kind::port_failed: {
      guest_protocol::PortFailed value{};
      return read_as(value, message, size) && take_port_failure(value);
    }
    default: return false;
  }
}

bool ChannelState::take_started(const guest_protocol::Started& started, ReceivedFds& fds) {
  const std::uint32_t sequence = started.header.sequence;
  const auto process = find(sequence);
  const bool is_kept = process && process->is_kept;
  if (fds.count != (is_kept ? 0 : 2)) return false;
  for (std::size_t i = 0; i < fds.count; ++i)
    if (!os::is_readable_pipe(fds.fds[i].get())) return false;
  // From here on: also what is let go of at once is closed without waiting.
  std::array<io::ForeignPipe, 2> pipes;
  for (std::size_t i = 0; i < fds.count; ++i)
    pipes.at(i) = io::ForeignPipe(loop, std::move(fds.fds[i]), eviction(weak_from_this(), sequence));
  if (!process) return true;
  process->started = true;
  process->pid = started.pid;
  process->out = std::move(pipes[0]);
  process->err = std::move(pipes[1]);
  process->changed.notify_all();
  return true;
}

// What concerns a kept process: it is told; what it thinks of the contents is its own matter.
bool ChannelState::take_kept(Kind kind, const char* message, std::size_t size) {
  if (kind == Kind::output) return take_output(message, size);
  if (kind == Kind::stdin_done) {
    guest_protocol::StdinDone value{};
    if (!read_as(value, message, size)) return false;
    const auto process = find(value.header.sequence);
    if (!process) return true;
    process->written = value.error;
    if (std::exchange(process->is_cut_short, false)) process->is_writing = false;
    process->changed.notify_all();
    return true;
  }
  guest_protocol::OutputGrew value{};
  if (!read_as(value, message, size) || value.stream > guest_protocol::Stream::err) return false;
  const auto process = find(value.header.sequence);
  if (!process) return true;
  ++process->grown[static_cast<std::size_t>(value.stream)];
  process->changed.notify_all();
  return true;
}

bool ChannelState::take_output(const char* message, std::size_t size) {
  guest_protocol::OutputPiece value{};
  if (size < sizeof value) return false;
  std::memcpy(&value, message, sizeof value);
  if (value.size > guest_protocol::kMaxPiece || size != sizeof value + value.size) return false;
  const auto process = find(value.header.sequence);
  if (!process) return true;
  const auto found = process->reads.find(value.ticket);
  if (found == process->reads.end()) return true;  // whoever asked has gone
  ProcessState::Read& read = *found->second;
  if (value.error == 0 && (value.stream != read.stream || !adds_up(value, read.offset))) return false;
  read.error = value.error;
  read.piece = Piece{value.offset, std::string(message + sizeof value, value.size), value.end, value.ended != 0};
  if (value.size > 0 && value.came_ms != 0) read.piece->came_ms = std::min(value.came_ms, boottime_ms());
  process->reads.erase(found);
  process->changed.notify_all();
  return true;
}

bool ChannelState::take_span(const char* message, std::size_t size) {
  guest_protocol::OutputSpan value{};
  if (!read_as(value, message, size)) return false;
  const auto process = find(value.header.sequence);
  if (!process) return true;
  const auto found = process->searches.find(value.ticket);
  if (found == process->searches.end()) return true;  // whoever asked has gone
  ProcessState::Search& search = *found->second;
  if (value.error == 0 && (value.stream != search.stream || value.begin > value.end)) return false;
  search.error = value.error;
  search.span = Span{value.begin, value.end};
  process->searches.erase(found);
  process->changed.notify_all();
  return true;
}

bool ChannelState::take_usage(const char* message, std::size_t size) {
  guest_protocol::Usage value{};
  if (!read_as(value, message, size)) return false;
  const auto process = find(value.header.sequence);
  if (!process) return true;
  if (process->asked_cpu.empty()) return false;
  const auto asked = process->asked_cpu.front();
  process->asked_cpu.pop_front();
  asked->is_answered = true;
  if (value.error == 0) asked->time = CpuTime{value.cpu_user_us, value.cpu_system_us};
  process->changed.notify_all();
  return true;
}

bool ChannelState::take_held(const char* message, std::size_t size) {
  guest_protocol::Held value{};
  if (has_told_all || size < sizeof value) return false;
  std::memcpy(&value, message, sizeof value);
  if (value.note_size > guest_protocol::kMaxNote || size != sizeof value + value.note_size) return false;
  const std::uint32_t sequence = value.header.sequence;
  if (sequence == 0) {
    constexpr std::uint32_t kMostSequences = 1U << 31U;  // none comes twice: those of later channels are behind it
    const auto comes_later = [&](const HeldProcess& process) { return process.number > value.last_sequence; };
    if (value.last_sequence >= kMostSequences || std::any_of(held.begin(), held.end(), comes_later)) return false;
    std::sort(held.begin(), held.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    has_told_all = true;
    next_sequence = std::max(next_sequence, value.last_sequence + 1);
    changed.notify_all();
    return true;
  }
  if (held.size() >= guest_protocol::kMaxKept || processes.contains(sequence)) return false;
  auto process = std::make_shared<ProcessState>(loop, weak_from_this(), sequence);
  process->is_kept = true;
  process->started = value.state != guest_protocol::Held::State::start_failed;
  process->pid = value.pid;
  process->is_writing = process->is_cut_short = value.takes_input != 0;
  process->ending = ending_of(value);
  processes[sequence] = process;
  held.push_back({KeptProcess(process), std::string(message + sizeof value, value.note_size), sequence, value.ended_ms,
                  value.has_stdin != 0});
  return true;
}

// One task waits for all who want room, each with a deadline of its own.
io::Always<void> ChannelState::watch_room(std::shared_ptr<ChannelState> self) {
  const Status writable = co_await self->watch.writable();
  self->is_watching_room = false;
  if (!writable.ok()) self->close();  // it is closed, or nobody can tell when there is room
  self->changed.notify_all();
}

io::Task<void> ChannelState::wait_room(std::shared_ptr<ChannelState> self, io::Deadline deadline) {
  if (self->closed) co_return guest_gone();
  if (!std::exchange(self->is_watching_room, true)) io::spawn(self->loop, watch_room(self));
  LMSB_CO_CHECK(co_await self->changed.wait(deadline));
  co_return Status();
}

void ChannelState::owe(const std::shared_ptr<ChannelState>& self, std::string message) {
  self->owed.push_back(std::move(message));
  if (self->owed.size() == 1) io::spawn(self->loop, send_owed(self));
}

void ChannelState::signal_tree(const std::shared_ptr<ChannelState>& self, std::uint32_t sequence, int signal) {
  send_surely(self, guest_protocol::KillRequest{{Kind::kill, sequence}, signal, 1U});
}

Status ChannelState::signal(const ProcessState& process, int signal, bool whole_tree) {
  const auto channel = process.channel.lock();
  if (!channel || channel->closed) return guest_gone();
  const guest_protocol::KillRequest request{{Kind::kill, process.sequence}, signal, whole_tree ? 1U : 0U};
  if (channel->send(request)) return {};
  return errno == EAGAIN ? guest_busy() : guest_gone();
}

io::ForeignPipe::Evict ChannelState::eviction(std::weak_ptr<ChannelState> channel, std::uint32_t sequence) {
  return [channel = std::move(channel), sequence](int times) {
    const auto self = channel.lock();
    if (!self || self->closed) return;
    if (const auto process = self->find(sequence)) process->is_evicted = true;
    signal_tree(self, sequence, SIGKILL);
    if (self->on_eviction) self->on_eviction(times);
  };
}

Process::~Process() {
  if (state_ && !state_->ending) kill_tree();
}

io::Task<void> Process::wait_started(io::Deadline deadline) {
  const auto state = state_;
  while (!state->started && !state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (!state->started && state->ending->kind == Ending::Kind::lost) co_return guest_gone();
  co_return Status();
}

int Process::pid() const { return state_->pid; }

io::ForeignPipe Process::take_stdout() { return std::move(state_->out); }
io::ForeignPipe Process::take_stderr() { return std::move(state_->err); }

io::ForeignPipe::Evict Process::eviction() const { return ChannelState::eviction(state_->channel, state_->sequence); }
bool Process::was_evicted() const { return state_->is_evicted; }

io::Task<Ending> Process::wait_ended(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  co_return *state->ending;
}

void Process::kill_tree() {
  if (const auto channel = state_->channel.lock()) ChannelState::signal_tree(channel, state_->sequence, SIGKILL);
}

Status Process::signal(int signal, bool whole_tree) const { return ChannelState::signal(*state_, signal, whole_tree); }

Channel::Channel(boost::asio::io_context& loop, UniqueFd socket, std::chrono::milliseconds answer_limit, Guest guest)
    : state_(std::make_shared<ChannelState>(loop, std::move(socket))) {
  state_->answer_limit = answer_limit;
  state_->has_told_all = guest == Guest::fresh;
  const int flags = ::fcntl(state_->socket.get(), F_GETFL);
  (void)::fcntl(state_->socket.get(), F_SETFL, flags | O_NONBLOCK);
  io::spawn(loop, read_messages(state_));
}

Channel::~Channel() { close(); }

void Channel::close() { state_->close(); }

void Channel::on_closed(std::function<void()> told) {
  if (!state_->closed) state_->on_closed = std::move(told);
}

io::Task<guest_protocol::Ready> Channel::wait_ready(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ready && !state->closed) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (state->ready) co_return *state->ready;
  if (state->failed) {
    co_return launch_failed(*state->failed);
  }
  co_return guest_gone();
}

io::Task<std::vector<HeldProcess>> Channel::take_held(io::Deadline deadline) {
  const auto state = state_;
  while (!state->has_told_all && !state->closed) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (!state->has_told_all) co_return guest_gone();
  co_return std::exchange(state->held, {});
}

void Channel::stay(std::chrono::milliseconds life) {
  ChannelState::send_surely(state_, guest_protocol::Stay{{Kind::stay, 0}, static_cast<std::uint64_t>(life.count())});
}

void Channel::ask_to_end() {
  for (const int signal : {SIGTERM, SIGCONT}) {
    for (const auto& [sequence, weak] : state_->processes) {
      const auto process = weak.lock();
      if (!process || process->ending || process->ends_with_input) continue;
      ChannelState::signal_tree(state_, sequence, signal);
    }
    ChannelState::signal_tree(state_, guest_protocol::kLeftBehind, signal);
  }
}

bool ChannelState::has_running() const {
  return std::any_of(processes.begin(), processes.end(), [](const auto& entry) {
    const auto process = entry.second.lock();
    return process && !process->ending;
  });
}

bool Channel::has_running() const { return state_->has_running(); }

io::Task<void> Channel::wait_all_ended(io::Deadline deadline) {
  const auto state = state_;
  while (state->has_running()) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (state->closed) co_return guest_gone();
  co_return Status();
}

Result<std::shared_ptr<ProcessState>> ChannelState::start(const StartSpec& spec, int stdin_fd,
                                                          guest_protocol::Output output,
                                                          const std::shared_ptr<ChannelState>& self) {
  if (closed) return guest_gone();
  std::string body;
  for (const auto* list : {&spec.argv, &spec.env})
    for (const std::string& text : *list) body.append(text.c_str(), text.size() + 1);
  body.append(spec.cwd.c_str(), spec.cwd.size() + 1);
  body.append(spec.note);
  if (body.size() > guest_protocol::kMaxBody || spec.argv.size() > 2048 || spec.env.size() > 2048)
    return Error(ErrorCode::invalid_argument, "arguments and environment are larger than 384 KiB or 2048 entries")
        .with_slug("command_too_large");
  guest_protocol::StartRequest request{};
  request.header = {Kind::start, next_sequence++};
  request.program = spec.program;
  request.argc = static_cast<std::uint32_t>(spec.argv.size());
  request.envc = static_cast<std::uint32_t>(spec.env.size());
  request.body_size = static_cast<std::uint32_t>(body.size());
  request.deadline_ms = spec.deadline_ms;
  request.output = output;
  request.keep_stdin = spec.keep_stdin ? 1 : 0;
  request.columns = spec.columns;
  request.rows = spec.rows;
  request.note_size = static_cast<std::uint32_t>(spec.note.size());
  request.limits = spec.limits;
  request.as_user = spec.as_user ? 1 : 0;
  request.merge_stderr = spec.merge_stderr ? 1 : 0;
  const std::uint64_t spill_mib = (spec.spill.count() + Bytes::MiB(1).count() - 1) / Bytes::MiB(1).count();
  request.spill_mib = static_cast<std::uint32_t>(std::min<std::uint64_t>(spill_mib, UINT32_MAX));
  const std::array<iovec, 2> parts = {{{&request, sizeof request}, {body.data(), body.size()}}};
  if (!send_message(socket.get(), parts.data(), parts.size(), &stdin_fd, stdin_fd >= 0 ? 1 : 0))
    return errno == EAGAIN ? guest_busy() : guest_gone();
  auto process = std::make_shared<ProcessState>(loop, self, request.header.sequence);
  process->is_kept = output == guest_protocol::Output::kept;
  process->ends_with_input = spec.program == guest_protocol::Program::save;
  processes[request.header.sequence] = process;
  return process;
}

Result<Process> Channel::start(const StartSpec& spec, int stdin_fd) {
  LMSB_TRY(auto process, state_->start(spec, stdin_fd, guest_protocol::Output::direct, state_));
  return Process(std::move(process));
}

Result<KeptProcess> Channel::start_kept(const StartSpec& spec, int stdin_fd) {
  LMSB_TRY(auto process, state_->start(spec, stdin_fd, guest_protocol::Output::kept, state_));
  return KeptProcess(std::move(process));
}

bool Channel::is_closed() const { return state_->closed; }

void Channel::on_eviction(std::function<void(int)> told) { state_->on_eviction = std::move(told); }

}  // namespace lmsb::guest_client
