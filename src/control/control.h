#pragma once
// Control: the use cases of the daemon, and the only entry point of the edge. Who may do what, bounds, lifecycle,
// events and audit are decided here, once, for every dialect.
//
// Lives on the event loop's thread; nothing here blocks. Errors carry stable slugs (docs/reference/errors.md).
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "control/events.h"
#include "control/exec.h"
#include "control/life.h"
#include "control/limit_changes.h"
#include "control/model_access.h"
#include "control/model_details.h"
#include "control/model_requests.h"
#include "control/network_log.h"
#include "control/network_usage.h"
#include "control/principal.h"
#include "control/promise.h"
#include "control/sandbox_state.h"
#include "control/sandbox_usage.h"
#include "io/task.h"
#include "network/egress.h"

namespace lmsb::control {

struct SandboxInfo;

struct CreateSandbox {
  CreateSandbox() = default;
  std::string name;     // "" = none
  std::string image;    // "" = the default image
  std::string cwd;      // of commands that name none, absolute; "" = the image's working directory
  std::string user;     // of commands that name none; "" = the profile's user
  LimitChanges limits;  // of what it begins with: the defaults of created sandboxes, or those of the snapshot
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::vector<MountRequest> mounts;
  std::vector<VolumeRequest> volumes;
  std::string snapshot;  // id, unique prefix or name of one that it begins as; "" = as its image
  network::Egress egress;
  Profile profile = Profile::user;
  ModelAccess models;
  std::vector<std::string> devices;  // of the machine, by name: "nvidia.com/gpu=0"; it is not started again with them
  LifeChanges life;  // of what it begins with: idle for an hour stops or pauses it; one with a name lives on
  Promise<SandboxInfo> promise;
  bool is_provisional = false;  // one of several that there are to be all or none of (KeptSandbox)
};

// Changes to a kept sandbox; nothing = as it is.
struct UpdateSandbox {
  UpdateSandbox() = default;
  std::map<std::string, std::optional<std::string>> labels;  // nothing: the label goes
  LifeChanges life;                                          // the timeout is from now on
  LimitChanges limits;
  std::optional<network::Egress> egress;
};

struct SandboxInfo {
  std::string id;
  std::string name;
  std::string image;
  std::string image_digest;
  std::string runtime = "native";
  SandboxState state = SandboxState::creating;
  std::string created_at;  // RFC 3339 UTC
  std::optional<std::string> expires_at;
  LifeLimits life;
  std::map<std::string, std::string> labels;
  Limits limits;
  LimitsKept limits_kept;
  std::vector<MountedVolume> volumes;
  network::Egress egress;
  Profile profile = Profile::user;
  ModelAccess models;
  std::vector<std::string> devices;    // while it has not been stopped
  bool keeps_disk = false;             // it can be stopped and, without mounts, started again with what it wrote
  std::vector<std::string> isolation;  // the layers in force: "user_namespace", "seccomp", "landlock:7", ...
};

// What a kept sandbox uses, and what it may.
struct SandboxStats {
  std::string sandbox_id;
  std::string name;  // "" = none
  SandboxState state = SandboxState::running;
  Limits limits;
  LimitsKept limits_kept;
  std::optional<SandboxUsage> usage;  // nothing: it does not run
  std::optional<NetworkUsage> network;
  std::optional<ModelUsage> models;         // nothing: it has none
  std::optional<std::uint64_t> disk_bytes;  // what its disk holds, as its limit counts; nothing: it lies in memory
};

// What a sandbox may reach, and what it has reached since it was started or taken over.
struct NetworkReport {
  network::Egress egress;
  bool is_denied = false;  // the operator's policy does not allow it any more: nothing is reached
  NetworkCounts counts;
  std::vector<NetworkEvent> events;  // the newest, oldest first
};

struct SandboxPage {
  std::vector<SandboxInfo> data;
  std::optional<std::string> next_cursor;
};

struct ImageInfo {
  std::string name;
  std::string digest;
  std::uint64_t size_bytes = 0;
  std::string created_at;  // RFC 3339 UTC; "" = it was not made: the machine's own files
  bool is_default = false;
};

// A device of the machine that sandboxes may be given.
struct DeviceInfo {
  std::string name;   // "nvidia.com/gpu=0"
  std::string fault;  // why no sandbox can have it; "" = it can
};

// What this machine and this daemon offer (GET /v1/info).
struct Info {
  std::string version;
  std::string runtime = "native";
  std::string default_image;
  std::vector<std::string> isolation;  // the layers in force in every sandbox
  std::vector<std::string> weaker;     // what is missing on this machine, one sentence each
  std::vector<DeviceInfo> devices;
  std::vector<std::string> device_faults;  // of device files that count for nothing
  std::size_t sandboxes = 0;               // kept ones
  std::size_t prepared = 0;                // in the pool
  std::size_t running = 0;                 // commands
  std::size_t waiting = 0;                 // requests
  Bytes memory_budget;                     // that sandboxes may count for (admission.h)
  Bytes memory_held;                       // that they do
  double memory_overcommit = 1;            // of those that stay: their limits count for this part
};

// Where kernel, store or database differ from what the daemon says.
struct LedgerFinding {
  std::string kind;  // "cgroup", "disk", "row", "snapshot", "volume"
  std::string id;
  std::string what;
  bool operator==(const LedgerFinding&) const = default;
};
struct LedgerReport {
  std::size_t sandboxes = 0;
  std::size_t disks = 0;
  std::size_t snapshots = 0;
  std::size_t volumes = 0;
  std::vector<LedgerFinding> findings;
};

struct HealthReport {
  bool ready = false;
  std::vector<std::pair<std::string, bool>> checks;
};

class ProcessService;     // control/process_service.h
class SnapshotService;    // control/snapshot_service.h
class VolumeService;      // control/volume_service.h
class CommandStream;      // control/process_service.h
class Files;              // control/files.h
class PortService;        // control/port_service.h
class KeyService;         // control/key_service.h
class IdempotentAnswers;  // control/idempotency.h

// The interface that server/ programs against. Engine (control/engine.h) is the real one; behind a Guard (guard.h),
// which asks whether `who` may.
class Control {
 public:
  virtual ~Control() = default;

