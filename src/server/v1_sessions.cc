// /v1/sandboxes/{id}/sessions: shell sessions. Their commands are exec's (v1_exec.cc).
#include "control/process_service.h"
#include "server/answers.h"
#include "server/process_events.h"
#include "server/query_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::SessionInfo;

std::string_view name_of(SessionInfo::State state) {
  switch (state) {
    case SessionInfo::State::idle: return "idle";
    case SessionInfo::State::busy: return "busy";
    case SessionInfo::State::unknown: return "unknown";
  }
  return "unknown";
}

void write_session(json::Writer& out, const SessionInfo& info) {
  out.begin_object().key("name").string(info.name).key("sandbox_id").string(info.sandbox_id);
  out.key("pid").integer(info.pid).key("state").string(name_of(info.state));
  out.key("command");
  if (info.command) {
    write_process(out, *info.command);
  } else {
    out.null();
  }
  out.key("waiting").unsigned_integer(info.waiting);
  string_or_null(out.key("started_at"), info.started_at);
  out.end_object();
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {}));
  LMSB_CO_TRY(const auto all, control.processes().sessions(call.who, call.request.params["id"]));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const SessionInfo& info : all) write_session(out, info);
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {}));
  auto& params = call.request.params;
  LMSB_CO_TRY(const auto info, control.processes().session(call.who, params["id"], params["session"]));
  json::Writer out;
  write_session(out, info);
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> end(Control& control, Call call) {
  LMSB_CO_CHECK(control.processes().end_session(call.who, call.request.params["id"], call.request.params["session"]));
  co_return http::Response::no_content();
}

}  // namespace

void add_session_routes(RouteTable& table, Control& control) {
  const std::string all = "/v1/sandboxes/{id}/sessions";
  const std::string one = all + "/{session}";
  table.add("GET", all, [&control](Call call) { return list(control, std::move(call)); });
  table.add("GET", one, [&control](Call call) { return get(control, std::move(call)); });
  table.add("DELETE", one, [&control](Call call) { return end(control, std::move(call)); });
}

}  // namespace lmsb::server
