#include "control/snapshots.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/named.h"
#include "control/names.h"
#include "control/paging.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

using std::chrono::microseconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPauseLimit{10'000};  // for all of a sandbox's processes to stand still

Principal daemon_itself() { return {"daemon", true}; }

Error not_found(const std::string& id) {
  return Error(ErrorCode::not_found, "no snapshot " + quoted(id))
      .with_slug("snapshot_not_found")
      .with_hint("GET /v1/snapshots, or lm-sandbox snapshot ls, shows what there is");
}

Error disk_not_kept(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "the disk of sandbox " + id + " lies in memory and cannot be copied")
      .with_slug("disk_not_kept")
      .with_hint("lm-sandbox doctor says why disks are not kept on this machine");
}

Error ambiguous(const std::string& named, const std::string& one, const std::string& another) {
  return Error(ErrorCode::invalid_argument, quoted(named) + " names more than one snapshot")
      .with_slug("snapshot_ambiguous")
      .with_hint("say which by its id: " + one + ", " + another + " or another one of that name");
}

Error being_exported(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "snapshot " + id + " is being exported")
      .with_slug("snapshot_busy")
      .with_hint("try again when that has ended");
}

Origin origin_of(const KeptSandbox& sandbox, std::string disk) {
  ImageDefaults defaults = *sandbox.defaults;
  for (const auto& [name, value] : model_variables(sandbox.info.models)) {  // what leads outside is not copied
    const auto variable = defaults.env.find(name);
    if (variable != defaults.env.end() && variable->second == value) defaults.env.erase(variable);
  }
  return {std::move(disk), sandbox.info.image, std::move(defaults), sandbox.info.limits};
}

store::SnapshotRow row_of(const SnapshotInfo& info, const std::string& owner, const Origin& origin) {
  store::SnapshotRow row;
  row.id = info.id;
  row.owner = owner;
  row.name = info.name;
  row.sandbox = info.sandbox_id;
  row.image = origin.image;
  row.image_digest = origin.defaults.digest;
  row.created_at = info.created_at;
  row.workdir = origin.defaults.workdir;
  row.env = origin.defaults.env;
  row.memory_bytes = origin.limits.memory.count();
  row.disk_bytes = origin.limits.disk.count();
  row.shm_bytes = origin.limits.shm.count();
  row.cpu_millis = origin.limits.cpu_millis;
  row.processes = origin.limits.processes;
  return row;
}

Status check_copy(const KeptSandbox& sandbox) {
  if (sandbox.state() == SandboxState::lost) return disk_lost(sandbox.info.id);
  if (!sandbox.info.keeps_disk) return disk_not_kept(sandbox.info.id);
  return {};
}

}  // namespace

Status check_snapshot_name(const std::string& name) {
  return sandbox::is_snapshot_id(name) ? Status(invalid_name()) : check_name(name);
}

Snapshots::Snapshots(boost::asio::io_context& loop, Parts parts, Logger& log)
    : parts_(std::move(parts)), log_(log), on_their_way_(loop, "changes of disks") {}

io::Task<void> Snapshots::take_over(std::vector<store::SnapshotRow> rows) {
  LMSB_CO_TRY(auto there, co_await parts_.fleet.list_disks(std::string(sandbox::kSnapshotPrefix)));
  const Fleet::Claiming claiming(parts_.fleet);
  for (store::SnapshotRow& row : rows) {
    const std::string id = row.id;
    const bool is_claimed = there.erase(id) > 0;
    if (row.is_removed) {
      (void)co_await end_removal(id);
      continue;
    }
    Status claimed;
    if (!is_claimed) claimed = co_await parts_.fleet.claim_disk(claiming, id);
    if (!claimed.ok() && claimed.error().slug() != "disk_lost") co_return claimed;
    if (!claimed.ok()) log_.log(LogLevel::warning, "snapshot.lost", {{"id", id}});
    enter(std::move(row));
  }
  for (const std::string& id : there) {  // nothing but the copy is known: an administrator can remove it
    store::SnapshotRow row;
    row.id = id;
    row.created_at = rfc3339_now();
    enter(std::move(row));
    log_.log(LogLevel::warning, "snapshot.unknown", {{"id", id}});
  }
  co_return Status();
}

