#include "control/volumes.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/named.h"
#include "control/names.h"
#include "control/paging.h"
#include "control/policy.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

Error not_found(const std::string& id_or_name) {
  return Error(ErrorCode::not_found, "no volume " + quoted(id_or_name))
      .with_slug("volume_not_found")
      .with_hint("GET /v1/volumes, or lm-sandbox volume ls, shows what there is");
}

Error ambiguous(const std::string& named, const std::string& one, const std::string& another) {
  return Error(ErrorCode::invalid_argument, quoted(named) + " begins the ids of more than one volume")
      .with_slug("volume_ambiguous")
      .with_hint("say more of it: " + one + ", " + another + " or another one");
}

Error volume_lost(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "the disk of volume " + id + " is gone, or nothing but it is known")
      .with_slug("volume_lost")
      .with_hint(
          "delete it, and before it the sandboxes that have it; from a snapshot of one another is made without it");
}

Error too_many(const std::string& why) {
  return Error(ErrorCode::resource_exhausted, why).with_slug("too_many_volumes").with_hint("delete some of them");
}

Error disk_not_kept() {
  return Error(ErrorCode::failed_precondition, "this machine keeps no disks, and so no volumes")
      .with_slug("disk_not_kept")
      .with_hint("lm-sandbox doctor says why disks are not kept on this machine");
}

// What is not found of a volume is its disk.
Error of_volume(Error error, const std::string& id) { return error.slug() == "disk_lost" ? volume_lost(id) : error; }

store::VolumeRow row_of(const VolumeInfo& info, const std::string& owner) {
  return {info.id, owner, info.name, info.created_at, info.labels, info.size.count()};
}

// While it lives nobody else changes the volume, whose `change` it sets; that may be gone before it.
class Changing {
 public:
  Changing(std::weak_ptr<Move>& change, boost::asio::io_context& loop) : move_(std::make_shared<Move>(loop)) {
    change = move_;
  }
  ~Changing() {
    move_->is_over = true;
    move_->ended.notify_all();
  }
  Changing(const Changing&) = delete;
  Changing& operator=(const Changing&) = delete;

 private:
  std::shared_ptr<Move> move_;
};

}  // namespace

Volumes::Volumes(boost::asio::io_context& loop, Parts parts, Logger& log)
    : loop_(loop), parts_(std::move(parts)), log_(log), on_their_way_(loop, "changes of volumes") {}

io::Task<void> Volumes::take_over(std::vector<store::VolumeRow> rows) {
  LMSB_CO_TRY(auto there, co_await parts_.fleet.list_disks(std::string(sandbox::kVolumePrefix)));
  const Fleet::Claiming claiming(parts_.fleet);
  for (store::VolumeRow& row : rows) {
    const std::string id = row.id;
    const bool is_claimed = there.erase(id) > 0;
    if (row.is_removed) {
      (void)co_await end_removal(id);
      continue;
    }
    Status found;
    if (!is_claimed) found = co_await parts_.fleet.claim_disk(claiming, id);
    if (!found.ok() && found.error().slug() != "disk_lost") co_return found;
    if (!found.ok()) log_.log(LogLevel::warning, "volume.lost", {{"id", id}});
    Status limited;
    if (found.ok()) limited = co_await parts_.fleet.limit_volume(id, Bytes(row.size_bytes));  // as it was written down
    if (!limited.ok())
      log_.log(LogLevel::warning, "volume.limit_kept", {{"id", id}, {"error", limited.error().message()}});
    enter(std::move(row), !found.ok());
  }
  for (const std::string& id : there) {
    store::VolumeRow row;
    row.id = id;
    row.created_at = rfc3339_now();
    enter(std::move(row), true);
    log_.log(LogLevel::warning, "volume.unknown", {{"id", id}});
  }
  co_return Status();
}

// One that cannot be removed does not keep the others from being had: its row says that it is to go, at the next start.
io::Task<void> Volumes::end_removal(std::string id) {
  Status gone = co_await parts_.fleet.remove_disk(id);
  if (gone.ok()) gone = co_await parts_.ledger.erase_volume(id);
  if (!gone.ok()) log_.log(LogLevel::warning, "volume.remove_failed", {{"id", id}, {"error", gone.error().message()}});
  co_return gone;
}

io::Task<void> Volumes::put(const VolumeInfo& info, const std::string& owner) {
  return parts_.ledger.put(row_of(info, owner), std::nullopt);
}

void Volumes::enter(store::VolumeRow row, bool is_lost) {
  Kept kept;
  kept.info = {
      row.id, std::move(row.name), std::move(row.created_at), std::move(row.labels), Bytes(row.size_bytes), is_lost,
      {}};
  kept.owner = std::move(row.owner);
  kept_.emplace(row.id, std::move(kept));
}

