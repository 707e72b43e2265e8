#include "config/schema.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <numeric>
#include <optional>
#include <utility>

#include "base/ids.h"
#include "base/text.h"

namespace lmsb::config {
namespace {

using std::chrono::milliseconds;

// The field of `setting` in a config that is only read.
Field read_field(const Config& config, const Setting& setting) { return setting.field(const_cast<Config&>(config)); }

// ---- Checks

bool is_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view port = text.substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size();
}

bool is_choice(std::string_view choices, std::string_view text) {
  const std::string all = ", " + std::string(choices) + ", ";
  return text.find(',') == std::string_view::npos && !text.empty() &&
         all.find(", " + std::string(text) + ", ") != std::string::npos;
}

bool is_sha256(std::string_view text) {
  const auto is_hex = [](unsigned char c) { return std::isxdigit(c) != 0; };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_hex);
}

bool has_form(const Setting& setting, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return false;
  switch (setting.form) {
    case Form::any: return true;
    case Form::filled: return !text.empty();
    case Form::choice: return is_choice(setting.choices, text);
    case Form::address: return is_address(text);
    case Form::address_or_off: return text == "off" || is_address(text);
    case Form::absolute_path: return text.starts_with('/');
    case Form::url: return text.starts_with("http://") || text.starts_with("https://");
    case Form::sha256: return is_sha256(text);
    case Form::sandbox_name: return is_sandbox_name(text);
  }
  return false;
}

std::string form_name(const Setting& setting) {
  switch (setting.form) {
    case Form::any: return "a text";
    case Form::filled: return "a text that is not empty";
    case Form::choice:
      return (is_choice(setting.choices, setting.choices) ? "" : "one of ") + std::string(setting.choices);
    case Form::address: return "ADDR:PORT";
    case Form::address_or_off: return "ADDR:PORT or off";
    case Form::absolute_path: return "an absolute path";
    case Form::url: return "an http:// or https:// address";
    case Form::sha256: return "64 hexadecimal digits";
    case Form::sandbox_name: return "a name [A-Za-z0-9][A-Za-z0-9_.-]{0,62} that does not look like an id";
  }
  return "";
}

bool in_range(const Setting& setting, double number) { return number >= setting.min && number <= setting.max; }

// Plain digits where they fit, as people write them.
std::string number_text(double number) {
  std::array<char, 32> text;
  char* const end = text.data() + text.size();
  auto done = std::to_chars(text.data(), end, number, std::chars_format::fixed);
  if (done.ec != std::errc()) done = std::to_chars(text.data(), end, number);
  return {text.data(), done.ptr};
}

// A text may always be what its default is: empty where empty means "none".
bool is_default(const Setting& setting, const std::string& text) {
  Config defaults;
  return *std::get<std::string*>(setting.field(defaults)) == text;
}

// ---- store(): puts a value of the right type into a field; false when it is not allowed.

bool store(std::string& field, const Setting& setting, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || !(has_form(setting, *text) || is_default(setting, *text))) return false;
  field = *text;
  return true;
}

bool store(std::vector<std::string>& field, const Setting& setting, const Value& value) {
  const auto* items = std::get_if<std::vector<std::string>>(&value);
  if (items == nullptr) return false;
  if (!std::all_of(items->begin(), items->end(), [&](const auto& item) { return has_form(setting, item); }))
    return false;
  field = *items;
  if (setting.form != Form::sha256) return true;
  for (std::string& digest : field) {
    for (char& c : digest) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return true;
}

bool store(bool& field, const Setting&, const Value& value) {
  const auto* flag = std::get_if<bool>(&value);
  if (flag != nullptr) field = *flag;
  return flag != nullptr;
}

bool store(double& field, const Setting& setting, const Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  if (whole == nullptr && real == nullptr) return false;
  const double number = whole != nullptr ? static_cast<double>(*whole) : *real;
  if (!in_range(setting, number)) return false;
  field = number;
  return true;
}

bool store(Bytes& field, const Setting& setting, const Value& value) {
  std::optional<Bytes> bytes;
  if (const auto* text = std::get_if<std::string>(&value)) bytes = parse_bytes(*text);
  if (const auto* count = std::get_if<std::int64_t>(&value); count != nullptr && *count >= 0) {
    bytes = Bytes(static_cast<std::uint64_t>(*count));
  }
  if (!bytes || !in_range(setting, static_cast<double>(bytes->count()))) return false;
  field = *bytes;
  return true;
}

bool store(std::uint32_t& field, const Setting& setting, const Value& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || !in_range(setting, static_cast<double>(*number))) return false;
  field = static_cast<std::uint32_t>(*number);
  return true;
}

bool store(milliseconds& field, const Setting& setting, const Value& value) {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr || !in_range(setting, static_cast<double>(*number))) return false;
  field = milliseconds(*number);
  return true;
}

bool store(Secret& field, const Setting&, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text != nullptr) field = Secret(*text);
  return text != nullptr;
}

// ---- Printing

