// top, logs, attach, kill: the processes of a sandbox; of attached ones there is no output to read.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/follow.h"
#include "cli/terminal.h"
#include "cli/terminal_session.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

std::string processes_of(const std::string& sandbox) { return sandbox_url(sandbox) + "/processes"; }

// The command as one line: a text for the shell as it is, words with blanks between.
std::string command_of(json::Value process) {
  const auto cmd = process.find("cmd");
  if (!cmd) return "";
  if (const auto text = cmd->string()) return std::string(*text);
  std::string line;
  for (const json::Value word : cmd->items())
    line += (line.empty() ? "" : " ") + std::string(word.string().value_or(""));
  return line;
}

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

Result<json::Document> list_processes(Api& api, const std::string& sandbox) {
  return call_json(api, Call("GET", processes_of(sandbox)));
}

// The ids of its detached processes, or of all that have not ended.
enum class Which : std::uint8_t { detached, running };
Result<Words> ids_of(Api& api, const std::string& sandbox, Which which) {
  LMSB_TRY(const auto answer, list_processes(api, sandbox));
  Words ids;
  const auto data = answer.root().find("data");
  for (const json::Value process : data ? data->items() : std::vector<json::Value>()) {
    const bool is_running = text_field(process, "state") == "running";
    if (which == Which::running ? is_running : !flag_field(process, "attached"))
      ids.push_back(text_field(process, "id"));
  }
  return ids;
}

Error not_one(const std::string& sandbox, bool none) {
  return Error(ErrorCode::invalid_argument,
               "sandbox " + sandbox + " has " + (none ? "no detached process" : "several detached processes"))
      .with_hint(none ? "exec -d starts one" : "name one: lm-sandbox top " + sandbox);
}

// What all have written, one after the other, or as they write it.
Result<int> follow_all(Api& api, const std::string& target, Console& console) {
  LMSB_TRY(const auto followed, follow(api, Call("GET", target), false, console));
  (void)followed;  // of each
  return 0;
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

Result<int> execute(const LogsCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const std::string query = command.follow ? "?follow=true" : "";
  std::string id = command.process;
  if (id.empty()) {
    LMSB_TRY(const Words ids, ids_of(*connection, command.sandbox, Which::detached));
    if (ids.size() > 1 && !command.ends_with_it)
      return follow_all(*connection, sandbox_url(command.sandbox) + "/logs" + query, console);
    if (ids.size() != 1) return not_one(command.sandbox, ids.empty());
    id = ids.front();
  }
  const std::string process = processes_of(command.sandbox) + "/" + url_segment(id);
  if (command.ends_with_it && is_on_terminal()) {
    LMSB_TRY(const auto info, call_json(*connection, Call("GET", process)));
    if (flag_field(info.root(), "pty")) return join_terminal(*connection, command.sandbox, id, console);
  }
  const Call call("GET", process + "/output" + query);
  LMSB_TRY(const auto followed, follow(*connection, call, command.ends_with_it, console));
  return command.ends_with_it ? followed.exit_status : 0;
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
  for (const std::string& process : processes) {
    const std::string target = processes_of(command.sandbox) + "/" + url_segment(process) + "/signal";
    const auto sent = call_json(*connection, Call("POST", target, text));
    const std::string_view failure = sent.ok() ? "" : sent.error().slug();
    const bool has_ended = failure == "process_ended" || failure == "process_not_found";
    if (sent.ok() || (command.processes.empty() && has_ended)) continue;
    report(console, sent.error());
    status = 1;
  }
  return status;
}

}  // namespace lmsb::cli
