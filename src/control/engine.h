#pragma once
// Engine: the real Control: admission, policy, the fleet, kept sandboxes, models.
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "control/admission.h"
#include "control/control.h"
#include "control/event_log.h"
#include "control/fleet.h"
#include "control/idempotency.h"
#include "control/image_catalog.h"
#include "control/in_progress.h"
#include "control/keys.h"
#include "control/ledger.h"
#include "control/lifecycle.h"
#include "control/model_channels.h"
#include "control/model_service.h"
#include "control/model_turns.h"
#include "control/networks.h"
#include "control/policy.h"
#include "control/ports.h"
#include "control/processes.h"
#include "control/quotas.h"
#include "control/registry.h"
#include "control/sandbox_files.h"
#include "control/snapshots.h"
#include "control/volumes.h"
#include "io/event.h"
#include "sandbox/device_table.h"

namespace lmsb::control {

struct TokenCount;  // metered_answer.h

struct EngineOptions {
  std::string default_image;       // "" = base if it is stored, else host
  std::size_t pool_size = 8;       // prepared one-shot sandboxes of the default image
  std::size_t kept_pool_size = 2;  // prepared sandboxes for create
  PolicyCaps policy;
  NetworkOptions network;
  std::string audit_log;  // "" = none
  std::string events;     // the file of the newest events, for a later daemon; "" = none
  AuditRetention audit_retention;
  Bytes spill = Bytes::MiB(64);     // of each stream of a command, in a file of its kept sandbox; 0: nothing
  bool refuses_weaker = false;      // prepare() fails where a layer of containment is missing
  std::vector<std::string> weaker;  // what is missing beside, one sentence each
  RootProfile root_profile = RootProfile::everywhere;
  sandbox::DeviceTable devices;  // of the machine, that sandboxes may be given
  std::string ledger;            // the database of sandboxes that outlive the daemon; "" = none do
};

// What the engine works with.
struct EngineParts {
  Admission& admission;
  Fleet& fleet;
  image::Store images;
  std::unique_ptr<ModelService> models;
  io::BlockingPool& pool;
};

class Engine final : public Control {
 public:
  // All references outlive the engine.
  Engine(boost::asio::io_context& loop, EngineParts parts, EngineOptions options, Metrics& metrics, Logger& log);
  ~Engine() override;

  // The limits of a created sandbox that asks for none.
  static Limits created_defaults();

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
  ProcessService& processes() override { return processes_; }
  SnapshotService& snapshots() override { return snapshots_; }
  VolumeService& volumes() override { return volumes_; }
  Keys& keys() override { return keys_; }
  IdempotentAnswers& answers() override { return answers_; }
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
  Files& files() override { return files_; }
  PortService& ports() override { return ports_; }
  Result<std::string> plan_text(const Principal& who, const OneShot& request) override;
  Info info() override;
  bool is_ready() const override { return ready_; }
  HealthReport health() override;
  io::Task<LedgerReport> ledger(Principal who) override;

  // What answers programs in sandboxes that ask for models. Before prepare(); outlives the engine's tasks.
  void serve_models_by(ModelDoors& doors) { model_channels_.serve_by(doors); }
  // Starts filling the pools. Ends when the first sandbox stands or could not be made (the Error says why).
  io::Task<void> prepare();
  // From the next request on (SIGHUP).
  void set_policy(PolicyCaps caps);
  // Of a policy that is to be set: limit_not_kept. prepare() asks it of the first.
  Status can_keep(const PolicyCaps& caps) const { return check_kept(caps, layers_); }
  // The same of [network] credentials; set_policy() is to follow. Before prepare() for those that run on.
  void use_credentials(CredentialSettings settings) { networks_.use_credentials(std::move(settings)); }
  // Ends everything: kept sandboxes, runners, the pool.
  io::Always<void> drain();

