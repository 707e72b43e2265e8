// session ls, rm: the shell sessions of a sandbox.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/process_list.h"
#include "cli/requests.h"

namespace lmsb::cli {
namespace {

std::string count_field(json::Value object, std::string_view name) {
  return std::to_string(static_cast<int>(number_field(object, name).value_or(0)));
}

Row session_row(json::Value session) {
  const auto command = session.find("command");
  return {text_field(session, "name"),       text_field(session, "state"),    count_field(session, "pid"),
          text_field(session, "started_at"), count_field(session, "waiting"), command ? command_of(*command) : ""};
}

}  // namespace

Result<int> execute(const SessionListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto all, fetch_all(*connection, sandbox_url(command.sandbox) + "/sessions"));
  if (!command.quiet) {
    print_list(all.items, command.target.json, {"NAME", "STATE", "PID", "STARTED", "WAITING", "COMMAND"}, session_row,
               console);
    return 0;
  }
  for (const json::Value session : all.items) console.out(text_field(session, "name") + "\n");
  return 0;
}

Result<int> execute(const SessionRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return remove_each(*connection, sandbox_url(command.sandbox) + "/sessions/", command.sessions, command.force,
                     command.target.json, console);
}

}  // namespace lmsb::cli
