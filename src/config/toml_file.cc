#include "config/toml_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <unistd.h>
#include <utility>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// Version 3.3 asserts of some input what it then also reports as an error: "[%]".
#define TOML_ASSERT(expression) static_assert(true)
#include <toml++/toml.h>

#include "base/unique_fd.h"

namespace lmsb::config {
namespace {

std::string key_part(std::string_view key) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const bool plain = !key.empty() && std::all_of(key.begin(), key.end(), is_plain);
  return plain ? std::string(key) : '"' + std::string(key) + '"';
}

std::string kind_name(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list of something else";
  if (node.is_date() || node.is_time() || node.is_date_time()) return "a date or time";
  return "something else";
}

// Nothing when an item is not a text.
std::optional<std::vector<std::string>> texts(const toml::array& array) {
  std::vector<std::string> items;
  for (const toml::node& node : array) {
    if (!node.is_string()) return std::nullopt;
    items.push_back(node.as_string()->get());
  }
  return items;
}

Value value_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* array = node.as_array()) {
    if (auto items = texts(*array)) return *std::move(items);
  }
  return OtherValue{kind_name(node)};
}

Entry entry_of(std::string key, const toml::source_position& at, Value value) {
  return Entry{std::move(key), std::move(value), at.line, at.column};
}

// The library bounds how deep tables may nest, and so this recursion.
void flatten(const toml::table& table, const std::string& prefix, std::vector<Entry>& out) {
  for (const auto& [name, node] : table) {
    std::string key = prefix + key_part(name.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty()) {
      flatten(*inner, key + '.', out);
    } else {
      out.push_back(entry_of(std::move(key), name.source().begin, value_of(node)));
    }
  }
}

}  // namespace

Result<std::vector<Entry>> parse_toml(std::string_view text, const std::string& name) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    const auto& at = error.source().begin;
    return Error(ErrorCode::invalid_argument, name + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) +
                                                  ": " + std::string(error.description()));
  }
  std::vector<Entry> entries;
  flatten(parsed.table(), "", entries);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return entries;
}

Result<std::string> read_file(const std::string& path, Bytes max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return Error::from_errno(errno, "open " + path);
  std::string text;
  std::array<char, 4096> chunk;
  while (true) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "read " + path);
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > max.count()) {
      return Error(ErrorCode::invalid_argument, "read " + path + ": larger than " + format_bytes(max));
    }
  }
}

}  // namespace lmsb::config
