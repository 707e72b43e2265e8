#pragma once
// Principal: who asks, what he may do, and what he sees. The rules are here, once, for all that is kept.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lmsb::control {

class ModelAllowance;  // control/model_allowance.h

// What a use case needs. docs/user/keys.md says which needs what.
enum class Operation : std::uint8_t {
  read,    // look at sandboxes and at what is in them
  write,   // make, change and end them, run commands in them, speak to their ports
  models,  // ask models
  admin,   // what is everybody's: keys, models that are added, the ledger
};
std::string_view to_string(Operation operation);

// What a key may do, and where. One object for each key, shared by its requests; it never changes.
struct Grant {
  // Not `admin`: that is Principal::admin.
  bool may_read = false;
  bool may_write = false;
  bool may_models = false;
  // It sees only what has all of these, and what it makes gets them. None: whatever has what labels.
  std::map<std::string, std::string> labels;
};

struct Principal {
  std::string name;  // "local:1000", "key:key_9f...", "sandbox:ID"
  bool admin = false;
  std::shared_ptr<const Grant> grant = {};      // null: everything that `admin` allows
  std::shared_ptr<ModelAllowance> models = {};  // of a sandbox: the local models that it has; null: all

  // An administrator of everything: of what is everybody's, and of what has no labels.
  bool is_unbounded() const { return admin && (!grant || grant->labels.empty()); }
  // Whether it sees what that owner has, which has no labels.
  bool sees(std::string_view owner) const { return is_unbounded() || owner == name; }
  // The same of what has labels.
  bool sees(std::string_view owner, const std::map<std::string, std::string>& labels) const;
};

// Error: scope_missing.
Status check_may(const Principal& who, Operation operation);
// What `who` makes gets the labels that it sees by. Error: label_fixed, it was to have another value.
Status add_own_labels(const Principal& who, std::map<std::string, std::string>& labels);
// Whether `who` still sees what gets these labels, or loses them (nothing). Error: label_fixed.
Status check_label_changes(const Principal& who, const std::map<std::string, std::optional<std::string>>& changes);

}  // namespace lmsb::control
