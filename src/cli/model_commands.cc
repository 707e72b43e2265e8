// model show, ps, load, unload, rm: what becomes of models that are there.
#include <chrono>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/model_page.h"
#include "cli/values.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

std::string end_of(json::Value runner) {
  if (flag_field(runner, "pinned")) return "pinned";
  const std::string ends_at = text_field(runner, "ends_at");
  return ends_at.empty() ? "its room is needed" : ends_at;
}

Row runner_row(json::Value model, json::Value runner) {
  const auto requests = static_cast<std::uint64_t>(number_field(runner, "requests").value_or(0));
  return {text_field(model, "id"),
          text_field(runner, "work"),
          text_field(runner, "state"),
          std::to_string(requests),
          human_size(number_field(runner, "memory_bytes").value_or(0)),
          end_of(runner)};
}

}  // namespace

Result<int> execute(const ModelShowCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  const Call call("GET", "/v1/models/" + url_segment(command.model) + "/details");
  LMSB_TRY(const auto details, call_json(*connection, call));
  console.out(command.target.json ? pretty(details.root()) : model_page(details.root()));
  return 0;
}

Result<int> execute(const ModelProcessesCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto models, fetch_all(*connection, "/v1/models"));
  std::vector<json::Value> loaded;
  for (const json::Value model : models.items)
    if (const auto runners = model.find("runners"); runners && !runners->items().empty()) loaded.push_back(model);
  if (command.target.json) {
    print_list(loaded, true, {}, nullptr, console);
    return 0;
  }
  std::vector<Row> rows;
  for (const json::Value model : loaded)
    for (const json::Value runner : model.find("runners")->items()) rows.push_back(runner_row(model, runner));
  console.out(format_table({"MODEL", "WORK", "STATE", "REQUESTS", "MEMORY", "UNTIL"}, rows));
  return 0;
}

Result<int> execute(const ModelLoadCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object();
  if (command.pin || command.unpin) body.key("pin").boolean(command.pin);
  if (command.keep_alive) body.key("keep_alive_ms").integer(command.keep_alive->count());
  Call call("POST", "/v1/models/" + url_segment(command.model) + "/load", std::move(body.end_object()).str());
  call.timeout = std::chrono::hours(24);
  LMSB_TRY(const auto model, call_json(*connection, call));
  console.out(command.target.json ? pretty(model.root()) : text_field(model.root(), "id") + "\n");
  return 0;
}

Result<int> execute(const ModelUnloadCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  int status = 0;
  for (const std::string& model : command.models) {
    const auto answer = call_json(*connection, Call("POST", "/v1/models/" + url_segment(model) + "/unload"));
    if (answer.ok()) {
      console.out(command.target.json ? pretty(answer->root()) : model + "\n");
    } else {
      report(console, answer.error());
      status = 1;
    }
  }
  return status;
}

Result<int> execute(const ModelRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  return remove_each(*connection, "/v1/models/", command.models, command.force, command.target.json, console);
}

}  // namespace lmsb::cli
