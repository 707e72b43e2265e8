#include "server/port_location.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "http/message.h"
#include "http/target.h"
#include "server/authority.h"

namespace lmsb::server {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Of a URL; browsers take a backslash for a slash and leave blanks out.
bool is_plain(char c) { return c > ' ' && c < '\x7f' && c != '\\'; }

std::string_view take_until(std::string_view& text, std::string_view ends) {
  const std::string_view taken = text.substr(0, text.find_first_of(ends));
  text.remove_prefix(taken.size());
  return taken;
}

// "http" of "http:..."; "" of a relative reference.
std::string_view scheme_of(std::string_view text) {
  const std::string_view scheme = text.substr(0, text.find_first_of(":/?#"));
  if (scheme.empty() || scheme.size() == text.size() || text[scheme.size()] != ':' || !is_letter(scheme.front()))
    return {};
  const bool is_scheme = std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
  return is_scheme ? scheme : std::string_view();
}

// Without dot segments, however they are written, and never above the root. Nothing: a segment hides a slash beside
// dots, or cannot be read.
std::optional<std::string> without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_open = false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = take_until(path, "/");
    const auto plain = http::percent_decode(segment, false);
    if (!plain.ok()) return std::nullopt;
    if (plain->find("..") != std::string::npos && plain->find_first_of("/\\") != std::string::npos) return std::nullopt;
    ends_open = *plain == "." || *plain == "..";
    if (!ends_open) kept.push_back(segment);
    if (*plain == ".." && !kept.empty()) kept.pop_back();
  }
  std::string out;
  for (const std::string_view segment : kept) out += "/" + std::string(segment);
  return ends_open || out.empty() ? out + "/" : out;
}

// `text` is a path with what stands behind it.
std::optional<std::string> below_prefix(std::string_view text, const LocationPlace& place) {
  const auto path = without_dots(take_until(text, "?#"));
  if (!path) return std::nullopt;
  const bool knows_prefix = *path == place.prefix || path->starts_with(place.prefix + "/");  // X-Forwarded-Prefix
  return (knows_prefix ? "" : place.prefix) + *path + std::string(text);
}

bool is_here(const Authority& authority, std::string_view name, const LocationPlace& place) {
  const bool is_local = authority.is_loopback() || authority.host.ends_with(".localhost") ||
                        authority.host == "0.0.0.0" || authority.host == "[::]";
  return is_local || place.is_ours(name);
}

// `text` is `whole` behind its scheme: "//host/path".
std::optional<std::string> of_network_path(std::string_view whole, std::string_view text, const LocationPlace& place) {
  text.remove_prefix(2);
  const std::string_view name = take_until(text, "/?#");
  const auto authority = Authority::parse(name);
  if (!authority) return std::nullopt;
  const bool is_port =
      authority->host == "localhost" && authority->port == std::to_string(place.port);  // as its Host says
  if (is_port || http::same_name(name, place.host))
    return below_prefix(text.starts_with('/') ? std::string(text) : "/" + std::string(text), place);
  if (is_here(*authority, name, place)) return std::nullopt;
  return std::string(whole);
}

std::optional<std::string> of_relative(std::string_view text, const LocationPlace& place) {
  const std::string_view query_at = std::string_view(place.target).substr(0, place.target.find('#'));
  const std::string_view path = query_at.substr(0, query_at.find('?'));
  if (text.empty() || text.starts_with('#')) return below_prefix(std::string(query_at) + std::string(text), place);
  if (text.starts_with('?')) return below_prefix(std::string(path) + std::string(text), place);
  return below_prefix(std::string(path.substr(0, path.rfind('/') + 1)) + std::string(text), place);
}

}  // namespace

std::optional<std::string> confined_location(std::string_view location, const LocationPlace& place) {
  const std::string_view whole = trim(location);
  if (!std::all_of(whole.begin(), whole.end(), is_plain)) return std::nullopt;
  const std::string_view scheme = scheme_of(whole);
  if (!scheme.empty()) {
    const std::string_view rest = whole.substr(scheme.size() + 1);
    const bool is_http = http::same_name(scheme, "http") || http::same_name(scheme, "https");
    return is_http && rest.starts_with("//") ? of_network_path(whole, rest, place) : std::nullopt;
  }
  if (whole.starts_with("//")) return of_network_path(whole, whole, place);
  return whole.starts_with('/') ? below_prefix(whole, place) : of_relative(whole, place);
}

}  // namespace lmsb::server
