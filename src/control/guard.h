#pragma once
// Guard: Control as everybody outside sees it. What each use case needs (Operation) stands here, in one place for all
// dialects; the Control behind it does the rest, which includes what `who` may see.
//
// What is let through is passed on as it is: it costs a comparison.
#include <memory>
#include <string>

#include "control/control.h"

namespace lmsb::control {

class Guard final : public Control {
 public:
  // `inner` outlives it.
  explicit Guard(Control& inner);
  ~Guard() override;

  io::Task<OneShotResult> run_once(Principal who, OneShot request) override;
  io::Task<std::shared_ptr<CommandStream>> follow_once(Principal who, OneShot request) override;
  io::Task<SandboxInfo> create(Principal who, CreateSandbox request) override;
  Result<SandboxInfo> get(const Principal& who, const std::string& id_or_name) override;
  Result<SandboxPage> list(const Principal& who, std::optional<SandboxState> state,
                           const std::map<std::string, std::string>& labels, std::size_t limit,
                           const std::string& cursor) override;
  io::Task<void> remove(Principal who, std::string id_or_name) override;
  io::Task<ExecResult> exec(Principal who, std::string id_or_name, Command command) override;
  io::Task<SandboxInfo> pause(Principal who, std::string id_or_name) override;
  io::Task<SandboxInfo> resume(Principal who, std::string id_or_name) override;
  io::Task<SandboxInfo> stop(Principal who, std::string id_or_name, std::chrono::milliseconds grace) override;
  io::Task<SandboxInfo> start(Principal who, std::string id_or_name) override;
  io::Task<SandboxInfo> update(Principal who, std::string id_or_name, UpdateSandbox changes) override;
  io::Task<SandboxStats> stats(Principal who, std::string id_or_name) override;
  Result<NetworkReport> network(const Principal& who, const std::string& id_or_name) override;
  Result<std::unique_ptr<EventStream>> events(Principal who, FollowEvents asked) override;
  SnapshotService& snapshots() override;
  VolumeService& volumes() override;
  ProcessService& processes() override;
  KeyService& keys() override;
  IdempotentAnswers& answers() override;
  Result<std::vector<ImageInfo>> images() override;
  io::Task<std::vector<ModelInfo>> models(Principal who) override;
  io::Task<std::unique_ptr<PullStream>> pull_model(Principal who, PullModel request) override;
  io::Task<ModelDetails> show_model(Principal who, std::string name) override;
  io::Task<ModelInfo> load_model(Principal who, LoadModel request) override;
  io::Task<ModelInfo> unload_model(Principal who, std::string name) override;
  io::Task<void> remove_model(Principal who, std::string name) override;
  io::Task<Completion> complete(Principal who, std::string prompt) override;
  io::Task<ModelAnswer> ask_model(Principal who, ModelRequest request) override;
  io::Task<UpstreamAnswer> ask_upstream(Principal who, std::string prompt) override;
  Files& files() override;
  PortService& ports() override;
  Result<std::string> plan_text(const Principal& who, const OneShot& request) override;
  Info info() override;
  bool is_ready() const override;
  HealthReport health() override;
  io::Task<LedgerReport> ledger(Principal who) override;

 private:
  struct Services;
  Control& inner_;
  std::unique_ptr<Services> services_;
};

}  // namespace lmsb::control
