#pragma once
// ProcessService: commands of kept sandboxes that nobody has to wait for. The guest keeps their output, so it can be
// read from any offset, followed, and read again, while they run and after.
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/control.h"
#include "guest_protocol/messages.h"
#include "io/deadline.h"
#include "io/pipe_relay.h"

namespace lmsb::control {

using guest_protocol::Stream;

constexpr std::string_view kProcessPrefix = "prc_";  // of the ids of processes

struct TerminalSize {
  static constexpr std::uint16_t kMax = 10'000;
  std::uint16_t columns = 80;  // 1 to kMax, both
  std::uint16_t rows = 24;
};

struct StartProcess {
  Command command;                       // a timeout of 0 = none; `stdin_data` is written first
  bool keep_stdin = false;               // leave its stdin open for more
  std::optional<TerminalSize> terminal;  // it gets one; an empty text as command is a login shell then
};

struct ProcessInfo {
  std::string id;  // "prc_..."
  std::string sandbox_id;
  std::variant<std::string, Argv> cmd;  // its beginning, at most 4 KiB
  std::string cwd;
  int pid = 0;             // inside
  std::string started_at;  // RFC 3339 UTC
  std::string ended_at;    // "" = it runs
  bool has_stdin = false;  // it takes input
  bool has_terminal = false;
  bool merge_stderr = false;  // what it writes to stderr is among its stdout
  bool is_attached = false;   // somebody waits for it or follows it: its output is his, and it is gone with its end
  std::string session;        // whose command it is; "" = none's
  std::chrono::milliseconds timeout{0};
  std::optional<ExecResult> result;  // once it has ended; without its output
};

// A shell session.
struct SessionInfo {
  // Whether its bash waits for a command, or may be at one of an earlier daemon's: then the next one has its turn when
  // that is done.
  enum class State : std::uint8_t { idle, busy, unknown };
  std::string name;
  std::string sandbox_id;
  int pid = 0;             // of its bash, inside
  std::string started_at;  // RFC 3339 UTC; "" = not known
  State state = State::idle;
  std::optional<ProcessInfo> command;  // that runs
  std::size_t waiting = 0;             // commands that wait for their turn
};

struct OutputPiece {
  std::uint64_t offset = 0;  // of the first octet; larger than what was asked for where octets are lost
  std::string data;
  std::uint64_t end = 0;      // how much the stream has had so far
  bool ended = false;         // nothing will come after `end`
  std::uint64_t came_ms = 0;  // of the first octet, where it was asked for by_time: CLOCK_BOOTTIME; 0 = no data
};

// A time, both ends included; CLOCK_BOOTTIME.
struct OutputPeriod {
  std::uint64_t since_ms = 0;
  std::uint64_t until_ms = UINT64_MAX;
};

// Octets [begin, end) of a stream.
struct OutputSpan {
  std::uint64_t begin = 0;
  std::uint64_t end = UINT64_MAX;
};

// One piece that is asked for.
struct OutputAsked {
  Stream stream{};
  std::uint64_t offset = 0;
  std::uint64_t end = UINT64_MAX;     // what stands there or behind it is not
  std::chrono::milliseconds wait{0};  // for output where there is none yet
  bool by_time = false;               // it says when it came, and ends where what came later begins
};

// A command that somebody follows as it runs.
struct FollowCommand {
  Command command;
  bool takes_input = false;              // write_stdin() reaches it; else `stdin_data` is all that it gets
  std::shared_ptr<io::PipeRelay> relay;  // what it writes to stdout comes by it; null: it comes as events
};

// Whoever has taken a terminal over, until the next one does.
struct TerminalHolder {
  std::uint64_t number = 0;
  ProcessInfo process;
};

struct FollowFrom {
  std::array<std::optional<std::uint64_t>, guest_protocol::kStreams> offsets;           // nothing: not that stream
  std::array<std::uint64_t, guest_protocol::kStreams> ends = {UINT64_MAX, UINT64_MAX};  // as in OutputAsked
  bool wait = true;      // for more, until the end; else only what there is now
  bool by_time = false;  // as in OutputAsked
};

// One of the events that a command which is followed makes.
struct CommandEvent {
  enum class Kind : std::uint8_t { started, output, result };
  Kind kind = Kind::started;
  Stream stream{};  // of output
  std::uint64_t offset = 0;
  std::uint64_t lost = 0;     // of output: octets before it that were asked for and are not there any more
  std::uint64_t came_ms = 0;  // of output: as in OutputPiece
  std::string data;
  std::size_t relayed = 0;           // of output: so many octets are in the relay instead
  int pid = 0;                       // of started
  std::string process;               // of started: its id, where others can find it; "": in a one-shot
  std::optional<ExecResult> result;  // of result; without output
};

// A command that is followed, event by event.
class CommandStream {
 public:
  virtual ~CommandStream() = default;
  // The next event; nothing after the last one, which is the result where the command has ended. Errors:
  // deadline_exceeded (none came by then: ask again), cancelled, those of a sandbox that is gone.
  virtual io::Task<std::optional<CommandEvent>> next(io::Deadline deadline) = 0;
};

// `sandbox` is an id, a unique prefix or a name; errors of all: sandbox_not_found, sandbox_lost, process_not_found.
class ProcessService {
 public:
  virtual ~ProcessService() = default;

