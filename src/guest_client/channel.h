#pragma once
// Channel: the daemon's end of one guest. Starts commands, hears how they end, kills them.
//
// What a guest sends is parsed like network input: sizes and kinds are checked, and the first malformed message closes
// the channel. One loop, one thread. Destroying the channel closes it, which ends a one-shot sandbox.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "guest_client/network_sockets.h"
#include "guest_client/port_socket.h"
#include "guest_protocol/messages.h"
#include "io/deadline.h"
#include "io/foreign_pipe.h"
#include "io/task.h"

namespace lmsb::guest_client {

struct StartSpec {
  guest_protocol::Program program = guest_protocol::Program::exec;
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value"
  std::string cwd = "/";
  std::uint64_t deadline_ms = 0;  // 0 = none
  bool keep_stdin = false;        // of a kept process: its stdin stays open, for write_stdin()
  std::uint16_t columns = 0;      // of a kept process: not 0 = it gets a terminal of that size
  std::uint16_t rows = 0;
  guest_protocol::ProcessLimits limits;
  Bytes spill = Bytes::MiB(64);  // of each stream of a kept process, in a file; what is not whole MiB is rounded up
  bool as_user = false;          // as uid 1000 where others are root
  bool merge_stderr = false;     // stderr is stdout's pipe
  std::string note;              // of a kept process: what a later daemon finds of it; at most guest_protocol::kMaxNote
};

// How a command ended.
struct Ending {
  enum class Kind : std::uint8_t {
    exited,        // `exited` is set
    start_failed,  // `step` and `error` say why
    lost,          // the guest is gone
  };
  Kind kind = Kind::lost;
  guest_protocol::Exited exited{};
  guest_protocol::Step step{};
  int error = 0;
};

struct ProcessState;
struct ChannelState;
class KeptProcess;   // guest_client/kept_process.h
struct HeldProcess;  // the same

// One command. Destroying it before it ended kills its whole tree.
class Process {
 public:
  explicit Process(std::shared_ptr<ProcessState> state) : state_(std::move(state)) {}
  ~Process();
  Process(Process&&) noexcept = default;
  Process& operator=(Process&&) = delete;

  // Waits until the guest has handed out the ends of its output; they may be gone before it exec'ed. Errors:
  // unavailable (the guest is gone), deadline_exceeded, cancelled.
  io::Task<void> wait_started(io::Deadline deadline);
  int pid() const;  // inside; once it has begun
  // What it writes; empty where it could not even begin.
  io::ForeignPipe take_stdout();
  io::ForeignPipe take_stderr();
  // Ends it where it keeps a pipe's lock that somebody needs (io/foreign_pipe.h): its tree, then all that its sandbox
  // runs. Of use beyond this object's life.
  io::ForeignPipe::Evict eviction() const;
  // Whether that has been done.
  bool was_evicted() const;
  // Errors: deadline_exceeded, cancelled.
  io::Task<Ending> wait_ended(io::Deadline deadline);
  // Never lost: waits by itself for room in the socket.
  void kill_tree();
  // To the command, or to every process of its tree. Nothing happens when it has ended. Errors: resource_exhausted (the
  // guest is not keeping up), unavailable.
  Status signal(int signal, bool whole_tree) const;

 private:
  std::shared_ptr<ProcessState> state_;
};

class Channel {
 public:
  // Whether the guest is new, or an earlier daemon has had it: then it tells what it keeps.
  enum class Guest : std::uint8_t { fresh, held };
  // Takes the socket. `loop` outlives the channel. `answer_limit`: how long a guest that lives may take to answer what
  // any guest answers at once.
  Channel(boost::asio::io_context& loop, UniqueFd socket, std::chrono::milliseconds answer_limit = kAnswerLimit,
          Guest guest = Guest::fresh);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Waits until the sandbox stands. Errors name the step of the launch that failed.
  io::Task<guest_protocol::Ready> wait_ready(io::Deadline deadline);
  // Of a guest that an earlier daemon has had: all that it keeps, once it has told. Errors: unavailable,
  // deadline_exceeded, cancelled.
  io::Task<std::vector<HeldProcess>> take_held(io::Deadline deadline);
  // From now on the guest outlives this channel, where its launcher can find it again: its kept processes go on and the
  // others end. Its sandbox ends by itself after `life` of nobody being there; 0: never. Never lost.
  void stay(std::chrono::milliseconds life);
  // Of a sandbox that is to be stopped: SIGTERM to every process of every command, and SIGCONT, so that those that
  // stand still take it. What writes a file for this daemon (Program::save) ends with its input. Nothing is ready for
  // the next command any more: the sandbox's cgroup `work` is empty as soon as nothing runs. Never lost.
  void ask_to_end();
  // Whether a command that was started here has not ended, as far as is known.
  bool has_running() const;
  // Waits until the end of every command that was started here is known. Errors: unavailable, deadline_exceeded,
  // cancelled.
  io::Task<void> wait_all_ended(io::Deadline deadline);
  // Asks for a command; `stdin_fd` is -1 or borrowed for the call. Never blocks. Errors: invalid_argument (arguments
  // and environment too large), resource_exhausted (the guest is not keeping up), unavailable (it is gone).
  Result<Process> start(const StartSpec& spec, int stdin_fd);
  // The same for a command whose output the guest keeps.
  Result<KeptProcess> start_kept(const StartSpec& spec, int stdin_fd);
  // A connection to what listens on `port` on the sandbox's loopback. Errors: port_not_listening, port_timeout (it does
  // not accept), port_no_answer (it fails else), resource_exhausted (too many are being made at once, or the guest has
  // no room), unavailable (the guest is gone), deadline_exceeded (it does not answer), cancelled.
  io::Task<PortSocket> connect_port(std::uint16_t port);
  // What its gate is to serve; what was taken before is no good any more: nothing listens there. Errors: network_fixed
  // (it was launched without a way out), resource_exhausted, unavailable (the guest is gone), deadline_exceeded,
  // cancelled.
  io::Task<NetworkSockets> take_network();
  // What programs in the sandbox reach their models by: a TCP socket of the sandbox's, bound to kModelPort of
  // 127.0.0.1, that does not listen; what was taken before does not any more. The guest keeps it as well: how it
  // behaves is its matter, too. Errors: model_port_taken (a program of the sandbox has the port), resource_exhausted,
  // unavailable (the guest is gone), deadline_exceeded, cancelled.
  io::Task<UniqueFd> take_models();
  // Ends the conversation: whoever waits for something of it gets `lost` or unavailable. For a sandbox that is to end,
  // whatever its guest does. More than once is well.
  void close();
  // Called once, when that happens or the guest is gone; not if it already has. Never from within this call; it must
  // not destroy the channel.
  void on_closed(std::function<void()> told);
  // Whether that has happened, or the guest is gone.
  bool is_closed() const;
  // Called as long as the channel is open when a command is ended because it keeps a pipe's lock; `times` is how often
  // that has been tried in vain, and the command's tree is killed already. It must not destroy the channel.
  void on_eviction(std::function<void(int times)> told);

  static constexpr std::chrono::milliseconds kAnswerLimit{10'000};

 private:
  std::shared_ptr<ChannelState> state_;
};

}  // namespace lmsb::guest_client
