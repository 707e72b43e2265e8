#pragma once
#include <string>

namespace lmsb::control {

// Who asks. A principal sees only its own sandboxes unless it is admin.
struct Principal {
  std::string name;  // "local:1000", "key:ci"
  bool admin = false;
};

}  // namespace lmsb::control
