#include "server/query_fields.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "control/paging.h"
#include "http/target.h"

namespace lmsb::server {
namespace {

std::string hint_of(std::initializer_list<std::string_view> known) {
  if (known.size() == 0) return "this path takes none: /docs lists all paths";
  std::string names;
  for (const std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
  return "there are: " + names;
}

Error invalid_label() {
  return invalid_query("label must be key=value, several with commas between, and no key twice",
                       R"(label=team=a,stage=test lists what has both; a comma that is meant is written \,)");
}

constexpr char kEnd = '\0';     // of the text
constexpr char kCutOff = '\\';  // there is nothing behind a backslash

// Takes what stands before the first of `ends` off the front of `text`, and that too, which it returns. What stands
// behind a backslash is meant as it is.
char take_word(std::string_view& text, std::string_view ends, std::string& word) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (ends.find(c) != std::string_view::npos) {
      text.remove_prefix(i + 1);
      return c;
    }
    if (c == '\\' && ++i == text.size()) return kCutOff;
    word += text[i];
  }
  text = {};
  return kEnd;
}

}  // namespace

Error invalid_query(std::string message, std::string hint) {
  return Error(ErrorCode::invalid_argument, std::move(message)).with_slug("invalid_request").with_hint(std::move(hint));
}

Status check_names(const Query& query, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : query)
    if (std::find(known.begin(), known.end(), name) == known.end())
      return invalid_query("unknown query field " + quoted(name), hint_of(known));
  return {};
}

Status check_once(std::string_view target) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  std::set<std::string> names;
  target.remove_prefix(mark + 1);
  while (!target.empty()) {
    const std::string_view pair = target.substr(0, target.find('&'));
    target.remove_prefix(std::min(pair.size() + 1, target.size()));
    const auto name = http::percent_decode(pair.substr(0, pair.find('=')), true);
    if (pair.empty() || !name.ok() || names.insert(*name).second) continue;
    return invalid_query("query field " + quoted(*name) + " is there twice",
                         *name == "label" ? "label=key=value,key=value asks for both" : "say it once");
  }
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
  return invalid_query(name + " must be a whole number from 0 to " + std::to_string(max), "without a unit or a sign");
}

Result<bool> flag_of(const Query& query, const std::string& name, bool fallback) {
  const auto found = query.find(name);
  if (found == query.end()) return fallback;
  if (found->second == "true" || found->second == "1") return true;
  if (found->second == "false" || found->second == "0") return false;
  return invalid_query(name + " must be true or false", "leave it out for " + std::string(fallback ? "true" : "false"));
}

Result<Labels> labels_of(const Query& query) {
  Labels labels;
  const auto named = query.find("label");
  if (named == query.end()) return labels;
  std::string_view text = named->second;
  while (true) {
    std::string key;
    if (take_word(text, "=,", key) != '=' || key.empty()) return invalid_label();
    std::string value;
    const char end = take_word(text, ",", value);
    if (end == kCutOff || !labels.emplace(std::move(key), std::move(value)).second) return invalid_label();
    if (end == kEnd || text.empty()) return labels;
  }
}

Result<std::string> page_cursor(const Query& query, std::string_view prefix) {
  const auto named = query.find("cursor");
  if (named == query.end() || named->second.empty()) return std::string();
  if (control::is_cursor(named->second, prefix)) return named->second;
  return invalid_query("cursor " + quoted(named->second) + " is none of this list's",
                       "send next_cursor of the page before as it is, or leave cursor out for the first page");
}

Result<std::size_t> page_limit(const Query& query) {
  const auto limit = number_of(query, "limit", 100, 1000);
  if (!limit.ok() || *limit == 0)
    return invalid_query("limit must be a whole number from 1 to 1000", "next_cursor of a page leads to the next one");
  return static_cast<std::size_t>(*limit);
}

}  // namespace lmsb::server
