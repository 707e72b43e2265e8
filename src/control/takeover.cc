#include "control/takeover.h"

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "control/layers.h"
#include "io/event.h"
#include "io/spawn.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kAtOnce = 1024;           // guests that are met at a time
constexpr std::chrono::seconds kPatience{15};   // of the start with those that are slow
constexpr std::chrono::minutes kToldLimit{10};  // for a guest to say what it keeps

// One that cannot be entered does not keep the others from it.
void enter(boost::asio::io_context& loop, const Heirs& heirs, KeptSandbox sandbox) {
  const std::string id = sandbox.info.id;
  if (heirs.registry.has_name(sandbox.info.name)) {
    heirs.log.log(LogLevel::warning, "sandbox.name_lost", {{"id", id}, {"name", sandbox.info.name}});
    sandbox.info.name.clear();
  }
  sandbox.processes = std::make_shared<ProcessTable>(loop);
  sandbox.volume_uses = heirs.volumes.take_part(sandbox.info.volumes);
  heirs.keep_models(sandbox);
  heirs.lifecycle.watch_over(sandbox);
  const auto entered = heirs.registry.add(std::move(sandbox));
  if (!entered.ok())
    heirs.log.log(LogLevel::error, "sandbox.not_entered", {{"id", id}, {"error", entered.error().message()}});
}

// Nothing but its disk is known: it can be deleted, by an administrator.
KeptSandbox unknown_sandbox(boost::asio::io_context& loop, const std::string& id) {
  store::SandboxRow row;
  row.id = id;
  row.created_at = rfc3339_now();
  KeptSandbox sandbox = sandbox_of(loop, std::move(row));
  sandbox.info.state = SandboxState::lost;
  return sandbox;
}

// A database that is not there is made where there is nothing that it could know. Else somebody has lost it, and what
// is there, and runs, must not be taken for nobody's.
io::Task<Ledger::Found> load(Heirs heirs, std::size_t disks, std::size_t left) {
  LMSB_CO_TRY(const auto copies, co_await heirs.fleet.list_disks(std::string(sandbox::kSnapshotPrefix)));
  LMSB_CO_TRY(const auto shared, co_await heirs.fleet.list_disks(std::string(sandbox::kVolumePrefix)));
  const bool is_first = disks + left + copies.size() + shared.size() == 0;
  auto found = co_await heirs.ledger.load(is_first ? store::Missing::make : store::Missing::refuse);
  if (found.ok() || found.error().slug() != "database_missing") co_return found;
  co_return Error(found.error())
      .with_cause(
          fmt::format("but there are the disks of {} sandboxes, {} snapshots and {} volumes, and {} sandboxes run",
                      disks, copies.size(), shared.size(), left));
}

io::Task<void> end_removal(Heirs heirs, std::string id) {
  LMSB_CO_CHECK(co_await heirs.fleet.remove_disk(id));
  co_return co_await heirs.ledger.erase(id);
}

// A sandbox of which somebody was told has claimed its disk, or was about to.
io::Task<void> find_disk(Heirs heirs, std::string id) {
  const Fleet::Claiming claiming(heirs.fleet);
  const Status claimed = co_await heirs.fleet.claim_disk(claiming, id);
  if (claimed.ok()) co_return Status();
  if (claimed.error().slug() != "disk_lost") co_return claimed;
  const auto found = heirs.registry.all().find(id);
  if (found != heirs.registry.all().end()) found->second.move_to(SandboxState::lost);
  heirs.log.log(LogLevel::warning, "sandbox.disk_lost", {{"id", id}});
  co_return Status();
}

// ---- What has run on

// One of an earlier daemon's. Without `hold` nobody is to have it: it was being removed, or nothing is known of it.
struct Left {
  std::string id;
  bool was_paused = false;
  bool is_removed = false;
  std::unique_ptr<Lifecycle::Hold> hold;
};

struct TakeUps {
  explicit TakeUps(boost::asio::io_context& loop) : changed(loop) {}
  std::deque<Left> waiting;
  std::size_t workers = 0;
  io::Event changed;
};

// It has ended when this returns: only then is its disk free.
io::Task<void> end(Heirs heirs, std::shared_ptr<SandboxHandle> handle) {
  const std::uint64_t serial = handle->serial();
  handle->keep_disk();
  handle->end();
  handle.reset();
  co_return co_await heirs.fleet.wait_destroyed(serial);
}

