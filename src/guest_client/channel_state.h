#pragma once
// What a channel and the processes of it share. Private to guest_client.
#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "guest_client/channel.h"
#include "guest_client/kept_process.h"
#include "io/event.h"
#include "io/foreign_pipe.h"
#include "io/wait_fd.h"
#include "os/message_socket.h"
#include "os/tcp_socket.h"

namespace lmsb::guest_client {

struct ProcessState {
  ProcessState(boost::asio::io_context& loop, std::weak_ptr<ChannelState> c, std::uint32_t s)
      : channel(std::move(c)), sequence(s), changed(loop) {}
  std::weak_ptr<ChannelState> channel;
  std::uint32_t sequence;
  bool started = false;
  std::int32_t pid = 0;  // inside
  io::ForeignPipe out;
  io::ForeignPipe err;
  bool is_evicted = false;
  std::optional<Ending> ending;
  io::Event changed;
  bool ends_with_input = false;  // as Program::save does

  // Of a kept one.
  struct Read {
    Stream stream{};
    std::uint64_t offset = 0;  // asked
    std::optional<Piece> piece;
    int error = 0;
  };
  struct Search {
    Stream stream{};
    std::optional<Span> span;
    int error = 0;
  };
  bool is_kept = false;
  bool is_forgotten = false;
  std::uint32_t next_ticket = 1;
  std::map<std::uint32_t, std::shared_ptr<Read>> reads;  // by their tickets
  std::map<std::uint32_t, std::shared_ptr<Search>> searches;
  std::array<std::uint64_t, guest_protocol::kStreams> grown{};  // how often there was news
  bool is_writing = false;
  bool is_cut_short = false;                            // whoever wrote has gone; the piece is still on its way
  std::optional<int> written;                           // errno of the write in progress, once it is done
  std::deque<std::shared_ptr<AskedCpuTime>> asked_cpu;  // which the guest answers in this order
};

// A socket of the guest's that somebody waits for: a connection to a port, or where its models are asked for.
struct AwaitedSocket {
  explicit AwaitedSocket(boost::asio::io_context& loop) : answered(loop) {}
  ~AwaitedSocket() {
    if (socket) os::close_at_once(std::move(socket));
  }
  AwaitedSocket(const AwaitedSocket&) = delete;
  AwaitedSocket& operator=(const AwaitedSocket&) = delete;
  bool is_answered() const { return socket || error != 0; }
  UniqueFd socket;
  std::int32_t error = 0;
  io::Event answered;
};

// The sockets of its network that somebody waits for.
struct AwaitedNetwork {
  explicit AwaitedNetwork(boost::asio::io_context& loop) : answered(loop) {}
  bool is_answered = false;
  std::optional<NetworkSockets> sockets;  // nothing: it has none
  io::Event answered;
};

struct ChannelState : std::enable_shared_from_this<ChannelState> {
  ChannelState(boost::asio::io_context& l, UniqueFd s)
      : loop(l), socket(std::move(s)), watch(l.get_executor(), socket), changed(l) {}
  boost::asio::io_context& loop;
  UniqueFd socket;
  io::FdWatch watch;  // after the socket: ends before it
  std::chrono::milliseconds answer_limit{};
  bool closed = false;
  std::function<void()> on_closed;
  std::function<void(int)> on_eviction;
  bool is_watching_room = false;  // a task waits until the socket takes more, and says so by `changed`
  std::optional<guest_protocol::Ready> ready;
  std::optional<guest_protocol::Failed> failed;
  io::Event changed;
  std::uint32_t next_sequence = 1;
  std::map<std::uint32_t, std::weak_ptr<ProcessState>> processes;
  template <class Answer>
  using Waiting = std::map<std::uint32_t, Answer*>;  // by the request's number; each of an Awaiting
  Waiting<AwaitedSocket> connecting;
  Waiting<AwaitedNetwork> taking;
  Waiting<AwaitedSocket> taking_models;
  std::vector<HeldProcess> held;  // told so far
  bool has_told_all = true;       // a fresh one keeps nothing
  std::set<int> port_sockets;     // of the PortSockets that live, which own them
  std::deque<std::string> owed;   // messages that wait for room: a few of each process at most

