#include "server/port_headers.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "http/target.h"

namespace lmsb::server {
namespace {

// clang-format off
constexpr std::array<std::string_view, 4> kOurs = {"X-API-Key", "X-Access-Token", kPreviewHeader, "Forwarded"};
// Cookies, policies, permissions and reports of a whole origin; what makes a client answer by itself, or go elsewhere.
constexpr std::array<std::string_view, 26> kOfAnOrigin = {
    "Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed",
    "Public-Key-Pins", "Expect-CT", "Alt-Svc", "WWW-Authenticate", "Refresh", "Link", "NEL", "Report-To",
    "Reporting-Endpoints", "Accept-CH", "Critical-CH", "Origin-Agent-Cluster", "Content-Security-Policy",
    "Content-Security-Policy-Report-Only", "SourceMap", "X-SourceMap", "Speculation-Rules",
    "Sec-Session-Registration", "Secure-Session-Registration", "Use-As-Dictionary", "Content-Location"};
// clang-format on

std::string without_port(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return "127.0.0.1";  // by the unix socket
  std::string host = address.substr(0, colon);
  std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  return host;
}

// "a=1; b=2" as "a=1", "b=2".
std::vector<std::string_view> cookies_of(std::string_view field) {
  std::vector<std::string_view> cookies;
  while (!field.empty()) {
    const std::string_view cookie = field.substr(0, field.find(';'));
    field.remove_prefix(std::min(cookie.size() + 1, field.size()));
    if (!trim(cookie).empty()) cookies.push_back(trim(cookie));
  }
  return cookies;
}

std::string_view name_of(std::string_view pair) { return pair.substr(0, pair.find('=')); }

// As parse_target() reads the name.
bool is_named(std::string_view pair, std::string_view name) {
  const auto decoded = http::percent_decode(name_of(pair), true);
  return decoded.ok() ? *decoded == name : name_of(pair) == name;
}

void remove_cookie(http::Headers& headers, std::string_view name) {
  std::string kept;
  for (const auto& [key, value] : headers.fields()) {
    if (!http::same_name(key, "Cookie")) continue;
    for (const std::string_view cookie : cookies_of(value))
      if (name_of(cookie) != name) kept += (kept.empty() ? "" : "; ") + std::string(cookie);
  }
  headers.remove("Cookie");
  if (!kept.empty()) headers.add("Cookie", std::move(kept));
}

// A page's address may have had the token.
void clean_referer(http::Headers& headers) {
  const auto referer = headers.find("Referer");
  if (!referer) return;
  const bool is_one = headers.count("Referer") == 1;
  std::string cleaned = without_query_field(*referer, kPreviewToken);
  headers.remove("Referer");
  if (is_one) headers.add("Referer", std::move(cleaned));
}

void confine_location(http::Headers& headers, const LocationPlace& place) {
  const auto told = headers.find("Location");
  if (!told) return;
  const bool is_one = headers.count("Location") == 1;
  auto location = is_one ? confined_location(*told, place) : std::nullopt;
  headers.remove("Location");
  if (location) headers.add("Location", *std::move(location));
}

void edit_for_any_form(http::Headers& headers, const PortVisit& visit) {
  for (const std::string_view name : kOurs) headers.remove(name);
  clean_referer(headers);
  headers.set("X-Forwarded-For", visit.client);
  headers.set("X-Forwarded-Host", visit.host);
  headers.set("X-Forwarded-Proto", visit.is_tls ? "https" : "http");
}

}  // namespace

PortVisit PortVisit::of(const http::Request& request, std::uint16_t port) {
  PortVisit visit;
  visit.client = without_port(request.peer.address);
  visit.host = std::string(request.headers.find("Host").value_or(""));
  visit.port = port;
  visit.is_tls = request.peer.is_tls;
  return visit;
}

void edit_for_path_form(http::Headers& headers, const PortVisit& visit, const std::string& prefix) {
  edit_for_any_form(headers, visit);
  headers.remove("Authorization");
  headers.remove("Cookie");
  headers.set("X-Forwarded-Prefix", prefix);
  headers.set("Host", "localhost:" + std::to_string(visit.port));
}

void edit_for_host_form(http::Headers& headers, const PortVisit& visit, bool with_authorization) {
  edit_for_any_form(headers, visit);
  remove_cookie(headers, kPreviewToken);
  if (!with_authorization) headers.remove("Authorization");
}

void confine_answer(http::Headers& headers, const LocationPlace& place) {
  confine_location(headers, place);
  for (const std::string_view name : kOfAnOrigin) headers.remove(name);
  std::vector<std::string> granted;  // to pages of other sites
  for (const auto& [name, value] : headers.fields())
    if (http::same_name(name.substr(0, 15), "Access-Control-")) granted.push_back(name);
  for (const std::string& name : granted) headers.remove(name);
  headers.set("Content-Security-Policy", "sandbox");
  headers.set("X-Content-Type-Options", "nosniff");
}

std::string_view origin_form(std::string_view target) {
  if (target.starts_with('/')) return target;
  const std::size_t slashes = target.find("://");
  if (slashes == std::string_view::npos) return "/";
  target.remove_prefix(slashes + 3);
  target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  return target;
}

std::string behind_segments(std::string_view target, std::size_t count) {
  for (; count > 0; --count) target.remove_prefix(std::min(target.find_first_of("/?", 1), target.size()));
  return target.starts_with('/') ? std::string(target) : "/" + std::string(target);
}

std::string without_query_field(std::string_view target, std::string_view name) {
  const std::size_t mark = target.find('?');
  std::string out(target.substr(0, mark));
  if (mark == std::string_view::npos) return out;
  char separator = '?';
  for (std::string_view query = target.substr(mark + 1); !query.empty();) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (is_named(pair, name)) continue;
    out += separator;
    out += pair;
    separator = '&';
  }
  return out;
}

std::string_view cookie_of(const http::Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers.fields()) {
    if (!http::same_name(key, "Cookie")) continue;
    for (const std::string_view cookie : cookies_of(value))
      if (name_of(cookie) == name) return cookie.substr(std::min(name.size() + 1, cookie.size()));
  }
  return {};
}

}  // namespace lmsb::server
