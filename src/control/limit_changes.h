#pragma once
// LimitChanges: what of a kept sandbox's limits is to change while it lives. Pure.
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/units.h"
#include "control/layers.h"
#include "sandbox/limits.h"

namespace lmsb::control {

// Nothing = as it is.
struct LimitChanges {
  std::optional<Bytes> memory;
  std::optional<std::uint32_t> cpu_millis;
  std::optional<std::uint32_t> processes;
  std::optional<Bytes> disk;
  std::optional<Bytes> shm;
  bool is_something() const { return memory || cpu_millis || processes || disk || shm; }
};

sandbox::Limits with(sandbox::Limits limits, const LimitChanges& changes);

// The same for one that is new, also where `usual` are those of a snapshot. Error: limit_out_of_bounds, a /dev/shm that
// is larger than the memory that it counts in.
Result<sandbox::Limits> asked(const sandbox::Limits& usual, const LimitChanges& changes);

// `now` with the changes, for a sandbox that was made with `made`. Its writable layer was sized and its own limit of
// processes set then: the disk and /dev/shm stay, and processes can be lowered and raised up to what they were. Errors:
// limit_fixed, limit_out_of_bounds, as above, too.
Result<sandbox::Limits> changed(const sandbox::Limits& made, const sandbox::Limits& now, const LimitChanges& changes);

// Whether the kernel keeps to what is asked of a new sandbox, where `layers` are in force; of one that is there all
// limits have to be the kernel's. Error: limit_not_kept, unsupported. What nobody asks for, the defaults, is not
// refused: `isolation` says that it is not kept.
enum class Asked : std::uint8_t { of_new, of_existing };
Status check_kept(const LimitChanges& asked, const Layers& layers, Asked when);

}  // namespace lmsb::control
