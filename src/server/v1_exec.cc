// POST /v1/sandboxes/{id}/exec: a command in a kept sandbox, its result when it has ended.
#include "server/exec_result.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

io::Task<http::Response> exec(Control& control, Call call) {
  control::Command command;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_command(reader, command);
    refuse_for_now(reader, "limits", "the limits of a kept sandbox are for all of its commands together");
  });
  if (refusal) co_return *std::move(refusal);
  call.request.body.clear();
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(auto result, co_await control.exec(std::move(call.who), std::move(id), std::move(command)));
  json::Writer out;
  out.begin_object();
  write_exec_fields(out, std::move(result));
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_exec_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/sandboxes/{id}/exec", [&control](Call call) { return exec(control, std::move(call)); });
}

}  // namespace lmsb::server
