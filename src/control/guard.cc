#include "control/guard.h"

#include <utility>

#include "control/files.h"
#include "control/key_service.h"
#include "control/port_service.h"
#include "control/process_service.h"
#include "control/snapshot_service.h"
#include "control/volume_service.h"

namespace lmsb::control {
namespace {

constexpr Operation kRead = Operation::read;
constexpr Operation kWrite = Operation::write;
constexpr Operation kModels = Operation::models;
constexpr Operation kAdmin = Operation::admin;

template <class T>
io::Task<T> refused(Error error) {
  co_return error;
}

// Who makes a sandbox with models asks them by its programs.
Status check_models(const Principal& who, const ModelAccess& models) {
  return models.is_something() ? check_may(who, kModels) : Status();
}

// What is asked without a name is not for a sandbox, which is bound to names.
Error only_its_models() {
  return Error(ErrorCode::permission_denied, "a sandbox asks its own models, by name").with_slug("permission_denied");
}

// inner.use(who, args...), where `who` may.
template <class Inner, class T, class... Args>
io::Task<T> pass(Operation operation, Inner& inner, io::Task<T> (Inner::*use)(Principal, Args...), Principal who,
                 std::type_identity_t<Args>... args) {
  Status allowed = check_may(who, operation);
  if (!allowed.ok()) return refused<T>(std::move(allowed).error());
  return (inner.*use)(std::move(who), std::move(args)...);
}

class GuardedFiles final : public Files {
 public:
  explicit GuardedFiles(Files& inner) : inner_(inner) {}
  io::Task<FileStat> stat(Principal who, FilePlace at) override {
    return pass(kRead, inner_, &Files::stat, std::move(who), std::move(at));
  }
  io::Task<std::unique_ptr<FileContent>> open(Principal who, FilePlace at) override {
    return pass(kRead, inner_, &Files::open, std::move(who), std::move(at));
  }
  io::Task<FileInfo> write(Principal who, WriteFile request, std::shared_ptr<http::BodyReader> body) override {
    return pass(kWrite, inner_, &Files::write, std::move(who), std::move(request), std::move(body));
  }
  io::Task<FilePage> list(Principal who, ListFiles request) override {
    return pass(kRead, inner_, &Files::list, std::move(who), std::move(request));
  }
  io::Task<FilePage> glob(Principal who, GlobFiles request) override {
    return pass(kRead, inner_, &Files::glob, std::move(who), std::move(request));
  }
  io::Task<FileInfo> make_directory(Principal who, MakeDirectory request) override {
    return pass(kWrite, inner_, &Files::make_directory, std::move(who), std::move(request));
  }
  io::Task<MovedFile> move(Principal who, MoveFile request) override {
    return pass(kWrite, inner_, &Files::move, std::move(who), std::move(request));
  }
  io::Task<MovedFile> copy(Principal who, MoveFile request) override {
    return pass(kWrite, inner_, &Files::copy, std::move(who), std::move(request));
  }
  io::Task<std::uint64_t> remove(Principal who, RemoveFile request) override {
    return pass(kWrite, inner_, &Files::remove, std::move(who), std::move(request));
  }
  io::Task<std::uint64_t> change_mode(Principal who, ChangeMode request) override {
    return pass(kWrite, inner_, &Files::change_mode, std::move(who), std::move(request));
  }
  io::Task<GrepResult> grep(Principal who, GrepFiles request) override {
    return pass(kRead, inner_, &Files::grep, std::move(who), std::move(request));
  }
  io::Task<ReplaceResult> replace(Principal who, ReplaceInFiles request) override {
    return pass(kWrite, inner_, &Files::replace, std::move(who), std::move(request));
  }
  io::Task<std::unique_ptr<FileWatch>> watch(Principal who, WatchFiles request) override {
    return pass(kRead, inner_, &Files::watch, std::move(who), std::move(request));
  }
  io::Task<std::unique_ptr<FileStream>> pack(Principal who, PackFiles request) override {
    return pass(kRead, inner_, &Files::pack, std::move(who), std::move(request));
  }
  io::Task<UnpackResult> unpack(Principal who, UnpackFiles request, std::shared_ptr<http::BodyReader> body) override {
    return pass(kWrite, inner_, &Files::unpack, std::move(who), std::move(request), std::move(body));
  }

