#pragma once
// Machine: how much of it there is, for limits that follow its size. Any thread; never blocks, cannot fail.
#include <algorithm>
#include <cstdint>
#include <sys/sysinfo.h>

#include "base/units.h"

namespace lmsb::control {

inline std::uint32_t machine_cpus() { return static_cast<std::uint32_t>(std::max(1, ::get_nprocs())); }

inline Bytes machine_memory() {
  struct sysinfo info {};
  (void)::sysinfo(&info);
  return Bytes(std::uint64_t{info.totalram} * info.mem_unit);
}

}  // namespace lmsb::control
