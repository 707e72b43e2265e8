#include "cli/verify.h"

#include <array>
#include <chrono>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/exit_status.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kShownAnswer = 300;
constexpr std::chrono::minutes kTimeout{5};  // a first prompt may load a model

// {"output": "...", "error": ""}: what the original answers to a command and a prompt.
std::string fault_of_output(json::Value answer) {
  const auto output = answer.find("output");
  const auto error = answer.find("error");
  if (!output || !output->string() || !error || !error->string()) return "no output and error in the answer";
  return output->string()->empty() ? "the output is empty" : "";
}

// The OpenAI chat completion object: choices[0].message.content.
std::string fault_of_completion(json::Value answer) {
  const auto choices = answer.find("choices");
  if (!choices || choices->items().empty()) return "no choices in the answer";
  const auto message = choices->items().front().find("message");
  return message && message->find("content") ? "" : "no message in the answer's first choice";
}

struct Step {
  const char* path;
  const char* body;
  std::string (*fault)(json::Value answer);  // "" = as the original
};
constexpr std::array<Step, 3> kSteps{{
    {"/run-bash/", R"({"cmd":"whoami"})", fault_of_output},
    {"/ollama/", R"({"cmd":"Introduce yourself."})", fault_of_completion},
    {"/llama-cpp/", R"({"cmd":"What is AI?"})", fault_of_output},
}};

struct StepResult {
  int status = 0;  // 0 = no answer
  std::string answer;
  std::string fault;  // "" = ok
};

StepResult carry_out(const Step& step, Api& api) {
  Call call("POST", step.path, step.body);
  call.timeout = kTimeout;
  const auto answer = api.send(call);
  if (!answer.ok()) {
    const Error& error = answer.error();
    return {0, "", error.hint().empty() ? error.message() : error.message() + "; " + error.hint()};
  }
  StepResult result{answer->status, answer->body, ""};
  const auto json = parse_json(answer->body, "the answer");
  if (answer->status != 200) {
    result.fault = std::to_string(answer->status) + ": " + error_of(*answer).message();
  } else {
    result.fault = json.ok() ? step.fault(json->root()) : json.error().message();
  }
  return result;
}

void show(const Step& step, const StepResult& result, const std::string& address, Console& console) {
  console.out("curl -X POST \"" + address + step.path + "\" -H \"Content-Type: application/json\" -d '" + step.body +
              "'\n");
  if (!result.answer.empty()) {
    const bool cut = result.answer.size() > kShownAnswer;
    console.out("  " + printable(to_utf8(result.answer.substr(0, kShownAnswer))) + (cut ? "..." : "") + "\n");
  }
  const bool ok = result.fault.empty();
  console.out("  " + colored(console, ok ? Color::green : Color::red, ok ? "ok" : "failed") +
              (ok ? "" : ": " + printable(result.fault)) + "\n");
}

}  // namespace

int verify(Api& api, const std::string& address, bool as_json, Console& console) {
  bool all_ok = true;
  json::Writer results;
  results.begin_object().key("requests").begin_array();
  for (const Step& step : kSteps) {
    const StepResult result = carry_out(step, api);
    all_ok = all_ok && result.fault.empty();
    if (!as_json) show(step, result, address, console);
    results.begin_object().key("path").string(step.path).key("request").string(step.body).key("status").integer(
        result.status);
    results.key("answer").string(result.answer).key("ok").boolean(result.fault.empty());
    results.key("fault").string(result.fault).end_object();
  }
  results.end_array().key("ok").boolean(all_ok).end_object();
  if (as_json) console.out(pretty_text(std::move(results).str()));
  return all_ok ? kOk : kFailed;
}

Result<int> execute(const VerifyCommand& command, Console& console) {
  Target target = command.target;
  const std::string variable = surroundings_of_this_process().host_variable;
  if (target.host.empty()) target.host = variable.empty() ? kVerifyAddress : variable;
  LMSB_TRY(const auto connection, Connection::open(target, PrivateDaemonUse::senseless, console));
  return verify(*connection, connection->name(), command.target.json, console);
}

}  // namespace lmsb::cli
