#pragma once
// Limits: how much of the machine one sandbox may use.
#include <cstdint>
#include <string>

#include "base/result.h"
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

// Whether any sandbox could have these. Error: limit_out_of_bounds, which names the one that is.
Status check_bounds(const Limits& limits);
// That error: "`what` must be `range`".
Error out_of_bounds(const char* what, const std::string& range);

}  // namespace lmsb::sandbox
