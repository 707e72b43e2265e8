#include "server/seed_routes.h"

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

io::Task<http::Response> run_bash(Control& control, Call call) {
  Cmd cmd = read_cmd(call.request.body, kMaxShellCommand);
  if (auto* refusal = std::get_if<http::Response>(&cmd)) co_return std::move(*refusal);
  control::OneShot one_shot;
  one_shot.command.cmd = std::get<std::string>(std::move(cmd));
  LMSB_CO_TRY(auto result, co_await control.run_once(std::move(call.who), std::move(one_shot)));
  co_return run_bash_answer(std::move(result.exec));
}

// A model or upstream that is not there is no fault of the request: 503, whatever kept it away.
http::Response model_error(const Error& error) {
  const bool is_away = error.code() == ErrorCode::not_found || error.code() == ErrorCode::failed_precondition ||
                       error.code() == ErrorCode::unsupported;
  return error_answer(Dialect::seed, is_away ? 503 : http_status(error.code()), error);
}

io::Task<http::Response> llama_cpp(Control& control, Call call) {
  Cmd cmd = read_cmd(call.request.body, kMaxPrompt);
  if (auto* refusal = std::get_if<http::Response>(&cmd)) co_return std::move(*refusal);
  auto text = co_await control.complete(std::move(call.who), std::get<std::string>(std::move(cmd)));
  if (!text.ok()) co_return model_error(text.error());
  json::Writer out;
  out.begin_object().key("output").string(*text).key("error").string("").end_object();
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

void add_seed_routes(RouteTable& table, Control& control) {
  table.add_with_and_without_slash("POST", "/run-bash/",
                                   [&control](Call call) { return run_bash(control, std::move(call)); });
  table.add_with_and_without_slash("POST", "/ollama/",
                                   [&control](Call call) { return ollama(control, std::move(call)); });
  table.add_with_and_without_slash("POST", "/llama-cpp/",
                                   [&control](Call call) { return llama_cpp(control, std::move(call)); });
}

}  // namespace lmsb::server
