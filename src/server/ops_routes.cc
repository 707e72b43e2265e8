#include "server/ops_routes.h"

#include "base/digest.h"
#include "base/text.h"
#include "json/writer.h"
#include "server/embedded.h"

namespace lmsb::server {
namespace {

using control::Control;

constexpr std::string_view kHome =
    "lm-sandbox " LMSB_VERSION
    "\n\n"
    "  /docs          the API, to read and to try\n"
    "  /openapi.json  the same for programs\n"
    "  /v1/info       what this daemon offers\n"
    "  /metrics       for Prometheus\n"
    "\n"
    "curl -X POST http://HOST:PORT/run-bash/ -H 'Content-Type: application/json' -d '{\"cmd\":\"whoami\"}'\n";

io::Task<http::Response> home(Call) { co_return http::Response::text(200, std::string(kHome)); }

io::Task<http::Response> healthz(Call) { co_return http::Response::json(200, R"({"status":"ok"})"); }

io::Task<http::Response> readyz(Control& control, Call) {
  const control::HealthReport health = control.health();
  json::Writer out;
  out.begin_object().key("ready").boolean(health.ready).key("checks").begin_object();
  for (const auto& [name, passed] : health.checks) out.key(name).boolean(passed);
  out.end_object().end_object();
  co_return http::Response::json(health.ready ? 200 : 503, std::move(out).str());
}

io::Task<http::Response> metrics_text(Metrics& metrics, Call) {
  co_return http::Response::text(200, metrics.text(), "text/plain; version=0.0.4; charset=utf-8");
}

io::Task<http::Response> openapi(Call) { co_return http::Response::json(200, std::string(kOpenApiJson)); }

io::Task<http::Response> docs(std::string policy, Call) {
  http::Response response = http::Response::text(200, std::string(kDocsHtml), "text/html; charset=utf-8");
  response.headers.set("Content-Security-Policy", std::move(policy));
  co_return response;
}

// "'sha256-...'" of what stands between <tag> and </tag>.
std::string source_hash(std::string_view html, const std::string& tag) {
  const std::string open = "<" + tag + ">";
  const std::size_t begin = html.find(open);
  if (begin == std::string_view::npos) return "'none'";
  const std::size_t content = begin + open.size();
  const Sha256 digest = sha256(html.substr(content, html.find("</" + tag + ">", content) - content));
  return "'sha256-" + base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}) + "'";
}

}  // namespace

std::string policy_of_page(std::string_view html) {
  return "default-src 'none'; connect-src 'self'; script-src " + source_hash(html, "script") + "; style-src " +
         source_hash(html, "style") + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

void add_ops_routes(RouteTable& table, Control& control, Metrics& metrics) {
  table.add_early("GET", "/", home);
  table.add_public("GET", "/healthz", healthz);
  table.add_public("GET", "/readyz", [&control](Call call) { return readyz(control, std::move(call)); });
  table.add_early("GET", "/metrics", [&metrics](Call call) { return metrics_text(metrics, std::move(call)); });
  table.add_early("GET", "/openapi.json", openapi);
  table.add_early("GET", "/docs",
                  [policy = policy_of_page(kDocsHtml)](Call call) { return docs(policy, std::move(call)); });
}

}  // namespace lmsb::server
