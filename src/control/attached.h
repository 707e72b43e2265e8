#pragma once
// Attached: commands of a kept sandbox that somebody waits for or follows, where others find them as long as they run.
// They are listed, signalled and ended there; what they write is their caller's alone, and with their end they are
// gone. One loop, one thread.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/exec.h"
#include "control/process_service.h"
#include "io/event.h"

namespace lmsb::control {

// A command as lists show it: its beginning, at most 4 KiB.
std::variant<std::string, Argv> shown_command(const std::variant<std::string, Argv>& cmd);

class AttachedCommand {
 public:
  using Signal = std::function<Status(int signal, bool whole_tree)>;

  // `loop` outlives it; `signal` is called until it has ended.
  AttachedCommand(boost::asio::io_context& loop, ProcessInfo info, Signal signal);

  // The text of its start is made when somebody asks first: most commands nobody ever looks at.
  const ProcessInfo& info();
  bool is(const std::string& id) const { return info_.id == id; }
  // Errors: process_ended; those of Process::signal().
  Status signal(int signal, bool whole_tree);
  // Kills it and everything it started; its verdict is that it was cancelled. Errors: as above.
  Status end();
  bool was_ended() const { return was_ended_; }
  // It takes no more input.
  void note_input_closed() { info_.has_stdin = false; }
  // Until it has ended, or its caller has gone; who waits keeps it meanwhile. Errors: deadline_exceeded, cancelled.
  io::Task<void> wait_end(io::Deadline deadline);

 private:
  friend class Attachment;
  ProcessInfo info_;
  Signal signal_;  // empty: it has ended
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  bool was_ended_ = false;
  io::Event over_;
};

// Those of one sandbox.
class AttachedCommands {
 public:
  // nullptr: none of that id runs.
  std::shared_ptr<AttachedCommand> find(const std::string& id) const;
  // AttachedCommand::end(), and it is found no more.
  Status end(const std::shared_ptr<AttachedCommand>& command);
  const std::vector<std::shared_ptr<AttachedCommand>>& all() const { return all_; }

 private:
  friend class Attachment;
  std::vector<std::shared_ptr<AttachedCommand>> all_;
};

// Has a command among them as long as this lives.
class Attachment {
 public:
  Attachment(boost::asio::io_context& loop, std::shared_ptr<AttachedCommands> all, ProcessInfo info,
             AttachedCommand::Signal signal);
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  // How it has ended, for whoever waits for that. Its output is not looked at.
  void tell_end(const ExecResult& result);
  bool was_ended() const { return command_->was_ended(); }
  AttachedCommand& command() const { return *command_; }

 private:
  std::shared_ptr<AttachedCommands> all_;
  std::shared_ptr<AttachedCommand> command_;
};

// What is shown of a command that has begun.
ProcessInfo attached_info(const Command& command, std::string cwd, std::string sandbox, int pid, std::string id);

}  // namespace lmsb::control