  // Runs a command in a fresh sandbox that is gone afterwards.
  virtual io::Task<OneShotResult> run_once(Principal who, OneShot request) = 0;
  // The same, event by event, from `started` on; dropping the stream before its end kills the command. `collect` is not
  // looked at: the sandbox ends with the command.
  virtual io::Task<std::shared_ptr<CommandStream>> follow_once(Principal who, OneShot request) = 0;
  virtual io::Task<SandboxInfo> create(Principal who, CreateSandbox request) = 0;
  virtual Result<SandboxInfo> get(const Principal& who, const std::string& id_or_name) = 0;
  // `state`, `labels` filter; at most `limit` (1..1000) a page, ordered by creation.
  virtual Result<SandboxPage> list(const Principal& who, std::optional<SandboxState> state,
                                   const std::map<std::string, std::string>& labels, std::size_t limit,
                                   const std::string& cursor) = 0;
  // Ends when the sandbox's processes are gone.
  virtual io::Task<void> remove(Principal who, std::string id_or_name) = 0;
  virtual io::Task<ExecResult> exec(Principal who, std::string id_or_name, Command command) = 0;

  // Its processes stand still, nothing new starts, and no limit of being idle runs; what they wrote can be read.
  virtual io::Task<SandboxInfo> pause(Principal who, std::string id_or_name) = 0;
  // They go on. Of a running one: nothing happens.
  virtual io::Task<SandboxInfo> resume(Principal who, std::string id_or_name) = 0;
  // Its processes are asked to end, and killed after `grace` (0: at once); then what it needs is given back, but for
  // its disk. Of a stopped one: nothing happens.
  virtual io::Task<SandboxInfo> stop(Principal who, std::string id_or_name, std::chrono::milliseconds grace) = 0;
  // It runs again, on its disk. Of a running one: nothing happens.
  virtual io::Task<SandboxInfo> start(Principal who, std::string id_or_name) = 0;
  virtual io::Task<SandboxInfo> update(Principal who, std::string id_or_name, UpdateSandbox changes) = 0;
  virtual io::Task<SandboxStats> stats(Principal who, std::string id_or_name) = 0;
  virtual Result<NetworkReport> network(const Principal& who, const std::string& id_or_name) = 0;
  // What happens to what `who` may see. Lives no longer than this. Errors: sandbox_not_found, too_many_followers.
  virtual Result<std::unique_ptr<EventStream>> events(Principal who, FollowEvents asked) = 0;
  // Copies of their disks, and what is made from them. Lives as long as this.
  virtual SnapshotService& snapshots() = 0;
  // What they share.
  virtual VolumeService& volumes() = 0;
  // Commands that are not waited for, and such whose output is followed.
  virtual ProcessService& processes() = 0;

