#pragma once
// Limits: how much of the machine one sandbox may use.
#include <cstdint>

#include "base/units.h"

namespace lmsb::sandbox {

// The defaults are those of one-shots (interfaces.md, "exec: the contract").
struct Limits {
  Bytes memory = Bytes::GiB(1);
  std::uint32_t cpu_millis = 1000;  // thousandths of a CPU: 1000 is one
  std::uint32_t processes = 256;    // threads included
  Bytes disk = Bytes::GiB(1);
  bool operator==(const Limits&) const = default;
};

}  // namespace lmsb::sandbox
