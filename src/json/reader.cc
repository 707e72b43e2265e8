#include "json/reader.h"

#include <algorithm>
#include <numeric>

#include "json/writer.h"

namespace lmsb::json {
namespace {

constexpr std::size_t kMaxFaults = 20;       // more would help nobody, and an answer has its bounds
constexpr std::size_t kMaxInput = 4096;      // octets of a refused value that a fault repeats
constexpr std::size_t kMaxSuggestable = 64;  // longer names are not slips of a known one

// Levenshtein distance, for suggestions; names are short.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view name, const std::vector<std::string_view>& known) {
  if (name.size() > kMaxSuggestable) return std::string();
  const auto closer = [&](std::string_view a, std::string_view b) { return distance(name, a) < distance(name, b); };
  const auto best = std::min_element(known.begin(), known.end(), closer);
  return best == known.end() || distance(name, *best) > 3 ? std::string() : std::string(*best);
}

}  // namespace

void add_fault(Faults& faults, Fault fault) {
  if (faults.size() >= kMaxFaults) return;
  if (fault.input.size() > kMaxInput) fault.input = quote(fault.input.substr(0, kMaxInput) + "...");
  faults.push_back(std::move(fault));
}

std::string format_location(const Location& location) {
  std::string text;
  for (const auto& part : location) {
    if (const auto* name = std::get_if<std::string>(&part)) {
      text += (text.empty() ? "" : ".") + *name;
    } else {
      text += "[" + std::to_string(std::get<std::int64_t>(part)) + "]";
    }
  }
  return text;
}

ObjectReader::ObjectReader(Value value, Faults& faults, Location at)
    : value_(value), faults_(faults), at_(std::move(at)), is_object_(value.kind() == Kind::object) {
  if (!is_object_) add_fault(faults_, {"dict_type", at_, "Input should be a valid dictionary", value.text()});
}

Location ObjectReader::at(std::string_view name) const {
  Location location = at_;
  location.emplace_back(std::string(name));
  return location;
}

std::optional<Value> ObjectReader::take(std::string_view name, Need need) {
  asked_.push_back(name);
  if (!is_object_) return std::nullopt;
  const auto value = value_.find(name);
  if (!value && need == Need::required) add_fault(faults_, {"missing", at(name), "Field required", value_.text()});
  if (value && value->is_null() && need == Need::optional) return std::nullopt;
  return value;
}

bool ObjectReader::mistyped(std::string_view name, Value value, std::string type, std::string message) {
  add_fault(faults_, {std::move(type), at(name), std::move(message), value.text()});
  return false;
}

bool ObjectReader::string(std::string_view name, std::string& out, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  const auto text = value->string();
  if (!text) return mistyped(name, *value, "string_type", "Input should be a valid string");
  out = *text;
  return true;
}

bool ObjectReader::boolean(std::string_view name, bool& out, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  const auto truth = value->boolean();
  if (!truth) return mistyped(name, *value, "bool_type", "Input should be a valid boolean");
  out = *truth;
  return true;
}

bool ObjectReader::integer(std::string_view name, std::int64_t& out, std::int64_t low, std::int64_t high, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  const auto whole = value->integer();
  if (!whole) return mistyped(name, *value, "int_type", "Input should be a valid integer");
  if (*whole < low || *whole > high)
    return mistyped(name, *value, "value_error",
                    "Input should be between " + std::to_string(low) + " and " + std::to_string(high));
  out = *whole;
  return true;
}

bool ObjectReader::number(std::string_view name, double& out, double low, double high, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  const auto number = value->number();
  if (!number) return mistyped(name, *value, "float_type", "Input should be a valid number");
  if (!(*number >= low && *number <= high))
    return mistyped(name, *value, "value_error",
                    "Input should be between " + std::to_string(low) + " and " + std::to_string(high));
  out = *number;
  return true;
}

bool ObjectReader::strings(std::string_view name, std::vector<std::string>& out, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  if (value->kind() != Kind::array) return mistyped(name, *value, "list_type", "Input should be a valid list");
  std::vector<std::string> list;
  for (const Value& item : value->items()) {
    const auto text = item.string();
    if (!text) {
      Location where = at(name);
      where.emplace_back(static_cast<std::int64_t>(list.size()));
      add_fault(faults_, {"string_type", where, "Input should be a valid string", item.text()});
      return false;
    }
    list.emplace_back(*text);
  }
  out = std::move(list);
  return true;
}

bool ObjectReader::string_map(std::string_view name, std::map<std::string, std::string>& out, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  if (value->kind() != Kind::object) return mistyped(name, *value, "dict_type", "Input should be a valid dictionary");
  std::map<std::string, std::string> map;
  for (const auto& [key, item] : value->members()) {
    const auto text = item.string();
    if (!text) {
      Location where = at(name);
      where.emplace_back(std::string(key));
      add_fault(faults_, {"string_type", where, "Input should be a valid string", item.text()});
      return false;
    }
    map[std::string(key)] = *text;
  }
  out = std::move(map);
  return true;
}

bool ObjectReader::object(std::string_view name, const std::function<void(ObjectReader&)>& read, Need need) {
  const auto value = take(name, need);
  if (!value) return false;
  const std::size_t before = faults_.size();
  ObjectReader inner(*value, faults_, at(name));
  if (inner.is_object_) read(inner);
  return faults_.size() == before && before < kMaxFaults;
}

std::optional<Value> ObjectReader::raw(std::string_view name, Need need) { return take(name, need); }

void ObjectReader::refuse(std::string_view name, std::string message, std::string type) {
  const auto value = is_object_ ? value_.find(name) : std::nullopt;
  add_fault(faults_, {std::move(type), at(name), std::move(message), value ? value->text() : "null"});
}

void ObjectReader::refuse_others() {
  for (const auto& [name, value] : value_.members()) {
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    const std::string suggestion = nearest(name, asked_);
    std::string message = "Extra inputs are not permitted";
    if (!suggestion.empty()) message += ": did you mean " + suggestion + "?";
    add_fault(faults_, {"extra_forbidden", at(name), std::move(message), value.text()});
  }
}

}  // namespace lmsb::json