std::uint64_t Volumes::bytes_of(const std::string& owner) const {
  std::uint64_t bytes = 0;
  for (const auto& [id, kept] : kept_)
    if (kept.owner == owner) bytes += kept.info.size.count();
  return bytes;
}

std::set<std::string> Volumes::ids() const {
  std::set<std::string> ids;
  for (const auto& [id, kept] : kept_)
    if (kept.is_there) ids.insert(id);
  return ids;
}

bool Volumes::may_see(const Principal& who, const Kept& kept) { return who.sees(kept.owner, kept.info.labels); }

Result<const Volumes::Entry*> Volumes::find(const Principal& who, const std::string& id_or_name) const {
  static const std::string nobodys;
  const auto sees = [&who](const Kept& kept) { return kept.is_there && may_see(who, kept); };
  const auto name = [&who](const Kept& kept) -> const std::string& {
    return kept.owner == who.name ? kept.info.name : nobodys;
  };
  const auto found = find_named(kept_, id_or_name, sandbox::kVolumePrefix, sees, name);
  if (found.empty()) return not_found(id_or_name);
  if (found.size() > 1) return ambiguous(id_or_name, found.front()->info.id, found.back()->info.id);
  return &*kept_.find(found.front()->info.id);
}

void Volumes::tell(std::string_view what, const Kept& kept, const std::string& by) const {
  Event event;
  event.type = what;
  event.subject = kept.info.id;
  event.name = kept.info.name;
  event.owner = kept.owner;
  event.labels = kept.info.labels;
  event.by = by;
  parts_.events.add(std::move(event));
}

Volumes::Users Volumes::users(const Principal& who) const {
  Users users;
  for (const auto& [id, sandbox] : parts_.registry.all()) {
    if (!who.sees(sandbox.owner, sandbox.info.labels)) continue;
    std::set<std::string> volumes;  // one may be in several places
    for (const MountedVolume& mount : sandbox.info.volumes) volumes.insert(mount.id);
    for (const std::string& volume : volumes) users.emplace(volume, id);
  }
  return users;
}

VolumeInfo Volumes::describe(const Kept& kept, const Users& users) {
  VolumeInfo info = kept.info;
  const auto [first, end] = users.equal_range(info.id);
  for (auto user = first; user != end; ++user) info.used_by.push_back(user->second);
  return info;
}

Error Volumes::in_use(const Principal& who, const Kept& kept) const {
  const auto seen = describe(kept, users(who)).used_by;
  return Error(ErrorCode::failed_precondition,
               "volume " + kept.info.id + " is in use by " +
                   (seen.empty() ? "something of another's, or on its way" : "sandbox " + seen.front()))
      .with_slug("volume_in_use")
      .with_hint("delete the sandboxes that have it; GET /v1/volumes/{id}, or lm-sandbox volume inspect, lists yours");
}

Result<HeldVolumes> Volumes::hold(const Principal& who, const std::vector<VolumeRequest>& requests) const {
  if (requests.size() > sandbox::kMaxPlanMounts) return sandbox::out_of_bounds("the number of mounts", "at most 8");
  HeldVolumes held;
  for (const VolumeRequest& request : requests) {
    LMSB_TRY(const Entry* entry, find(who, request.volume));
    const auto& [id, kept] = *entry;
    if (kept.info.is_lost) return volume_lost(id);
    held.mounts.push_back({id, kept.info.name, request.target, request.read_only});
    held.uses.push_back(kept.use);
  }
  return held;
}

Result<HeldVolumes> Volumes::hold_again(const std::vector<MountedVolume>& mounts) const {
  HeldVolumes held{mounts, {}};
  for (const MountedVolume& mount : mounts) {
    const auto found = kept_.find(mount.id);
    if (found == kept_.end() || found->second.info.is_lost) return volume_lost(mount.id);
    held.uses.push_back(found->second.use);
  }
  return held;
}

VolumeUses Volumes::take_part(std::vector<MountedVolume>& mounts) const {
  VolumeUses uses;
  for (MountedVolume& mount : mounts) {
    const auto found = kept_.find(mount.id);
    if (found == kept_.end()) continue;
    mount.name = found->second.info.name;
    uses.push_back(found->second.use);
  }
  return uses;
}

Status Volumes::check_size(Bytes size) const {
  sandbox::Limits limits;
  limits.disk = size;
  if (!sandbox::check_bounds(limits).ok()) return sandbox::out_of_bounds("size_bytes", "1 MiB to 1 TiB");
  if (size > parts_.cap()) return above_policy("size_bytes", format_bytes(parts_.cap()));
  return {};
}

