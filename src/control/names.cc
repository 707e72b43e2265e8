#include "control/names.h"

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "control/policy.h"

namespace lmsb::control {

Error invalid_name() {
  return Error(ErrorCode::invalid_argument, "name must match [A-Za-z0-9][A-Za-z0-9_.-]{0,62} and not look like an id")
      .with_slug("invalid_name")
      .with_hint("letters, digits, and within it . _ and -: my-box.2");
}

Status check_name(const std::string& name) { return name.empty() || is_sandbox_name(name) ? Status() : invalid_name(); }

Error name_taken(std::string_view kind, const std::string& name) {
  return Error(ErrorCode::already_exists, "a " + std::string(kind) + " named " + quoted(name) + " exists")
      .with_slug("name_taken")
      .with_hint("choose another name, or remove that " + std::string(kind) + " first");
}

bool has_labels(const Labels& all, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&all](const auto& label) {
    const auto found = all.find(label.first);
    return found != all.end() && found->second == label.second;
  });
}

Status change_labels(Labels& labels, std::map<std::string, std::optional<std::string>> changes) {
  Labels changed = labels;
  for (auto& [name, value] : changes) {
    if (value) {
      changed[name] = *std::move(value);
    } else {
      changed.erase(name);
    }
  }
  LMSB_CHECK(check_labels(changed));
  labels = std::move(changed);
  return {};
}

}  // namespace lmsb::control