 private:
  Files& inner_;
};

// Whoever speaks to a program in a sandbox may make it do anything that it can.
class GuardedPorts final : public PortService {
 public:
  explicit GuardedPorts(PortService& inner) : inner_(inner) {}
  io::Task<io::HeldSocket> connect(Principal who, std::string sandbox, std::uint16_t port) override {
    return pass(kWrite, inner_, &PortService::connect, std::move(who), std::move(sandbox), port);
  }
  Result<std::string> may_connect(const Principal& who, const std::string& sandbox) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.may_connect(who, sandbox);
  }
  void note_preview(const Principal& by, const std::string& sandbox, std::uint16_t port,
                    const std::string& expires_at) override {
    inner_.note_preview(by, sandbox, port, expires_at);  // what may_connect() has allowed
  }
  io::Task<std::vector<ListeningPort>> list(Principal who, std::string sandbox) override {
    return pass(kRead, inner_, &PortService::list, std::move(who), std::move(sandbox));
  }

 private:
  PortService& inner_;
};

class GuardedProcesses final : public ProcessService {
 public:
  explicit GuardedProcesses(ProcessService& inner) : inner_(inner) {}
  io::Task<ProcessInfo> start(Principal who, std::string sandbox, StartProcess request) override {
    return pass(kWrite, inner_, &ProcessService::start, std::move(who), std::move(sandbox), std::move(request));
  }
  io::Task<std::shared_ptr<CommandStream>> run(Principal who, std::string sandbox, FollowCommand request) override {
    return pass(kWrite, inner_, &ProcessService::run, std::move(who), std::move(sandbox), std::move(request));
  }
  io::Task<ExecResult> run_in_session(Principal who, std::string sandbox, std::string session,
                                      Command command) override {
    return pass(kWrite, inner_, &ProcessService::run_in_session, std::move(who), std::move(sandbox), std::move(session),
                std::move(command));
  }
  Result<std::vector<SessionInfo>> sessions(const Principal& who, const std::string& sandbox) override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.sessions(who, sandbox);
  }
  Result<SessionInfo> session(const Principal& who, const std::string& sandbox, const std::string& session) override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.session(who, sandbox, session);
  }
  Status end_session(const Principal& who, const std::string& sandbox, const std::string& session) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.end_session(who, sandbox, session);
  }
  Result<std::vector<ProcessInfo>> list(const Principal& who, const std::string& sandbox) override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.list(who, sandbox);
  }
  io::Task<ProcessInfo> get(Principal who, std::string sandbox, std::string process,
                            std::chrono::milliseconds wait) override {
    return pass(kRead, inner_, &ProcessService::get, std::move(who), std::move(sandbox), std::move(process), wait);
  }
  io::Task<OutputPiece> output(Principal who, std::string sandbox, std::string process, OutputAsked asked) override {
    return pass(kRead, inner_, &ProcessService::output, std::move(who), std::move(sandbox), std::move(process), asked);
  }
  io::Task<OutputSpan> find_output(Principal who, std::string sandbox, std::string process, Stream stream,
                                   OutputPeriod period) override {
    return pass(kRead, inner_, &ProcessService::find_output, std::move(who), std::move(sandbox), std::move(process),
                stream, period);
  }
  Result<std::shared_ptr<CommandStream>> follow(const Principal& who, const std::string& sandbox,
                                                const std::string& process, FollowFrom from) override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.follow(who, sandbox, process, from);
  }
  io::Task<void> write_stdin(Principal who, std::string sandbox, std::string process, std::string data,
                             bool close) override {
    return pass(kWrite, inner_, &ProcessService::write_stdin, std::move(who), std::move(sandbox), std::move(process),
                std::move(data), close);
  }
  Status signal(const Principal& who, const std::string& sandbox, const std::string& process, int signal,
                bool whole_tree) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.signal(who, sandbox, process, signal, whole_tree);
  }
  Status resize(const Principal& who, const std::string& sandbox, const std::string& process,
                TerminalSize size) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.resize(who, sandbox, process, size);
  }
  Result<TerminalHolder> take_terminal(const Principal& who, const std::string& sandbox,
                                       const std::string& process) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.take_terminal(who, sandbox, process);
  }
  io::Task<void> wait_taken(Principal who, std::string sandbox, TerminalHolder holder) override {
    return pass(kWrite, inner_, &ProcessService::wait_taken, std::move(who), std::move(sandbox), std::move(holder));
  }
  Status forget(const Principal& who, const std::string& sandbox, const std::string& process) override {
    LMSB_CHECK(check_may(who, kWrite));
    return inner_.forget(who, sandbox, process);
  }

 private:
  ProcessService& inner_;
};

