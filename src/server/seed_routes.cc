#include "server/seed_routes.h"

#include <memory>

#include "base/text.h"
#include "json/value.h"
#include "server/exec_result.h"
#include "server/seed_body.h"

namespace lmsb::server {
namespace {

using control::Control;
using Cmd = std::variant<std::string, http::Response>;

http::Response run_bash_answer(control::ExecResult result) {
  const ShownOutput output = show_output(std::move(result.out));
  const ShownOutput error = show_output(std::move(result.err));
  json::Writer out;
  out.begin_object().key("output").string(output.bytes).key("error").string(error.bytes).key("exit_code");
  if (result.exit_code) {
    out.integer(*result.exit_code);
  } else {
    out.null();
  }
  out.key("sandbox_id").string(result.sandbox_id).key("outcome").string(to_string(result.outcome));
  write_truncated(out, output.missing_bytes, error.missing_bytes);
  out.end_object();
  return http::Response::json(200, std::move(out).str());
}

// Who owns the shared sandbox: nobody who can ask for one, so that no user puts one of their own in its place.
// What a key may do it may do here, too; by which labels it sees does not matter, since the sandbox is everybody's.
control::Principal run_bash_owner(const control::Principal& who) {
  control::Principal owner;
  owner.name = "run-bash";
  if (!who.grant || who.admin) return owner;
  auto grant = std::make_shared<control::Grant>(*who.grant);
  grant->labels.clear();
  owner.grant = std::move(grant);
  return owner;
}

// Makes the shared sandbox unless it is there. Whoever is second to make it finds it made.
io::Task<void> provide_sandbox(Control& control, control::Principal owner, std::string name) {
  const auto found = control.get(owner, name);
  if (found.ok() && found->state == control::SandboxState::paused) {
    LMSB_CO_TRY(const auto resumed, co_await control.resume(std::move(owner), std::move(name)));
    co_return Status();
  }
  const bool has_ended =
      found.ok() && (found->state == control::SandboxState::stopped || found->state == control::SandboxState::failed);
  if (has_ended && found->keeps_disk) {
    LMSB_CO_TRY(const auto started, co_await control.start(std::move(owner), std::move(name)));
    co_return Status();
  }
  if (found.ok() && found->state != control::SandboxState::failed) co_return Status();
  if (!found.ok() && found.error().code() != ErrorCode::not_found) co_return found.error();
  if (found.ok()) {
    std::string id = found->id;
    const Status removed = co_await control.remove(owner, std::move(id));
    if (!removed.ok() && removed.error().code() != ErrorCode::not_found) co_return removed.error();
  }
  control::CreateSandbox request;
  request.name = std::move(name);
  const auto made = co_await control.create(std::move(owner), std::move(request));
  if (!made.ok() && made.error().code() != ErrorCode::already_exists) co_return made.error();
  co_return Status();
}

io::Task<control::ExecResult> run_in_shared(Control& control, control::Principal owner, std::string name,
                                            control::Command command) {
  LMSB_CO_CHECK(co_await provide_sandbox(control, owner, name));
  auto result = co_await control.exec(std::move(owner), name, std::move(command));
  if (result.ok() || result.error().code() != ErrorCode::not_found) co_return result;
  co_return Error(ErrorCode::already_exists, "somebody else's sandbox is named " + quoted(name))
      .with_slug("name_taken")
      .with_hint("remove it, or choose another name: [run_bash] sandbox");
}

// `sandbox` belongs to the route's handler, which lives as long as the table.
io::Task<http::Response> run_bash(Control& control, const std::string& sandbox, Call call) {
  Cmd cmd = read_cmd(call.request.body, kMaxShellCommand);
  if (auto* refusal = std::get_if<http::Response>(&cmd)) co_return std::move(*refusal);
  if (!sandbox.empty()) {
    control::Command command;
    command.cmd = std::get<std::string>(std::move(cmd));
    LMSB_CO_TRY(auto kept, co_await run_in_shared(control, run_bash_owner(call.who), sandbox, std::move(command)));
    co_return run_bash_answer(std::move(kept));
  }
  control::OneShot one_shot;
  one_shot.command.cmd = std::get<std::string>(std::move(cmd));
  LMSB_CO_TRY(auto result, co_await control.run_once(std::move(call.who), std::move(one_shot)));
  co_return run_bash_answer(std::move(result.exec));
}

// A model or upstream that is not there is no fault of the request: 503, whatever kept it away. One that is there and
// answers nonsense is a bad gateway.
http::Response model_error(const Error& error) {
  if (error.slug() == "runner_failed") return error_answer(Dialect::seed, 502, error);
  const bool is_away = error.code() == ErrorCode::not_found || error.code() == ErrorCode::failed_precondition ||
                       error.code() == ErrorCode::unsupported;
  return error_answer(Dialect::seed, is_away ? 503 : http_status(error.code()), error);
}

io::Task<http::Response> llama_cpp(Control& control, Call call) {
  Cmd cmd = read_cmd(call.request.body, kMaxPrompt);
  if (auto* refusal = std::get_if<http::Response>(&cmd)) co_return std::move(*refusal);
  const auto completion = co_await control.complete(std::move(call.who), std::get<std::string>(std::move(cmd)));
  if (!completion.ok()) co_return model_error(completion.error());
  json::Writer out;
  out.begin_object().key("output").string(completion->text).key("error").string("");
  if (completion->is_demonstration) out.key("model").string(completion->model);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

// An upstream that cannot be reached or breaks off is a bad gateway; one that is not configured is our 503.
http::Response upstream_error(const Error& error) {
  if (error.code() != ErrorCode::unavailable) return model_error(error);
  return error_answer(Dialect::seed, 502, error);
}

http::Response upstream_answer(Control::UpstreamAnswer answer) {
  json::ParseFault fault;
  if (json::Document::parse(answer.body, fault)) return http::Response::json(answer.status, std::move(answer.body));
  std::string detail = "the upstream answered " + std::to_string(answer.status) +
                       " with something that is not JSON: " + quoted(answer.body) + " (check the upstream's base URL)";
  return detail_answer(502, detail);
}

io::Task<http::Response> ollama(Control& control, Call call) {
  Cmd cmd = read_cmd(call.request.body, kMaxPrompt);
  if (auto* refusal = std::get_if<http::Response>(&cmd)) co_return std::move(*refusal);
  auto answer = co_await control.ask_upstream(std::move(call.who), std::get<std::string>(std::move(cmd)));
  if (!answer.ok()) co_return upstream_error(answer.error());
  co_return upstream_answer(*std::move(answer));
}

}  // namespace

void add_seed_routes(RouteTable& table, Control& control, std::string run_bash_sandbox) {
  const auto shared = std::make_shared<const std::string>(std::move(run_bash_sandbox));
  table.add_with_and_without_slash(
      "POST", "/run-bash/", [&control, shared](Call call) { return run_bash(control, *shared, std::move(call)); });
  table.add_with_and_without_slash("POST", "/ollama/",
                                   [&control](Call call) { return ollama(control, std::move(call)); });
  table.add_with_and_without_slash("POST", "/llama-cpp/",
                                   [&control](Call call) { return llama_cpp(control, std::move(call)); });
}

}  // namespace lmsb::server
