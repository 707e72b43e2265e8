// pause, resume, stop, start, restart, update, stats, events, watch: the lives of sandboxes.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/follow.h"
#include "cli/listing.h"
#include "cli/requests.h"

namespace lmsb::cli {
namespace {

double limit_of(json::Value stats, std::string_view name) {
  const auto limits = stats.find("limits");
  return limits ? number_field(*limits, name).value_or(0) : 0;
}

// "none": nobody keeps it.
std::string size_limit_of(json::Value stats, std::string_view name) {
  const auto limits = stats.find("limits");
  const auto limit = limits ? number_field(*limits, name) : std::nullopt;
  return limit ? human_size(*limit) : "none";
}

std::string network_of(json::Value stats) {
  const auto network = stats.find("network");
  if (!network || !number_field(*network, "sent_bytes")) return "-";  // an older daemon's, or it does not run
  return human_size(number_field(*network, "received_bytes").value_or(0)) + " / " +
         human_size(number_field(*network, "sent_bytes").value_or(0));
}

// Tokens of models; of one that has none, or an older daemon's: nothing to say.
std::string models_of(json::Value stats) {
  const auto models = stats.find("models");
  if (!models || models->kind() != json::Kind::object) return "-";
  return fmt::format("{:.0f}", number_field(*models, "prompt_tokens").value_or(0) +
                                   number_field(*models, "completion_tokens").value_or(0));
}

// By which it is asked for, and shown.
std::string name_of(json::Value sandbox) {
  std::string name = text_field(sandbox, "name");
  return name.empty() ? text_field(sandbox, "id") : name;
}

// Of one that does not run there is nothing to say of what it uses, but for its disk.
Row stats_row(const std::string& sandbox, json::Value stats) {
  const auto number = [stats](std::string_view name) { return number_field(stats, name).value_or(0); };
  const auto used = [stats](std::string_view name, const std::string& text) {
    return number_field(stats, name) ? text : std::string("-");
  };
  return {sandbox,
          text_field(stats, "state"),
          used("memory_bytes", human_size(number("memory_bytes"))) + " / " + size_limit_of(stats, "memory_bytes"),
          (number_field(stats, "disk_bytes") ? human_size(number("disk_bytes")) : "in memory") + " / " +
              size_limit_of(stats, "disk_bytes"),
          network_of(stats),
          used("processes", fmt::format("{:.0f}", number("processes"))) +
              fmt::format(" / {:.0f}", limit_of(stats, "processes")),
          used("cpu_ms", fmt::format("{:.1f} s", number("cpu_ms") / 1000)),
          used("oom_kills", fmt::format("{:.0f}", number("oom_kills"))),
          models_of(stats)};
}

// What it happened to: the snapshot, volume or key where it is one's, else the sandbox.
std::string subject_of(json::Value event) {
  for (const char* field : {"snapshot_id", "volume_id", "key_id"}) {
    std::string id = text_field(event, field);
    if (!id.empty()) return id;
  }
  const std::string process = text_field(event, "process_id");
  return text_field(event, "sandbox_id") + (process.empty() ? "" : " " + process);
}

std::string lost_line(json::Value event) {
  const auto missed = number_field(event, "missed");
  return (missed ? fmt::format("(up to {:.0f} events", *missed) : std::string("(some events")) +
         " before the next one are no longer known)\n";
}

std::string event_line(json::Value event) {
  if (text_field(event, "type") == "lost") return lost_line(event);
  const std::string name = text_field(event, "name");
  const std::string by = text_field(event, "by");
  std::string line = text_field(event, "time") + "  " + text_field(event, "type") + "  " + subject_of(event) +
                     (name.empty() ? "" : " (" + name + ")") + (by.empty() ? "" : "  by " + by);
  const std::string outcome = text_field(event, "outcome");
  if (!outcome.empty()) line += "  " + outcome;
  if (const auto code = number_field(event, "exit_code")) line += fmt::format(" ({:.0f})", *code);
  return printable(line) + "\n";
}

std::string change_line(json::Value change) {
  const std::string what = text_field(change, "path") + text_field(change, "message");  // one of them
  return printable(text_field(change, "type") + "  " + what) + "\n";
}

// Prints what `target` tells, a line each, until Ctrl-C or its end.
Result<int> follow_lines(const Target& daemon, const std::string& target, std::string (*line_of)(json::Value),
                         Console& console) {
  LMSB_TRY(const auto connection, Connection::open(daemon, PrivateDaemonUse::senseless, console));
  const auto print = [&](std::string_view line) -> Status {
    if (line.empty()) return {};
    LMSB_TRY(const auto event, parse_json(line, "an event"));
    if (text_field(event.root(), "type") == "armed") return {};
    console.out(daemon.json ? compact(event.root()) + "\n" : line_of(event.root()));
    return check_reader(console);
  };
  LMSB_TRY(const auto answer, connection->send_for_lines(Call("GET", target), print));
  if (answer.status >= 400) return error_of(answer);
  return 0;
}

// The sandbox as it is afterwards.
Result<json::Document> change_state(Api& api, const StateCommand& command, const std::string& sandbox) {
  const bool restarts = command.verb == "restart";
  const std::string body = command.grace ? fmt::format(R"({{"grace_ms":{}}})", command.grace->count()) : "{}";
  Call call("POST", sandbox_url(sandbox) + "/" + (restarts ? "stop" : command.verb), body);
  if (command.grace) call.timeout += *command.grace;
  LMSB_TRY(auto changed, call_json(api, call));
  if (!restarts) return changed;
  return call_json(api, Call("POST", sandbox_url(sandbox) + "/start", "{}"));
}

}  // namespace

Result<int> execute(const StateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  int status = 0;
  for (const std::string& sandbox : command.sandboxes) {
    const auto answer = change_state(*connection, command, sandbox);
    if (answer.ok()) {
      console.out(command.target.json ? pretty(answer->root()) : sandbox + "\n");
    } else {
      report(console, answer.error());
      status = 1;
    }
  }
  return status;
}

Result<int> execute(const UpdateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto answer,
           call_json(*connection, Call("PATCH", sandbox_url(command.sandbox), update_body(command))));
  console.out(command.target.json ? pretty(answer.root()) : command.sandbox + "\n");
  return 0;
}

