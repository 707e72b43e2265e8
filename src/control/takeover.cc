#include "control/takeover.h"

#include <cerrno>
#include <set>
#include <utility>

#include "base/clock.h"
#include "control/processes.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

Status enter(boost::asio::io_context& loop, const Heirs& heirs, store::SandboxRow row) {
  KeptSandbox sandbox = sandbox_of(std::move(row));
  sandbox.processes = std::make_shared<ProcessTable>(loop);
  heirs.lifecycle.watch_over(sandbox);
  auto entered = heirs.registry.add(std::move(sandbox));
  return entered.ok() ? Status() : Status(std::move(entered).error());
}

// The database was lost, or moved away: what is on the disks is not ours to remove.
io::Task<void> enter_unknown_disks(boost::asio::io_context& loop, Heirs heirs, Logger& log) {
  std::string id;
  for (;;) {
    LMSB_CO_TRY(id, co_await heirs.fleet.next_disk(std::move(id)));
    if (id.empty()) co_return Status();
    store::SandboxRow row;
    row.id = id;
    row.created_at = rfc3339_now();
    row.is_lost = true;
    LMSB_CO_CHECK(co_await heirs.ledger.put(row));
    LMSB_CO_CHECK(enter(loop, heirs, std::move(row)));
    log.log(LogLevel::warning, "sandbox.unknown_disk", {{"id", id}});
  }
}

// A disk that is in use at this moment gets its row a moment later, and is not removed.
io::Task<std::set<std::string>> sweep_disks(Heirs heirs) {
  std::set<std::string> there;
  std::string id;
  for (;;) {
    LMSB_CO_TRY(id, co_await heirs.fleet.next_disk(std::move(id)));
    if (id.empty()) co_return there;
    there.insert(id);
    if (heirs.registry.all().contains(id)) continue;
    const Status removed = co_await heirs.fleet.remove_disk(id);
    if (!removed.ok() && removed.error().sys_errno() != EBUSY) co_return removed.error();
  }
}

io::Task<void> compare(Heirs heirs, Logger& log) {
  std::set<std::string> rows;
  for (const auto& [id, sandbox] : heirs.registry.all())
    if (sandbox.info.state == SandboxState::stopped) rows.insert(id);
  LMSB_CO_TRY(const auto disks, co_await sweep_disks(heirs));
  for (const std::string& id : rows) {
    const auto found = heirs.registry.all().find(id);
    const bool is_stopped = found != heirs.registry.all().end() && found->second.info.state == SandboxState::stopped;
    if (disks.contains(id) || !is_stopped) continue;
    found->second.move_to(SandboxState::lost);
    heirs.ledger.put_later(found->second);
    log.log(LogLevel::warning, "sandbox.disk_lost", {{"id", id}});
  }
  co_return Status();
}

io::Always<void> compare_and_tell(Heirs heirs, Logger& log) {
  const Status compared = co_await compare(heirs, log);
  if (!compared.ok() && compared.error().code() != ErrorCode::cancelled)
    log.log(LogLevel::warning, "sandbox.sweep_failed", {{"error", compared.error().message()}});
}

}  // namespace

io::Task<void> take_over_sandboxes(boost::asio::io_context& loop, Heirs heirs, Logger& log) {
  LMSB_CO_TRY(auto found, co_await heirs.ledger.load());
  for (store::SandboxRow& row : found.rows) LMSB_CO_CHECK(enter(loop, heirs, std::move(row)));
  if (found.is_new) co_return co_await enter_unknown_disks(loop, heirs, log);
  io::spawn(loop, compare_and_tell(heirs, log));
  co_return Status();
}

}  // namespace lmsb::control