std::string print(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += std::string("\\u00") + kHex[byte >> 4U] + kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string print(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + print(item);
  return '[' + out + ']';
}

std::string print(bool flag) { return flag ? "true" : "false"; }
std::string print(std::uint32_t number) { return std::to_string(number); }
std::string print(double number) { return number_text(number); }
std::string print(Bytes bytes) { return bytes == Bytes() ? "0" : print(format_bytes(bytes)); }
std::string print(milliseconds time) { return std::to_string(time.count()); }
std::string print(const Secret& secret) { return print(std::string(secret.empty() ? "" : to_string(secret))); }

// What was given, for a message; nothing when it may be a secret.
std::string given(const Setting& setting, const Value& value) {
  Config config;
  if (setting.form == Form::sha256 || std::holds_alternative<Secret*>(setting.field(config))) return "";
  if (const auto* other = std::get_if<OtherValue>(&value)) return ", not " + other->kind;
  if (const auto* text = std::get_if<std::string>(&value)) return ", not " + quoted(*text);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return ", not " + std::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return ", not " + number_text(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return ", not " + print(*flag);
  return ", not " + quoted(print(std::get<std::vector<std::string>>(value)));
}

// ---- Text to values

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional<T>(number) : std::nullopt;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (std::string item = trimmed(text.substr(0, comma)); !item.empty()) items.push_back(std::move(item));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return items;
}

// ---- Names

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

// A right name in the wrong section is near.
std::size_t distance(std::string_view key, std::string_view known) {
  const std::string_view key_leaf = key.substr(key.rfind('.') + 1);
  const std::string_view known_leaf = known.substr(known.rfind('.') + 1);
  return std::min(edit_distance(key, known), edit_distance(key_leaf, known_leaf) + 2);
}

}  // namespace

const Setting* find_setting(std::string_view key) {
  const auto found = std::find_if(settings().begin(), settings().end(), [&](const auto& s) { return s.key == key; });
  return found == settings().end() ? nullptr : &*found;
}

const Setting& nearest_setting(std::string_view key) {
  key = key.substr(0, 128);  // bounds the work; no known key is as long
  return *std::min_element(settings().begin(), settings().end(),
                           [&](const auto& a, const auto& b) { return distance(key, a.key) < distance(key, b.key); });
}

bool is_section(std::string_view name) {
  const std::string prefix = std::string(name) + '.';
  return std::any_of(settings().begin(), settings().end(),
                     [&](const auto& setting) { return setting.key.starts_with(prefix); });
}

std::string environment_name(const Setting& setting) {
  std::string name = "LM_SANDBOX_";
  for (const char c : setting.key) {
    if (c == '.') {
      name += "__";
    } else {
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
  }
  return name;
}

std::string allowed(const Setting& setting) {
  Config config;
  const Field field = setting.field(config);
  if (!setting.not_yet.empty()) return "only " + render(config, setting) + " so far";
  const std::string range = "from " + number_text(setting.min) + " to " + number_text(setting.max);
  if (std::holds_alternative<bool*>(field)) return "true or false";
  if (std::holds_alternative<std::uint32_t*>(field)) return "a whole number " + range;
  if (std::holds_alternative<double*>(field)) return "a number " + range;
  if (std::holds_alternative<milliseconds*>(field)) return "a whole number of milliseconds " + range;
  if (std::holds_alternative<Secret*>(field)) return "a text";
  if (std::holds_alternative<std::vector<std::string>*>(field)) return "a list, each item " + form_name(setting);
  if (std::holds_alternative<std::string*>(field)) return form_name(setting);
  const auto size = [](double bytes) { return format_bytes(Bytes(static_cast<std::uint64_t>(bytes))); };
  return "a size such as \"512m\" or a number of bytes, from " + size(setting.min) + " to " + size(setting.max);
}

Value value_from_text(const Setting& setting, std::string_view text) {
  Config config;
  const Field field = setting.field(config);
  if (std::holds_alternative<std::vector<std::string>*>(field)) return split(text);
  if (std::holds_alternative<bool*>(field)) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
  } else if (std::holds_alternative<double*>(field)) {
    if (const auto number = parse_number<double>(text)) return *number;
  } else if (std::holds_alternative<std::uint32_t*>(field) || std::holds_alternative<milliseconds*>(field)) {
    if (const auto number = parse_number<std::int64_t>(text)) return *number;
  }
  return std::string(text);
}

Status assign(Config& config, const Setting& setting, const Value& value) {
  const bool stored = std::visit([&](auto* field) { return store(*field, setting, value); }, setting.field(config));
  if (stored && !setting.not_yet.empty() && !is_same(config, Config(), setting))
    return Error(ErrorCode::unsupported, std::string(setting.key) + ": not yet: " + std::string(setting.not_yet));
  if (stored) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(setting.key) + " must be " + allowed(setting) + given(setting, value));
}

bool is_same(const Config& a, const Config& b, const Setting& setting) {
  const auto same = [](const auto* one, const auto* other) {
    using One = std::remove_cvref_t<decltype(*one)>;
    if constexpr (!std::is_same_v<One, std::remove_cvref_t<decltype(*other)>>) {
      return false;
    } else if constexpr (std::is_same_v<One, Secret>) {
      return one->reveal() == other->reveal();
    } else {
      return *one == *other;
    }
  };
  return std::visit(same, read_field(a, setting), read_field(b, setting));
}

std::string render(const Config& config, const Setting& setting) {
  return std::visit([](const auto* field) { return print(*field); }, read_field(config, setting));
}

}  // namespace lmsb::config
