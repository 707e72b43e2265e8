#include "server/previews.h"

#include <array>

#include "base/clock.h"
#include "control/port_service.h"
#include "http/forward.h"
#include "server/answers.h"
#include "server/authority.h"
#include "server/port_headers.h"
#include "server/port_proxy.h"

namespace lmsb::server {
namespace {

std::string token_in_query(const http::Request& request) {
  const auto found = request.query.find(std::string(kPreviewToken));
  return found == request.query.end() ? std::string() : found->second;
}

// Whether it is a browser that opens a page: programs do not come back with a cookie.
bool opens_a_page(const http::Request& request) {
  if (request.method != "GET" || request.headers.find("Upgrade")) return false;
  if (const auto mode = request.headers.find("Sec-Fetch-Mode")) return *mode == "navigate";
  const auto accept = request.headers.find("Accept");
  return accept && accept->find("text/html") != std::string_view::npos;
}

// What begins with two slashes would name another server.
std::string location_of(const http::Request& request) {
  const std::string target = without_query_field(origin_form(request.target), kPreviewToken);
  return target.starts_with("//") ? "/." + target : target.starts_with('/') ? target : "/" + target;
}

http::Response go_on_with(const std::string& cookie, const http::Request& request) {
  http::Response response;
  response.status = 303;
  response.headers.set("Location", location_of(request));
  response.headers.set("Set-Cookie", cookie);
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("Referrer-Policy", "no-referrer");
  return response;
}

Refusal no_longer_valid() {
  Error error(ErrorCode::permission_denied, "the preview's token is not valid for this port, or no longer");
  return {403,
          std::move(error)
              .with_slug("preview_token_invalid")
              .with_hint("POST /v1/sandboxes/{id}/previews, or `lm-sandbox port SANDBOX PORT --url`, gives a new one")};
}

}  // namespace

std::string Previews::local_url() const {
  if (listening_port_ == 0) return "";
  return (is_listening_by_tls_ ? "https://" : "http://") + local_host_ + ":" + std::to_string(listening_port_);
}

Result<Previews::Link> Previews::make(const PreviewHost& place, const control::Principal& by, std::chrono::seconds life,
                                      const http::Request& request) const {
  const auto host = Authority::parse(request.headers.find("Host").value_or(""));
  const bool says_port = host && host->is_loopback() && !request.peer.is_unix;
  std::string port = says_port ? host->port : std::to_string(listening_port_);
  if (port == "0")
    return Error(ErrorCode::failed_precondition, "the daemon listens on no TCP port that a browser could open")
        .with_slug("no_preview_address")
        .with_hint("start it with --listen 127.0.0.1:8000");
  Link link;
  link.token = tokens_.make(place, Doors::is_of_key(by.name) ? by.name : "", PreviewTokens::Clock::now() + life);
  link.expires_at = rfc3339_in(life);
  const bool is_tls = says_port ? request.peer.is_tls : is_listening_by_tls_;
  link.url = (is_tls ? "https://" : "http://") + place.name() + (port.empty() ? "" : ":" + port) + "/?" +
             std::string(kPreviewToken) + "=" + link.token;
  return link;
}

Status Previews::check_maker(const std::string& by, const PreviewHost& place) const {
  if (by.empty()) return {};
  LMSB_TRY(const auto maker, doors_.enter_as(by));
  const auto sandbox = control_.ports().may_connect(maker, place.sandbox);
  return sandbox.ok() ? Status() : Status(Error(sandbox.error()));
}

Previews::Entry Previews::receive(const PreviewHost& place, const http::Request& request) const {
  Entry entry;
  entry.refusal = doors_.check_preview_source(request, place);
  if (entry.refusal) return entry;
  const std::string in_query = token_in_query(request);
  const std::array<std::string, 3> given = {in_query, std::string(request.headers.find(kPreviewHeader).value_or("")),
                                            std::string(cookie_of(request.headers, kPreviewToken))};
  bool is_given = false;
  for (const std::string& token : given) {
    if (token.empty()) continue;
    is_given = true;
    const auto [left, by] = tokens_.read(token, place);
    if (left.count() <= 0) continue;
    const Status may = check_maker(by, place);
    if (!may.ok() && may.error().code() == ErrorCode::resource_exhausted) {
      entry.refusal = Refusal{http_status(may.error().code()), may.error()};
      return entry;
    }
    if (!may.ok()) continue;
    entry.on_behalf_of = by;
    entry.who = control::Principal{"preview:" + place.sandbox, true};  // for this one place
    if (token == in_query && opens_a_page(request))
      entry.cookie = std::string(kPreviewToken) + "=" + token +
                     "; Path=/; HttpOnly; SameSite=Lax; Max-Age=" + std::to_string(left.count()) +
                     (request.peer.is_tls ? "; Secure" : "");
    return entry;
  }
  auto principal = doors_.authenticate(request);
  if (principal.ok()) {
    entry.who = *std::move(principal);
    entry.on_behalf_of = entry.who.name;
  } else {
    entry.refusal = is_given ? no_longer_valid() : Refusal{http_status(principal.error().code()), principal.error()};
  }
  return entry;
}

io::Task<http::Response> Previews::answer(PreviewHost place, Entry entry, http::Request request) {
  if (!entry.cookie.empty()) co_return go_on_with(entry.cookie, request);
  const PortVisit visit = PortVisit::of(request, place.port);
  const bool with_authorization = doors_.may_pass_on_authorization(request.headers);
  http::ForwardedRequest forwarded(std::move(request));
  forwarded.target = behind_segments(without_query_field(origin_form(forwarded.target), kPreviewToken), 0);
  edit_for_host_form(forwarded.headers, visit, with_authorization);
  co_return co_await pass_to_port(control_, std::move(entry.who), std::move(place.sandbox), place.port,
                                  std::move(forwarded));
}

}  // namespace lmsb::server
