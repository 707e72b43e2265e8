#include "cli/format_template.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.h"
#include "cli/api.h"

namespace lmsb::cli {
namespace {

Error refused(std::string message) {
  return Error(ErrorCode::invalid_argument, "--format: " + std::move(message))
      .with_hint("write fields as {{.id}} or {{json .labels}}; --json has all of them");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// "\t" and "\n" as they are typed between quotes.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 't' || next == 'n') ++i;
    plain += next == 't' ? '\t' : next == 'n' ? '\n' : text[i];
  }
  return plain;
}

// "CreatedAt" and "created_at" are one name.
std::string plain_name(std::string_view name) {
  std::string plain;
  for (const char c : name)
    if (c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return plain;
}

std::optional<json::Value> member_of(json::Value value, const std::string& name) {
  if (const auto found = value.find(name)) return found;
  for (const auto& [key, member] : value.members())
    if (plain_name(key) == plain_name(name)) return member;
  return std::nullopt;
}

// Docker's names for what is called otherwise here.
std::optional<json::Value> find_member(json::Value item, const std::string& name, bool is_first) {
  if (auto found = member_of(item, name)) return found;
  if (is_first && name == "Names") return member_of(item, "name");
  if (is_first && name == "Status") return member_of(item, "state");
  return std::nullopt;
}

std::string names_of(json::Value item) {
  std::string names;
  for (const auto& [key, member] : item.members()) names += (names.empty() ? "" : ", ") + std::string(key);
  return names;
}

Row split(const std::string& line, char at) {
  Row cells;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(at, begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

}  // namespace

Result<FormatTemplate::Field> FormatTemplate::parse_field(std::string_view text) {
  Field field;
  std::string_view name = trimmed(text);
  if (name.starts_with("json ")) {
    field.as_json = true;
    name = trimmed(name.substr(5));
  }
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  if (!name.starts_with('.') || !std::all_of(name.begin(), name.end(), fits))
    return refused(quoted("{{" + std::string(text) + "}}") + " names no field");
  if (name == ".") return field;
  field.path = split(std::string(name.substr(1)), '.');
  if (std::any_of(field.path.begin(), field.path.end(), [](const auto& part) { return part.empty(); }))
    return refused(quoted("{{" + std::string(text) + "}}") + " names no field");
  // The state of a sandbox is a word here, and an object in Docker's answers.
  if (field.path.size() == 2 && field.path[0] == "State" && field.path[1] == "Status") field.path.pop_back();
  return field;
}

Result<FormatTemplate> FormatTemplate::parse(std::string_view text) {
  FormatTemplate made;
  if (text == "json") text = "{{json .}}";
  if (text == "table" || text.starts_with("table ")) {
    made.is_table_ = true;
    text = trimmed(text.substr(5));
  }
  while (!text.empty()) {
    const std::size_t open = std::min(text.find("{{"), text.size());
    if (open > 0) made.parts_.emplace_back(unescaped(text.substr(0, open)));
    text.remove_prefix(open);
    if (text.empty()) break;
    const std::size_t close = text.find("}}");
    if (close == std::string_view::npos) return refused(quoted(text) + " does not close");
    LMSB_TRY(auto field, parse_field(text.substr(2, close - 2)));
    made.parts_.emplace_back(std::move(field));
    text.remove_prefix(close + 2);
  }
  if (made.parts_.empty()) return refused("it says nothing");
  return made;
}

Result<std::string> FormatTemplate::value_of(const Field& field, json::Value item) {
  json::Value value = item;
  for (std::size_t i = 0; i < field.path.size(); ++i) {
    const auto found = find_member(value, field.path[i], i == 0);
    if (!found) return refused("there is no field " + field.path[i] + "; there are: " + names_of(value));
    value = *found;
  }
  if (field.as_json) return compact(value);
  if (value.kind() == json::Kind::null) return std::string();
  const auto text = value.string();
  return text ? std::string(*text) : compact(value);
}

Result<std::string> FormatTemplate::line_of(json::Value item) const {
  std::string line;
  for (const Part& part : parts_) {
    if (const auto* field = std::get_if<Field>(&part)) {
      LMSB_TRY(const std::string value, value_of(*field, item));
      line += printable(value);
    } else {
      line += std::get<std::string>(part);
    }
  }
  return line;
}

// The fields' names in capitals.
std::string FormatTemplate::header() const {
  std::string line;
  for (const Part& part : parts_) {
    const auto* field = std::get_if<Field>(&part);
    std::string text = field == nullptr ? std::get<std::string>(part) : field->path.empty() ? "" : field->path.back();
    const auto upper = [](unsigned char c) { return static_cast<char>(std::toupper(c)); };
    if (field != nullptr) std::transform(text.begin(), text.end(), text.begin(), upper);
    line += text;
  }
  return line;
}

Result<std::string> FormatTemplate::format(const std::vector<json::Value>& items) const {
  std::string text;
  std::vector<Row> rows;
  for (const json::Value item : items) {
    LMSB_TRY(const std::string line, line_of(item));
    if (is_table_) {
      rows.push_back(split(line, '\t'));
    } else {
      text += line + "\n";
    }
  }
  return is_table_ ? format_table(split(header(), '\t'), rows) : text;
}

}  // namespace lmsb::cli
