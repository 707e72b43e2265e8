#pragma once
// For the tests of this folder: a Control that answers what it is told and remembers what it was asked, and requests
// as they come from a local client.
#include <string>

#include "control/control.h"
#include "control/idempotency.h"
#include "http/message.h"
#include "io/run_blocking.h"
#include "server/app.h"
#include "server/test_files.h"
#include "server/test_keys.h"
#include "server/test_ports.h"
#include "server/test_processes.h"
#include "server/test_pulls.h"
#include "server/test_requests.h"
#include "server/test_snapshots.h"
#include "server/test_volumes.h"

namespace lmsb::server {

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
  Result<control::NetworkReport> network(const Principal&, const std::string& id_or_name) override {
    named = id_or_name;
    if (error) return *error;
    return network_report;
  }
  io::Task<control::SandboxInfo> pause(Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    if (error) co_return *error;
    sandbox.state = control::SandboxState::paused;
    co_return sandbox;
  }
  io::Task<control::SandboxInfo> stop(Principal, std::string id_or_name, std::chrono::milliseconds grace) override {
    named = std::move(id_or_name);
    stop_grace = grace;
    if (error) co_return *error;
    sandbox.state = control::SandboxState::stopped;
    co_return sandbox;
  }
  io::Task<control::SandboxInfo> start(Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    if (error) co_return *error;
    sandbox.state = control::SandboxState::running;
    co_return sandbox;
  }
  io::Task<control::SandboxInfo> resume(Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    if (error) co_return *error;
    sandbox.state = control::SandboxState::running;
    co_return sandbox;
  }
  io::Task<control::SandboxInfo> update(Principal, std::string id_or_name, control::UpdateSandbox changes) override {
    named = std::move(id_or_name);
    changed = std::move(changes);
    if (error) co_return *error;
    co_return sandbox;
  }
  io::Task<control::SandboxStats> stats(Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    if (error) co_return *error;
    co_return sandbox_stats;
  }
  Result<std::unique_ptr<control::EventStream>> events(Principal, control::FollowEvents asked) override {
    named = asked.sandbox;
    followed = std::move(asked);
    if (error) return *error;
    return std::unique_ptr<control::EventStream>(std::make_unique<OneEvent>(event, events_lost));
  }
  control::ProcessService& processes() override { return fake_processes; }
  Result<std::vector<control::ImageInfo>> images() override {
    return std::vector<control::ImageInfo>{{"host", "sha256:00", 7, image_made_at, true}};
  }
  io::Task<std::vector<control::ModelInfo>> models(Principal who) override {
    asker = std::move(who);
    control::ModelInfo model;
    model.id = "tiny";
    model.size_bytes = 5;
    model.path = "/secret/tiny.gguf";
    model.is_default = true;
    co_return std::vector<control::ModelInfo>(1, model);
  }
  io::Task<std::unique_ptr<control::PullStream>> pull_model(Principal, control::PullModel request) override {
    named = std::move(request.source);
    control::ModelInfo model;
    model.id = request.name.empty() ? "made" : request.name;
    pull_token = request.token.reveal();
    if (error) co_return *error;
    auto news = pull_news;
    if (!pull_failure) {
      news.emplace_back();
      news.back().model = model;
    }
    co_return std::unique_ptr<control::PullStream>(std::make_unique<FakePull>(std::move(news), pull_failure));
  }
  std::vector<control::PullNews> pull_news;
  std::optional<Error> pull_failure;
  std::string pull_token;
  io::Task<control::ModelDetails> show_model(Principal, std::string name) override {
    named = std::move(name);
    if (error) co_return *error;
    co_return model_details;
  }
  io::Task<control::ModelInfo> load_model(Principal, control::LoadModel request) override {
    named = request.name;
    loading = std::move(request);
    if (error) co_return *error;
    co_return loaded_model;
  }
  io::Task<control::ModelInfo> unload_model(Principal, std::string name) override {
    named = std::move(name);
    ++removals;
    if (error) co_return *error;
    co_return loaded_model;
  }
  io::Task<void> remove_model(Principal, std::string name) override {
    named = std::move(name);
    if (error) co_return *error;
    co_return Status();
  }
  io::Task<control::Completion> complete(Principal, std::string asked) override {
    prompt = std::move(asked);
    if (error) co_return *error;
    co_return completion;
  }
  io::Task<control::ModelAnswer> ask_model(Principal who, control::ModelRequest request) override {
    asker = std::move(who);
    model_request = std::move(request);
    if (error) co_return *error;
    co_return std::move(model_answer);
  }
  io::Task<UpstreamAnswer> ask_upstream(Principal, std::string asked) override {
    prompt = std::move(asked);
    if (error) co_return *error;
    co_return upstream;
  }
  control::Files& files() override { return fake_files; }
  control::PortService& ports() override { return fake_ports; }
  control::SnapshotService& snapshots() override { return fake_snapshots; }
  FakeSnapshots fake_snapshots;
  control::VolumeService& volumes() override { return fake_volumes; }
  control::KeyService& keys() override { return fake_keys; }
  control::IdempotentAnswers& answers() override { return fake_answers; }
  control::IdempotentAnswers fake_answers;
  FakeKeys fake_keys;
  FakeVolumes fake_volumes;
  Result<std::string> plan_text(const control::Principal&, const control::OneShot& request) override {
    one_shot = request;
    return std::string("the plan\n");
  }
  control::LedgerReport ledger_report;
  io::Task<control::LedgerReport> ledger(control::Principal who) override {
    asker = std::move(who);
    if (error) co_return *error;
    co_return ledger_report;
  }
  control::Info info() override {
    control::Info info;
    info.version = "1.2.3";
    info.default_image = "host";
    info.isolation = {"seccomp"};
    return info;
  }
  bool is_ready() const override { return ready; }
  control::HealthReport health() override { return {ready, {{"launcher", ready}}}; }

