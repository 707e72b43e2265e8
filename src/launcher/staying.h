#pragma once
// Staying: what the cgroup of a sandbox that outlives its launcher says of it. It is written on the v2 directory
// itself, as an extended attribute that only root of the machine can write (trusted.*, xattr(7)): it is there for
// exactly as long as the cgroup is, whatever else is killed or lost, and gone after a reboot. Blocks only on the
// kernel.
#include <cstdint>
#include <optional>
#include <sys/types.h>

#include "base/result.h"

namespace lmsb::launcher {

struct Staying {
  std::int32_t pid = -1;         // its guest's
  bool is_ours = true;           // its guest speaks what this version does, and the rest is set
  std::uint32_t id_base = 0;     // of its range
  std::uint32_t processes = 0;   // it was launched with
  std::uint64_t disk_bytes = 0;  // the limit of its disk
};

// `cgroup` is the sandbox's v2 directory. Errors: the kernel's; unsupported where it keeps no such attribute.
Status write_staying(int cgroup, const Staying& staying);
// Nothing: it was not to stay. Errors: the kernel's; nobody knows then.
Result<std::optional<Staying>> read_staying(int cgroup);
// Whether that process is in the cgroup itself, where the guest is alone: commands are further down. Of a cgroup that
// has been removed it is not. Errors: the kernel's.
Result<bool> is_guest_of(int cgroup, pid_t pid);

}  // namespace lmsb::launcher
