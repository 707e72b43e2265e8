// doctor: the table of checks, on this machine.
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/exit_status.h"
#include "cli/this_machine.h"

namespace lmsb::cli {

Result<int> execute(const DoctorCommand& command, Console& console) {
  ThisMachine machine(command.target, console);
  const std::vector<Examined> examined = examine(all_checks(), machine);
  console.out(command.target.json ? pretty_text(report_as_json(examined)) : format_report(examined, console));
  return sandboxes_work(examined) ? kOk : kFailed;
}

}  // namespace lmsb::cli
