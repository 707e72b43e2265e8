#include "launcher/policy.h"

#include <algorithm>
#include <cerrno>
#include <sys/sysinfo.h>

namespace lmsb::launcher {

Result<Caps> resolve(Caps caps) {
  struct sysinfo info {};
  if (::sysinfo(&info) < 0) return Error::from_errno(errno, "sysinfo");
  const std::uint64_t memory = std::uint64_t{info.totalram} * info.mem_unit;
  const auto cpus = static_cast<std::uint32_t>(std::max(1, ::get_nprocs()));
  if (caps.memory_bytes == 0) caps.memory_bytes = memory;
  if (caps.cpu_millis == 0) caps.cpu_millis = cpus * 1000;
  if (caps.disk_bytes == 0) caps.disk_bytes = ~std::uint64_t{0};
  return caps;
}

sandbox::LaunchPlan within(const Caps& caps, sandbox::LaunchPlan plan) {
  plan.memory_bytes = std::min(plan.memory_bytes, caps.memory_bytes);
  plan.cpu_millis = std::min(plan.cpu_millis, caps.cpu_millis);
  plan.processes = std::min(plan.processes, caps.processes);
  plan.disk_bytes = std::min(plan.disk_bytes, caps.disk_bytes);
  plan.shm_bytes = std::min(plan.shm_bytes, sandbox::most_shm(Bytes(caps.memory_bytes)).count());
  const sandbox::WritableLayer layer = sandbox::writable_layer(plan.disk_bytes, plan.memory_bytes);
  plan.root_bytes = std::min(plan.root_bytes, layer.bytes);
  plan.root_inodes = std::min(plan.root_inodes, layer.inodes);
  return plan;
}

}  // namespace lmsb::launcher
