// model show, model rm: one model, and models' end.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/listing.h"
#include "cli/model_page.h"
#include "cli/values.h"

namespace lmsb::cli {

Result<int> execute(const ModelShowCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  const Call call("GET", "/v1/models/" + url_segment(command.model) + "/details");
  LMSB_TRY(const auto details, call_json(*connection, call));
  console.out(command.target.json ? pretty(details.root()) : model_page(details.root()));
  return 0;
}

Result<int> execute(const ModelRemoveCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  return remove_each(*connection, "/v1/models/", command.models, command.force, command.target.json, console);
}

}  // namespace lmsb::cli