class GuardedSnapshots final : public SnapshotService {
 public:
  explicit GuardedSnapshots(SnapshotService& inner) : inner_(inner) {}
  io::Task<SnapshotInfo> take(Principal who, std::string sandbox, std::string name, SnapshotPromise promise) override {
    return pass(kWrite, inner_, &SnapshotService::take, std::move(who), std::move(sandbox), std::move(name),
                std::move(promise));
  }
  Result<SnapshotPage> list(const Principal& who, const std::string& sandbox, std::size_t limit,
                            const std::string& cursor) const override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.list(who, sandbox, limit, cursor);
  }
  Result<SnapshotInfo> get(const Principal& who, const std::string& id) const override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.get(who, id);
  }
  io::Task<void> remove(Principal who, std::string id) override {
    return pass(kWrite, inner_, &SnapshotService::remove, std::move(who), std::move(id));
  }
  io::Task<std::vector<SandboxInfo>> fork(Principal who, std::string sandbox, std::size_t count,
                                          ForksPromise promise) override {
    return pass(kWrite, inner_, &SnapshotService::fork, std::move(who), std::move(sandbox), count, std::move(promise));
  }
  io::Task<SandboxInfo> roll_back(Principal who, std::string sandbox, std::string snapshot) override {
    return pass(kWrite, inner_, &SnapshotService::roll_back, std::move(who), std::move(sandbox), std::move(snapshot));
  }
  io::Task<std::unique_ptr<FileStream>> export_file(Principal who, std::string id) override {
    return pass(kRead, inner_, &SnapshotService::export_file, std::move(who), std::move(id));
  }
  io::Task<SnapshotInfo> import_file(Principal who, ImportSnapshot request,
                                     std::shared_ptr<http::BodyReader> body) override {
    return pass(kWrite, inner_, &SnapshotService::import_file, std::move(who), std::move(request), std::move(body));
  }

 private:
  SnapshotService& inner_;
};

class GuardedVolumes final : public VolumeService {
 public:
  explicit GuardedVolumes(VolumeService& inner) : inner_(inner) {}
  io::Task<VolumeInfo> create(Principal who, CreateVolume request) override {
    Status labelled = add_own_labels(who, request.labels);
    if (!labelled.ok()) return refused<VolumeInfo>(std::move(labelled).error());
    return pass(kWrite, inner_, &VolumeService::create, std::move(who), std::move(request));
  }
  Result<VolumePage> list(const Principal& who, const std::map<std::string, std::string>& labels, std::size_t limit,
                          const std::string& cursor) const override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.list(who, labels, limit, cursor);
  }
  Result<VolumeInfo> get(const Principal& who, const std::string& id_or_name) const override {
    LMSB_CHECK(check_may(who, kRead));
    return inner_.get(who, id_or_name);
  }
  io::Task<std::uint64_t> held_bytes(Principal who, std::string id_or_name) override {
    return pass(kRead, inner_, &VolumeService::held_bytes, std::move(who), std::move(id_or_name));
  }
  io::Task<VolumeInfo> update(Principal who, std::string id_or_name, UpdateVolume changes) override {
    Status labelled = check_label_changes(who, changes.labels);
    if (!labelled.ok()) return refused<VolumeInfo>(std::move(labelled).error());
    return pass(kWrite, inner_, &VolumeService::update, std::move(who), std::move(id_or_name), std::move(changes));
  }
  io::Task<void> remove(Principal who, std::string id_or_name) override {
    return pass(kWrite, inner_, &VolumeService::remove, std::move(who), std::move(id_or_name));
  }

 private:
  VolumeService& inner_;
};

}  // namespace

