#pragma once
// FormatTemplate: what --format says: a text in which {{.name}} stands for a field of an answer, as Docker has it.
// Pure.
//
//   {{.id}} {{.limits.memory_bytes}} {{json .labels}} {{json .}}      fields by their names in the API
//   {{.ID}} {{.CreatedAt}} {{.Names}} {{.Status}} {{.State.Status}}   and as Docker writes them
//   table {{.ID}}\t{{.Name}}                                          columns below a line that names them
//   json                                                              all of it
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/console.h"
#include "json/value.h"

namespace lmsb::cli {

class FormatTemplate {
 public:
  // Errors: invalid_argument, of braces that do not close, or with something else than a field between them.
  static Result<FormatTemplate> parse(std::string_view text);

  // What it says of `items`, a line each. Error: invalid_argument, of a field that an item has not.
  Result<std::string> format(const std::vector<json::Value>& items) const;

 private:
  struct Field {
    std::vector<std::string> path;  // none = the item itself
    bool as_json = false;
  };
  using Part = std::variant<std::string, Field>;  // a text as it is, or a field
  static Result<Field> parse_field(std::string_view text);
  static Result<std::string> value_of(const Field& field, json::Value item);
  Result<std::string> line_of(json::Value item) const;
  std::string header() const;

  bool is_table_ = false;
  std::vector<Part> parts_;
};

}  // namespace lmsb::cli