Status Volumes::check_new(const Principal& who, const CreateVolume& request) const {
  const std::string& name = request.name;
  LMSB_CHECK(check_name(name));
  if (sandbox::is_volume_id(name)) return invalid_name();
  LMSB_CHECK(check_labels(request.labels));
  if (request.size) LMSB_CHECK(check_size(*request.size));
  const auto is_own = [&who](const Entry& entry) { return entry.second.owner == who.name; };
  if (!name.empty() && std::any_of(kept_.begin(), kept_.end(),
                                   [&](const Entry& entry) { return is_own(entry) && entry.second.info.name == name; }))
    return name_taken("volume", name).with_hint("use that one, or choose another name");
  if (kept_.size() >= kMaxVolumes) return too_many("there are 10000 volumes already");
  if (static_cast<std::size_t>(std::count_if(kept_.begin(), kept_.end(), is_own)) >= kMaxOfOne)
    return too_many("you have 1000 volumes already");
  return {};
}

io::Task<VolumeInfo> Volumes::create(Principal who, CreateVolume request) {
  std::string by = who.name;
  co_return co_await on_their_way_.carry_out(std::move(by), create_now(std::move(who), std::move(request)));
}

// Entered before it is there, so that nobody else gets its name.
io::Task<VolumeInfo> Volumes::create_now(Principal who, CreateVolume request) {
  LMSB_CO_CHECK(check_new(who, request));
  const std::string id = create_prefixed_id(sandbox::kVolumePrefix);
  const Bytes size = request.size.value_or(std::min(kDefaultSize, parts_.cap()));
  LMSB_CO_CHECK(parts_.check_quota(who.name, size));
  Kept kept;
  kept.info = {id, std::move(request.name), rfc3339_now(), std::move(request.labels), size, false, {}};
  kept.owner = who.name;
  kept.is_there = false;
  kept_.emplace(id, std::move(kept));
  Status made = co_await make(id, std::move(request.promise));
  if (!made.ok()) {
    (void)co_await parts_.ledger.take_back(id);
    (void)co_await parts_.fleet.remove_disk(id);  // else the next start
    kept_.erase(id);
    co_return std::move(made).error();
  }
  kept_.at(id).is_there = true;
  log_.log(LogLevel::info, "volume.created", {{"id", id}, {"by", who.name}});
  tell("volume.created", kept_.at(id), who.name);
  co_return kept_.at(id).info;
}

io::Task<void> Volumes::make(std::string id, Promise<VolumeInfo> promise) {
  const Kept& kept = kept_.at(id);
  Status made = co_await parts_.fleet.make_volume(id, kept.info.size);
  if (!made.ok() && made.error().slug() == "disk_lost") co_return disk_not_kept();
  LMSB_CO_CHECK(std::move(made));
  const Fleet::Claiming claiming(parts_.fleet);
  auto writing = parts_.ledger.put(row_of(kept.info, kept.owner), promise.keep(kept.info, id));
  LMSB_CO_CHECK(co_await std::move(writing));
  co_return co_await parts_.fleet.claim_disk(claiming, id);
}

Result<VolumePage> Volumes::list(const Principal& who, const std::map<std::string, std::string>& labels,
                                 std::size_t limit, const std::string& cursor) const {
  std::vector<const Kept*> matching;
  for (const auto& [id, kept] : kept_)
    if (kept.is_there && may_see(who, kept) && has_labels(kept.info.labels, labels) && order_key(kept.info) > cursor)
      matching.push_back(&kept);
  const Users having = users(who);
  const auto info = [](const Kept& kept) -> const VolumeInfo& { return kept.info; };
  const auto show = [&having](const Kept& kept) { return describe(kept, having); };
  return first_page<VolumePage>(std::move(matching), limit, info, show);
}

Result<VolumeInfo> Volumes::get(const Principal& who, const std::string& id_or_name) const {
  LMSB_TRY(const Entry* entry, find(who, id_or_name));
  return describe(entry->second, users(who));
}

io::Task<std::uint64_t> Volumes::held_bytes(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const Entry* entry, find(who, id_or_name));
  const std::string id = entry->first;
  if (entry->second.info.is_lost) co_return volume_lost(id);
  const auto held = co_await parts_.fleet.weigh_disk(id);
  if (!held.ok()) co_return of_volume(held.error(), id);
  co_return *held;
}

