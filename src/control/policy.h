#pragma once
// What any request may ask for at most, whatever the dialect (interfaces.md, Doors).
#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "sandbox/limits.h"

namespace lmsb::control {

struct PolicyCaps {
  Bytes memory;                  // 0 = what the machine has
  std::uint32_t cpu_millis = 0;  // 0 = every CPU
  std::uint32_t processes = 32'768;
  Bytes disk = Bytes::GiB(64);
  std::chrono::milliseconds timeout{24 * 3600 * 1000};
  std::size_t snapshots = 1000;  // of one owner
};

// What of `limits` it allows; the disk stays as it is.
sandbox::Limits within(const PolicyCaps& caps, sandbox::Limits limits);
// policy_denied: `what` is above `cap`.
Error above_policy(const std::string& what, const std::string& cap);
// Of a kept sandbox: 64 at most. Error: too_many_labels.
Status check_label_count(std::size_t count);
Status check_timeout(std::chrono::milliseconds asked, std::chrono::milliseconds cap);

}  // namespace lmsb::control
