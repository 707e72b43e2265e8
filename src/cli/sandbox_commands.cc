// create, exec, inspect: sandboxes that are kept.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/exec_session.h"
#include "cli/inputs.h"
#include "cli/listing.h"
#include "cli/requests.h"
#include "cli/terminal.h"

namespace lmsb::cli {

Result<int> execute(const ExecCommand& command, Console& console) {
  if (command.process.interactive) LMSB_CHECK(check_stdin());
  if (command.terminal && !is_on_terminal()) return no_terminal();
  Inputs inputs;
  LMSB_TRY(inputs.env, variables_of(command.env));
  if (command.process.interactive && !command.terminal && !streams_stdin(command)) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return exec_in(command, inputs, *connection, {}, console);
}

Result<int> execute(const CreateCommand& command, Console& console) {
  Inputs inputs;
  LMSB_TRY(inputs.env, variables_of(command.env));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_CHECK(take_mounts(command.sandbox.mounts, MissingVolumes::are_made, *connection, inputs));
  const Call call("POST", "/v1/sandboxes", create_body(command, inputs));
  LMSB_TRY(const auto sandbox, call_json(*connection, call));
  console.out(command.target.json ? pretty(sandbox.root()) : text_field(sandbox.root(), "id") + "\n");
  return 0;
}

Result<int> execute(const InspectCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const FormatTemplate* format = command.format ? &*command.format : nullptr;
  return inspect_each(*connection, "/v1/sandboxes/", command.sandboxes, console, format);
}

}  // namespace lmsb::cli