// One that cannot be removed does not keep the others from being had: its row says that it is to go, at the next start.
io::Task<void> Snapshots::end_removal(std::string id) {
  Status gone = co_await parts_.fleet.remove_disk(id);
  if (gone.ok()) gone = co_await parts_.ledger.erase_snapshot(id);
  if (!gone.ok())
    log_.log(LogLevel::warning, "snapshot.remove_failed", {{"id", id}, {"error", gone.error().message()}});
  co_return gone;
}

std::set<std::string> Snapshots::ids() const {
  std::set<std::string> ids;
  for (const auto& [id, kept] : kept_) ids.insert(id);
  return ids;
}

void Snapshots::enter(store::SnapshotRow row) {
  Kept kept;
  kept.info = {row.id, row.name, row.sandbox, row.image, row.image_digest, row.created_at, std::nullopt};
  kept.owner = std::move(row.owner);
  kept.origin = {row.id,
                 std::move(row.image),
                 {std::move(row.image_digest), std::move(row.env), std::move(row.workdir)},
                 {Bytes(row.memory_bytes), row.cpu_millis, row.processes, Bytes(row.disk_bytes), Bytes(row.shm_bytes)}};
  kept_.emplace(row.id, std::move(kept));
}

Result<const Snapshots::Kept*> Snapshots::find(const Principal& who, const std::string& named,
                                               const std::string& of) const {
  const auto sees = [&who](const Kept& kept) { return who.sees(kept.owner); };
  const auto name = [](const Kept& kept) -> const std::string& { return kept.info.name; };
  auto found = find_named(kept_, named, sandbox::kSnapshotPrefix, sees, name);
  if (found.empty()) return not_found(named);
  const bool is_name = found.front()->info.name == named;
  const auto narrow = [&found](auto is_it) {
    std::vector<const Kept*> fewer;
    std::copy_if(found.begin(), found.end(), std::back_inserter(fewer), is_it);
    if (!fewer.empty()) found = std::move(fewer);
  };
  if (is_name && !of.empty()) narrow([&of](const Kept* kept) { return kept->info.sandbox_id == of; });
  if (is_name) narrow([&who](const Kept* kept) { return kept->owner == who.name; });
  if (found.size() > 1) return ambiguous(named, found.front()->info.id, found.back()->info.id);
  return found.front();
}

void Snapshots::tell(std::string_view what, const Kept& kept, const std::string& by) const {
  Event event;
  event.type = what;
  event.subject = kept.info.id;
  event.sandbox = kept.info.sandbox_id;
  event.name = kept.info.name;
  event.owner = kept.owner;
  event.by = by;
  parts_.events.add(std::move(event));
}

Result<SnapshotInfo> Snapshots::get(const Principal& who, const std::string& id) const {
  LMSB_TRY(const Kept* kept, find(who, id));
  return kept->info;
}

Result<SnapshotPage> Snapshots::list(const Principal& who, const std::string& sandbox, std::size_t limit,
                                     const std::string& cursor) const {
  std::vector<const SnapshotInfo*> matching;
  for (const auto& [id, kept] : kept_)
    if (who.sees(kept.owner) && (sandbox.empty() || kept.info.sandbox_id == sandbox) && order_key(kept.info) > cursor)
      matching.push_back(&kept.info);
  const auto self = [](const SnapshotInfo& info) -> const SnapshotInfo& { return info; };
  return first_page<SnapshotPage>(std::move(matching), limit, self, self);
}

// What was written is on the disk before anything stands still, and there is a place among those that copy: then there
// is little left to wait for.
io::Task<microseconds> Snapshots::copy(const Lifecycle::Hold& hold, std::string to) {
  LMSB_CO_TRY(const auto place, co_await parts_.fleet.disk_place());
  LMSB_CO_TRY(const KeptSandbox* sandbox, hold.sandbox());
  const std::string from = sandbox->info.id;
  const auto handle = sandbox->handle;
  const bool runs = handle && sandbox->state() == SandboxState::running;
  if (handle) LMSB_CO_CHECK(co_await parts_.fleet.sync_disks(*place));
  const auto begin = Clock::now();
  if (runs) LMSB_CO_CHECK(co_await handle->pause(io::Deadline::in(kPauseLimit)));
  Status copied = co_await parts_.fleet.copy_disk(*place, from, to, Fleet::Replaces::no);
  Status resumed = runs ? handle->resume() : Status();
  const auto stood = std::chrono::duration_cast<microseconds>(Clock::now() - begin);
  // A sandbox that has ended meanwhile has nothing that could go on.
  if (resumed.ok() || resumed.error().slug() == "sandbox_lost") resumed = Status();
  if (copied.ok() && !resumed.ok()) (void)co_await parts_.fleet.remove_disk(to);  // else the next start
  LMSB_CO_CHECK(std::move(copied));
  LMSB_CO_CHECK(std::move(resumed));
  co_return runs ? stood : microseconds(0);
}

