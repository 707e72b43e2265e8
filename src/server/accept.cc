#include "server/accept.h"

#include <algorithm>

#include "base/text.h"

namespace lmsb::server {
namespace {

// Takes what stands before `separator` off `text`.
std::string_view take(std::string_view& text, char separator) {
  const std::string_view item = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(item.size() + 1, text.size()));
  return trim(item);
}

// "0.5" as thousandths; what is not a weight counts for nothing.
int thousandths(std::string_view text) {
  if (text.starts_with('1')) return 1000;
  if (!text.starts_with("0.")) return 0;
  int weight = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const char digit = i < text.size() ? text[i] : '0';
    if (digit < '0' || digit > '9') return 0;
    weight = weight * 10 + (digit - '0');
  }
  return weight;
}

// What "q=" says; 1000 where nothing does.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = take(parameters, ';');
    if (http::same_name(parameter.substr(0, 2), "q=")) return thousandths(parameter.substr(2));
  }
  return 1000;
}

std::optional<std::size_t> place_of(std::string_view type, std::span<const std::string_view> types,
                                    std::size_t otherwise) {
  if (type == "*/*") return otherwise;
  const auto is_it = [type](std::string_view known) { return http::same_name(type, known); };
  const auto found = std::find_if(types.begin(), types.end(), is_it);
  if (found == types.end()) return std::nullopt;
  return static_cast<std::size_t>(found - types.begin());
}

}  // namespace

std::optional<std::size_t> most_wanted(const http::Headers& headers, std::span<const std::string_view> types,
                                       std::size_t otherwise) {
  const auto field = headers.find("Accept");
  if (!field) return otherwise;
  std::string_view accept = *field;
  std::optional<std::size_t> wanted;
  int highest = 0;
  while (!accept.empty()) {
    std::string_view item = take(accept, ',');
    const auto place = place_of(take(item, ';'), types, otherwise);
    const int weight = weight_of(item);
    if (!place || weight <= highest) continue;
    wanted = place;
    highest = weight;
  }
  return wanted;
}

}  // namespace lmsb::server
