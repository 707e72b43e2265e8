// env: what makes other programs speak to the daemon.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/values.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

struct Names {
  const char* base_url;
  const char* path;  // behind the daemon's address
  const char* key;   // nullptr = it asks for none
};

Names names_of(const std::string& program) {
  if (program == "openai") return {"OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"};
  if (program == "anthropic") return {"ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"};
  return {"OLLAMA_HOST", "", nullptr};
}

// Where the daemon is for programs that know TCP alone.
Result<std::string> url_of_daemon(Connection& connection) {
  const std::string name = connection.name();
  if (name.starts_with("http://") || name.starts_with("https://")) return name;
  LMSB_TRY(const auto info, call_json(connection, Call("GET", "/v1/info")));
  std::string url = text_field(info.root(), "url");
  if (!url.empty()) return url;
  return Error(ErrorCode::failed_precondition, "the daemon at " + name + " listens on no TCP address of this machine")
      .with_hint("have it serve one: lm-sandbox serve --listen 127.0.0.1:8000");
}

std::string in_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

}  // namespace

// The key is named, and never printed: the shell that reads this has it.
Result<int> execute(const EnvCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const std::string url, url_of_daemon(*connection));
  const Names names = names_of(command.program);
  if (command.target.json) {
    json::Writer out;
    out.begin_object().key(names.base_url).string(url + names.path).end_object();
    console.out(pretty_text(std::move(out).str()));
    return 0;
  }
  console.out(std::string("export ") + names.base_url + "=" + in_quotes(url + names.path) + "\n");
  if (names.key != nullptr)
    console.out(std::string("export ") + names.key + "=\"${LM_SANDBOX_API_KEY:-lm-sandbox}\"\n");
  return 0;
}

}  // namespace lmsb::cli
