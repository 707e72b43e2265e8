#include "sandbox/limits.h"

#include <fmt/format.h>

namespace lmsb::sandbox {
namespace {

constexpr Bytes kMinMemory = Bytes::MiB(16);
constexpr Bytes kMaxBytes = Bytes::GiB(1024);
constexpr Bytes kMinDisk = Bytes::MiB(1);
constexpr Bytes kMinShm = Bytes::MiB(1);
constexpr std::uint32_t kMaxCpuMillis = 1024 * 1000;
constexpr std::uint32_t kMaxProcesses = 32768;

}  // namespace

Error out_of_bounds(const char* what, const std::string& range) {
  return Error(ErrorCode::invalid_argument, fmt::format("{} must be {}", what, range)).with_slug("limit_out_of_bounds");
}

Status check_bounds(const Limits& limits) {
  if (limits.memory < kMinMemory || limits.memory > kMaxBytes)
    return out_of_bounds("limits.memory_bytes", "16 MiB to 1 TiB");
  if (limits.cpu_millis < 10 || limits.cpu_millis > kMaxCpuMillis) return out_of_bounds("limits.cpus", "0.01 to 1024");
  if (limits.processes < 4 || limits.processes > kMaxProcesses) return out_of_bounds("limits.processes", "4 to 32768");
  if (limits.disk < kMinDisk || limits.disk > kMaxBytes) return out_of_bounds("limits.disk_bytes", "1 MiB to 1 TiB");
  if (limits.shm < kMinShm || limits.shm > kMaxBytes) return out_of_bounds("limits.shm_bytes", "1 MiB to 1 TiB");
  return {};
}

}  // namespace lmsb::sandbox