  // Says its event and then waits for ever.
  struct OneEvent final : control::EventStream {
    OneEvent(control::Event e, std::optional<Lost> l) : event(std::move(e)), lost_before(l) {}
    io::Task<Next> next(io::Deadline) override {
      if (std::exchange(is_told, true)) co_return Error(ErrorCode::cancelled, "no more");
      co_return Next{event, 2};
    }
    std::string position() const override { return "1007"; }
    bool has_restarted() const override { return true; }
    std::optional<Lost> lost() const override { return lost_before; }
    control::Event event;
    std::optional<Lost> lost_before;
    bool is_told = false;
  };

  FakeProcesses fake_processes;
  // What it answers: `error` where one is set.
  std::optional<Error> error;
  bool is_missing = false;  // there is no sandbox, until one is created
  control::OneShotResult one_shot_result;
  control::NetworkReport network_report;
  control::SandboxInfo sandbox;
  control::SandboxStats sandbox_stats;
  control::Event event;
  std::optional<control::EventStream::Lost> events_lost;
  control::Completion completion;
  control::ModelRequest model_request;
  control::ModelAnswer model_answer;
  control::ModelDetails model_details;
  control::LoadModel loading;
  control::ModelInfo loaded_model;
  UpstreamAnswer upstream;
  bool ready = true;
  std::string image_made_at = "2026-01-01T00:00:00Z";
  FakeFiles fake_files;
  FakePorts fake_ports;
  // What it was asked.
  Principal asker;
  control::OneShot one_shot;
  control::CreateSandbox creation;
  control::UpdateSandbox changed;
  control::FollowEvents followed;
  int creations = 0;
  int removals = 0;
  control::Command command;
  std::string named;
  std::chrono::milliseconds stop_grace{-1};
  std::string prompt;
  std::optional<control::SandboxState> listed_state;
  std::map<std::string, std::string> listed_labels;
  std::size_t listed_limit = 0;
};

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
    return options;
  }

  FakeControl control;
  Metrics metrics;
  Logger log{LogLevel::error, LogFormat::text};
  App app;
};

}  // namespace lmsb::server
