#include "cli/process_list.h"

#include "cli/values.h"

namespace lmsb::cli {

std::string processes_of(const std::string& sandbox) { return sandbox_url(sandbox) + "/processes"; }

std::string command_of(json::Value process) {
  const auto cmd = process.find("cmd");
  if (!cmd) return "";
  if (const auto text = cmd->string()) return std::string(*text);
  std::string line;
  for (const json::Value word : cmd->items())
    line += (line.empty() ? "" : " ") + std::string(word.string().value_or(""));
  return line;
}

Result<json::Document> list_processes(Api& api, const std::string& sandbox) {
  return call_json(api, Call("GET", processes_of(sandbox)));
}

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

}  // namespace lmsb::cli
