#pragma once
// What a kept sandbox uses now, as the kernel says.
#include <cstdint>

namespace lmsb::control {

struct SandboxUsage {
  std::uint64_t memory_bytes = 0;
  std::uint64_t max_memory_bytes = 0;
  std::uint64_t processes = 0;  // and threads; our own two are left out
  std::uint64_t cpu_usec = 0;   // since it was made
  std::uint64_t oom_kills = 0;
};

}  // namespace lmsb::control