io::Task<SnapshotInfo> Snapshots::take(Principal who, std::string sandbox, std::string name, SnapshotPromise promise) {
  LMSB_CO_CHECK(check_snapshot_name(name));
  LMSB_CO_CHECK(check_count(who.name));
  std::string by = who.name;
  auto taking = take_now(std::move(who), std::move(sandbox), std::move(name), std::move(promise));
  co_return co_await on_their_way_.carry_out(std::move(by), std::move(taking));
}

std::uint64_t Snapshots::bytes_of(const std::string& owner) const {
  std::uint64_t bytes = 0;
  for (const auto& [id, kept] : kept_)
    if (kept.owner == owner) bytes += kept.origin.limits.disk.count();
  return bytes;
}

Result<HeldNames::Held> Snapshots::hold_name(const std::string& owner, const std::string& name) {
  const auto has_it = [&](const auto& entry) { return entry.second.owner == owner && entry.second.info.name == name; };
  if (!name.empty() && (names_.has(owner, name) || std::any_of(kept_.begin(), kept_.end(), has_it)))
    return name_taken("snapshot", name);
  return names_.hold(owner, name);
}

Status Snapshots::check_count(const std::string& owner) const {
  const auto too_many = [](const std::string& what) {
    return Error(ErrorCode::resource_exhausted, what).with_slug("too_many_snapshots").with_hint("delete some of them");
  };
  std::size_t total = kept_.size();
  for (const auto& [name, number] : *being_taken_) total += number;
  if (total >= kMaxSnapshots) return too_many("there are 10000 snapshots already");
  const auto is_his = [&owner](const auto& entry) { return entry.second.owner == owner; };
  const auto taking = being_taken_->find(owner);
  const std::size_t count = static_cast<std::size_t>(std::count_if(kept_.begin(), kept_.end(), is_his)) +
                            (taking == being_taken_->end() ? 0 : taking->second);
  const std::size_t cap = parts_.cap();
  if (count < cap) return {};
  return too_many("you may have " + std::to_string(cap) + " snapshots ([policy] max_snapshots)");
}

io::Task<SnapshotInfo> Snapshots::take_now(Principal who, std::string sandbox, std::string name,
                                           SnapshotPromise promise) {
  LMSB_CO_TRY(const auto held_name, hold_name(who.name, name));
  LMSB_CO_TRY(const auto hold, co_await parts_.lifecycle.hold(who, std::move(sandbox)));
  LMSB_CO_CHECK(check_count(who.name));  // others may have waited, too
  const OnTheirWay::Place place(being_taken_, who.name);
  co_return co_await take_of(*hold, std::move(who), std::move(name), std::move(promise));
}

io::Task<SnapshotInfo> Snapshots::take_of(const Lifecycle::Hold& hold, Principal who, std::string name,
                                          SnapshotPromise promise) {
  LMSB_CO_TRY(const KeptSandbox* of, hold.sandbox());
  LMSB_CO_CHECK(check_copy(*of));
  Kept kept;
  kept.info = {create_prefixed_id(sandbox::kSnapshotPrefix),
               std::move(name),
               of->info.id,
               of->info.image,
               of->info.image_digest,
               rfc3339_now(),
               std::nullopt};
  kept.owner = who.name;
  kept.origin = origin_of(*of, kept.info.id);
  SnapshotInfo info = kept.info;
  LMSB_CO_TRY(const auto quota, parts_.quotas.take(who.name, disk_of(kept.origin.limits)));
  LMSB_CO_TRY(const microseconds stood, co_await copy(hold, info.id));
  info.frozen = stood;
  auto writing = write_down(std::move(kept), promise.keep(info, info.id));
  LMSB_CO_CHECK(co_await std::move(writing));
  log_.log(LogLevel::info, "snapshot.created", {{"id", info.id}, {"sandbox", info.sandbox_id}, {"by", who.name}});
  if (const auto made = kept_.find(info.id); made != kept_.end()) tell("snapshot.created", made->second, who.name);
  co_return info;
}

