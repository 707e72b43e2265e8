// volume create, ls, inspect, update, rm: directories that sandboxes share.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/requests.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

std::string volume_url(const std::string& volume) { return "/v1/volumes/" + url_segment(volume); }

std::string size_field(json::Value volume) { return human_size(number_field(volume, "size_bytes").value_or(0)); }

Row volume_row(json::Value volume) {
  const auto users = volume.find("used_by");
  return {text_field(volume, "id"),    text_field(volume, "name"),
          size_field(volume),          std::to_string(users ? users->items().size() : 0),
          text_field(volume, "state"), text_field(volume, "created_at")};
}

}  // namespace

Result<int> execute(const VolumeCreateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const Call call("POST", "/v1/volumes", volume_body(command));
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : text_field(answer.root(), "id") + "\n");
  return 0;
}

Result<int> execute(const VolumeListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto all, fetch_all(*connection, "/v1/volumes"));
  if (command.quiet) {
    print_ids(all.items, console);
  } else {
    print_list(all.items, command.target.json, {"ID", "NAME", "SIZE", "USED BY", "STATE", "CREATED"}, volume_row,
               console);
  }
  return 0;
}

Result<int> execute(const VolumeInspectCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return inspect_each(*connection, "/v1/volumes/", command.volumes, console);
}

Result<int> execute(const VolumeUpdateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const Call call("PATCH", volume_url(command.volume), volume_update_body(command));
  LMSB_TRY(const auto answer, call_json(*connection, call));
  console.out(command.target.json ? pretty(answer.root()) : command.volume + "\n");
  return 0;
}

Result<int> execute(const VolumeRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return remove_each(*connection, "/v1/volumes/", command.volumes, command.force, command.target.json, console);
}

}  // namespace lmsb::cli
