#pragma once
// For the tests of this folder: a Control that answers what it is told and remembers what it was asked, and requests
// as they come from a local client.
#include <string>

#include "control/control.h"
#include "control/process_service.h"
#include "http/message.h"
#include "io/run_blocking.h"
#include "server/app.h"

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
                                                        control::Command command) override {
    named = std::move(sandbox);
    started.command = std::move(command);
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
  io::Task<control::OutputPiece> output(Principal, std::string, std::string, control::Stream stream,
                                        std::uint64_t offset, std::chrono::milliseconds wait) override {
    from.offsets.fill(std::nullopt);
    from.offsets[static_cast<std::size_t>(stream)] = offset;
    waited = wait;
    if (error) co_return *error;
    co_return piece;
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
  io::Task<void> wait_taken(Principal, std::string, control::TerminalHolder) override { co_return Status(); }
  Status forget(const Principal&, const std::string& sandbox, const std::string& process) override {
    named = sandbox + "/" + process;
    return error ? Status(*error) : Status();
  }

  // What they answer: `error` where one is set.
  std::optional<Error> error;
  control::ProcessInfo info;
  control::OutputPiece piece;
  std::vector<control::CommandEvent> events;
  // What they were asked.
  std::string named;
  control::StartProcess started;
  std::chrono::milliseconds waited{-1};
  control::FollowFrom from;
  std::string written;
  bool closed = false;
  int signalled = 0;
  control::TerminalSize resized;
  std::uint64_t holder = 0;
  bool to_tree = false;
};

class FakeControl final : public control::Control {
 public:
  using Principal = control::Principal;

  io::Task<control::OneShotResult> run_once(Principal who, control::OneShot request) override {
    asker = std::move(who);
    one_shot = std::move(request);
    if (error) co_return *error;
    co_return one_shot_result;
  }
  io::Task<std::shared_ptr<control::CommandStream>> follow_once(Principal who, control::OneShot request) override {
    asker = std::move(who);
    one_shot = std::move(request);
    if (error) co_return *error;
    std::shared_ptr<control::CommandStream> stream = std::make_shared<FakeProcesses::Events>(fake_processes.events);
    co_return stream;
  }
  io::Task<control::SandboxInfo> create(Principal who, control::CreateSandbox request) override {
    asker = std::move(who);
    creation = std::move(request);
    ++creations;
    if (error) co_return *error;
    is_missing = false;
    co_return sandbox;
  }
  Result<control::SandboxInfo> get(const Principal&, const std::string& id_or_name) override {
    named = id_or_name;
    if (error) return *error;
    if (is_missing) return Error(ErrorCode::not_found, "no sandbox").with_slug("sandbox_not_found");
    return sandbox;
  }
  Result<control::SandboxPage> list(const Principal&, std::optional<control::SandboxState> state,
                                    const std::map<std::string, std::string>& labels, std::size_t limit,
                                    const std::string& cursor) override {
    listed_state = state;
    listed_labels = labels;
    listed_limit = limit;
    named = cursor;
    if (error) return *error;
    return control::SandboxPage{{sandbox}, "more"};
  }
  io::Task<void> remove(Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    ++removals;
    if (error) co_return *error;
    co_return Status();
  }
  io::Task<control::ExecResult> exec(Principal who, std::string id_or_name, control::Command asked) override {
    asker = std::move(who);
    named = std::move(id_or_name);
    command = std::move(asked);
    if (error) co_return *error;
    co_return one_shot_result.exec;
  }
  control::ProcessService& processes() override { return fake_processes; }
  Result<std::vector<control::ImageInfo>> images() override {
    return std::vector<control::ImageInfo>{{"host", "sha256:00", 7, "2026-01-01T00:00:00Z", true}};
  }
  io::Task<std::vector<control::ModelInfo>> models() override {
    std::vector<control::ModelInfo> all(1, {"tiny", 5, "/secret/tiny.gguf", true, false});
    co_return all;
  }
  io::Task<control::ModelInfo> pull_model(Principal, control::PullModel request) override {
    named = std::move(request.source);
    control::ModelInfo model;
    model.id = request.name.empty() ? "made" : request.name;
    if (error) co_return *error;
    co_return model;
  }
  io::Task<control::Completion> complete(Principal, std::string asked) override {
    prompt = std::move(asked);
    if (error) co_return *error;
    co_return completion;
  }
  io::Task<UpstreamAnswer> ask_upstream(Principal, std::string asked) override {
    prompt = std::move(asked);
    if (error) co_return *error;
    co_return upstream;
  }
  Result<std::string> plan_text(const control::OneShot& request) override {
    one_shot = request;
    return std::string("the plan\n");
  }
  control::Info info() override {
    control::Info info;
    info.version = "1.2.3";
    info.default_image = "host";
    info.isolation = {"seccomp"};
    return info;
  }
  control::HealthReport health() override { return {ready, {{"launcher", ready}}}; }

  FakeProcesses fake_processes;
  // What it answers: `error` where one is set.
  std::optional<Error> error;
  bool is_missing = false;  // there is no sandbox, until one is created
  control::OneShotResult one_shot_result;
  control::SandboxInfo sandbox;
  control::Completion completion;
  UpstreamAnswer upstream;
  bool ready = true;
  // What it was asked.
  Principal asker;
  control::OneShot one_shot;
  control::CreateSandbox creation;
  int creations = 0;
  int removals = 0;
  control::Command command;
  std::string named;
  std::string prompt;
  std::optional<control::SandboxState> listed_state;
  std::map<std::string, std::string> listed_labels;
  std::size_t listed_limit = 0;
};

constexpr std::uint32_t kRoot = 0;
constexpr std::uint32_t kMember = 1000;  // of the socket's group
constexpr std::uint32_t kStranger = 2000;

inline DoorPolicy local_policy() {
  DoorPolicy policy;
  policy.own_hosts = {"127.0.0.1"};
  policy.local_access = [](std::uint32_t uid) {
    return uid == kRoot ? LocalAccess::admin : uid == kMember ? LocalAccess::own : LocalAccess::none;
  };
  return policy;
}

// A request as a local client of the socket's group sends it.
inline http::Request local_request(std::string method, std::string path, std::string body = {}) {
  http::Request request;
  request.method = std::move(method);
  request.target = path;
  request.path = std::move(path);
  request.headers.set("Host", "127.0.0.1:8000");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  request.peer.is_loopback = true;
  request.peer.listener_is_loopback = true;
  request.peer.uid = kMember;
  request.peer.address = "127.0.0.1:4711";
  return request;
}

// An App over a FakeControl.
struct Fixture {
  explicit Fixture(DoorPolicy policy = local_policy(), std::string run_bash_sandbox = {})
      : app(control, metrics, log, options_of(std::move(policy), std::move(run_bash_sandbox))) {}

  http::Response send(http::Request request) { return io::run_blocking(app.serve()(std::move(request))); }
  http::Response send(std::string method, std::string path, std::string body = {}) {
    return send(local_request(std::move(method), std::move(path), std::move(body)));
  }

  static AppOptions options_of(DoorPolicy policy, std::string run_bash_sandbox) {
    AppOptions options;
    options.run_bash_sandbox = std::move(run_bash_sandbox);
    options.doors = std::move(policy);
    options.created_limits.processes = 1024;
    return options;
  }

  FakeControl control;
  Metrics metrics;
  Logger log{LogLevel::error, LogFormat::text};
  App app;
};

}  // namespace lmsb::server