// What the operator does not allow any more it has no more, until its policy is another one.
void give_network(Heirs& heirs, const KeptSandbox& sandbox, SandboxHandle& handle) {
  const network::Egress& egress = sandbox.info.egress;
  if (egress.mode == network::Mode::none) return;
  const auto rules = heirs.networks.rules_of(egress);
  const Status allowed = rules.ok() ? check_egress(heirs.caps, egress, *rules) : Status(Error(rules.error()));
  if (allowed.ok()) return heirs.networks.open_later(handle, egress);
  heirs.log.log(LogLevel::warning, "network.not_allowed",
                {{"id", sandbox.info.id}, {"error", allowed.error().message()}});
}

sandbox::Limits counted(const KeptSandbox& sandbox, const sandbox::Limits& limits) {
  return with_gate(limits, sandbox.info.egress.mode != network::Mode::none);
}

Status give(Heirs& heirs, const Left& left, const std::shared_ptr<SandboxHandle>& handle,
            Result<std::vector<guest_client::HeldProcess>> held) {
  LMSB_TRY(KeptSandbox * sandbox, left.hold->sandbox());  // Error: it was removed meanwhile
  if (!held.ok()) return std::move(held).error();
  const std::string count = std::to_string(held->size());
  handle->owner = sandbox->owner;
  handle->room = heirs.admission.hold_room(counted(*sandbox, sandbox->info.limits), sandbox::Lifetime::kept);
  LMSB_CHECK(heirs.lifecycle.take_up(*sandbox, handle, left.was_paused));
  sandbox->info.isolation = layers_in_force(handle->layers());
  sandbox->info.limits_kept = limits_kept(handle->layers());
  heirs.processes.take_up(*sandbox, *std::move(held));
  give_network(heirs, *sandbox, *handle);
  heirs.models.open_later(handle, sandbox->models);
  heirs.log.log(LogLevel::info, "sandbox.taken_up", {{"id", left.id}, {"processes", count}});
  return {};
}

// Its limits are what its row says, also where a change of them was cut short, and no more than the policy allows by
// now. Nothing is killed for it: where it uses more memory than that, its limit of memory stays what it is.
io::Task<void> set_limits(Heirs heirs, const Left* left, std::uint64_t serial) {
  LMSB_CO_TRY(KeptSandbox * sandbox, left->hold->sandbox());
  const sandbox::Limits before = sandbox->info.limits;
  sandbox::Limits limits = within(heirs.caps, before);
  auto memory = co_await heirs.fleet.change_limits(serial, limits);
  if (!memory.ok() && memory.error().slug() == "limit_in_use" && limits.memory < before.memory) {
    heirs.log.log(LogLevel::warning, "sandbox.memory_kept", {{"id", left->id}, {"error", memory.error().message()}});
    limits.memory = before.memory;
    memory = co_await heirs.fleet.change_limits(serial, limits);
  }
  LMSB_CO_TRY(limits.memory, std::move(memory));
  LMSB_CO_TRY(sandbox, left->hold->sandbox());
  if (limits == before) co_return Status();
  (void)heirs.admission.resize(sandbox->handle->room, counted(*sandbox, limits), sandbox::Lifetime::kept);  // less
  heirs.lifecycle.note_limits(*sandbox, limits);
  co_return Status();
}

// Nobody's start waits for it: the launcher may take seconds over each. Whoever wants to change the sandbox does.
io::Always<void> settle_limits(Heirs heirs, std::shared_ptr<const Left> left, std::uint64_t serial) {
  const Status limited = co_await set_limits(heirs, left.get(), serial);
  if (!limited.ok() && !heirs.fleet.is_draining())
    heirs.log.log(LogLevel::warning, "sandbox.limits_kept", {{"id", left->id}, {"error", limited.error().message()}});
}

// Whoever removes it meanwhile waits for `left->hold`, and then finds nothing that runs.
io::Task<void> take_up(Heirs heirs, std::shared_ptr<const Left> left) {
  LMSB_CO_TRY(const KeptSandbox* before, left->hold->sandbox());
  std::string image = before->info.image;
  LMSB_CO_TRY(auto handle, co_await heirs.fleet.take_up(left->id, std::move(image)));
  std::shared_ptr<SandboxHandle> shared = std::move(handle);
  auto held = co_await shared->channel().take_held(io::Deadline::in(kToldLimit));
  if (heirs.fleet.is_draining()) co_return Status();  // it goes on
  Status given = give(heirs, *left, shared, std::move(held));
  if (!given.ok()) {
    LMSB_CO_CHECK(co_await end(heirs, std::move(shared)));
    co_return given;
  }
  const std::uint64_t serial = shared->serial();
  shared.reset();
  boost::asio::io_context* const loop = co_await io::this_loop();
  io::spawn(*loop, settle_limits(heirs, std::move(left), serial));
  co_return Status();
}

