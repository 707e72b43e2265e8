#include "control/principal.h"

#include "base/text.h"
#include "control/names.h"

namespace lmsb::control {
namespace {

bool may(const Principal& who, Operation operation) {
  if (operation == Operation::admin) return who.is_unbounded();
  if (!who.grant || who.admin) return true;
  switch (operation) {
    case Operation::read: return who.grant->may_read || who.grant->may_write;
    case Operation::write: return who.grant->may_write;
    case Operation::models: return who.grant->may_models;
    case Operation::admin: break;
  }
  return false;
}

Error label_fixed(const std::string& name, const std::string& value) {
  return Error(ErrorCode::permission_denied, "this key makes and sees only what has the label " + name + "=" + value)
      .with_slug("label_fixed")
      .with_hint("leave that label out, and as it is");
}

}  // namespace

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::read: return "read";
    case Operation::write: return "write";
    case Operation::models: return "models";
    case Operation::admin: return "admin";
  }
  return "admin";
}

bool Principal::sees(std::string_view owner, const std::map<std::string, std::string>& labels) const {
  if (!admin && owner != name) return false;
  return !grant || grant->labels.empty() || has_labels(labels, grant->labels);
}

Status check_may(const Principal& who, Operation operation) {
  if (may(who, operation)) return {};
  if (operation == Operation::admin)
    return Error(ErrorCode::permission_denied, "only an administrator may do this")
        .with_slug("permission_denied")
        .with_hint("use a key with the scope admin and without labels, or ask as root on the machine itself");
  return Error(ErrorCode::permission_denied, "this key has not the scope " + std::string(to_string(operation)))
      .with_slug("scope_missing")
      .with_hint("an administrator makes one that has it: lm-sandbox key create --scope " +
                 std::string(to_string(operation)));
}

Status add_own_labels(const Principal& who, std::map<std::string, std::string>& labels) {
  if (!who.grant) return {};
  for (const auto& [name, value] : who.grant->labels) {
    const auto [label, is_new] = labels.emplace(name, value);
    if (!is_new && label->second != value) return label_fixed(name, value);
  }
  return {};
}

Status check_label_changes(const Principal& who, const std::map<std::string, std::optional<std::string>>& changes) {
  if (!who.grant) return {};
  for (const auto& [name, value] : who.grant->labels) {
    const auto change = changes.find(name);
    if (change != changes.end() && change->second != value) return label_fixed(name, value);
  }
  return {};
}

}  // namespace lmsb::control
