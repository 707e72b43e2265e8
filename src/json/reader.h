#pragma once
// ObjectReader: takes the fields of a JSON object into typed variables, and collects everything that is wrong with
// them at once.
//
//   Faults faults;
//   ObjectReader reader(document.root(), faults);
//   reader.string("cmd", command.cmd, Need::required);
//   reader.refuse_others();
//   if (!faults.empty()) ...
//
// A Fault carries what both of our error shapes want: FastAPI's {type, loc, msg, input} (named as pydantic 2 names
// them) and a path with a sentence.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "json/value.h"

namespace lmsb::json {

using Location = std::vector<std::variant<std::string, std::int64_t>>;

struct Fault {
  std::string type;     // "missing", "string_type", "int_type", "float_type", "bool_type", "list_type", "dict_type",
                        // "extra_forbidden", "value_error"
  Location location;    // without FastAPI's "body"
  std::string message;  // "Field required"
  std::string input;    // the value as JSON text; a string that ends in "..." when that is longer than 4 KiB
};
using Faults = std::vector<Fault>;

// Adds `fault` unless there are 20 already: enough to mend a request by, and an answer has its bounds.
void add_fault(Faults& faults, Fault fault);

// "limits.cpus", "cmd[2]"; "" for the body itself.
std::string format_location(const Location& location);

enum class Need : std::uint8_t { optional, required };

class ObjectReader {
 public:
  // `value` that is no object is a fault and has no fields. `faults` outlives the reader.
  ObjectReader(Value value, Faults& faults, Location at = {});

  // Each returns whether the field was there and of its type; the variable is only then written. null counts as absent
  // for an optional field.
  bool string(std::string_view name, std::string& out, Need need = Need::optional);
  bool boolean(std::string_view name, bool& out, Need need = Need::optional);
  bool integer(std::string_view name, std::int64_t& out, std::int64_t low, std::int64_t high,
               Need need = Need::optional);
  bool number(std::string_view name, double& out, double low, double high, Need need = Need::optional);
  bool strings(std::string_view name, std::vector<std::string>& out, Need need = Need::optional);
  bool string_map(std::string_view name, std::map<std::string, std::string>& out, Need need = Need::optional);
  // An object field, read by `read`.
  bool object(std::string_view name, const std::function<void(ObjectReader&)>& read, Need need = Need::optional);
  // The field as it is, for what has more than one form.
  std::optional<Value> raw(std::string_view name, Need need = Need::optional);

  // A fault of our own about a field.
  void refuse(std::string_view name, std::string message, std::string type = "value_error");
  // Every field that was not asked for is a fault that names the nearest one that was.
  void refuse_others();
  Location at(std::string_view name) const;
  Faults& faults() { return faults_; }

 private:
  std::optional<Value> take(std::string_view name, Need need);
  bool mistyped(std::string_view name, Value value, std::string type, std::string message);

  Value value_;
  Faults& faults_;
  Location at_;
  bool is_object_;
  std::vector<std::string_view> asked_;  // names given by the caller, which outlive the reader
};

}  // namespace lmsb::json
