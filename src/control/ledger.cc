#include "control/ledger.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "control/idempotency.h"
#include "control/processes.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kQueue = 4096;
constexpr std::string_view kReadOnly = ":ro";  // behind the id of a volume

// Moments of this boot's clock as such of the calendar, and back.
std::int64_t calendar_ms(Life::Clock::time_point when) {
  const auto then = std::chrono::system_clock::now() + (when - Life::Clock::now());
  return std::chrono::duration_cast<milliseconds>(then.time_since_epoch()).count();
}

Life::Clock::time_point moment_of(std::int64_t calendar) {
  const std::chrono::system_clock::time_point then{milliseconds(calendar)};
  return Life::Clock::now() + (then - std::chrono::system_clock::now());
}

std::vector<MountedVolume> volumes_of(const std::map<std::string, std::string>& kept) {
  std::vector<MountedVolume> mounts;
  for (const auto& [target, volume] : kept) {
    const bool read_only = volume.ends_with(kReadOnly);
    mounts.push_back({volume.substr(0, volume.size() - (read_only ? kReadOnly.size() : 0)), "", target, read_only});
  }
  return mounts;
}

constexpr std::string_view kGiven =
    "given=";  // before the name of a credential that an administrator gave; no entry of a list has a "="

// What a later version wrote, and this one does not know, is no network.
network::Egress egress_of(std::string_view kept) {
  network::Egress egress;
  const auto next_word = [&kept] {
    const std::string_view word = kept.substr(0, kept.find(' '));
    kept.remove_prefix(std::min(kept.size(), word.size() + 1));
    return word;
  };
  egress.mode = network::parse_mode(next_word()).value_or(network::Mode::none);
  while (!kept.empty()) {
    const std::string_view word = next_word();
    const bool is_given = word.starts_with(kGiven);
    is_given ? egress.given.emplace_back(word.substr(kGiven.size())) : egress.allow.emplace_back(word);
  }
  return network::check_form(egress).ok() ? egress : network::Egress();
}

std::int64_t a_day_ago() {
  const auto then = std::chrono::system_clock::now() - IdempotentAnswers::kRemembered;
  return std::chrono::duration_cast<milliseconds>(then.time_since_epoch()).count();
}

LifeLimits life_of(const store::SandboxRow& row) {
  LifeLimits life;
  life.timeout = milliseconds(row.timeout_ms);
  life.idle = milliseconds(row.idle_ms);
  life.at_timeout = parse_at_limit(row.at_timeout).value_or(AtLimit::stop);
  life.at_idle = parse_at_limit(row.at_idle).value_or(AtLimit::stop);
  return life;
}

}  // namespace

store::SandboxRow row_of(const KeptSandbox& sandbox) {
  const SandboxInfo& info = sandbox.info;
  store::SandboxRow row;
  row.id = info.id;
  row.owner = sandbox.owner;
  row.name = info.name;
  row.image = info.image;
  row.image_digest = info.image_digest;
  row.created_at = info.created_at;
  row.workdir = sandbox.defaults->workdir;
  row.env = sandbox.defaults->env;
  row.labels = info.labels;
  row.memory_bytes = info.limits.memory.count();
  row.disk_bytes = info.limits.disk.count();
  row.shm_bytes = info.limits.shm.count();
  row.cpu_millis = info.limits.cpu_millis;
  row.processes = info.limits.processes;
  row.timeout_ms = info.life.timeout.count();
  row.idle_ms = info.life.idle.count();
  row.at_timeout = to_string(info.life.at_timeout);
  row.at_idle = to_string(info.life.at_idle);
  if (const auto end = sandbox.life->end()) row.ends_at_ms = calendar_ms(*end);
  row.has_mounts = sandbox.has_mounts;
  row.is_removed = sandbox.is_provisional || sandbox.removing;
  row.state = to_string(sandbox.state_to_be.value_or(info.state));
  row.processes_at_start = sandbox.made_with.processes;
  for (const MountedVolume& mount : info.volumes)
    row.volumes[mount.target] = mount.id + std::string(mount.read_only ? kReadOnly : "");
  row.profile = to_string(info.profile);
  row.egress = network::to_string(info.egress.mode);
  for (const std::string& entry : info.egress.allow) row.egress += " " + entry;
  for (const std::string& name : info.egress.given) row.egress += " " + std::string(kGiven) + name;
  if (sandbox.models) row.models = texts_of(info.models, sandbox.models->usage());
  return row;
}

