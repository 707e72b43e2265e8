// POST /v1/sandboxes/{id}/exec: a command in a kept sandbox: its result when it has ended, what it does as it does it
// (Accept), or the process that goes on by itself (detach).
#include <utility>

#include "control/command_input.h"
#include "control/process_service.h"
#include "server/event_stream.h"
#include "server/exec_result.h"
#include "server/process_events.h"
#include "server/process_octets.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

struct ExecRequest {
  ExecRequest() = default;
  control::Command command;
  bool detach = false;
  bool keep_stdin = false;
  std::optional<control::TerminalSize> terminal;
  std::string session;
};

// `is_followed`: its events are wanted as they come.
void read_exec(json::ObjectReader& reader, bool is_followed, ExecRequest& out) {
  reader.boolean("detach", out.detach);
  // Nobody waits for a detached one, so it has no time limit of its own unless it asks for one.
  if (out.detach) out.command.timeout = std::chrono::milliseconds(0);
  read_command(reader, out.command, out.detach || is_followed ? NoTimeout::allowed : NoTimeout::refused);
  if (reader.boolean("keep_stdin", out.keep_stdin) && out.keep_stdin && !out.detach && !is_followed)
    reader.refuse("keep_stdin", "only with detach, or with events: who waits for the result cannot write to it");
  read_terminal(reader, out.terminal);
  if (out.terminal && !out.detach)
    reader.refuse("pty", "only with detach: GET /v1/sandboxes/{id}/pty is the terminal that one can talk to");
  const bool has_session = reader.string("session", out.session);
  if (has_session && out.session.empty()) reader.refuse("session", "must be a name: leave it out for no session");
  if (has_session && out.detach) reader.refuse("session", "its commands are waited for: leave detach out");
  if (!out.session.empty() && out.keep_stdin) reader.refuse("keep_stdin", "a session's commands have no stdin");
  if (out.keep_stdin && !out.detach && out.command.stdin_data.size() > control::CommandInput::kRoom)
    reader.refuse("stdin", "with keep_stdin at most 128 KiB: write the rest later");
  read_command_limits(reader, out.command.limits);
  if (out.command.limits.is_something() && !out.session.empty())
    reader.refuse("limits", "a session's commands run in one shell: set its limits there, by ulimit");
}

http::Response result_answer(control::ExecResult result) {
  json::Writer out;
  out.begin_object();
  write_exec_fields(out, std::move(result));
  out.end_object();
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> detach(Control& control, Call call, ExecRequest request) {
  control::StartProcess start;
  start.command = std::move(request.command);
  start.keep_stdin = request.keep_stdin;
  start.terminal = request.terminal;
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await control.processes().start(std::move(call.who), id, std::move(start)));
  json::Writer out;
  write_process(out, info);
  http::Response response = http::Response::json(201, std::move(out).str());
  response.headers.set("Location", "/v1/sandboxes/" + info.sandbox_id + "/processes/" + info.id);
  co_return response;
}

io::Task<http::Response> follow(Control& control, Call call, ExecRequest request, AnswerFormat format) {
  std::string id = call.request.params["id"];
  control::FollowCommand followed;
  followed.command = std::move(request.command);
  followed.takes_input = request.keep_stdin;
  LMSB_CO_TRY(auto stream, co_await control.processes().run(std::move(call.who), std::move(id), std::move(followed)));
  co_return event_answer(std::make_unique<CommandEvents>(std::move(stream)), format);
}

// What it writes to stdout and nothing else.
io::Task<http::Response> follow_octets(Control& control, Call call, ExecRequest request) {
  std::string id = call.request.params["id"];
  control::FollowCommand followed;
  followed.command = std::move(request.command);
  if (auto made = io::PipeRelay::make(); made.ok()) followed.relay = *std::move(made);  // else it is copied
  const auto relay = followed.relay;
  LMSB_CO_TRY(auto stream, co_await control.processes().run(std::move(call.who), std::move(id), std::move(followed)));
  co_return octets_answer(std::make_shared<CommandOctets>(std::move(stream), control::Stream::out, 0, relay));
}

io::Task<http::Response> exec(Control& control, Call call) {
  ExecRequest request;
  const http::Headers& headers = call.request.headers;
  const bool is_followed = !wants_octets(headers) && wanted_format(headers, AnswerFormat::json) != AnswerFormat::json;
  const auto read = [&](json::ObjectReader& reader) { read_exec(reader, is_followed, request); };
  auto refusal = read_body(std::exchange(call.request.body, {}), read);
  if (refusal) co_return *std::move(refusal);
  if (request.detach) co_return co_await detach(control, std::move(call), std::move(request));
  if (request.session.empty() && wants_octets(call.request.headers))
    co_return co_await follow_octets(control, std::move(call), std::move(request));
  const AnswerFormat format = request.session.empty() ? wanted_format(call.request.headers, AnswerFormat::json)
                                                      : AnswerFormat::json;  // its streams end with its marks
  if (format != AnswerFormat::json) co_return co_await follow(control, std::move(call), std::move(request), format);
  std::string id = call.request.params["id"];
  if (!request.session.empty()) {
    LMSB_CO_TRY(auto result,
                co_await control.processes().run_in_session(std::move(call.who), std::move(id),
                                                            std::move(request.session), std::move(request.command)));
    co_return result_answer(std::move(result));
  }
  LMSB_CO_TRY(auto result, co_await control.exec(std::move(call.who), std::move(id), std::move(request.command)));
  co_return result_answer(std::move(result));
}

}  // namespace

void add_exec_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/sandboxes/{id}/exec", [&control](Call call) { return exec(control, std::move(call)); });
}

}  // namespace lmsb::server
