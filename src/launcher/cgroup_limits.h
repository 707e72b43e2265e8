#pragma once
// cgroup_limits: the limits of one sandbox's cgroups, written into their directories, whose controllers are those of v1
// or v2. Blocks on the kernel alone; lowering memory blocks for as long as the kernel gives some back (see
// lower_limits()).
#include <cstdint>
#include <string_view>

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

// What a cgroup is for: a gate's memory is in its sockets, that of others is not.
enum class CgroupUse : std::uint8_t { programs, gate };

// Of a cgroup that is not in use. Memory and swap together, where the kernel counts them: swap is never allowed on top.
// On v1 what is in sockets does not count as memory: it may be bytes_for_sockets() on top.
Status limit_memory_v1(int directory, std::uint64_t bytes, CgroupUse use = CgroupUse::programs);
Status limit_memory_v2(int directory, std::uint64_t bytes);
Status limit_cpu_v1(int directory, std::uint32_t millis);
Status limit_cpu_v2(int directory, std::uint32_t millis);
Status limit_processes(int directory, std::uint64_t count);

// What sockets may hold where they are counted apart: an eighth of the memory, of a gate as much as that, and never
// more than half of what the whole machine may have before its kernel spares on everybody's connections; `tcp_mem` is
// the text of that setting (tcp(7)). Where that says nothing, a part of the machine's memory stands in for it.
std::uint64_t bytes_for_sockets(std::uint64_t memory_bytes, std::string_view tcp_mem, std::uint64_t machine_bytes,
                                CgroupUse use = CgroupUse::programs);
// By this machine's.
std::uint64_t bytes_for_sockets(std::uint64_t memory_bytes, CgroupUse use = CgroupUse::programs);
// Whether the kernel has such a limit for that cgroup of v1.
bool limits_sockets_v1(int directory);

// Whether the kernel counts for cgroups what is in sockets, and its own memory: its command line may say that not.
bool counts_kernel_memory(std::string_view command_line);
bool counts_kernel_memory();  // this machine's

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