KeptSandbox sandbox_of(boost::asio::io_context& loop, store::SandboxRow row) {
  KeptSandbox sandbox;
  SandboxInfo& info = sandbox.info;
  info.id = std::move(row.id);
  info.name = std::move(row.name);
  info.image = std::move(row.image);
  info.image_digest = row.image_digest;
  info.state = SandboxState::stopped;
  info.created_at = std::move(row.created_at);
  info.labels = std::move(row.labels);
  info.limits = {Bytes(row.memory_bytes), row.cpu_millis, row.processes, Bytes(row.disk_bytes), Bytes(row.shm_bytes)};
  info.life = life_of(row);
  info.keeps_disk = true;
  info.volumes = volumes_of(row.volumes);
  info.egress = egress_of(row.egress);
  info.profile = parse_profile(row.profile).value_or(Profile::user);  // a later version's is less here, not more
  ModelUsage used;
  read_texts(row.models, info.models, used);
  if (info.models.is_something()) sandbox.models = std::make_shared<ModelAllowance>(loop, info.models, used);
  sandbox.made_with = info.limits;
  sandbox.made_with.processes = std::max(row.processes_at_start, info.limits.processes);
  sandbox.owner = std::move(row.owner);
  sandbox.has_mounts = row.has_mounts;
  sandbox.defaults = std::make_shared<const ImageDefaults>(
      ImageDefaults{std::move(row.image_digest), std::move(row.env), std::move(row.workdir), info.profile});
  sandbox.life = std::make_shared<Life>(info.life);
  sandbox.life->suspend();
  if (row.ends_at_ms) sandbox.life->set_end(moment_of(*row.ends_at_ms));
  return sandbox;
}

Ledger::Ledger(boost::asio::io_context& loop, std::string path, Logger& log)
    : loop_(loop), path_(std::move(path)), log_(log), thread_(1, kQueue) {}

Ledger::~Ledger() = default;

io::Task<Ledger::Found> Ledger::load(store::Missing missing) {
  if (path_.empty()) co_return Found();
  struct Loaded {
    std::shared_ptr<store::Records> records;
    Found found;
  };
  std::function<Result<Loaded>()> open = [path = path_, missing]() -> Result<Loaded> {
    Loaded loaded;
    const std::string wish = path + ".new";
    std::error_code unknown;
    const bool is_wished = std::filesystem::exists(wish, unknown);
    LMSB_TRY(loaded.records, store::Records::open(path, is_wished ? store::Missing::make : missing));
    if (is_wished && !std::filesystem::remove(wish, unknown))
      return Error(ErrorCode::failed_precondition, wish + " cannot be removed: it is for one start").with_hint("rm it");
    loaded.found.is_new = loaded.records->is_new();
    LMSB_TRY(loaded.found.rows, loaded.records->sandboxes().all());
    LMSB_TRY(loaded.found.snapshots, loaded.records->snapshots().all());
    LMSB_TRY(loaded.found.volumes, loaded.records->volumes().all());
    LMSB_TRY(loaded.found.keys, loaded.records->keys().all());
    store::Records& records = *loaded.records;
    // On a full disk they stay there; nobody is told them all the same.
    (void)records.note([&records] { return records.answers().erase_before(a_day_ago()); });
    LMSB_TRY(loaded.found.answers, loaded.records->answers().all());
    return loaded;
  };
  auto job = thread_.run(std::move(open));
  auto loaded = co_await std::move(job);
  if (!loaded.ok()) co_return std::move(loaded).error();
  records_ = std::move(loaded->records);
  co_return std::move(loaded->found);
}

io::Task<void> Ledger::with_records(Work work) {
  if (!records_)
    co_return Error(ErrorCode::failed_precondition, "this daemon keeps no sandboxes").with_slug("disk_not_kept");
  std::function<Status()> on_thread = [records = records_, work = std::move(work)] { return work(*records); };
  auto job = thread_.run(std::move(on_thread));
  co_return co_await std::move(job);
}

io::Task<void> Ledger::telling(Proves proves, Work work) {
  Status told = co_await with_records(std::move(work));
  if (proves == Proves::all || !told.ok()) remember(told);
  co_return told;
}

io::Task<void> Ledger::adding(Work work) {
  return telling(Proves::all, [work = std::move(work)](store::Records& records) {
    return records.add([&records, &work] { return work(records); });
  });
}

io::Task<void> Ledger::noting(Work work) {
  return telling(Proves::failure, [work = std::move(work)](store::Records& records) {
    return records.note([&records, &work] { return work(records); });
  });
}

// What is wrong with a row, or with who asks, says nothing of the database.
void Ledger::remember(const Status& told) {
  const bool is_its_own =
      !told.ok() && (told.error().code() == ErrorCode::unavailable || told.error().slug() == "store_full" ||
                     told.error().slug() == "database_damaged");
  if ((!told.ok() && !is_its_own) || *works_ == told.ok()) return;
  *works_ = told.ok();
  if (told.ok()) return log_.log(LogLevel::info, "database.works", {{"path", path_}});
  log_.log(LogLevel::error, "database.failed", {{"error", told.error().message()}, {"hint", told.error().hint()}});
}

io::Task<void> Ledger::check() {
  if (!records_) co_return Status();
  Work look = [](store::Records& records) { return records.check_room(); };
  Work write = [](store::Records& records) { return records.try_out(); };
  co_return co_await telling(Proves::all, *works_ ? std::move(look) : std::move(write));
}

