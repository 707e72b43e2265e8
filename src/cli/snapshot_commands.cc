// snapshot, snapshot ls, snapshot rm, fork, rollback: copies of sandboxes' disks.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

std::string url_of(const std::string& sandbox) { return "/v1/sandboxes/" + url_segment(sandbox); }

Row snapshot_row(json::Value snapshot) {
  return {text_field(snapshot, "id"), text_field(snapshot, "name"), text_field(snapshot, "sandbox_id"),
          text_field(snapshot, "image"), text_field(snapshot, "created_at")};
}

std::string data_of(const std::vector<json::Value>& items) {
  json::Writer writer;
  writer.begin_object().key("data").begin_array();
  for (const json::Value item : items) writer.raw(item.text());
  return pretty_text(std::move(writer.end_array().end_object()).str());
}

}  // namespace

Result<int> execute(const SnapshotCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object();
  if (!command.name.empty()) body.key("name").string(command.name);
  const Call call("POST", url_of(command.sandbox) + "/snapshot", std::move(body.end_object()).str());
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : text_field(answer.root(), "id") + "\n");
  return 0;
}

Result<int> execute(const SnapshotListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const std::string of = command.sandbox.empty() ? "" : "?sandbox=" + url_segment(command.sandbox);
  LMSB_TRY(const auto all, fetch_all(*connection, "/v1/snapshots" + of));
  if (command.target.json) {
    console.out(data_of(all.items));
  } else if (command.quiet) {
    for (const json::Value snapshot : all.items) console.out(text_field(snapshot, "id") + "\n");
  } else {
    std::vector<Row> rows;
    for (const json::Value snapshot : all.items) rows.push_back(snapshot_row(snapshot));
    console.out(format_table({"ID", "NAME", "SANDBOX", "IMAGE", "CREATED"}, rows));
  }
  return 0;
}

Result<int> execute(const SnapshotRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  int status = 0;
  for (const std::string& snapshot : command.snapshots) {
    const auto answer = call_json(*connection, Call("DELETE", "/v1/snapshots/" + url_segment(snapshot)));
    if (answer.ok()) {
      console.out(snapshot + "\n");
    } else {
      report(console, answer.error());
      status = 1;
    }
  }
  return status;
}

Result<int> execute(const ForkCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object().key("count").unsigned_integer(command.count);
  Call call("POST", url_of(command.sandbox) + "/fork", std::move(body.end_object()).str());
  call.timeout = std::chrono::minutes(10);
  LMSB_TRY(const auto answer, call_json(*connection, call));
  if (command.target.json) {
    console.out(pretty(answer.root()));
    return 0;
  }
  const auto made = answer.root().find("data");
  if (!made) return Error(ErrorCode::internal, "the daemon's answer to fork has no data");
  for (const json::Value sandbox : made->items()) console.out(text_field(sandbox, "id") + "\n");
  return 0;
}

Result<int> execute(const RollbackCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object().key("snapshot").string(command.snapshot);
  const Call call("POST", url_of(command.sandbox) + "/rollback", std::move(body.end_object()).str());
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : command.sandbox + "\n");
  return 0;
}

}  // namespace lmsb::cli
