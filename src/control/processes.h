#pragma once
// Processes: the real ProcessService, over the registry's sandboxes.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/admission.h"
#include "control/attached.h"
#include "control/command_input.h"
#include "control/process_note.h"
#include "control/process_service.h"
#include "control/registry.h"
#include "control/shell_session.h"
#include "control/verdict.h"
#include "guest_client/kept_process.h"
#include "io/event.h"

namespace lmsb::control {

// One process and its course. Held by its table and by the task that waits for its end.
struct ProcessRecord {
  ProcessRecord(boost::asio::io_context& loop, guest_client::KeptProcess p) : process(std::move(p)), changed(loop) {}
  ProcessInfo info;
  guest_client::KeptProcess process;
  Attempt attempt;
  std::string asked_at;               // RFC 3339
  std::string by;                     // who started it; "" = an earlier daemon knew
  std::uint64_t began_ms = 0;         // CLOCK_BOOTTIME
  std::uint64_t ended_ms = 0;         // the same, once it has ended
  std::string failure;                // what a shell would have said of a program that cannot be executed
  std::uint64_t terminal_holder = 0;  // the last number that was given out
  bool had_stdin = false;             // it was started with one that is written to
  bool is_forgotten = false;

  // Where `failure` would stand.
  Stream failure_stream() const { return attempt.merge_stderr ? Stream::out : Stream::err; }
  std::uint32_t readers = 0;                                   // of its output, that are not at its end
  std::optional<std::chrono::steady_clock::time_point> ended;  // while there was no daemon
  std::optional<ProcessNote::Told> told;                       // by an earlier daemon
  Life::Use use;                                               // of its sandbox, until it has ended
  std::uint64_t oom_kills_before = 0;
  std::chrono::steady_clock::time_point began;
  io::Event changed;
};

// Somebody who reads its output, until it has had all of it or goes away.
class Reading {
 public:
  explicit Reading(std::shared_ptr<ProcessRecord> record);
  ~Reading() { end(); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  void end();

 private:
  std::shared_ptr<ProcessRecord> record_;
};

// The processes of one sandbox, oldest first, and its shell sessions by name.
class ProcessTable {
 public:
  explicit ProcessTable(boost::asio::io_context& loop) : session_made(loop) {}
  void add(std::shared_ptr<ProcessRecord> record) { records_.push_back(std::move(record)); }
  // nullptr: none of that id.
  std::shared_ptr<ProcessRecord> find(const std::string& id) const;
  void remove(const std::string& id);
  // Of the command of that id, which is followed.
  std::shared_ptr<CommandInput> take_input(boost::asio::io_context& loop, const std::string& id);
  // nullptr: no such command, or it has ended.
  std::shared_ptr<CommandInput> input_of(const std::string& id) const;
  // Drops the ones that ended first until fewer than `limit` are left. False: all of them still run.
  bool make_room(std::size_t limit);
  const std::vector<std::shared_ptr<ProcessRecord>>& all() const { return records_; }
  // The terminals of those that run go away.
  void hang_up() const;
  // Of processes that have ended: until who reads what they wrote has had all of it, and sessions have answered.
  // Errors: deadline_exceeded, cancelled. Whoever calls it holds this until then.
  io::Task<void> wait_heard(io::Deadline deadline) const;

  std::map<std::string, std::shared_ptr<ShellSession>> sessions;  // null: it is being made
  io::Event session_made;
  const std::shared_ptr<AttachedCommands> attached = std::make_shared<AttachedCommands>();

 private:
  std::vector<std::shared_ptr<ProcessRecord>> records_;
  std::map<std::string, std::weak_ptr<CommandInput>> inputs_;  // by the ids of their commands
};

constexpr std::size_t kMaxSessions = 64;  // of one sandbox

// A command of a kept sandbox, for who is told of those that begin and end.
struct CommandNote {
  std::string sandbox;
  std::string process;  // its id
  std::string by;       // who started it; "" = an earlier daemon knew
};
// What is told of the end of one: of what could not be run to its end nobody knows that.
const ExecResult& told_of(const Result<ExecResult>& ran);

class Processes final : public ProcessService {
 public:
  struct Parts {
    Registry& registry;
    Admission& admission;
    Bytes spill;  // of each stream of a process, beside what its guest keeps in memory
    std::function<std::chrono::milliseconds()> timeout_cap;  // the longest that the policy allows at this moment
    std::function<void(const ExecResult&)> count;            // of each command that has ended
    // It runs, or (`result`) has ended.
    std::function<void(const CommandNote& command, const ExecResult* result)> tell;
  };
  // All references outlive it and the tasks it starts.
  Processes(boost::asio::io_context& loop, Parts parts, Logger& log);

