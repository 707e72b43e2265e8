#include "control/policy.h"

#include <algorithm>

namespace lmsb::control {

sandbox::Limits within(const PolicyCaps& caps, sandbox::Limits limits) {
  limits.memory = std::min(limits.memory, caps.memory);
  limits.cpu_millis = std::min(limits.cpu_millis, caps.cpu_millis);
  limits.processes = std::min(limits.processes, caps.processes);
  return limits;
}

Error above_policy(const std::string& what, const std::string& cap) {
  return Error(ErrorCode::permission_denied, what + " is above what the operator allows (" + cap + ")")
      .with_slug("policy_denied")
      .with_hint("ask for less, or raise [policy] in the configuration");
}

Status check_label_count(std::size_t count) {
  if (count <= 64) return {};
  return Error(ErrorCode::invalid_argument, "more than 64 labels").with_slug("too_many_labels");
}

Status check_timeout(std::chrono::milliseconds asked, std::chrono::milliseconds cap) {
  if (asked > cap) return above_policy("timeout_ms", std::to_string(cap.count()));
  return {};
}

}  // namespace lmsb::control
