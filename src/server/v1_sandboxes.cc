// /v1/sandboxes: create, list, get, delete.
#include <array>
#include <utility>

#include "server/answers.h"
#include "server/once.h"
#include "server/query_fields.h"
#include "server/sandbox_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::SandboxState;

constexpr const char* kMade = "/v1/sandboxes/";  // and an id

void read_create(json::ObjectReader& reader, control::CreateSandbox& out) {
  read_word(reader, "name", out.name);
  read_word(reader, "image", out.image);
  read_word(reader, "snapshot", out.snapshot);
  reader.string("cwd", out.cwd);
  reader.string("user", out.user);
  reader.string_map("env", out.env);
  reader.string_map("labels", out.labels);
  read_runtime(reader);
  read_egress(reader, out.egress);
  read_profile(reader, out.profile);
  read_models(reader, out.models);
  read_devices(reader, out.devices);
  read_limits(reader, out.limits);
  read_mounts(reader, out.mounts);
  read_volumes(reader, out.volumes);
  read_life(reader, out.life);
}

io::Task<http::Response> create(Control& control, Call call) {
  control::CreateSandbox request;
  const auto read = [&request](json::ObjectReader& reader) { read_create(reader, request); };
  auto refusal = read_body(std::exchange(call.request.body, {}), read);
  if (refusal) co_return *std::move(refusal);
  request.promise = {call.promised, sandbox_text};
  LMSB_CO_TRY(const auto info, co_await control.create(std::move(call.who), std::move(request)));
  co_return made_answer(sandbox_text(info), kMade + info.id);
}

struct ListQuery {
  std::optional<SandboxState> state;
  Labels labels;
  std::size_t limit = 0;
  std::string cursor;
};

Result<SandboxState> parse_state(std::string_view text) {
  constexpr std::array kStates{SandboxState::creating, SandboxState::running, SandboxState::paused,
                               SandboxState::stopped,  SandboxState::failed,  SandboxState::lost};
  for (SandboxState state : kStates) {
    if (text == to_string(state)) return state;
  }
  return invalid_query("state must be creating, running, paused, stopped, failed or lost",
                       "leave it out for sandboxes of all states");
}

Result<ListQuery> parse_query(Query& query) {
  LMSB_CHECK(check_names(query, {"state", "limit", "label", "cursor"}));
  ListQuery out;
  if (query.contains("state")) {
    LMSB_TRY(out.state, parse_state(query["state"]));
  }
  LMSB_TRY(out.limit, page_limit(query));
  LMSB_TRY(out.labels, labels_of(query));
  LMSB_TRY(out.cursor, page_cursor(query, ""));
  return out;
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_TRY(const auto query, parse_query(call.request.query));
  LMSB_CO_TRY(const auto page, control.list(call.who, query.state, query.labels, query.limit, query.cursor));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::SandboxInfo& info : page.data) write_sandbox(out, info);
  string_or_null(out.end_array().key("next_cursor"), page.next_cursor.value_or(""));
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_TRY(const auto info, control.get(call.who, call.request.params["id"]));
  co_return http::Response::json(200, sandbox_text(info));
}

io::Task<http::Response> remove(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_CHECK(co_await control.remove(std::move(call.who), std::move(id)));
  co_return http::Response::no_content();
}

}  // namespace

void add_sandbox_routes(RouteTable& table, Control& control) {
  table.add_once("/v1/sandboxes", std::nullopt,
                 once(control.answers(), kMade, [&control](Call call) { return create(control, std::move(call)); }));
  table.add_asking("GET", "/v1/sandboxes", [&control](Call call) { return list(control, std::move(call)); });
  table.add("GET", "/v1/sandboxes/{id}", [&control](Call call) { return get(control, std::move(call)); });
  table.add("DELETE", "/v1/sandboxes/{id}", [&control](Call call) { return remove(control, std::move(call)); });
}

}  // namespace lmsb::server
