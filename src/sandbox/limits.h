#pragma once
// Limits: how much of the machine one sandbox may use.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "guest_protocol/profile.h"

namespace lmsb::sandbox {

// The defaults are those of one-shots (interfaces.md, "exec: the contract").
struct Limits {
  Bytes memory = Bytes::GiB(1);
  std::uint32_t cpu_millis = 1000;  // thousandths of a CPU: 1000 is one
  std::uint32_t processes = 256;    // threads included
  Bytes disk = Bytes::GiB(1);
  Bytes shm = Bytes(guest_protocol::kUsualShmBytes);  // of /dev/shm; what lies there counts as memory
  bool operator==(const Limits&) const = default;
};

// The most that /dev/shm may have where there is so much memory. Its usual size is nobody's wish: always possible.
inline Bytes most_shm(Bytes memory) { return std::max(memory, Bytes(guest_protocol::kUsualShmBytes)); }

// Whether any sandbox could have these. Error: limit_out_of_bounds, which names the one that is.
Status check_bounds(const Limits& limits);
// That error: "`what` must be `range`".
Error out_of_bounds(const char* what, const std::string& range);

}  // namespace lmsb::sandbox