io::Task<void> Snapshots::write_down(Kept kept, Ledger::Answer answer) {
  const std::string id = kept.info.id;
  Status written;
  {
    const Fleet::Claiming claiming(parts_.fleet);
    auto writing = parts_.ledger.put(row_of(kept.info, kept.owner, kept.origin), std::move(answer));
    written = co_await std::move(writing);
    if (written.ok()) written = co_await parts_.fleet.claim_disk(claiming, id);
  }
  if (!written.ok()) {
    (void)co_await parts_.ledger.take_back(id);
    (void)co_await parts_.fleet.remove_disk(id);  // else the next start
    co_return written;
  }
  kept_.emplace(id, std::move(kept));
  co_return Status();
}

io::Task<void> Snapshots::remove(Principal who, std::string named) {
  LMSB_CO_TRY(const Kept* kept, find(who, named));
  std::string id = kept->info.id;
  std::string by = who.name;
  co_return co_await on_their_way_.carry_out(std::move(by), remove_now(std::move(who), std::move(id)));
}

// Nobody can use it meanwhile, and it counts for its owner until it is gone; if it cannot be removed it is there as
// before. The row says that it is to go before it does, so that the next daemon ends what this one could not, its own
// erasing too.
io::Task<void> Snapshots::remove_now(Principal who, std::string id) {
  const auto found = kept_.find(id);
  if (found == kept_.end()) co_return not_found(id);
  if (found->second.exports.use_count() > 1) co_return being_exported(id);
  const auto counts = parts_.quotas.hold(found->second.owner, disk_of(found->second.origin.limits));
  auto taken = kept_.extract(found);
  const auto held_name = names_.hold(taken.mapped().owner, taken.mapped().info.name);  // it may come back
  store::SnapshotRow row = row_of(taken.mapped().info, taken.mapped().owner, taken.mapped().origin);
  row.is_removed = true;
  Status marked = co_await parts_.ledger.note(row);
  if (!marked.ok()) {
    kept_.insert(std::move(taken));
    co_return marked;
  }
  Status removed = co_await parts_.fleet.remove_disk(id);
  if (!removed.ok()) {
    row.is_removed = false;
    (void)co_await parts_.ledger.note(std::move(row));
    kept_.insert(std::move(taken));
    if (removed.error().slug() == "disk_in_use") co_return being_exported(id);  // one that has just been broken off
    co_return removed;
  }
  log_.log(LogLevel::info, "snapshot.removed", {{"id", id}, {"by", who.name}});
  tell("snapshot.removed", taken.mapped(), who.name);
  const Status erased = co_await parts_.ledger.erase_snapshot(id);
  if (!erased.ok()) log_.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", erased.error().message()}});
  co_return Status();
}

io::Task<SandboxInfo> Snapshots::create_from(Principal who, CreateSandbox request) {
  LMSB_CO_TRY(const Kept* kept, find(who, request.snapshot));
  if (kept->origin.image.empty())
    co_return Error(ErrorCode::failed_precondition, "nothing but its copy is known of snapshot " + kept->info.id)
        .with_slug("disk_lost")
        .with_hint("delete the snapshot");
  if (!request.image.empty() && request.image != kept->origin.image)
    co_return Error(ErrorCode::invalid_argument, "the snapshot's image is " + kept->origin.image)
        .with_slug("image_changed")
        .with_hint("leave image out");
  Origin origin = kept->origin;
  const Limits limits = with(origin.limits, request.limits);
  LMSB_CO_TRY(auto quota, parts_.quotas.take(who.name, begun(limits, request.egress.mode != network::Mode::none)));
  LMSB_CO_CHECK(check_fits(origin.disk, limits.disk));
  co_return co_await parts_.create(std::move(who), std::move(request), std::move(origin), std::move(quota));
}

// What a copy shares counts for nobody or for its origin, so what it holds is not known: that no more than the origin's
// limit is.
Status Snapshots::check_fits(const std::string& snapshot, Bytes disk) const {
  const auto found = kept_.find(snapshot);
  if (found == kept_.end() || found->second.origin.limits.disk <= disk) return {};
  const std::string least = format_bytes(found->second.origin.limits.disk);
  return Error(ErrorCode::failed_precondition, "snapshot " + snapshot + " may hold " + least)
      .with_slug("limit_in_use")
      .with_hint("ask for a disk of " + least + " at least");
}

