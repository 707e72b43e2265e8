#pragma once
// ListFilter: which sandboxes of a list are meant: --filter KEY=VALUE, as Docker has it. Pure.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/values.h"
#include "json/value.h"

namespace lmsb::cli {

// Of several values of one key any may fit; of several keys, and of labels, all must.
class ListFilter {
 public:
  // "id=PREFIX", "name=PART", "label=KEY" or "label=KEY=VALUE", "status=STATE" (also state), "image=IMAGE" (also
  // ancestor). Errors: invalid_argument.
  Status add(std::string_view text);

  bool fits(json::Value sandbox) const;

 private:
  struct Label {
    std::string key;
    std::string value;
    bool any_value = false;
  };
  static bool has_label(json::Value sandbox, const Label& label);

  std::map<std::string, std::vector<std::string>> values_;  // by key
  std::vector<Label> labels_;
};

}  // namespace lmsb::cli
