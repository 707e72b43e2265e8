#include "guest_client/channel.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <signal.h>

#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "os/message_socket.h"
#include "os/pipe.h"

namespace lmsb::guest_client {

using guest_protocol::Kind;

struct ProcessState {
  ProcessState(boost::asio::io_context& loop, std::weak_ptr<ChannelState> c, std::uint32_t s)
      : channel(std::move(c)), sequence(s), changed(loop) {}
  std::weak_ptr<ChannelState> channel;
  std::uint32_t sequence;
  bool started = false;
  UniqueFd out;
  UniqueFd err;
  std::optional<Ending> ending;
  io::Event changed;
};

struct ChannelState {
  ChannelState(boost::asio::io_context& l, UniqueFd s)
      : loop(l), socket(std::move(s)), watch(l.get_executor(), socket), changed(l) {}
  boost::asio::io_context& loop;
  UniqueFd socket;
  io::FdWatch watch;  // after the socket: ends before it
  bool closed = false;
  std::optional<guest_protocol::Ready> ready;
  std::optional<guest_protocol::Failed> failed;
  io::Event changed;
  std::uint32_t next_sequence = 1;
  std::map<std::uint32_t, std::weak_ptr<ProcessState>> processes;

  void close();
  bool dispatch(const char* message, std::size_t size, ReceivedFds& fds);
  std::shared_ptr<ProcessState> find(std::uint32_t sequence);
  void end(std::uint32_t sequence, const Ending& ending);
  bool send_kill(std::uint32_t sequence, int signal, bool whole_tree);
};

namespace {

template <class Message>
bool read_as(Message& message, const char* data, std::size_t size) {
  if (size != sizeof message) return false;
  std::memcpy(&message, data, sizeof message);
  return true;
}

Error guest_gone() { return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost"); }

// Reads messages until the guest goes. Holds the state while the channel lives.
io::Always<void> read_messages(std::shared_ptr<ChannelState> state) {
  constexpr int kTurn = 32;  // messages before others have theirs: a flood must not hold the loop
  std::array<char, 1024> buffer{};
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

}  // namespace

void ChannelState::close() {
  if (closed) return;
  closed = true;
  watch.cancel();
  changed.notify_all();
  for (const auto& [sequence, weak] : std::exchange(processes, {}))
    if (const auto process = weak.lock()) {
      if (!process->ending) process->ending = Ending{};
      process->changed.notify_all();
    }
}

std::shared_ptr<ProcessState> ChannelState::find(std::uint32_t sequence) {
  const auto found = processes.find(sequence);
  return found == processes.end() ? nullptr : found->second.lock();
}

void ChannelState::end(std::uint32_t sequence, const Ending& ending) {
  if (const auto process = find(sequence)) {
    process->ending = ending;
    process->changed.notify_all();
  }
  processes.erase(sequence);
}

// False for what no guest of ours sends.
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
      if (!read_as(value, message, size) || fds.count != 2) return false;
      if (!os::is_readable_pipe(fds.fds[0].get()) || !os::is_readable_pipe(fds.fds[1].get())) return false;
      const auto process = find(header.sequence);
      if (!process) return true;
      process->started = true;
      process->out = std::move(fds.fds[0]);
      process->err = std::move(fds.fds[1]);
      process->changed.notify_all();
      return true;
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
    default: return false;
  }
}

bool ChannelState::send_kill(std::uint32_t sequence, int signal, bool whole_tree) {
  if (closed) return false;
  guest_protocol::KillRequest request{{Kind::kill, sequence}, signal, whole_tree ? 1U : 0U};
  const iovec part{&request, sizeof request};
  return send_message(socket.get(), &part, 1);
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

UniqueFd Process::take_stdout() { return std::move(state_->out); }
UniqueFd Process::take_stderr() { return std::move(state_->err); }

io::Task<Ending> Process::wait_ended(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ending) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  co_return *state->ending;
}

void Process::kill_tree() {
  if (const auto channel = state_->channel.lock()) (void)channel->send_kill(state_->sequence, SIGKILL, true);
}

void Process::signal(int signal) {
  if (const auto channel = state_->channel.lock()) (void)channel->send_kill(state_->sequence, signal, false);
}

Channel::Channel(boost::asio::io_context& loop, UniqueFd socket)
    : state_(std::make_shared<ChannelState>(loop, std::move(socket))) {
  const int flags = ::fcntl(state_->socket.get(), F_GETFL);
  (void)::fcntl(state_->socket.get(), F_SETFL, flags | O_NONBLOCK);
  io::spawn(loop, read_messages(state_));
}

Channel::~Channel() {
  state_->close();
  (void)::shutdown(state_->socket.get(), SHUT_RDWR);  // the reader's task may hold the descriptor a moment longer
}

io::Task<guest_protocol::Ready> Channel::wait_ready(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ready && !state->closed) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (state->ready) co_return *state->ready;
  if (state->failed) {
    const std::string step = std::string("launch: ") + guest_protocol::to_string(state->failed->step);
    co_return Error::from_errno(state->failed->error, step);
  }
  co_return guest_gone();
}

Result<Process> Channel::start(const StartSpec& spec, int stdin_fd) {
  if (state_->closed) return guest_gone();
  std::string body;
  for (const auto* list : {&spec.argv, &spec.env})
    for (const std::string& text : *list) body.append(text.c_str(), text.size() + 1);
  body.append(spec.cwd.c_str(), spec.cwd.size() + 1);
  if (body.size() > guest_protocol::kMaxBody || spec.argv.size() > 2048 || spec.env.size() > 2048)
    return Error(ErrorCode::invalid_argument, "arguments and environment are larger than 384 KiB or 2048 entries")
        .with_slug("command_too_large");
  guest_protocol::StartRequest request{};
  request.header = {Kind::start, state_->next_sequence++};
  request.program = spec.program;
  request.argc = static_cast<std::uint32_t>(spec.argv.size());
  request.envc = static_cast<std::uint32_t>(spec.env.size());
  request.body_size = static_cast<std::uint32_t>(body.size());
  request.spare_deadline_ms = spec.spare_deadline_ms;
  const std::array<iovec, 2> parts = {{{&request, sizeof request}, {body.data(), body.size()}}};
  if (!send_message(state_->socket.get(), parts.data(), parts.size(), &stdin_fd, stdin_fd >= 0 ? 1 : 0)) {
    if (errno == EAGAIN)
      return Error(ErrorCode::resource_exhausted, "the sandbox does not keep up with requests")
          .with_slug("sandbox_busy");
    return guest_gone();
  }
  auto process = std::make_shared<ProcessState>(state_->loop, state_, request.header.sequence);
  state_->processes[request.header.sequence] = process;
  return Process(std::move(process));
}

bool Channel::is_closed() const { return state_->closed; }

}  // namespace lmsb::guest_client
