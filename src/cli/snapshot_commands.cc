// snapshot, snapshot ls, snapshot inspect, snapshot rm, fork, rollback: copies of sandboxes' disks.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

Row snapshot_row(json::Value snapshot) {
  return {text_field(snapshot, "id"), text_field(snapshot, "name"), text_field(snapshot, "sandbox_id"),
          text_field(snapshot, "image"), text_field(snapshot, "created_at")};
}

}  // namespace

Result<int> execute(const SnapshotCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object();
  if (!command.name.empty()) body.key("name").string(command.name);
  const Call call("POST", sandbox_url(command.sandbox) + "/snapshot", std::move(body.end_object()).str());
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : text_field(answer.root(), "id") + "\n");
  return 0;
}

Result<int> execute(const SnapshotListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const std::string of = command.sandbox.empty() ? "" : "?sandbox=" + url_segment(command.sandbox);
  LMSB_TRY(const auto all, fetch_all(*connection, "/v1/snapshots" + of));
  if (command.quiet) {
    print_ids(all.items, console);
  } else {
    print_list(all.items, command.target.json, {"ID", "NAME", "SANDBOX", "IMAGE", "CREATED"}, snapshot_row, console);
  }
  return 0;
}

Result<int> execute(const SnapshotInspectCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return inspect_each(*connection, "/v1/snapshots/", command.snapshots, console);
}

Result<int> execute(const SnapshotRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return remove_each(*connection, "/v1/snapshots/", command.snapshots, false, command.target.json, console);
}

Result<int> execute(const ForkCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  json::Writer body;
  body.begin_object().key("count").unsigned_integer(command.count);
  Call call("POST", sandbox_url(command.sandbox) + "/fork", std::move(body.end_object()).str());
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
  const Call call("POST", sandbox_url(command.sandbox) + "/rollback", std::move(body.end_object()).str());
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : command.sandbox + "\n");
  return 0;
}

}  // namespace lmsb::cli