  void close();
  // Takes one message of the guest's. False for what no guest of ours sends.
  bool dispatch(const char* message, std::size_t size, ReceivedFds& fds);
  std::shared_ptr<ProcessState> find(std::uint32_t sequence);
  bool has_running() const;
  void end(std::uint32_t sequence, const Ending& ending);
  Result<std::shared_ptr<ProcessState>> start(const StartSpec& spec, int stdin_fd, guest_protocol::Output output,
                                              const std::shared_ptr<ChannelState>& self);
  // Waits until the socket may take another message; perhaps not that long. Errors: unavailable, deadline_exceeded,
  // cancelled.
  static io::Task<void> wait_room(std::shared_ptr<ChannelState> self, io::Deadline deadline);
  // Sends now, or as soon as there is room, in the order of the calls: for what must not be lost.
  template <class Message>
  static void send_surely(const std::shared_ptr<ChannelState>& self, const Message& message,
                          const std::string& data = "") {
    if (self->closed || (self->owed.empty() && self->send(message, data))) return;
    if (self->owed.empty() && errno != EAGAIN) return;                                       // the guest is gone
    owe(self, std::string(reinterpret_cast<const char*>(&message), sizeof message) + data);  // NOLINT: plain values
  }
  // All processes of a command, or of kLeftBehind.
  static void signal_tree(const std::shared_ptr<ChannelState>& self, std::uint32_t sequence, int signal);
  // To its leader or its tree. Errors: those of Process::signal().
  static Status signal(const ProcessState& process, int signal, bool whole_tree);
  // Of what process `sequence` writes to, or reads from.
  static io::ForeignPipe::Evict eviction(std::weak_ptr<ChannelState> channel, std::uint32_t sequence);
  // False when the socket is full or the guest gone: errno says which.
  template <class Message>
  bool send(const Message& message, std::string_view data = {}) {
    const std::array<iovec, 2> parts = {{{const_cast<Message*>(&message), sizeof message},  // NOLINT: C interface
                                         {const_cast<char*>(data.data()), data.size()}}};   // NOLINT
    return send_message(socket.get(), parts.data(), data.empty() ? 1 : 2);
  }

 private:
  void end_ports();
  // All false for what no guest of ours sends.
  bool take_network(std::uint32_t sequence, ReceivedFds& fds);
  bool take_models(const guest_protocol::Models& told, ReceivedFds& fds);
  bool take_port(std::uint32_t sequence, ReceivedFds& fds);
  bool take_port_failure(const guest_protocol::PortFailed& told);
  static io::Always<void> watch_room(std::shared_ptr<ChannelState> self);
  static void owe(const std::shared_ptr<ChannelState>& self, std::string message);
  bool take_started(const guest_protocol::Started& started, ReceivedFds& fds);
  bool take_kept(guest_protocol::Kind kind, const char* message, std::size_t size);
  bool take_output(const char* message, std::size_t size);
  bool take_span(const char* message, std::size_t size);
  bool take_held(const char* message, std::size_t size);
  bool take_usage(const char* message, std::size_t size);
};

// Somebody who waits for an answer of the guest's, known to the channel as long as this lives.
template <class Answer>
class Awaiting {
 public:
  using Table = ChannelState::Waiting<Answer> ChannelState::*;
  Awaiting(std::shared_ptr<ChannelState> channel, Table table)
      : channel_(std::move(channel)), table_(table), sequence_(channel_->next_sequence++), answer_(channel_->loop) {
    (channel_.get()->*table_).emplace(sequence_, &answer_);
  }
  ~Awaiting() { (channel_.get()->*table_).erase(sequence_); }
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

  std::uint32_t sequence() const { return sequence_; }
  Answer& answer() { return answer_; }

 private:
  const std::shared_ptr<ChannelState> channel_;
  const Table table_;
  const std::uint32_t sequence_;
  Answer answer_;
};

Error guest_gone();
Error guest_busy();

}  // namespace lmsb::guest_client
