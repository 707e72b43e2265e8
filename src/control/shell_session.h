#pragma once
// ShellSession: one bash of a kept sandbox that runs one command after the other, so that what a command changes (the
// directory, variables, functions, jobs, options such as `set -e`) is there for the next.
//
// The bash reads its commands as its script, which is nobody's stdin, and ends each stream of one with a mark that is
// new for each command. A command can read that mark in its shell: one that writes it itself ends its own output early,
// and the next one of its session gets the rest. Output is cut as everywhere (exec.h). One loop; at most kMaxWaiting
// wait in run() for their turn.
#include <array>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/admission.h"
#include "control/attached.h"
#include "control/command_start.h"
#include "control/exec.h"
#include "control/process_note.h"
#include "control/sandbox_handle.h"
#include "guest_client/kept_process.h"
#include "io/event.h"

namespace lmsb::control {

// The text that does what `command` does and notes its status in the shell, so that the shell itself ends by `set -e`
// where a script would, and not for a command such as `false && true`. Where the end of the text is not the end of a
// command (a here-document, `ls |`) it is left as it is. Pure.
std::string tracked_command(const std::string& command);

// The text whose stderr goes where its stdout does, and which changes the shell as `command` does. Pure.
std::string merged_command(const std::string& command);

// The line that gives the bash `command` to run, and `mark` to end its streams with. A line that was cut short gives
// nothing. Pure.
std::string session_line(const std::string& command, const std::string& mark);

// What a bash reads first of a later daemon. It ends whatever line was cut short, also one that ends in a backslash;
// and a bash that was never given its script, which could run nothing, ends.
constexpr std::string_view kCatchUp = "\n\ndeclare -F __lm_end >/dev/null || exit\n";

// Finds the end of one command's stream. Pure; octets come in pieces of any size.
class MarkFinder {
 public:
  // `mark` ends the stream, with a number of at most three digits and a line break behind it.
  explicit MarkFinder(const std::string& mark) : begin_("\n" + mark + " ") {}
  // Takes octets; returns those that are certainly output. Nothing is taken any more once is_found().
  std::string take(std::string_view octets);
  bool is_found() const { return found_; }
  int number() const { return number_; }
  std::size_t used() const { return used_; }  // octets taken so far, the mark's included
  // What was held back in case it began a mark: never more than a mark is long. For a stream that ended without one.
  std::string rest();

 private:
  static constexpr std::size_t kMaxDigits = 3;  // an exit status
  std::string begin_;
  std::string held_;
  bool found_ = false;
  int number_ = 0;
  std::size_t used_ = 0;
};

class ShellSession {
 public:
  // Starts the bash. Errors: those of a command that cannot be started; no_bash. `loop` outlives the session.
  static io::Task<std::shared_ptr<ShellSession>> start(boost::asio::io_context& loop,
                                                       std::shared_ptr<SandboxHandle> sandbox, ImageDefaults image,
                                                       std::string name);
  static constexpr std::size_t kMaxWaiting = 64;
  // Whether it waits for a command, or may be at one of an earlier daemon's: the next one has its turn when that is
  // done, and is kept waiting no longer than its own time limit; what that writes is nobody's.
  enum class Bash : std::uint8_t { waits, may_be_busy };
  struct About {
    explicit About(const ProcessNote& note)
        : name(note.session), started_at(note.asked_at), image_digest(note.attempt.image_digest) {}
    std::string name;
    std::string started_at;
    std::string image_digest;
  };
  ShellSession(boost::asio::io_context& loop, const std::shared_ptr<SandboxHandle>& sandbox, About about,
               guest_client::KeptProcess process, Bash bash = Bash::waits);
  // Ends the bash and everything it started.
  ~ShellSession();
  ShellSession(const ShellSession&) = delete;
  ShellSession& operator=(const ShellSession&) = delete;

  // What a command passes when its turn has come: a place among the running, and whether the sandbox runs at all.
  struct Entrance {
    Admission& admission;  // outlives the command
    std::string caller;
    std::function<Status()> check;
    std::shared_ptr<AttachedCommands> attached;  // where others find it as long as it runs
    std::string process;                         // its id there
  };
  // Runs one command of text. At the time limit the bash
  // and all it started are killed: the session is over. `self` keeps it alive meanwhile. Errors: session_busy,
  // session_over (it ended while this waited for its turn), cancelled (the bash is killed: nobody could know what state
  // it is in), sandbox_lost, those of the admission.
  static io::Task<ExecResult> run(std::shared_ptr<ShellSession> self, Command command, Entrance entrance);
  // Kills the bash and everything it started; who waits for a command of it is told that it was cancelled.
  void end();
  // Until no command has its turn. Errors: deadline_exceeded, cancelled.
  static io::Task<void> wait_idle(std::shared_ptr<ShellSession> self, io::Deadline deadline);
  bool is_over() const { return is_over_ || process_.has_ended(); }
  SessionInfo info() const;

 private:
  class Turn;
  io::Task<ExecResult> catch_up_and_run(Command command);
  io::Task<ExecResult> run_in_turn(Command command);
  io::Task<void> write(std::string line, io::Deadline deadline);
  void attach(const Command& command, std::shared_ptr<AttachedCommands> all, std::string id);
  io::Task<std::optional<int>> read_stream(guest_client::Stream stream, std::string mark, Bytes cap,
                                           io::Deadline deadline, Output* output);
  // What is known before a command runs.
  struct Before {
    std::uint64_t oom_kills = 0;
    std::shared_ptr<const guest_client::AskedCpuTime> cpu;
  };
  io::Task<ExecResult> conclude(bool timed_out, Before before, ExecResult result);
  std::uint64_t oom_kills() const;
  std::string sandbox_id() const;

  boost::asio::io_context& loop_;
  std::weak_ptr<SandboxHandle> sandbox_;
  About about_;
  guest_client::KeptProcess process_;
  std::array<std::uint64_t, guest_protocol::kStreams> offsets_{};  // where the next command's output begins
  std::string unread_;                                             // what a new bash has to read first
  std::optional<Attachment> running_;                              // the command that has its turn, once it runs
  bool was_ended_ = false;                                         // by its owner
  bool is_busy_ = false;
  bool is_over_ = false;
  bool is_behind_;  // something of an earlier daemon's may be to be read, or to be waited for
  io::Event free_;
};

}  // namespace lmsb::control
