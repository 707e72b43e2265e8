// PATCH /v1/sandboxes/{id}, POST .../pause, .../resume, .../stop, .../start, GET .../stats.
#include <array>
#include <utility>

#include "server/sandbox_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

io::Task<http::Response> update(Control& control, Call call) {
  control::UpdateSandbox changes;
  auto refusal = read_body(call.request.body, [&changes](json::ObjectReader& reader) {
    read_label_changes(reader, changes.labels);
    read_life(reader, changes.life);
    read_limits(reader, changes.limits);
    refuse_for_now(reader, "egress", "sandboxes have no network today");
  });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await control.update(std::move(call.who), std::move(id), std::move(changes)));
  co_return http::Response::json(200, sandbox_text(info));
}

using Move = io::Task<control::SandboxInfo> (Control::*)(control::Principal, std::string);

io::Task<http::Response> move(Control& control, Move to, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await (control.*to)(std::move(call.who), std::move(id)));
  co_return http::Response::json(200, sandbox_text(info));
}

io::Task<http::Response> stats(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto stats, co_await control.stats(std::move(call.who), std::move(id)));
  json::Writer out;
  out.begin_object().key("state").string(to_string(stats.state));
  out.key("memory_bytes").unsigned_integer(stats.usage.memory_bytes);
  out.key("max_memory_bytes").unsigned_integer(stats.usage.max_memory_bytes);
  out.key("processes").unsigned_integer(stats.usage.processes);
  out.key("cpu_ms").unsigned_integer(stats.usage.cpu_usec / 1000);
  out.key("oom_kills").unsigned_integer(stats.usage.oom_kills);
  out.key("disk_bytes");
  stats.disk_bytes ? out.unsigned_integer(*stats.disk_bytes) : out.null();
  write_limits(out.key("limits"), stats.limits);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_lifecycle_routes(RouteTable& table, Control& control) {
  table.add("PATCH", "/v1/sandboxes/{id}", [&control](Call call) { return update(control, std::move(call)); });
  constexpr std::array<std::pair<const char*, Move>, 4> kMoves = {
      {{"pause", &Control::pause}, {"resume", &Control::resume}, {"stop", &Control::stop}, {"start", &Control::start}}};
  for (const auto& [name, to] : kMoves) {
    const auto answer = [&control, move_to = to](Call call) { return move(control, move_to, std::move(call)); };
    table.add("POST", "/v1/sandboxes/{id}/" + std::string(name), answer);
  }
  table.add("GET", "/v1/sandboxes/{id}/stats", [&control](Call call) { return stats(control, std::move(call)); });
}

}  // namespace lmsb::server
