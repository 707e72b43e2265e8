// key create, ls, rm: API keys.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/requests.h"

namespace lmsb::cli {
namespace {

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

std::string scopes_of(json::Value key) {
  std::string text;
  const auto scopes = key.find("scopes");
  for (const json::Value scope : scopes ? scopes->items() : std::vector<json::Value>())
    text += (text.empty() ? "" : ",") + std::string(scope.string().value_or(""));
  return text;
}

Row key_row(json::Value key) {
  return {text_field(key, "id"),
          text_field(key, "name"),
          scopes_of(key),
          text_field(key, "created_at"),
          text_field(key, "created_by"),
          or_dash(text_field(key, "expires_at")),
          or_dash(text_field(key, "used_at"))};
}

}  // namespace

Result<int> execute(const KeyCreateCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const Call call("POST", "/v1/keys", key_body(command));
  LMSB_TRY(const auto answer, call_json(*connection, call));
  if (command.target.json) {
    console.out(pretty(answer.root()));
    return 0;
  }
  console.out(text_field(answer.root(), "key") + "\n");
  note(console, "this is the key of " + text_field(answer.root(), "id") + "; it is not shown again");
  return 0;
}

Result<int> execute(const KeyListCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const auto all, fetch_all(*connection, "/v1/keys"));
  if (command.quiet) {
    print_ids(all.items, console);
  } else {
    print_list(all.items, command.target.json, {"ID", "NAME", "SCOPES", "CREATED", "BY", "EXPIRES", "LAST USED"},
               key_row, console);
  }
  return 0;
}

Result<int> execute(const KeyRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  return remove_each(*connection, "/v1/keys/", command.keys, command.force, command.target.json, console);
}

}  // namespace lmsb::cli