io::Task<VolumeInfo> Volumes::update(Principal who, std::string id_or_name, UpdateVolume changes) {
  LMSB_CO_TRY(const Entry* entry, find(who, id_or_name));
  const std::string id = entry->first;
  if (entry->second.info.is_lost) co_return volume_lost(id);
  if (changes.size) LMSB_CO_CHECK(check_size(*changes.size));
  std::string by = who.name;
  co_return co_await on_their_way_.carry_out(std::move(by), update_now(std::move(who), id, std::move(changes)));
}

// It counts for its owner by its size, so that is never less than what it holds: nothing more comes once it has the new
// limit.
io::Task<void> Volumes::shrink(std::string id, Bytes from, Bytes to) {
  LMSB_CO_TRY(const auto place, co_await parts_.fleet.disk_place());
  LMSB_CO_CHECK(co_await parts_.fleet.limit_volume(id, to));
  Status fits = co_await parts_.fleet.check_holds(*place, id, to);
  if (!fits.ok()) (void)co_await parts_.fleet.limit_volume(id, from);  // else the next start, as its row says
  co_return fits;
}

// A larger size is written down first: what the kernel did not get any more, the next start gives it. A smaller one is
// written down, and counts, once it holds no more.
io::Task<VolumeInfo> Volumes::update_now(Principal who, std::string id, UpdateVolume changes) {
  const auto found = kept_.find(id);
  if (found == kept_.end() || !found->second.is_there) co_return not_found(id);
  const VolumeUse meanwhile = found->second.use;  // it is not removed
  Kept& kept = found->second;
  for (;;) {
    const auto other = kept.change.lock();
    if (!other || other->is_over) break;
    LMSB_CO_CHECK(co_await other->ended.wait());
  }
  const Changing changing(kept.change, loop_);
  const bool says_something = changes.size || !changes.labels.empty();
  VolumeInfo changed = kept.info;
  LMSB_CO_CHECK(change_labels(changed.labels, std::move(changes.labels)));
  changed.size = changes.size.value_or(changed.size);
  if (changed.size > kept.info.size)
    LMSB_CO_CHECK(parts_.check_quota(kept.owner, Bytes(changed.size.count() - kept.info.size.count())));
  const bool shrinks = changed.size < kept.info.size;
  Status done;
  if (shrinks) done = co_await shrink(id, kept.info.size, changed.size);
  if (!done.ok()) co_return of_volume(std::move(done).error(), id);
  const VolumeInfo before = std::exchange(kept.info, changed);
  kept.info.size = std::max(before.size, changed.size);  // that counts until all is done
  done = co_await put(changed, kept.owner);
  if (done.ok() && changes.size && !shrinks) done = co_await parts_.fleet.limit_volume(id, *changes.size);
  if (!done.ok()) {
    kept.info = before;
    (void)co_await parts_.ledger.note(row_of(before, kept.owner));
    if (shrinks) (void)co_await parts_.fleet.limit_volume(id, before.size);  // else the next start
    co_return of_volume(std::move(done).error(), id);
  }
  kept.info.size = changed.size;
  if (says_something) tell("volume.updated", kept, who.name);
  co_return describe(kept, users(who));
}

io::Task<void> Volumes::remove(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const Entry* entry, find(who, id_or_name));
  std::string id = entry->first;
  std::string by = who.name;
  co_return co_await on_their_way_.carry_out(std::move(by), remove_now(std::move(who), std::move(id)));
}

// The row says that it is to go before it does, so that the next daemon ends what this one could not, its own erasing
// too. If it cannot be removed it is there as before.
io::Task<void> Volumes::remove_now(Principal who, std::string id) {
  const auto found = kept_.find(id);
  if (found == kept_.end() || !found->second.is_there) co_return not_found(id);
  if (found->second.is_used()) co_return in_use(who, found->second);
  found->second.is_there = false;
  store::VolumeRow row = row_of(found->second.info, found->second.owner);
  row.is_removed = true;
  Status removed = co_await parts_.ledger.note(row);
  const bool is_marked = removed.ok();
  if (is_marked) removed = co_await parts_.fleet.remove_disk(id);
  if (!removed.ok()) {
    kept_.at(id).is_there = true;
    row.is_removed = false;
    if (is_marked) (void)co_await parts_.ledger.note(std::move(row));
    co_return removed;
  }
  tell("volume.removed", kept_.at(id), who.name);
  kept_.erase(id);
  log_.log(LogLevel::info, "volume.removed", {{"id", id}, {"by", who.name}});
  const Status erased = co_await parts_.ledger.erase_volume(id);
  if (!erased.ok()) log_.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", erased.error().message()}});
  co_return Status();
}

}  // namespace lmsb::control
