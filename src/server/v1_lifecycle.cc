// PATCH /v1/sandboxes/{id}, POST .../pause, .../resume, .../stop, .../start, GET .../stats, .../egress.
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
    network::Egress egress;
    if (read_egress(reader, egress)) changes.egress = std::move(egress);
  });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await control.update(std::move(call.who), std::move(id), std::move(changes)));
  co_return http::Response::json(200, sandbox_text(info));
}

io::Task<http::Response> stop(Control& control, Call call) {
  auto grace_ms = static_cast<std::int64_t>(control::kStopGrace.count());
  std::optional<http::Response> refusal;
  if (!call.request.body.empty())
    refusal = read_body(std::exchange(call.request.body, {}), [&grace_ms](json::ObjectReader& reader) {
      reader.integer("grace_ms", grace_ms, 0, control::kMaxStopGrace.count());
    });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  const std::chrono::milliseconds grace(grace_ms);
  LMSB_CO_TRY(const auto info, co_await control.stop(std::move(call.who), std::move(id), grace));
  co_return http::Response::json(200, sandbox_text(info));
}

using Move = io::Task<control::SandboxInfo> (Control::*)(control::Principal, std::string);

io::Task<http::Response> move(Control& control, Move to, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info, co_await (control.*to)(std::move(call.who), std::move(id)));
  co_return http::Response::json(200, sandbox_text(info));
}

void write_models(json::Writer& out, const std::optional<control::ModelUsage>& models) {
  if (!models) return void(out.null());
  out.begin_object().key("requests").unsigned_integer(models->requests);
  out.key("refused").unsigned_integer(models->refused);
  out.key("prompt_tokens").unsigned_integer(models->prompt_tokens);
  out.key("completion_tokens").unsigned_integer(models->completion_tokens).end_object();
}

// Of one that does not run there is nothing to say: null, in the same places.
void write_number(json::Writer& out, const char* name, bool is_known, std::uint64_t value) {
  out.key(name);
  is_known ? out.unsigned_integer(value) : out.null();
}

void write_usage(json::Writer& out, const std::optional<control::SandboxUsage>& usage) {
  const control::SandboxUsage used = usage.value_or(control::SandboxUsage());
  write_number(out, "memory_bytes", usage.has_value(), used.memory_bytes);
  write_number(out, "max_memory_bytes", usage.has_value(), used.max_memory_bytes);
  write_number(out, "processes", usage.has_value(), used.processes);
  write_number(out, "cpu_ms", usage.has_value(), used.cpu_usec / 1000);
  write_number(out, "oom_kills", usage.has_value(), used.oom_kills);
}

void write_network(json::Writer& out, const std::optional<control::NetworkUsage>& network) {
  const control::NetworkUsage moved = network.value_or(control::NetworkUsage());
  out.begin_object();
  write_number(out, "received_bytes", network.has_value(), moved.received_bytes);
  write_number(out, "received_packets", network.has_value(), moved.received_packets);
  write_number(out, "sent_bytes", network.has_value(), moved.sent_bytes);
  write_number(out, "sent_packets", network.has_value(), moved.sent_packets);
  out.end_object();
}

io::Task<http::Response> stats(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto stats, co_await control.stats(std::move(call.who), std::move(id)));
  json::Writer out;
  out.begin_object().key("sandbox_id").string(stats.sandbox_id);
  string_or_null(out.key("name"), stats.name);
  out.key("state").string(to_string(stats.state));
  write_usage(out, stats.usage);
  write_network(out.key("network"), stats.network);
  write_models(out.key("models"), stats.models);
  out.key("disk_bytes");
  stats.disk_bytes ? out.unsigned_integer(*stats.disk_bytes) : out.null();
  write_limits(out.key("limits"), stats.limits, stats.limits_kept);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

void write_event(json::Writer& out, const control::NetworkEvent& event) {
  constexpr std::array<const char*, 3> kKinds = {"connection", "name", "credential"};
  out.begin_object().key("time").string(event.time);
  out.key("kind").string(kKinds.at(static_cast<std::size_t>(event.subject)));
  out.key("verdict").string(event.verdict);
  const auto text_or_null = [&out](const char* key, const std::string& text) {
    out.key(key);
    text.empty() ? out.null() : out.string(text);
  };
  text_or_null("name", event.name);
  text_or_null("address", event.address);
  text_or_null("credential", event.credential);
  out.key("port");
  event.port == 0 ? out.null() : out.unsigned_integer(event.port);
  out.end_object();
}

io::Task<http::Response> egress(Control& control, Call call) {
  LMSB_CO_TRY(const auto report, control.network(call.who, call.request.params["id"]));
  json::Writer out;
  write_egress(out.begin_object().key("egress"), report.egress);
  out.key("denied_by_policy").boolean(report.is_denied);
  out.key("allowed").unsigned_integer(report.counts.allowed);
  out.key("refused").unsigned_integer(report.counts.refused);
  out.key("sent_bytes").unsigned_integer(report.counts.sent_bytes);
  out.key("received_bytes").unsigned_integer(report.counts.received_bytes);
  out.key("events_lost").unsigned_integer(report.counts.unsaid);
  out.key("events").begin_array();
  for (const control::NetworkEvent& event : report.events) write_event(out, event);
  out.end_array().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_lifecycle_routes(RouteTable& table, Control& control) {
  table.add("PATCH", "/v1/sandboxes/{id}", [&control](Call call) { return update(control, std::move(call)); });
  table.add("POST", "/v1/sandboxes/{id}/stop", [&control](Call call) { return stop(control, std::move(call)); });
  constexpr std::array<std::pair<const char*, Move>, 3> kMoves = {
      {{"pause", &Control::pause}, {"resume", &Control::resume}, {"start", &Control::start}}};
  for (const auto& [name, to] : kMoves) {
    const auto answer = [&control, move_to = to](Call call) { return move(control, move_to, std::move(call)); };
    table.add("POST", "/v1/sandboxes/{id}/" + std::string(name), answer);
  }
  table.add("GET", "/v1/sandboxes/{id}/egress", [&control](Call call) { return egress(control, std::move(call)); });
  table.add("GET", "/v1/sandboxes/{id}/stats", [&control](Call call) { return stats(control, std::move(call)); });
}

}  // namespace lmsb::server
