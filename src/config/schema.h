#pragma once
// The table of every setting, and what follows from one row: its variable's name, its checks, how it prints.
// Pure; any thread. A row lives as long as the program.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "base/units.h"
#include "config/config.h"
#include "config/toml_file.h"

namespace lmsb::config {

// Where a setting lives in a Config; the alternative is its type.
using Field = std::variant<std::string*, std::vector<std::string>*, bool*, std::uint32_t*, double*, Bytes*,
                           std::chrono::milliseconds*, Secret*>;

// What a text, or each item of a list, must look like.
enum class Form : std::uint8_t {
  any,
  filled,
  choice,
  address,
  address_or_off,
  absolute_path,
  url,
  sha256,
  sandbox_name
};

struct Setting {
  std::string_view key;  // "a.b", or "a" for one outside the sections
  Field (*field)(Config& config);
  std::string_view about;  // one sentence
  double min = 0;          // of numbers, sizes (bytes) and durations (milliseconds)
  double max = 0;
  Form form = Form::any;
  std::string_view choices = {};  // of Form::choice: "text, json"
  // What to do instead, of a setting whose part of the program is still to come: only its default is taken.
  std::string_view not_yet = {};
};

// In the order of the example file: first those outside the sections, then section by section.
std::span<const Setting> settings();
// nullptr when there is none.
const Setting* find_setting(std::string_view key);
const Setting& nearest_setting(std::string_view key);
bool is_section(std::string_view name);

// "LM_SANDBOX_POOL__SIZE" for "pool.size".
std::string environment_name(const Setting& setting);

// What is allowed, for a message: "a whole number from 0 to 1024".
std::string allowed(const Setting& setting);

// `text` as the type of `setting`, or as text when it is not of that type. A list is split at commas.
Value value_from_text(const Setting& setting, std::string_view text);

// Checks `value` and stores it in `config`; the error says what is allowed, and never repeats a secret.
Status assign(Config& config, const Setting& setting, const Value& value);

// Whether `a` and `b` hold the same value; secrets count.
bool is_same(const Config& a, const Config& b, const Setting& setting);

// The value as TOML; a secret as "***", or "" when there is none.
std::string render(const Config& config, const Setting& setting);

}  // namespace lmsb::config