Result<int> execute(const StatsCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  Words sandboxes = command.sandboxes;
  const bool all = sandboxes.empty();
  if (all) {
    LMSB_TRY(const auto listing, fetch_all(*connection, "/v1/sandboxes"));
    for (const json::Value sandbox : listing.items) sandboxes.push_back(name_of(sandbox));
  }
  std::vector<json::Document> answers;
  std::vector<Row> rows;
  int status = 0;
  for (const std::string& sandbox : sandboxes) {
    auto answer = call_json(*connection, Call("GET", sandbox_url(sandbox) + "/stats"));
    if (!answer.ok()) {
      if (all && answer.error().code() == ErrorCode::not_found) continue;  // it has ended meanwhile
      report(console, answer.error());
      status = 1;
    } else if (command.target.json && !all) {
      console.out(pretty(answer->root()));
    } else {
      rows.push_back(stats_row(sandbox, answer->root()));
      answers.push_back(*std::move(answer));
    }
  }
  if (command.target.json && !all) return status;
  if (command.target.json) {
    print_json_list(answers, console);
  } else {
    console.out(format_table(
        {"SANDBOX", "STATE", "MEMORY", "DISK", "NET I/O", "PROCESSES", "CPU TIME", "OOM KILLS", "TOKENS"}, rows));
  }
  return status;
}

Result<int> execute(const EventsCommand& command, Console& console) {
  std::string query;
  if (!command.sandbox.empty()) query += "&sandbox=" + url_segment(command.sandbox);
  if (command.after) query += "&after=" + url_segment(*command.after);
  if (command.processes) query += "&processes=true";
  if (!query.empty()) query.front() = '?';
  const std::string target = "/v1/events" + query;
  return follow_lines(command.target, target, event_line, console);
}

Result<int> execute(const WatchCommand& command, Console& console) {
  const std::string target = sandbox_url(command.sandbox) + "/files/watch?path=" + url_segment(command.directory);
  return follow_lines(command.target, target, change_line, console);
}

}  // namespace lmsb::cli
