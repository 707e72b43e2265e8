// pause, resume, update, stats, events, watch: the lives of sandboxes.
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
  if (!network) return "-";  // an older daemon's
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

Row stats_row(const std::string& sandbox, json::Value stats) {
  const auto number = [stats](std::string_view name) { return number_field(stats, name).value_or(0); };
  return {sandbox,
          text_field(stats, "state"),
          human_size(number("memory_bytes")) + " / " + size_limit_of(stats, "memory_bytes"),
          (number_field(stats, "disk_bytes") ? human_size(number("disk_bytes")) : "in memory") + " / " +
              size_limit_of(stats, "disk_bytes"),
          network_of(stats),
          fmt::format("{:.0f} / {:.0f}", number("processes"), limit_of(stats, "processes")),
          fmt::format("{:.1f} s", number("cpu_ms") / 1000),
          fmt::format("{:.0f}", number("oom_kills")),
          models_of(stats)};
}

std::string event_line(json::Value event) {
  const std::string name = text_field(event, "name");
  std::string line = text_field(event, "time") + "  " + text_field(event, "type") + "  " +
                     text_field(event, "sandbox_id") + (name.empty() ? "" : " (" + name + ")") + "  by " +
                     text_field(event, "by");
  const auto missed = number_field(event, "missed").value_or(0);
  if (missed > 0) line += fmt::format("  (up to {:.0f} before it are no longer known)", missed);
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
    console.out(daemon.json ? event.root().text() + "\n" : line_of(event.root()));
    return check_reader(console);
  };
  LMSB_TRY(const auto answer, connection->send_for_lines(Call("GET", target), print));
  if (answer.status >= 400) return error_of(answer);
  return 0;
}

}  // namespace

Result<int> execute(const StateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  int status = 0;
  const std::string body = command.grace ? fmt::format(R"({{"grace_ms":{}}})", command.grace->count()) : "{}";
  for (const std::string& sandbox : command.sandboxes) {
    Call call("POST", sandbox_url(sandbox) + "/" + command.verb, body);
    if (command.grace) call.timeout += *command.grace;
    const auto answer = call_json(*connection, call);
    if (answer.ok()) {
      console.out((command.target.json ? answer->root().text() : sandbox) + "\n");
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
    for (const json::Value sandbox : listing.items) sandboxes.push_back(text_field(sandbox, "id"));
  }
  std::vector<Row> rows;
  int status = 0;
  for (const std::string& sandbox : sandboxes) {
    const auto answer = call_json(*connection, Call("GET", sandbox_url(sandbox) + "/stats"));
    if (!answer.ok()) {
      if (all && answer.error().code() == ErrorCode::not_found) continue;  // it has ended meanwhile
      report(console, answer.error());
      status = 1;
    } else if (command.target.json) {
      console.out(answer->root().text() + "\n");
    } else {
      rows.push_back(stats_row(sandbox, answer->root()));
    }
  }
  if (!command.target.json)
    console.out(format_table(
        {"SANDBOX", "STATE", "MEMORY", "DISK", "NET I/O", "PROCESSES", "CPU TIME", "OOM KILLS", "TOKENS"}, rows));
  return status;
}

Result<int> execute(const EventsCommand& command, Console& console) {
  const std::string target = "/v1/events" + (command.sandbox.empty() ? "" : "?sandbox=" + url_segment(command.sandbox));
  return follow_lines(command.target, target, event_line, console);
}

Result<int> execute(const WatchCommand& command, Console& console) {
  const std::string target = sandbox_url(command.sandbox) + "/files/watch?path=" + url_segment(command.directory);
  return follow_lines(command.target, target, change_line, console);
}

}  // namespace lmsb::cli