  // Of a sandbox that has run on since an earlier daemon: what its guest keeps. A process without a note of ours is
  // told of by a new id.
  void take_up(KeptSandbox& sandbox, std::vector<guest_client::HeldProcess> held);

  io::Task<ProcessInfo> start(Principal who, std::string sandbox, StartProcess request) override;
  io::Task<std::shared_ptr<CommandStream>> run(Principal who, std::string sandbox, FollowCommand request) override;
  io::Task<ExecResult> run_in_session(Principal who, std::string sandbox, std::string session,
                                      Command command) override;
  Result<std::vector<SessionInfo>> sessions(const Principal& who, const std::string& sandbox) override;
  Result<SessionInfo> session(const Principal& who, const std::string& sandbox, const std::string& session) override;
  Status end_session(const Principal& who, const std::string& sandbox, const std::string& session) override;
  Result<std::vector<ProcessInfo>> list(const Principal& who, const std::string& sandbox) override;
  io::Task<ProcessInfo> get(Principal who, std::string sandbox, std::string process,
                            std::chrono::milliseconds wait) override;
  io::Task<OutputPiece> output(Principal who, std::string sandbox, std::string process, OutputAsked asked) override;
  io::Task<OutputSpan> find_output(Principal who, std::string sandbox, std::string process, Stream stream,
                                   OutputPeriod period) override;
  Result<std::shared_ptr<CommandStream>> follow(const Principal& who, const std::string& sandbox,
                                                const std::string& process, FollowFrom from) override;
  io::Task<void> write_stdin(Principal who, std::string sandbox, std::string process, std::string data,
                             bool close) override;
  Status signal(const Principal& who, const std::string& sandbox, const std::string& process, int signal,
                bool whole_tree) override;
  Status resize(const Principal& who, const std::string& sandbox, const std::string& process,
                TerminalSize size) override;
  Result<TerminalHolder> take_terminal(const Principal& who, const std::string& sandbox,
                                       const std::string& process) override;
  io::Task<void> wait_taken(Principal who, std::string sandbox, TerminalHolder holder) override;
  Status forget(const Principal& who, const std::string& sandbox, const std::string& process) override;

 private:
  // Of a detached process. Errors: process_not_found, process_attached.
  Result<std::shared_ptr<ProcessRecord>> find(const Principal& who, const std::string& sandbox,
                                              const std::string& process);
  // nullptr: no attached command of that id.
  Result<std::shared_ptr<AttachedCommand>> find_attached(const Principal& who, const std::string& sandbox,
                                                         const std::string& process);
  // The same of one with a terminal. Errors, beside those: no_terminal.
  Result<std::shared_ptr<ProcessRecord>> find_terminal(const Principal& who, const std::string& sandbox,
                                                       const std::string& process);
  io::Task<std::shared_ptr<ShellSession>> session_of(Principal who, std::shared_ptr<ProcessTable> table,
                                                     std::string name, std::shared_ptr<SandboxHandle> sandbox,
                                                     ImageDefaults image);
  void take_up_process(const KeptSandbox& sandbox, guest_client::HeldProcess held, ProcessNote note);
  io::Task<void> wait_begun(std::shared_ptr<ProcessRecord> record, std::weak_ptr<SandboxHandle> sandbox);
  static io::Always<void> follow(Processes* self, std::shared_ptr<ProcessRecord> record,
                                 std::weak_ptr<SandboxHandle> sandbox);

  boost::asio::io_context& loop_;
  Parts parts_;
  Logger& log_;
};

}  // namespace lmsb::control