io::Task<Ledger::Ids> Ledger::ids() {
  const auto found = std::make_shared<Ids>();
  std::function<Status(store::Records&)> read = [found](store::Records& records) -> Status {
    LMSB_TRY(const auto sandboxes, records.sandboxes().all());
    LMSB_TRY(const auto snapshots, records.snapshots().all());
    LMSB_TRY(const auto volumes, records.volumes().all());
    for (const store::SandboxRow& row : sandboxes)
      if (!row.is_removed) found->sandboxes.insert(row.id);
    for (const store::SnapshotRow& row : snapshots)
      if (!row.is_removed) found->snapshots.insert(row.id);
    for (const store::VolumeRow& row : volumes)
      if (!row.is_removed) found->volumes.insert(row.id);
    return {};
  };
  LMSB_CO_CHECK(co_await with_records(std::move(read)));
  co_return *found;
}

io::Task<void> Ledger::put(store::SandboxRow row) {
  return adding([row = std::move(row)](store::Records& records) { return records.sandboxes().put(row); });
}

io::Task<void> Ledger::note(store::SandboxRow row) {
  return noting([row = std::move(row)](store::Records& records) { return records.sandboxes().put(row); });
}

io::Task<void> Ledger::note(store::SnapshotRow row) {
  return noting([row = std::move(row)](store::Records& records) { return records.snapshots().put(row); });
}

io::Task<void> Ledger::note(store::VolumeRow row) {
  return noting([row = std::move(row)](store::Records& records) { return records.volumes().put(row); });
}

template <class Row, class Table>
io::Task<void> Ledger::put_with(Table& (store::Records::*table)(), std::vector<Row> rows, Answer answer) {
  return adding([table, rows = std::move(rows), answer = std::move(answer)](store::Records& records) -> Status {
    for (const Row& row : rows) LMSB_CHECK((records.*table)().put(row));
    return answer ? records.answers().put(*answer) : Status();
  });
}

io::Task<void> Ledger::put(std::vector<store::SandboxRow> rows, Answer answer) {
  return put_with(&store::Records::sandboxes, std::move(rows), std::move(answer));
}

io::Task<void> Ledger::take_back(std::string id) {
  return telling(Proves::failure, [id = std::move(id)](store::Records& records) { return records.take_back(id); });
}

io::Task<void> Ledger::erase(std::string id) {
  return noting([id = std::move(id)](store::Records& records) { return records.sandboxes().erase(id); });
}

io::Task<void> Ledger::put(store::SnapshotRow row, Answer answer) {
  return put_with(&store::Records::snapshots, std::vector<store::SnapshotRow>{std::move(row)}, std::move(answer));
}

io::Task<void> Ledger::erase_snapshot(std::string id) {
  return noting([id = std::move(id)](store::Records& records) { return records.snapshots().erase(id); });
}

io::Task<void> Ledger::put(store::VolumeRow row, Answer answer) {
  return put_with(&store::Records::volumes, std::vector<store::VolumeRow>{std::move(row)}, std::move(answer));
}

io::Task<void> Ledger::erase_volume(std::string id) {
  return noting([id = std::move(id)](store::Records& records) { return records.volumes().erase(id); });
}

io::Task<void> Ledger::put(store::KeyRow row) {
  return adding([row = std::move(row)](store::Records& records) { return records.keys().put(row); });
}

io::Task<void> Ledger::erase_key(std::string id) {
  return noting([id = std::move(id)](store::Records& records) { return records.keys().erase(id); });
}

io::Task<void> Ledger::note_key_use(std::string id, std::string used_at) {
  return adding([id = std::move(id), used_at = std::move(used_at)](store::Records& records) {
    return records.keys().note_use(id, used_at);
  });
}

void Ledger::put_later(const KeptSandbox& sandbox) {
  if (records_) io::spawn(loop_, write(this, sandbox.info.id, note(row_of(sandbox))));
}

void Ledger::erase_answer_later(std::string owner, std::string key) {
  if (!records_) return;
  auto erasing =
      noting([owner, key = std::move(key)](store::Records& records) { return records.answers().erase(owner, key); });
  io::spawn(loop_, write(this, owner, std::move(erasing)));
}

io::Always<void> Ledger::write(Ledger* self, std::string id, io::Task<void> work) {
  Logger& log = self->log_;
  const Status written = co_await std::move(work);
  if (!written.ok() && written.error().code() != ErrorCode::cancelled)
    log.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", written.error().message()}});
}

io::Always<void> Ledger::settle() {
  std::function<Status()> nothing = [] { return Status(); };
  auto job = thread_.run(std::move(nothing));
  const Status settled = co_await std::move(job);
  if (!settled.ok()) log_.log(LogLevel::warning, "ledger.unsettled", {{"error", settled.error().message()}});
}

}  // namespace lmsb::control
