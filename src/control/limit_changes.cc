#include "control/limit_changes.h"

#include <string>

namespace lmsb::control {
namespace {

Error fixed(const std::string& what) {
  return Error(ErrorCode::invalid_argument, what)
      .with_slug("limit_fixed")
      .with_hint("make another sandbox with the limits that you want");
}

}  // namespace

sandbox::Limits with(sandbox::Limits limits, const LimitChanges& changes) {
  if (changes.memory) limits.memory = *changes.memory;
  if (changes.cpu_millis) limits.cpu_millis = *changes.cpu_millis;
  if (changes.processes) limits.processes = *changes.processes;
  if (changes.disk) limits.disk = *changes.disk;
  return limits;
}

Result<sandbox::Limits> changed(const sandbox::Limits& made, const sandbox::Limits& now, const LimitChanges& changes) {
  const sandbox::Limits limits = with(now, changes);
  LMSB_CHECK(sandbox::check_bounds(limits));
  if (limits.disk != made.disk) return fixed("limits.disk cannot be changed while the sandbox lives");
  if (limits.processes > made.processes)
    return fixed("limits.processes cannot be raised above the " + std::to_string(made.processes) +
                 " that the sandbox was made with");
  return limits;
}

}  // namespace lmsb::control
