#include "http/hop_headers.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace lmsb::http {
namespace {

constexpr std::array<std::string_view, 10> kHopHeaders = {
    "Connection",          "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info",
    "Proxy-Authorization", "TE",         "Trailer",          "Transfer-Encoding",  "Upgrade"};

// Takes the next of comma-separated items, without blanks around it.
std::string_view take_item(std::string_view& items) {
  std::string_view item = items.substr(0, items.find(','));
  items.remove_prefix(std::min(item.size() + 1, items.size()));
  item.remove_prefix(std::min(item.find_first_not_of(" \t"), item.size()));
  return item.substr(0, item.find_first_of(" \t"));
}

}  // namespace

bool lists(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [key, value] : headers.fields()) {
    if (!same_name(key, name)) continue;
    for (std::string_view items = value; !items.empty();)
      if (same_name(take_item(items), token)) return true;
  }
  return false;
}

void remove_hop_headers(Headers& headers) {
  std::vector<std::string> named;
  for (const auto& [key, value] : headers.fields()) {
    if (!same_name(key, "Connection")) continue;
    for (std::string_view items = value; !items.empty();) named.emplace_back(take_item(items));
  }
  for (const std::string& name : named) headers.remove(name);
  for (const std::string_view name : kHopHeaders) headers.remove(name);
}

}  // namespace lmsb::http
