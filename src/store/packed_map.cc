#include "store/packed_map.h"

#include <charconv>
#include <utility>

namespace lmsb::store {
namespace {

void add(std::string& packed, const std::string& text) { packed += std::to_string(text.size()) + ":" + text; }

std::optional<std::string> take(std::string_view& octets) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(octets.data(), octets.data() + octets.size(), size);
  if (error != std::errc() || end == octets.data() + octets.size() || *end != ':') return std::nullopt;
  octets.remove_prefix(static_cast<std::size_t>(end - octets.data()) + 1);
  if (size > octets.size()) return std::nullopt;
  std::string text(octets.substr(0, size));
  octets.remove_prefix(size);
  return text;
}

}  // namespace

std::string pack(const std::map<std::string, std::string>& map) {
  std::string packed;
  for (const auto& [name, value] : map) {
    add(packed, name);
    add(packed, value);
  }
  return packed;
}

std::optional<std::map<std::string, std::string>> unpack(std::string_view octets) {
  std::map<std::string, std::string> map;
  while (!octets.empty()) {
    auto name = take(octets);
    auto value = take(octets);
    if (!name || !value) return std::nullopt;
    map[*std::move(name)] = *std::move(value);
  }
  return map;
}

}  // namespace lmsb::store
