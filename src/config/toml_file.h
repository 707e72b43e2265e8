#pragma once
// toml_file: a TOML file as a flat list of keys, so that the TOML library stays inside toml_file.cc.
// Pure but for read_file(); any thread.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::config {

// A value of a kind that no setting has; the name is for messages ("a date").
struct OtherValue {
  std::string kind;
};
using Value = std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>, OtherValue>;

struct Entry {
  std::string key;  // "a.b"; a part that needs quotes keeps them, so it equals no known key
  Value value;
  std::uint32_t line = 0;  // both from 1
  std::uint32_t column = 0;
};

// The entries of `text` in the order of their lines. An empty table is an entry too, with the kind "a table". The error
// begins with name:line:column.
Result<std::vector<Entry>> parse_toml(std::string_view text, const std::string& name);

// All of the file at `path`. The error names the path; it is also one when the file is larger than `max`. Blocks.
Result<std::string> read_file(const std::string& path, Bytes max);

}  // namespace lmsb::config