io::Task<std::vector<SandboxInfo>> Snapshots::fork(Principal who, std::string sandbox, std::size_t count,
                                                   ForksPromise promise) {
  std::string by = who.name;
  auto forking = fork_now(std::move(who), std::move(sandbox), count, std::move(promise));
  return on_their_way_.carry_out(std::move(by), std::move(forking));
}

// All from one copy that was never claimed: if this is cut short, the next start removes it, and those of the forks
// that are there. All of them count before anything is copied, and so does the copy; none counts twice.
io::Task<std::vector<SandboxInfo>> Snapshots::fork_now(Principal who, std::string sandbox, std::size_t count,
                                                       ForksPromise promise) {
  const std::string moment = create_prefixed_id(sandbox::kSnapshotPrefix);
  Origin origin;
  KeptSandbox like;
  Quotas::Held of_moment;
  std::vector<Quotas::Held> quotas(count);
  {
    LMSB_CO_TRY(const auto hold, co_await parts_.lifecycle.hold(who, std::move(sandbox)));
    LMSB_CO_TRY(const KeptSandbox* of, hold->sandbox());
    LMSB_CO_CHECK(check_copy(*of));
    const std::string id = of->info.id;  // it may be deleted while it is copied
    origin = origin_of(*of, moment);
    like.info.labels = of->info.labels;
    like.info.volumes = of->info.volumes;
    like.info.life = of->life->limits();
    like.info.profile = of->info.profile;
    for (Quotas::Held& quota : quotas) {
      LMSB_CO_TRY(quota, parts_.quotas.take(who.name, begun(origin.limits, false)));
    }
    LMSB_CO_TRY(of_moment, parts_.quotas.take(who.name, disk_of(origin.limits)));
    LMSB_CO_TRY(const microseconds stood, co_await copy(*hold, moment));
    log_.log(LogLevel::info, "sandbox.forked",
             {{"id", id}, {"count", std::uint64_t{count}}, {"frozen_us", std::uint64_t(stood.count())}});
  }
  auto making = create_all(std::move(who), std::move(origin), like, std::move(quotas), std::move(promise));
  auto made = co_await std::move(making);
  const Status removed = co_await parts_.fleet.remove_disk(moment);
  of_moment.reset();
  if (!removed.ok())
    log_.log(LogLevel::warning, "snapshot.remove_failed", {{"id", moment}, {"error", removed.error().message()}});
  co_return made;
}

io::Task<std::vector<SandboxInfo>> Snapshots::create_all(Principal who, Origin origin, const KeptSandbox& like,
                                                         std::vector<Quotas::Held> quotas, ForksPromise promise) {
  std::vector<SandboxInfo> made;
  std::optional<Error> failed;
  while (!failed && made.size() < quotas.size()) {
    CreateSandbox request;
    request.labels = like.info.labels;
    for (const MountedVolume& volume : like.info.volumes)
      request.volumes.push_back({volume.id, volume.target, volume.read_only});
    request.profile = like.info.profile;
    request.is_provisional = true;
    const LifeLimits& life = like.info.life;
    request.life = {life.timeout, life.idle, life.at_timeout, life.at_idle};
    auto quota = std::move(quotas[made.size()]);
    auto one = co_await parts_.create(who, std::move(request), origin, std::move(quota));
    if (one.ok()) {
      made.push_back(*std::move(one));
    } else {
      failed = std::move(one).error();
    }
  }
  if (!failed) {
    const Status settled = co_await settle(made, std::move(promise));
    if (settled.ok()) co_return made;
    failed = settled.error();
  }
  for (const SandboxInfo& one : made) {
    const Status removed = co_await parts_.remove(daemon_itself(), one.id);
    if (!removed.ok())
      log_.log(LogLevel::warning, "sandbox.remove_failed", {{"id", one.id}, {"error", removed.error().message()}});
  }
  co_return *std::move(failed);
}

// One that somebody has removed meanwhile is nobody's any more.
io::Task<void> Snapshots::settle(std::vector<SandboxInfo> made, ForksPromise promise) {
  std::vector<store::SandboxRow> rows;
  for (const SandboxInfo& one : made) {
    const auto found = parts_.registry.all().find(one.id);
    if (found == parts_.registry.all().end()) continue;
    found->second.is_provisional = false;
    rows.push_back(control::row_of(found->second));
  }
  auto writing = parts_.ledger.put(std::move(rows), promise.keep(made, ""));
  Status written = co_await std::move(writing);
  if (written.ok()) co_return written;
  for (const SandboxInfo& one : made) {  // their rows still say that they are to go
    const auto found = parts_.registry.all().find(one.id);
    if (found != parts_.registry.all().end()) found->second.is_provisional = true;
  }
  co_return written;
}

