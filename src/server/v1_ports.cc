// /v1/sandboxes/{id}/ports: what listens in a sandbox, and by path, for programs, what it says; .../previews: URLs by
// which browsers see it; .../tunnel: its octets.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "control/port_service.h"
#include "http/hop_headers.h"
#include "http/target.h"
#include "http/tunnel_answer.h"
#include "server/port_headers.h"
#include "server/port_proxy.h"
#include "server/query_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

constexpr std::int64_t kDefaultLife = 3600;
constexpr std::size_t kPrefixSegments = 5;  // "/v1/sandboxes/ID/ports/PORT"

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && port > 0) return port;
  return Error(ErrorCode::invalid_argument, "a port is a number from 1 to 65535, not " + quoted(text))
      .with_slug("invalid_port");
}

void write_port(json::Writer& out, const std::string& sandbox, const control::ListeningPort& port) {
  out.begin_object().key("port").unsigned_integer(port.port);
  out.key("address").string(port.address);
  string_or_null(out.key("process"), port.process);
  out.key("pid");
  if (port.pid == 0) {
    out.null();
  } else {
    out.integer(port.pid);
  }
  out.key("url").string("/v1/sandboxes/" + sandbox + "/ports/" + std::to_string(port.port) + "/");
  out.end_object();
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_TRY(const auto sandbox, control.get(call.who, call.request.params["id"]));
  const std::string id = sandbox.id;
  LMSB_CO_TRY(const auto ports, co_await control.ports().list(std::move(call.who), id));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::ListeningPort& port : ports) write_port(out, id, port);
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

// A browser that would show or run the answer, as a part of our own origin: what only carries it to a script, and what
// is only looked at, may come in.
bool is_run_by_a_browser(const http::Headers& headers) {
  constexpr std::array<std::string_view, 7> kHarmless = {"empty", "websocket", "image", "audio",
                                                         "video", "track",     "font"};
  if (headers.find("Sec-Fetch-Mode") == std::optional<std::string_view>("navigate")) return true;
  const auto dest = headers.find("Sec-Fetch-Dest");
  return dest && std::find(kHarmless.begin(), kHarmless.end(), *dest) == kHarmless.end();
}

Error browser_refused() {
  return Error(ErrorCode::permission_denied, "pages of a sandbox are not shown at this address, which is the API's")
      .with_slug("browser_refused")
      .with_hint("open http://PORT-ID.localhost:8000/, with the daemon's port, or a URL of POST .../previews");
}

io::Task<http::Response> pass(Control& control, const Doors& doors, Call call) {
  LMSB_CO_TRY(const std::uint16_t port, parse_port(call.request.params["port"]));
  if (is_run_by_a_browser(call.request.headers)) co_return browser_refused();
  std::string sandbox = call.request.params["id"];
  const PortVisit visit = PortVisit::of(call.request, port);
  LocationPlace place;
  place.prefix = "/v1/sandboxes/" + http::percent_encode(sandbox) + "/ports/" + std::to_string(port);
  http::ForwardedRequest request(std::move(call.request));
  request.target = behind_segments(origin_form(request.target), kPrefixSegments);
  edit_for_path_form(request.headers, visit, place.prefix);
  place.target = request.target;
  place.port = port;
  place.host = visit.host;
  place.is_ours = [&doors](std::string_view host) { return doors.answers_for(host); };
  auto answer = co_await pass_to_port(control, std::move(call.who), std::move(sandbox), port, std::move(request));
  if (!answer.ok()) co_return std::move(answer).error();
  confine_answer(answer->headers, place);
  co_return answer;
}

io::Task<http::Response> preview(Control& control, const Previews& previews, Call call) {
  std::int64_t port = 0;
  std::int64_t life = kDefaultLife;
  auto refusal = read_body(call.request.body, [&port, &life](json::ObjectReader& reader) {
    reader.integer("port", port, 1, UINT16_MAX, json::Need::required);
    reader.integer("expires_in_s", life, PreviewTokens::kMinLife.count(), PreviewTokens::kMaxLife.count());
  });
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto sandbox, control.ports().may_connect(call.who, call.request.params["id"]));
  const PreviewHost place{static_cast<std::uint16_t>(port), sandbox};
  LMSB_CO_TRY(const auto link, previews.make(place, call.who, std::chrono::seconds(life), call.request));
  control.ports().note_preview(call.who, sandbox, place.port, link.expires_at);
  json::Writer out;
  out.begin_object().key("url").string(link.url).key("token").string(link.token);
  out.key("port").integer(port).key("expires_at").string(link.expires_at).end_object();
  http::Response response = http::Response::json(201, std::move(out).str());
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

http::Response upgrade_required() {
  const Error error = Error(ErrorCode::invalid_argument, "octets are carried here: the request must ask for an upgrade")
                          .with_slug("upgrade_required")
                          .with_hint("send `Connection: Upgrade` and `Upgrade: tcp`, or use `lm-sandbox port`");
  http::Response response = error_answer(Dialect::v1, 426, error);
  response.headers.set("Upgrade", "tcp");
  return response;
}

io::Task<http::Response> tunnel(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"port"}));
  LMSB_CO_TRY(const std::uint16_t port, parse_port(call.request.query["port"]));
  if (!http::lists(call.request.headers, "Connection", "upgrade") ||
      !http::lists(call.request.headers, "Upgrade", "tcp"))
    co_return upgrade_required();
  std::string sandbox = call.request.params["id"];
  auto socket = co_await control.ports().connect(std::move(call.who), std::move(sandbox), port);
  if (!socket.ok()) co_return no_connection(std::move(socket).error());
  http::Response head;
  head.status = 101;
  head.headers.set("Upgrade", "tcp");
  io::TunnelEnd end(*std::move(socket), std::string());
  co_return http::tunnel_answer(std::move(head), std::move(end));
}

}  // namespace

void add_port_routes(RouteTable& table, Control& control, const Doors& doors, const Previews& previews) {
  table.add("GET", "/v1/sandboxes/{id}/ports", [&control](Call call) { return list(control, std::move(call)); });
  const Handler pass_on = [&control, &doors](Call call) { return pass(control, doors, std::move(call)); };
  for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
    table.add_forwarded(method, "/v1/sandboxes/{id}/ports/{port}", pass_on);
  table.add("POST", "/v1/sandboxes/{id}/previews",
            [&control, &previews](Call call) { return preview(control, previews, std::move(call)); });
  table.add_asking("GET", "/v1/sandboxes/{id}/tunnel",
                   [&control](Call call) { return tunnel(control, std::move(call)); });
}

}  // namespace lmsb::server