io::Task<void> end_left(Heirs heirs, const Left* left) {
  LMSB_CO_TRY(auto handle, co_await heirs.fleet.take_up(left->id, ""));
  std::shared_ptr<SandboxHandle> shared = std::move(handle);
  LMSB_CO_CHECK(co_await end(heirs, std::move(shared)));
  if (left->is_removed) co_return co_await end_removal(heirs, left->id);
  co_return Error(ErrorCode::not_found, "nothing is known of it");
}

io::Always<void> work(Heirs heirs, std::shared_ptr<TakeUps> take_ups) {
  while (!take_ups->waiting.empty()) {
    const auto left = std::make_shared<const Left>(std::move(take_ups->waiting.front()));
    take_ups->waiting.pop_front();
    Status done;
    if (left->hold) {
      done = co_await take_up(heirs, left);
    } else {
      done = co_await end_left(heirs, left.get());
    }
    if (done.ok() || heirs.fleet.is_draining()) continue;
    heirs.log.log(LogLevel::warning, "sandbox.not_taken_up", {{"id", left->id}, {"error", done.error().message()}});
    if (!left->hold) continue;
    const auto sandbox = left->hold->sandbox();
    if (sandbox.ok()) heirs.lifecycle.note_stopped(**sandbox);
  }
  --take_ups->workers;
  take_ups->changed.notify_all();
}

// Waits for those that come at once. A guest that is slow, for want of processor time perhaps, is no reason to end it,
// nor to keep the others waiting: whoever wants its sandbox waits.
io::Task<void> take_up_all(boost::asio::io_context& loop, Heirs heirs, std::shared_ptr<TakeUps> take_ups) {
  take_ups->workers = std::min(kAtOnce, take_ups->waiting.size());
  for (std::size_t i = take_ups->workers; i > 0; --i) io::spawn(loop, work(heirs, take_ups));
  const io::Deadline deadline = io::Deadline::in(kPatience);
  while (take_ups->workers > 0) {
    Status changed = co_await take_ups->changed.wait(deadline);
    if (!changed.ok() && changed.error().code() == ErrorCode::deadline_exceeded) break;
    LMSB_CO_CHECK(std::move(changed));
  }
  co_return Status();
}

}  // namespace

io::Task<void> take_over_sandboxes(boost::asio::io_context& loop, Heirs heirs) {
  LMSB_CO_TRY(auto disks, co_await heirs.fleet.list_disks());
  LMSB_CO_TRY(auto left, co_await heirs.fleet.list_left());
  LMSB_CO_TRY(auto found, co_await load(heirs, disks.size(), left.size()));
  using Before = EventJournal::Before;
  heirs.events.take_over(found.is_new ? Before::nothing : Before::unknown);  // nobody else has the data directory
  heirs.keys.take_over(std::move(found.keys));
  heirs.answers.take_over(std::move(found.answers));
  LMSB_CO_CHECK(co_await heirs.volumes.take_over(std::move(found.volumes)));
  const auto take_ups = std::make_shared<TakeUps>(loop);
  for (store::SandboxRow& row : found.rows) {
    const std::string id = row.id;
    const bool has_disk = disks.erase(id) > 0;
    const bool runs = left.erase(id) > 0;
    const bool was_paused = row.state == to_string(SandboxState::paused);
    const bool ran = was_paused || row.state == to_string(SandboxState::running);
    if (row.is_removed && runs) {
      take_ups->waiting.push_back({id, false, true, nullptr});
    } else if (row.is_removed) {
      const Status ended = co_await end_removal(heirs, id);
      if (!ended.ok())
        heirs.log.log(LogLevel::warning, "sandbox.remove_failed", {{"id", id}, {"error", ended.error().message()}});
    }
    if (row.is_removed) continue;
    enter(loop, heirs, sandbox_of(loop, std::move(row)));
    if (!has_disk) LMSB_CO_CHECK(co_await find_disk(heirs, id));
    const auto sandbox = heirs.registry.all().find(id);
    if (sandbox == heirs.registry.all().end()) continue;
    if (runs) {
      take_ups->waiting.push_back(
          {id, was_paused, false, std::make_unique<Lifecycle::Hold>(heirs.lifecycle, sandbox->second)});
    } else if (ran) {
      heirs.lifecycle.note_stopped(sandbox->second);
    }
  }
  for (const std::string& id : left) take_ups->waiting.push_back({id, false, false, nullptr});
  for (const std::string& id : disks) {
    enter(loop, heirs, unknown_sandbox(loop, id));
    heirs.log.log(LogLevel::warning, "sandbox.unknown_disk", {{"id", id}});
  }
  LMSB_CO_CHECK(co_await take_up_all(loop, heirs, take_ups));
  LMSB_CO_CHECK(co_await heirs.snapshots.take_over(std::move(found.snapshots)));
  co_return co_await heirs.fleet.sweep_disks();
}

}  // namespace lmsb::control