 private:
  struct OneShotPlace {
    ImageDefaults image;
    VolumeUses volumes;
    Quotas::Held quota;
    Admission::Slot slot;
    Fleet::Handle sandbox;
  };
  io::Task<OneShotPlace> place_once(const Principal& who, OneShot& request);
  Status check_limits(const Limits& limits) const;
  Status check_egress(const network::Egress& egress) const;
  // Its network, unless the operator allows less by now: also when that came while the gate started.
  io::Task<void> open_network(SandboxHandle* sandbox, network::Egress egress);
  // What runs gets the network that it may have by now.
  void keep_to_policy(const KeptSandbox& sandbox);
  io::Task<void> change_network(std::shared_ptr<SandboxHandle> sandbox, network::Egress egress);
  // Errors: what the operator does not allow, or this machine has no room for.
  Result<sandbox::SandboxSpec> spec_of(const std::string& image, const Limits& limits, sandbox::Lifetime lifetime,
                                       Profile profile) const;
  // What a sandbox is to have beside its spec.
  struct Ways {
    Ways(std::string o, network::Egress e, std::shared_ptr<ModelAllowance> m)
        : owner(std::move(o)), egress(std::move(e)), models(std::move(m)) {}
    std::string owner;
    network::Egress egress;
    std::shared_ptr<ModelAllowance> models;
  };
  io::Task<Fleet::Handle> obtain(sandbox::SandboxSpec spec, Ways ways, Admission::Share room);
  // Whether a sandbox may get these models. Errors: invalid_models, policy_denied, model_not_found.
  io::Task<void> check_models(ModelAccess access);
  std::shared_ptr<ModelAllowance> allowance_of(const ModelAccess& access);
  // What it uses of its models is written down from now on.
  void keep_models(const KeptSandbox& sandbox);
  // For a sandbox: when it is its turn.
  static io::Task<ModelAnswer> ask_in_turn(Engine* self, std::string who, ModelRequest request);
  // For sandboxes, which may ask as often as they like: no older than a moment.
  struct RecentModels {
    std::chrono::steady_clock::time_point at;
    std::vector<ModelInfo> models;
  };
  Status check_creation(const CreateSandbox& request) const;
  // Takes one that is there out of the registry; the task is what is left to do, and must be carried out.
  io::Task<void> take_away(const std::string& id, const std::string& by);
  // The same once that is written down. Errors, beside those of Ledger::note(): sandbox_not_found.
  io::Task<void> remove_now(std::string id, std::string by);
  io::Task<void> end_of(KeptSandbox sandbox, Quotas::Held quota);
  static io::Always<void> end_and_tell(Engine* self, std::string id, io::Task<void> end);
  io::Task<Fleet::Handle> launch_again(std::string owner, SandboxInfo sandbox, std::shared_ptr<ModelAllowance> models,
                                       Admission::Share room);
  // Those of a sandbox that lives, and what it counts for.
  io::Task<void> change_limits(std::shared_ptr<SandboxHandle> sandbox, Limits before, Limits limits);
  // What they rest on is the image that they were made from, or it is an Error: image_changed, image_not_found.
  Result<sandbox::SandboxSpec> spec_on_disk(const std::string& image, const std::string& digest, const Limits& limits,
                                            Profile profile);
  Status can_start(const KeptSandbox& sandbox);
  // Whether a disk that lies on that image could be used here. Errors: image_changed, image_not_found.
  Status check_image(const std::string& image, const std::string& digest);
  // What nobody has asked for, as far as it is allowed and there can be room for it.
  Limits usual(Limits limits, sandbox::Lifetime lifetime) const;
  // Of a new sandbox. Errors: policy_denied, limit_out_of_bounds.
  Result<Limits> limits_of(const Limits& usual, const LimitChanges& changes) const;
  Limits within_policy(Limits limits) const;
  io::Task<Fleet::Handle> launch_on_copy(sandbox::SandboxSpec spec, std::string origin);
  static io::Always<void> forget(Engine* self, std::string id, Quotas::Held quota);
  // `quota` counts for it until it is known.
  io::Task<SandboxInfo> create_on_copy(Principal who, CreateSandbox request, Origin origin, Quotas::Held quota);
  struct Standing {
    Standing(Fleet::Handle h, Origin o, HeldVolumes v, std::shared_ptr<ModelAllowance> m)
        : handle(std::move(h)), origin(std::move(o)), volumes(std::move(v)), models(std::move(m)) {}
    Fleet::Handle handle;
    Origin origin;
    HeldVolumes volumes;
    std::shared_ptr<ModelAllowance> models;
    std::vector<std::uint32_t> devices;  // their places in the table
  };
  // A sandbox that stands becomes one that is known.
  io::Task<SandboxInfo> enter(Principal who, CreateSandbox request, Standing standing);
  // The event of a command of a kept sandbox: it runs, or (`result`) has ended.
  void tell_command(const CommandNote& command, const ExecResult* result);
  // Of a one-shot, which nobody follows: nothing where there is no audit log.
  std::optional<CommandNote> note_once(const SandboxHandle& sandbox, const std::string& by) const;
  void count(const ExecResult& result);
  void count(const TokenCount& used);

  boost::asio::io_context& loop_;
  Fleet& fleet_;
  ImageCatalog images_;
  std::unique_ptr<ModelService> models_;
  EngineOptions options_;
  Metrics& metrics_;
  Logger& log_;
  Admission& admission_;
  Registry registry_;
  EventLog events_;
  Ledger ledger_;
  Keys keys_;
  IdempotentAnswers answers_;
  Networks networks_;
  ModelChannels model_channels_;
  std::optional<RecentModels> recent_models_;
  ModelTurns model_turns_;
  InProgress sandbox_asks_;  // their requests to models
  Lifecycle lifecycle_;
  Processes processes_;
  Volumes volumes_;
  Quotas quotas_;
  Snapshots snapshots_;
  SandboxFiles files_;
  Ports ports_;
  Limits kept_limits_;
  std::vector<std::string> missing() const;  // of what sandboxes have elsewhere
  Status refuse_if_weaker() const;
  static io::Always<void> watch_disks(Engine* engine);
  PolicyCaps policy_as_set_;  // options_.policy has what the machine has in the place of 0
  Layers layers_;             // of every sandbox here, once the first stands
  bool ready_ = false;
  bool store_works_ = true;
  io::Event ending_;
  // Null for what outlives it: the last member.
  const std::shared_ptr<Engine*> self_ = std::make_shared<Engine*>(this);
};

}  // namespace lmsb::control