struct Guard::Services {
  explicit Services(Control& inner)
      : files(inner.files()),
        ports(inner.ports()),
        processes(inner.processes()),
        snapshots(inner.snapshots()),
        volumes(inner.volumes()) {}
  GuardedFiles files;
  GuardedPorts ports;
  GuardedProcesses processes;
  GuardedSnapshots snapshots;
  GuardedVolumes volumes;
};

Guard::Guard(Control& inner) : inner_(inner), services_(std::make_unique<Services>(inner)) {}
Guard::~Guard() = default;

SnapshotService& Guard::snapshots() { return services_->snapshots; }
VolumeService& Guard::volumes() { return services_->volumes; }
ProcessService& Guard::processes() { return services_->processes; }
Files& Guard::files() { return services_->files; }
PortService& Guard::ports() { return services_->ports; }
KeyService& Guard::keys() { return inner_.keys(); }               // it asks itself: it is also who lets in
IdempotentAnswers& Guard::answers() { return inner_.answers(); }  // for who may write: once() asks

io::Task<OneShotResult> Guard::run_once(Principal who, OneShot request) {
  if (Status allowed = check_models(who, request.models); !allowed.ok())
    return refused<OneShotResult>(std::move(allowed).error());
  return pass(kWrite, inner_, &Control::run_once, std::move(who), std::move(request));
}

io::Task<std::shared_ptr<CommandStream>> Guard::follow_once(Principal who, OneShot request) {
  if (Status allowed = check_models(who, request.models); !allowed.ok())
    return refused<std::shared_ptr<CommandStream>>(std::move(allowed).error());
  return pass(kWrite, inner_, &Control::follow_once, std::move(who), std::move(request));
}

io::Task<SandboxInfo> Guard::create(Principal who, CreateSandbox request) {
  Status labelled = add_own_labels(who, request.labels);
  if (labelled.ok()) labelled = check_models(who, request.models);
  if (!labelled.ok()) return refused<SandboxInfo>(std::move(labelled).error());
  return pass(kWrite, inner_, &Control::create, std::move(who), std::move(request));
}

Result<SandboxInfo> Guard::get(const Principal& who, const std::string& id_or_name) {
  LMSB_CHECK(check_may(who, kRead));
  return inner_.get(who, id_or_name);
}

Result<SandboxPage> Guard::list(const Principal& who, std::optional<SandboxState> state,
                                const std::map<std::string, std::string>& labels, std::size_t limit,
                                const std::string& cursor) {
  LMSB_CHECK(check_may(who, kRead));
  return inner_.list(who, state, labels, limit, cursor);
}

io::Task<void> Guard::remove(Principal who, std::string id_or_name) {
  return pass(kWrite, inner_, &Control::remove, std::move(who), std::move(id_or_name));
}

io::Task<ExecResult> Guard::exec(Principal who, std::string id_or_name, Command command) {
  return pass(kWrite, inner_, &Control::exec, std::move(who), std::move(id_or_name), std::move(command));
}

