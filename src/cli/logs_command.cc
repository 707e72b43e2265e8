// logs, attach, wait: what detached processes of a sandbox have written, and how they ended.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/follow.h"
#include "cli/log_tail.h"
#include "cli/process_list.h"
#include "cli/requests.h"
#include "cli/terminal.h"
#include "cli/terminal_session.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::milliseconds kWaitPiece{60'000};  // the most that one request waits

Shown shown_of(const LogsCommand& command) {
  Shown shown;
  shown.process = command.process;
  shown.timestamps = command.timestamps;
  if (command.target.json) shown.form = command.follow ? EventForm::json_lines : EventForm::json_document;
  return shown;
}

// `url` with what is asked of its output behind it.
std::string with_fields(const std::string& url, const LogsCommand& command) {
  std::string fields;
  if (command.follow) fields += "&follow=true";
  if (command.since) fields += "&since=" + url_segment(*command.since);
  if (command.until) fields += "&until=" + url_segment(*command.until);
  if (command.timestamps) fields += "&timestamps=true";
  if (!fields.empty()) fields.front() = '?';
  return url + fields;
}

// Lets what is shown of a process, which events name so, begin with its last lines.
Status begin_late(Api& api, const LogsCommand& command, const std::string& process, const std::string& named,
                  Shown& shown) {
  if (!command.tail) return {};
  const std::string url = processes_of(command.sandbox) + "/" + url_segment(process);
  for (const char* stream : {"stdout", "stderr"}) {
    LMSB_TRY(const std::uint64_t begin, begin_of_tail(api, url, stream, *command.tail, command.until.value_or("")));
    shown.beginnings[{named, stream}] = begin;
  }
  return {};
}

// What all have written, one after the other, or as they write it.
Result<int> follow_all(Api& api, const LogsCommand& command, const Words& processes, Console& console) {
  Shown shown = shown_of(command);
  for (const std::string& process : processes) {
    const Status begun = begin_late(api, command, process, process, shown);
    if (!begun.ok() && begun.error().slug() != "process_not_found") return begun.error();  // else it has gone meanwhile
  }
  const Call call("GET", with_fields(sandbox_url(command.sandbox) + "/logs", command));
  LMSB_TRY(const auto followed, follow(api, call, false, console, {}, shown));
  (void)followed;  // of each
  return 0;
}

Result<int> follow_one(Connection& connection, const LogsCommand& command, Console& console) {
  const std::string process = processes_of(command.sandbox) + "/" + url_segment(command.process);
  if (command.ends_with_it && !command.target.json && is_on_terminal()) {
    LMSB_TRY(const auto info, call_json(connection, Call("GET", process)));
    if (flag_field(info.root(), "pty")) return join_terminal(connection, command.sandbox, command.process, console);
  }
  Shown shown = shown_of(command);
  LMSB_CHECK(begin_late(connection, command, command.process, "", shown));
  const Call call("GET", with_fields(process + "/output", command));
  LMSB_TRY(const auto followed, follow(connection, call, command.ends_with_it, console, {}, shown));
  return command.ends_with_it ? followed.exit_status : 0;
}

// The process when it has ended.
Result<json::Document> wait_for(Api& api, const std::string& sandbox, const std::string& process) {
  const std::string wait = "?wait_ms=" + std::to_string(kWaitPiece.count());
  Call call("GET", processes_of(sandbox) + "/" + url_segment(process) + wait);
  call.timeout += kWaitPiece;
  while (true) {
    LMSB_TRY(auto info, call_json(api, call));
    const auto result = info.root().find("result");
    if (result && result->kind() == json::Kind::object) return info;
  }
}

}  // namespace

Result<int> execute(const LogsCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  if (!command.process.empty()) return follow_one(*connection, command, console);
  LMSB_TRY(const Words ids, ids_of(*connection, command.sandbox, Which::detached));
  const bool may_be_all = !command.ends_with_it && (ids.size() > 1 || (ids.empty() && command.target.json));
  if (may_be_all) return follow_all(*connection, command, ids, console);
  if (ids.size() != 1) return not_one(command.sandbox, ids.empty());
  LogsCommand named = command;
  named.process = ids.front();
  return follow_one(*connection, named, console);
}

Result<int> execute(const WaitCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  Words processes = command.processes;
  if (processes.empty()) {
    LMSB_TRY(processes, ids_of(*connection, command.sandbox, Which::detached));
    if (processes.empty()) return not_one(command.sandbox, true);
  }
  json::Writer ended;
  ended.begin_object().key("data").begin_array();
  for (const std::string& process : processes) {
    LMSB_TRY(const auto info, wait_for(*connection, command.sandbox, process));
    ended.raw(info.root().text());
    if (!command.target.json) console.out(std::to_string(exit_status_of(*info.root().find("result"))) + "\n");
    LMSB_CHECK(check_reader(console));
  }
  if (command.target.json)
    console.out(pretty_text(std::move(ended.end_array().key("next_cursor").null().end_object()).str()));
  return 0;
}

}  // namespace lmsb::cli