io::Task<SandboxInfo> Snapshots::roll_back(Principal who, std::string sandbox, std::string snapshot) {
  LMSB_CO_TRY(const KeptSandbox* of, parts_.registry.find(who, sandbox));
  const std::string id = of->info.id;
  LMSB_CO_TRY(const Kept* kept, find(who, snapshot, id));
  snapshot = kept->info.id;
  // What was imported says itself of which sandbox it is, so whose it is counts: the sandbox's owner's, or one's own.
  const bool is_trusted = kept->owner == of->owner || kept->owner == who.name;
  if (kept->info.sandbox_id != id || !is_trusted)
    co_return Error(ErrorCode::invalid_argument, "snapshot " + snapshot + " was taken of another sandbox")
        .with_slug("snapshot_of_another")
        .with_hint("create a sandbox from it");
  // One that was imported says itself whose it was.
  if (kept->origin.image != of->info.image || kept->origin.defaults.digest != of->info.image_digest)
    co_return Error(ErrorCode::failed_precondition, "snapshot " + snapshot + " lies on another image than the sandbox")
        .with_slug("image_changed")
        .with_hint("create a sandbox from it");
  LMSB_CO_CHECK(check_fits(snapshot, of->info.limits.disk));
  LMSB_CO_CHECK(co_await on_their_way_.carry_out(who.name, roll_back_now(who, id, std::move(snapshot))));
  LMSB_CO_TRY(of, parts_.registry.find(who, id));
  co_return of->describe();
}

// The copy takes the place of what was in one step: cut short, the sandbox is as before or as in the snapshot. What
// could keep it from running again is asked before anything is ended, and what it counts for nobody else gets; what
// keeps it from that all the same is logged, and it says itself that it is stopped.
io::Task<void> Snapshots::roll_back_now(Principal who, std::string sandbox, std::string snapshot) {
  LMSB_CO_TRY(KeptSandbox * of, parts_.registry.find(who, sandbox));
  LMSB_CO_CHECK(check_copy(*of));
  const bool runs = of->state() == SandboxState::running || of->state() == SandboxState::paused;
  if (runs) LMSB_CO_CHECK(parts_.can_start(*of));
  Capacity::Share room;  // it is to run again, whoever else waits for memory
  Quotas::Held counts;   // and whatever its owner begins meanwhile
  if (runs) {
    LMSB_CO_TRY(counts, parts_.quotas.take_running(*of));
    room = std::move(of->handle->room);
  }
  const std::weak_ptr<SandboxHandle> ran = of->handle;
  const auto stopped = co_await parts_.lifecycle.stop(who, sandbox, std::chrono::milliseconds(0));
  if (!stopped.ok()) {
    if (const auto runs_on = ran.lock()) runs_on->room = std::move(room);
    co_return stopped.error();
  }
  Status replaced = co_await replace(who, sandbox, snapshot);
  if (replaced.ok()) log_.log(LogLevel::info, "sandbox.rolled_back", {{"id", sandbox}, {"by", who.name}});
  if (runs) {
    const std::string id = sandbox;
    const auto started = co_await parts_.lifecycle.start(std::move(who), std::move(sandbox), std::move(room));
    if (!started.ok())
      log_.log(LogLevel::warning, "sandbox.start_failed", {{"id", id}, {"error", started.error().message()}});
  }
  co_return replaced;
}

io::Task<void> Snapshots::replace(Principal who, std::string sandbox, std::string snapshot) {
  LMSB_CO_TRY(const auto hold, co_await parts_.lifecycle.hold(who, sandbox));  // then a place, as copy() does
  LMSB_CO_TRY(const auto place, co_await parts_.fleet.disk_place());
  LMSB_CO_TRY(const KeptSandbox* of, hold->sandbox());
  if (of->state() != SandboxState::stopped) co_return not_running(*of);
  LMSB_CO_CHECK(co_await parts_.fleet.copy_disk(*place, std::move(snapshot), sandbox, Fleet::Replaces::yes));
  LMSB_CO_TRY(of, hold->sandbox());
  parts_.lifecycle.tell(SandboxEvent::Kind::rolled_back, *of, who.name);
  co_return Status();
}

}  // namespace lmsb::control
