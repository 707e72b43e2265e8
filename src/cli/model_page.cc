#include "cli/model_page.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/api.h"
#include "cli/console.h"
#include "cli/values.h"

namespace lmsb::cli {
namespace {

std::string number_text(json::Value object, const char* name) {
  const auto number = number_field(object, name);
  constexpr double kMost = 1e18;
  return number ? std::to_string(static_cast<std::int64_t>(std::clamp(*number, -kMost, kMost))) : "";
}

std::string parameters_of(json::Value model) {
  const auto number = number_field(model, "parameters");
  std::string label = text_field(model, "size_label");
  if (!number) return label;
  return human_count(*number) + (label.empty() ? "" : " (" + label + ")");
}

std::string context_of(json::Value model) {
  const std::string tokens = number_text(model, "context_length");
  return tokens.empty() ? "" : tokens + " tokens";
}

std::string experts_of(json::Value model) {
  const std::string experts = number_text(model, "experts");
  return experts.empty() || experts == "0" ? "" : experts + ", " + number_text(model, "experts_used") + " at once";
}

std::string size_of(json::Value model) {
  std::string size = human_size(number_field(model, "size_bytes").value_or(0));
  const auto part = model.find("part");
  if (!part || part->is_null()) return size;
  return size + ", part " + number_text(*part, "number") + " of " + number_text(*part, "of");
}

std::string kind_of(json::Value model) {
  const std::string kind = text_field(model, "kind");
  return kind == "model" ? "" : kind;
}

void add_memory(std::vector<Row>& rows, json::Value model) {
  const auto memory = model.find("memory");
  const char* label = "Memory";
  for (const json::Value row : memory ? memory->items() : std::vector<json::Value>()) {
    const std::string total = human_size(number_field(row, "total_bytes").value_or(0));
    rows.push_back({label, "about " + total + " for " + number_text(row, "context") + " tokens"});
    label = "";
  }
}

}  // namespace

std::string human_count(double number) {
  static constexpr std::array<const char*, 5> kUnits = {"", "K", "M", "B", "T"};
  std::size_t unit = 0;
  for (; number >= 999.5 && unit + 1 < kUnits.size(); ++unit) number /= 1000;
  std::array<char, 32> text{};
  const int digits = unit == 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  (void)std::snprintf(text.data(), text.size(), "%.*f%s", digits, number, kUnits[unit]);  // it has room
  return text.data();
}

std::string model_page(json::Value details) {
  std::vector<Row> rows = {{"Name", text_field(details, "name")},
                           {"Kind", kind_of(details)},
                           {"Architecture", text_field(details, "architecture")},
                           {"Parameters", parameters_of(details)},
                           {"Quantisation", text_field(details, "quantisation")},
                           {"Context", context_of(details)},
                           {"Experts", experts_of(details)},
                           {"Size", size_of(details)}};
  add_memory(rows, details);
  rows.push_back({"Chat template", flag_field(details, "has_chat_template") ? "yes" : "no"});
  rows.push_back({"License", text_field(details, "license")});
  rows.push_back({"Loaded", flag_field(details, "loaded") ? "yes" : "no"});
  std::erase_if(rows, [](const Row& row) { return row[1].empty(); });
  return format_table({"Model", text_field(details, "id")}, rows);
}

}  // namespace lmsb::cli