io::Task<SandboxInfo> Guard::pause(Principal who, std::string id_or_name) {
  return pass(kWrite, inner_, &Control::pause, std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Guard::resume(Principal who, std::string id_or_name) {
  return pass(kWrite, inner_, &Control::resume, std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Guard::stop(Principal who, std::string id_or_name, std::chrono::milliseconds grace) {
  return pass(kWrite, inner_, &Control::stop, std::move(who), std::move(id_or_name), grace);
}

io::Task<SandboxInfo> Guard::start(Principal who, std::string id_or_name) {
  return pass(kWrite, inner_, &Control::start, std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Guard::update(Principal who, std::string id_or_name, UpdateSandbox changes) {
  Status labelled = check_label_changes(who, changes.labels);
  if (!labelled.ok()) return refused<SandboxInfo>(std::move(labelled).error());
  return pass(kWrite, inner_, &Control::update, std::move(who), std::move(id_or_name), std::move(changes));
}

io::Task<SandboxStats> Guard::stats(Principal who, std::string id_or_name) {
  return pass(kRead, inner_, &Control::stats, std::move(who), std::move(id_or_name));
}

Result<NetworkReport> Guard::network(const Principal& who, const std::string& id_or_name) {
  LMSB_CHECK(check_may(who, kRead));
  return inner_.network(who, id_or_name);
}

Result<std::unique_ptr<EventStream>> Guard::events(Principal who, FollowEvents asked) {
  LMSB_CHECK(check_may(who, kRead));
  return inner_.events(std::move(who), std::move(asked));
}

// What there is to choose from is everybody's to know.
Result<std::vector<ImageInfo>> Guard::images() { return inner_.images(); }
io::Task<std::vector<ModelInfo>> Guard::models(Principal who) { return inner_.models(std::move(who)); }
Info Guard::info() { return inner_.info(); }
bool Guard::is_ready() const { return inner_.is_ready(); }
HealthReport Guard::health() { return inner_.health(); }

io::Task<std::unique_ptr<PullStream>> Guard::pull_model(Principal who, PullModel request) {
  return pass(kAdmin, inner_, &Control::pull_model, std::move(who), std::move(request));
}

io::Task<ModelDetails> Guard::show_model(Principal who, std::string name) {
  if (who.models) return refused<ModelDetails>(only_its_models());
  return inner_.show_model(std::move(who), std::move(name));
}

io::Task<ModelInfo> Guard::load_model(Principal who, LoadModel request) {
  if (who.models) return refused<ModelInfo>(only_its_models());
  // What is pinned takes room from the models of all.
  const Operation operation = request.is_pinned ? kAdmin : kModels;
  return pass(operation, inner_, &Control::load_model, std::move(who), std::move(request));
}

io::Task<ModelInfo> Guard::unload_model(Principal who, std::string name) {
  if (who.models) return refused<ModelInfo>(only_its_models());
  return pass(kModels, inner_, &Control::unload_model, std::move(who), std::move(name));
}

io::Task<void> Guard::remove_model(Principal who, std::string name) {
  return pass(kAdmin, inner_, &Control::remove_model, std::move(who), std::move(name));
}

io::Task<Completion> Guard::complete(Principal who, std::string prompt) {
  if (who.models) return refused<Completion>(only_its_models());
  return pass(kModels, inner_, &Control::complete, std::move(who), std::move(prompt));
}

io::Task<ModelAnswer> Guard::ask_model(Principal who, ModelRequest request) {
  return pass(kModels, inner_, &Control::ask_model, std::move(who), std::move(request));
}

io::Task<Control::UpstreamAnswer> Guard::ask_upstream(Principal who, std::string prompt) {
  if (who.models) return refused<UpstreamAnswer>(only_its_models());
  return pass(kModels, inner_, &Control::ask_upstream, std::move(who), std::move(prompt));
}

Result<std::string> Guard::plan_text(const Principal& who, const OneShot& request) {
  LMSB_CHECK(check_may(who, kRead));
  return inner_.plan_text(who, request);
}

io::Task<LedgerReport> Guard::ledger(Principal who) { return pass(kAdmin, inner_, &Control::ledger, std::move(who)); }

}  // namespace lmsb::control