  // API keys, and who comes in by them.
  virtual KeyService& keys() = 0;
  // What was answered to requests with an Idempotency-Key.
  virtual IdempotentAnswers& answers() = 0;

  virtual Result<std::vector<ImageInfo>> images() = 0;
  // Those that `who` may ask.
  virtual io::Task<std::vector<ModelInfo>> models(Principal who) = 0;
  // Errors of the request come at once, all others by the stream.
  virtual io::Task<std::unique_ptr<PullStream>> pull_model(Principal who, PullModel request) = 0;
  // Errors: model_not_found, model_damaged.
  virtual io::Task<ModelDetails> show_model(Principal who, std::string name) = 0;
  // Ends when it is loaded. An administrator alone pins it. Errors: model_not_found, model_damaged, models_busy, those
  // of loading.
  virtual io::Task<ModelInfo> load_model(Principal who, LoadModel request) = 0;
  // Its runners go with the last of the answers that they are giving; without any nothing happens. An administrator's
  // go pinned or not. Errors: model_not_found, model_damaged.
  virtual io::Task<ModelInfo> unload_model(Principal who, std::string name) = 0;
  // Its file goes, and its runner with the last of the answers that it is giving; who waits for one that is being
  // loaded may get an error. Errors: model_not_found, model_not_removable.
  virtual io::Task<void> remove_model(Principal who, std::string name) = 0;

  // The completion of `prompt` by the default local model (by its chat template if it has one), 512 tokens at most.
  virtual io::Task<Completion> complete(Principal who, std::string prompt) = 0;
  // Ends when the answer is there, of a streamed one when its events begin; loads the model first where it is not.
  // Errors: model_not_found, model_ambiguous, models_busy, those of loading, of the answer's events, of ask_within()
  // for a sandbox, and where the server refuses (prompt_refused, context_length_exceeded, model_unable).
  virtual io::Task<ModelAnswer> ask_model(Principal who, ModelRequest request) = 0;
  // The upstream's own JSON answer to one user message, and its status (passed through).
  struct UpstreamAnswer {
    int status = 200;
    std::string body;
  };
  virtual io::Task<UpstreamAnswer> ask_upstream(Principal who, std::string prompt) = 0;

  // The files of kept sandboxes, and what listens in them. They live as long as this.
  virtual Files& files() = 0;
  virtual PortService& ports() = 0;

  // The launch plan of a one-shot, printed; nothing is started.
  virtual Result<std::string> plan_text(const Principal& who, const OneShot& request) = 0;
  virtual Info info() = 0;
  // Whether requests can be served; health() says more.
  virtual bool is_ready() const = 0;
  virtual HealthReport health() = 0;
  // Compares what there is with what is known (ledger_check.h). Errors: permission_denied (not an administrator),
  // disk_not_kept (this daemon keeps nothing).
  virtual io::Task<LedgerReport> ledger(Principal who) = 0;
};

}  // namespace lmsb::control
