// doctor: the table of checks, on this machine.
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/doctor.h"
#include "cli/exit_status.h"
#include "cli/this_machine.h"

namespace lmsb::cli {

namespace {

// One line a difference.
std::string format_ledger(json::Value ledger) {
  const auto count = [&ledger](const char* name) {
    return std::to_string(static_cast<long>(number_field(ledger, name).value_or(0)));
  };
  std::string text =
      count("sandboxes") + " sandboxes, " + count("disks") + " disks, " + count("snapshots") + " snapshots: ";
  if (flag_field(ledger, "agrees")) return text + "kernel, store and database agree\n";
  text += "they do not agree\n";
  if (const auto findings = ledger.find("findings"))
    for (const json::Value finding : findings->items())
      text += "  " + text_field(finding, "kind") + " " + text_field(finding, "id") + ": " +
              text_field(finding, "what") + "\n";
  return text;
}

Result<int> compare_ledger(const DoctorCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto ledger, call_json(*connection, Call("GET", "/v1/ledger")));
  console.out(command.target.json ? pretty(ledger.root()) : format_ledger(ledger.root()));
  return flag_field(ledger.root(), "agrees") ? kOk : kFailed;
}

}  // namespace

Result<int> execute(const DoctorCommand& command, Console& console) {
  if (command.ledger) return compare_ledger(command, console);
  ThisMachine machine(command.target, console);
  const std::vector<Examined> examined = examine(all_checks(), machine);
  console.out(command.target.json ? pretty_text(report_as_json(examined)) : format_report(examined, console));
  return sandboxes_work(examined) ? kOk : kFailed;
}

}  // namespace lmsb::cli
