#include "server/query_fields.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace lmsb::server {

Error invalid_query(std::string message) {
  return Error(ErrorCode::invalid_argument, std::move(message)).with_slug("invalid_request");
}

Status check_names(const Query& query, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : query)
    if (std::find(known.begin(), known.end(), name) == known.end())
      return invalid_query("unknown query field " + quoted(name));
  return {};
}

Result<std::uint64_t> number_of(const Query& query, const std::string& name, std::uint64_t fallback,
                                std::uint64_t max) {
  const auto found = query.find(name);
  if (found == query.end()) return fallback;
  std::uint64_t value = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [at, error] = std::from_chars(found->second.data(), end, value);
  if (error == std::errc() && at == end && value <= max) return value;
  return invalid_query(name + " must be a whole number from 0 to " + std::to_string(max));
}

Result<bool> flag_of(const Query& query, const std::string& name, bool fallback) {
  const auto found = query.find(name);
  if (found == query.end()) return fallback;
  if (found->second == "true" || found->second == "1") return true;
  if (found->second == "false" || found->second == "0") return false;
  return invalid_query(name + " must be true or false");
}

Result<Labels> parse_labels(std::string_view text) {
  Labels labels;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    const std::size_t equals = one.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      return invalid_query("label must be key=value, several with commas between");
    }
    labels[std::string(one.substr(0, equals))] = std::string(one.substr(equals + 1));
  }
  return labels;
}

Result<std::size_t> page_limit(const Query& query) {
  const auto limit = number_of(query, "limit", 100, 1000);
  if (!limit.ok() || *limit == 0) return invalid_query("limit must be a whole number from 1 to 1000");
  return static_cast<std::size_t>(*limit);
}

}  // namespace lmsb::server
