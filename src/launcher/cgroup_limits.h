#pragma once
// cgroup_limits: the limits of one sandbox's cgroups, written into their directories, whose controllers are those of v1
// or v2. Blocks on the kernel alone; lowering memory blocks for as long as the kernel gives some back (see
// lower_limits()).
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::launcher {

struct BranchLimits {
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpu_millis = 0;
  std::uint32_t processes = 0;
  bool operator==(const BranchLimits&) const = default;
};

// The directories of a branch that hold its limits: on v2 three times the same.
struct BranchDirectories {
  bool is_v1 = false;
  UniqueFd memory;
  UniqueFd cpu;
  UniqueFd processes;
};

// Of a cgroup that is not in use. Memory and swap together, where the kernel counts them: swap is never allowed on top.
Status limit_memory_v1(int directory, std::uint64_t bytes);
Status limit_memory_v2(int directory, std::uint64_t bytes);
Status limit_cpu_v1(int directory, std::uint32_t millis);
Status limit_cpu_v2(int directory, std::uint32_t millis);
Status limit_processes(int directory, std::uint64_t count);

// The limits in force. Error: the kernel does not say.
Result<BranchLimits> limits_now(const BranchDirectories& branch);

// Whether they are in force, as the kernel keeps them, and no change was ended midway.
bool has_limits(const BranchDirectories& branch, const BranchLimits& limits);

// Gives a branch that is in use other limits; what is equal is not touched. Memory is lowered only where what cannot be
// given back leaves room below the new limit (an eighth of it, 4 MiB at least): nothing is to be killed for it. The
// kernel then gives back what it must, which has no bound of its own on time: a signal ends it. Error with EBUSY: there
// is no such room; with EINTR: a signal came. The limits are those of before then. What an earlier change has left half
// done is made whole, whatever comes of this one.
Status change_limits(const BranchDirectories& branch, const BranchLimits& to);

}  // namespace lmsb::launcher
