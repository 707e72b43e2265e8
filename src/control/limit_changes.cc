#include "control/limit_changes.h"

#include <string>

namespace lmsb::control {
namespace {

Error fixed(const std::string& what) {
  return Error(ErrorCode::invalid_argument, what)
      .with_slug("limit_fixed")
      .with_hint("make another sandbox with the limits that you want");
}

Error not_kept(const std::string& what, const std::string& controllers) {
  return Error(ErrorCode::unsupported, what + ": the kernel would not keep to it, as " + controllers +
                                           " was not delegated to the daemon's user")
      .with_slug("limit_not_kept")
      .with_hint("have systemd delegate it (docs/user/rootless.md), or run the daemon as root");
}

// A sandbox would be killed where it seemed to have room.
Status check_shm(const sandbox::Limits& limits) {
  if (limits.shm <= sandbox::most_shm(limits.memory)) return {};
  return sandbox::out_of_bounds("limits.shm_bytes", "within limits.memory_bytes, " + format_bytes(limits.memory))
      .with_hint("ask for more memory: what lies in /dev/shm counts in it");
}

}  // namespace

Status check_kept(const LimitChanges& asked, const Layers& layers, Asked when) {
  if (asked.memory && !layers.has_memory_limit) return not_kept("limits.memory_bytes", "the controller memory");
  if (asked.cpu_millis && !layers.has_cpu_limit) return not_kept("limits.cpus", "the controller cpu");
  const bool has_all = layers.has_memory_limit && layers.has_cpu_limit && layers.has_process_limit;
  if (when == Asked::of_existing && asked.is_something() && !has_all)
    return not_kept("limits cannot be changed", "one of the controllers memory, cpu and pids");
  return {};
}

sandbox::Limits with(sandbox::Limits limits, const LimitChanges& changes) {
  if (changes.memory) limits.memory = *changes.memory;
  if (changes.cpu_millis) limits.cpu_millis = *changes.cpu_millis;
  if (changes.processes) limits.processes = *changes.processes;
  if (changes.disk) limits.disk = *changes.disk;
  if (changes.shm) limits.shm = *changes.shm;
  return limits;
}

Result<sandbox::Limits> asked(const sandbox::Limits& usual, const LimitChanges& changes) {
  const sandbox::Limits limits = with(usual, changes);
  LMSB_CHECK(check_shm(limits));
  return limits;
}

Result<sandbox::Limits> changed(const sandbox::Limits& made, const sandbox::Limits& now, const LimitChanges& changes) {
  const sandbox::Limits limits = with(now, changes);
  LMSB_CHECK(sandbox::check_bounds(limits));
  if (limits.disk != made.disk) return fixed("limits.disk_bytes cannot be changed: it stays as the sandbox was made");
  if (limits.shm != made.shm) return fixed("limits.shm_bytes cannot be changed: it stays as the sandbox was made");
  if (limits.processes > made.processes)
    return fixed("limits.processes cannot be raised above the " + std::to_string(made.processes) +
                 " that the sandbox was made with");
  LMSB_CHECK(check_shm(limits));
  return limits;
}

}  // namespace lmsb::control