  // Ends when it has begun. Errors: those of a command that cannot be started; too_many_processes.
  virtual io::Task<ProcessInfo> start(Principal who, std::string sandbox, StartProcess request) = 0;
  // The same as exec(), event by event, from `started` on. A reader that is slow slows the command down; dropping the
  // stream before its end kills it. What comes by a relay stays there until the next event is asked for: the caller has
  // taken it by then. Others find it by its id as long as it runs: see list().
  virtual io::Task<std::shared_ptr<CommandStream>> run(Principal who, std::string sandbox, FollowCommand request) = 0;

  // Runs a command of text in the shell session of that name, which is made on first use: what commands change is there
  // for the next one of the session. Errors: invalid_session, no_bash, too_many_sessions, session_busy, session_over.
  virtual io::Task<ExecResult> run_in_session(Principal who, std::string sandbox, std::string session,
                                              Command command) = 0;
  // Those of a sandbox, by name.
  virtual Result<std::vector<SessionInfo>> sessions(const Principal& who, const std::string& sandbox) = 0;
  // Errors: session_not_found.
  virtual Result<SessionInfo> session(const Principal& who, const std::string& sandbox, const std::string& session) = 0;
  // Ends a session and everything it started. Errors: session_not_found.
  virtual Status end_session(const Principal& who, const std::string& sandbox, const std::string& session) = 0;

  // In the order of their start: detached ones, of which those that ended stay until there are too many, and attached
  // ones that run: those of exec(), run() and run_in_session(). Of these output() and follow() fail: process_attached.
  virtual Result<std::vector<ProcessInfo>> list(const Principal& who, const std::string& sandbox) = 0;
  // Waits for its end, at most so long. Of an attached one that is the last that is heard of it.
  virtual io::Task<ProcessInfo> get(Principal who, std::string sandbox, std::string process,
                                    std::chrono::milliseconds wait) = 0;
  // What stands at an offset, at most 64 KiB; where nothing does yet, waits for it at most as long as is said.
  virtual io::Task<OutputPiece> output(Principal who, std::string sandbox, std::string process, OutputAsked asked) = 0;
  // Where in a stream that stands which came in a time, of what has come so far: all of it, and beside it what is not
  // known apart from it (guest/output_times.h).
  virtual io::Task<OutputSpan> find_output(Principal who, std::string sandbox, std::string process, Stream stream,
                                           OutputPeriod period) = 0;
  // Output from given offsets on, and then the result; the result alone when the process is forgotten or its sandbox
  // goes meanwhile. Dropping the stream leaves the process alone.
  virtual Result<std::shared_ptr<CommandStream>> follow(const Principal& who, const std::string& sandbox,
                                                        const std::string& process, FollowFrom from) = 0;
  // Waits until the process has read it, but for what a pipe holds; of a command that is followed, until there is room
  // for it (control/command_input.h). To close what has been closed is no error. Errors: input_closed,
  // deadline_exceeded (30 s), cancelled.
  virtual io::Task<void> write_stdin(Principal who, std::string sandbox, std::string process, std::string data,
                                     bool close) = 0;
  // To the command itself or to every process of its tree. Errors: process_ended.
  virtual Status signal(const Principal& who, const std::string& sandbox, const std::string& process, int signal,
                        bool whole_tree) = 0;
  // Of a process with a terminal; nothing happens when it has ended, which no client can know. Errors: no_terminal.
  virtual Status resize(const Principal& who, const std::string& sandbox, const std::string& process,
                        TerminalSize size) = 0;
  // Makes the caller the one who has the terminal: whoever had it before is told. Errors: no_terminal.
  virtual Result<TerminalHolder> take_terminal(const Principal& who, const std::string& sandbox,
                                               const std::string& process) = 0;
  // Ends when the terminal has been taken from `holder`. Errors: process_ended (and it was not).
  virtual io::Task<void> wait_taken(Principal who, std::string sandbox, TerminalHolder holder) = 0;
  // Kills it, if it runs, and drops its output. Who waits for an attached one is told that it was cancelled.
  virtual Status forget(const Principal& who, const std::string& sandbox, const std::string& process) = 0;
};

}  // namespace lmsb::control
