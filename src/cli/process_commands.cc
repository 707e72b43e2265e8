// top, kill: the processes of a sandbox.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/process_list.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

// "running", "attached" where somebody waits for it, or how it ended: "exited (3)", "signaled (SIGKILL)", "timed_out".
std::string state_of(json::Value process) {
  const auto result = process.find("result");
  if (!result || result->kind() != json::Kind::object)
    return flag_field(process, "attached") ? "attached" : text_field(process, "state");
  const std::string outcome = text_field(*result, "outcome");
  if (outcome == "signaled") return outcome + " (" + text_field(*result, "signal") + ")";
  const auto code = number_field(*result, "exit_code");
  return outcome == "exited" && code ? outcome + " (" + std::to_string(static_cast<int>(*code)) + ")" : outcome;
}

Row process_row(json::Value process) {
  return {text_field(process, "id"), std::to_string(static_cast<int>(number_field(process, "pid").value_or(0))),
          state_of(process), text_field(process, "started_at"), command_of(process)};
}

}  // namespace

Result<int> execute(const TopCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto answer, list_processes(*connection, command.sandbox));
  if (command.target.json) return console.out(pretty(answer.root())), 0;
  std::vector<Row> rows;
  if (const auto data = answer.root().find("data"))
    for (const json::Value process : data->items()) rows.push_back(process_row(process));
  console.out(format_table({"ID", "PID", "STATE", "STARTED", "COMMAND"}, rows));
  return 0;
}

Result<int> execute(const KillCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object().key("signal").string(command.signal).key("tree").boolean(!command.only_leader).end_object();
  const std::string text = std::move(body).str();
  Words processes = command.processes;
  if (processes.empty()) {
    LMSB_TRY(processes, ids_of(*connection, command.sandbox, Which::running));
  }
  int status = 0;
  json::Writer signaled;
  signaled.begin_object().key("signal").string(command.signal).key("signaled").begin_array();
  for (const std::string& process : processes) {
    const std::string target = processes_of(command.sandbox) + "/" + url_segment(process) + "/signal";
    const auto sent = call_json(*connection, Call("POST", target, text));
    const std::string_view failure = sent.ok() ? "" : sent.error().slug();
    const bool has_ended = failure == "process_ended" || failure == "process_not_found";
    if (sent.ok()) signaled.string(process);
    if (sent.ok() || (command.processes.empty() && has_ended)) continue;
    report(console, sent.error());
    status = 1;
  }
  if (command.processes.empty() && processes.empty()) {
    report(console, Error(ErrorCode::failed_precondition, "no command runs in sandbox " + command.sandbox)
                        .with_hint("lm-sandbox ls says whether it runs, lm-sandbox top what runs in it"));
    status = 1;
  }
  signaled.end_array().end_object();
  if (command.target.json) console.out(pretty_text(std::move(signaled).str()));
  return status;
}

}  // namespace lmsb::cli
