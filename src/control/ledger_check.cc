#include "control/ledger_check.h"

#include <algorithm>
#include <set>

#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

using Ids = std::set<std::string>;
using Findings = std::vector<LedgerFinding>;

void add_missing(Findings& findings, const Ids& wanted, const Ids& there, const char* kind, const char* what) {
  for (const std::string& id : wanted)
    if (!there.contains(id)) findings.push_back({kind, id, what});
}

Ids kept_sandboxes(Registry& registry, bool with_lost) {
  Ids ids;
  for (const auto& [id, sandbox] : registry.all())
    if (sandbox.info.keeps_disk && (with_lost || sandbox.state() != SandboxState::lost)) ids.insert(id);
  return ids;
}

// Each answer comes before what it is compared with: something that was made meanwhile is no finding.
io::Task<LedgerReport> look(Compared compared) {
  LedgerReport report;
  LMSB_CO_TRY(const auto strays, co_await compared.fleet.list_strays());
  for (const std::string& id : strays) report.findings.push_back({"cgroup", id, "no sandbox has it"});
  LMSB_CO_TRY(const auto disks, co_await compared.fleet.list_disks());
  LMSB_CO_TRY(const auto copies, co_await compared.fleet.list_disks(std::string(sandbox::kSnapshotPrefix)));
  LMSB_CO_TRY(const auto shared, co_await compared.fleet.list_disks(std::string(sandbox::kVolumePrefix)));
  LMSB_CO_TRY(const auto rows, co_await compared.ledger.ids());
  const Ids all = kept_sandboxes(compared.registry, true);
  const Ids with_disks = kept_sandboxes(compared.registry, false);
  const Ids snapshots = compared.snapshots.ids();
  const Ids volumes = compared.volumes.ids();
  add_missing(report.findings, disks, all, "disk", "nothing is known of its sandbox");
  add_missing(report.findings, with_disks, disks, "disk", "it is not there");
  add_missing(report.findings, with_disks, rows.sandboxes, "row", "the database does not know the sandbox");
  add_missing(report.findings, rows.sandboxes, all, "row", "there is no such sandbox");
  add_missing(report.findings, copies, snapshots, "snapshot", "nothing is known of the copy");
  add_missing(report.findings, snapshots, copies, "snapshot", "its copy is not there");
  add_missing(report.findings, rows.snapshots, snapshots, "row", "there is no such snapshot");
  add_missing(report.findings, shared, volumes, "volume", "nothing is known of it");
  add_missing(report.findings, volumes, shared, "volume", "its disk is not there");
  add_missing(report.findings, rows.volumes, volumes, "row", "there is no such volume");
  report.sandboxes = compared.registry.size();
  report.disks = disks.size();
  report.snapshots = copies.size();
  report.volumes = shared.size();
  co_return report;
}

}  // namespace

io::Task<LedgerReport> check_ledger(Compared compared) {
  LMSB_CO_TRY(auto report, co_await look(compared));
  if (report.findings.empty()) co_return report;
  LMSB_CO_TRY(const auto again, co_await look(compared));
  std::erase_if(report.findings, [&again](const LedgerFinding& finding) {
    return std::find(again.findings.begin(), again.findings.end(), finding) == again.findings.end();
  });
  co_return report;
}

}  // namespace lmsb::control
