#pragma once
// FakeProcesses: a ProcessService that answers what it is told and remembers what it was asked. For tests.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/process_service.h"
#include "io/spawn.h"

namespace lmsb::server {

// Processes that do what the test says, and remember what they were asked.
class FakeProcesses final : public control::ProcessService {
 public:
  using Principal = control::Principal;

  // Says its events one by one.
  class Events final : public control::CommandStream {
   public:
    explicit Events(std::vector<control::CommandEvent> events) : events_(std::move(events)) {}
    io::Task<std::optional<control::CommandEvent>> next(io::Deadline) override {
      if (at_ == events_.size()) co_return std::optional<control::CommandEvent>();
      co_return std::optional<control::CommandEvent>(events_[at_++]);
    }

   private:
    std::vector<control::CommandEvent> events_;
    std::size_t at_ = 0;
  };

  io::Task<control::ProcessInfo> start(Principal, std::string sandbox, control::StartProcess request) override {
    named = std::move(sandbox);
    started = std::move(request);
    if (error) co_return *error;
    co_return info;
  }
  io::Task<std::shared_ptr<control::CommandStream>> run(Principal, std::string sandbox,
                                                        control::FollowCommand request) override {
    named = std::move(sandbox);
    relay = std::move(request.relay);
    started.command = std::move(request.command);
    started.keep_stdin = request.takes_input;
    if (error) co_return *error;
    std::shared_ptr<control::CommandStream> stream = std::make_shared<Events>(events);
    co_return stream;
  }
  io::Task<control::ExecResult> run_in_session(Principal, std::string sandbox, std::string session,
                                               control::Command command) override {
    named = std::move(sandbox) + "/" + std::move(session);
    started.command = std::move(command);
    if (error) co_return *error;
    control::ExecResult result;
    result.outcome = control::Outcome::exited;
    result.exit_code = 0;
    co_return result;
  }
  Result<std::vector<control::SessionInfo>> sessions(const Principal&, const std::string& sandbox) override {
    named = sandbox;
    if (error) return *error;
    return std::vector<control::SessionInfo>{session_info};
  }
  Result<control::SessionInfo> session(const Principal&, const std::string& sandbox,
                                       const std::string& session) override {
    named = sandbox + "/" + session;
    if (error) return *error;
    return session_info;
  }
  Status end_session(const Principal&, const std::string& sandbox, const std::string& session) override {
    named = sandbox + "/" + session;
    return error ? Status(*error) : Status();
  }
  Result<std::vector<control::ProcessInfo>> list(const Principal&, const std::string& sandbox) override {
    named = sandbox;
    if (error) return *error;
    return std::vector<control::ProcessInfo>{info};
  }
  io::Task<control::ProcessInfo> get(Principal, std::string sandbox, std::string process,
                                     std::chrono::milliseconds wait) override {
    named = std::move(sandbox) + "/" + std::move(process);
    waited = wait;
    if (error) co_return *error;
    co_return info;
  }
  io::Task<control::OutputPiece> output(Principal, std::string, std::string, control::OutputAsked asked) override {
    const auto which = static_cast<std::size_t>(asked.stream);
    from.offsets.fill(std::nullopt);
    from.offsets[which] = asked.offset;
    from.ends[which] = asked.end;
    from.by_time = asked.by_time;
    waited = asked.wait;
    if (error) co_return *error;
    co_return piece;
  }
  io::Task<control::OutputSpan> find_output(Principal, std::string, std::string, control::Stream,
                                            control::OutputPeriod asked) override {
    period = asked;
    if (error) co_return *error;
    co_return span;
  }
  Result<std::shared_ptr<control::CommandStream>> follow(const Principal&, const std::string&, const std::string&,
                                                         control::FollowFrom asked) override {
    from = asked;
    if (error) return *error;
    std::shared_ptr<control::CommandStream> stream = std::make_shared<Events>(events);
    return stream;
  }
  io::Task<void> write_stdin(Principal, std::string, std::string, std::string data, bool close) override {
    written = std::move(data);
    closed = close;
    if (error) co_return *error;
    co_return Status();
  }
  Status signal(const Principal&, const std::string&, const std::string&, int number, bool whole_tree) override {
    signalled = number;
    to_tree = whole_tree;
    return error ? Status(*error) : Status();
  }
  Status resize(const Principal&, const std::string&, const std::string&, control::TerminalSize size) override {
    resized = size;
    return error ? Status(*error) : Status();
  }
  Result<control::TerminalHolder> take_terminal(const Principal&, const std::string&, const std::string&) override {
    if (error) return *error;
    return control::TerminalHolder{++holder, info};
  }
  // Nobody ever takes it.
  io::Task<void> wait_taken(Principal, std::string, control::TerminalHolder) override {
    co_return co_await io::sleep_until(io::Deadline::never());
  }
  Status forget(const Principal&, const std::string& sandbox, const std::string& process) override {
    named = sandbox + "/" + process;
    return error ? Status(*error) : Status();
  }

  // What they answer: `error` where one is set.
  std::optional<Error> error;
  control::ProcessInfo info;
  control::SessionInfo session_info;
  control::OutputPiece piece;
  control::OutputSpan span;
  std::vector<control::CommandEvent> events;
  // What they were asked.
  std::string named;
  control::StartProcess started;
  std::shared_ptr<io::PipeRelay> relay;
  std::chrono::milliseconds waited{-1};
  control::FollowFrom from;
  control::OutputPeriod period;
  std::string written;
  bool closed = false;
  int signalled = 0;
  control::TerminalSize resized;
  std::uint64_t holder = 0;
  bool to_tree = false;
};

}  // namespace lmsb::server
