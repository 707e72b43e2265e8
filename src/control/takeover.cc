#include "control/takeover.h"

#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "control/processes.h"

namespace lmsb::control {
namespace {

// One that cannot be entered does not keep the others from it.
void enter(boost::asio::io_context& loop, const Heirs& heirs, KeptSandbox sandbox, Logger& log) {
  const std::string id = sandbox.info.id;
  if (heirs.registry.has_name(sandbox.info.name)) {
    log.log(LogLevel::warning, "sandbox.name_lost", {{"id", id}, {"name", sandbox.info.name}});
    sandbox.info.name.clear();
  }
  sandbox.processes = std::make_shared<ProcessTable>(loop);
  heirs.lifecycle.watch_over(sandbox);
  const auto entered = heirs.registry.add(std::move(sandbox));
  if (!entered.ok())
    log.log(LogLevel::error, "sandbox.not_entered", {{"id", id}, {"error", entered.error().message()}});
}

// Nothing but its disk is known: it can be deleted, by an administrator.
KeptSandbox unknown_sandbox(const std::string& id) {
  store::SandboxRow row;
  row.id = id;
  row.created_at = rfc3339_now();
  KeptSandbox sandbox = sandbox_of(std::move(row));
  sandbox.info.state = SandboxState::lost;
  return sandbox;
}

io::Task<void> end_removal(Heirs heirs, std::string id) {
  LMSB_CO_CHECK(co_await heirs.fleet.remove_disk(id));
  co_return co_await heirs.ledger.erase(id);
}

// A sandbox of which somebody was told has claimed its disk, or was about to.
io::Task<void> find_disk(Heirs heirs, std::string id, Logger& log) {
  const Fleet::Claiming claiming(heirs.fleet);
  const Status claimed = co_await heirs.fleet.claim_disk(claiming, id);
  if (claimed.ok()) co_return Status();
  if (claimed.error().slug() != "disk_lost") co_return claimed;
  const auto found = heirs.registry.all().find(id);
  if (found != heirs.registry.all().end()) found->second.move_to(SandboxState::lost);
  log.log(LogLevel::warning, "sandbox.disk_lost", {{"id", id}});
  co_return Status();
}

}  // namespace

io::Task<void> take_over_sandboxes(boost::asio::io_context& loop, Heirs heirs, Logger& log) {
  LMSB_CO_TRY(auto found, co_await heirs.ledger.load());
  LMSB_CO_TRY(auto disks, co_await heirs.fleet.list_disks());
  for (store::SandboxRow& row : found.rows) {
    const std::string id = row.id;
    const bool has_disk = disks.erase(id) > 0;
    if (row.is_removed) {
      LMSB_CO_CHECK(co_await end_removal(heirs, id));
      continue;
    }
    enter(loop, heirs, sandbox_of(std::move(row)), log);
    if (!has_disk) LMSB_CO_CHECK(co_await find_disk(heirs, id, log));
  }
  for (const std::string& id : disks) {
    enter(loop, heirs, unknown_sandbox(id), log);
    log.log(LogLevel::warning, "sandbox.unknown_disk", {{"id", id}});
  }
  LMSB_CO_CHECK(co_await heirs.snapshots.take_over(std::move(found.snapshots)));
  co_return co_await heirs.fleet.sweep_disks();
}

}  // namespace lmsb::control
