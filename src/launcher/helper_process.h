#pragma once
// A process of the launcher's own that does one thing which may take long, while the launcher serves everybody else.
#include <optional>

#include "base/result.h"
#include "launcher/spawn.h"

namespace lmsb::launcher {

// Forks. The child, which has pid 0 here, is called `name`, dies with the launcher, and ends by _exit(); it holds what
// the launcher holds. The parent waits for the pidfd, and reaps by it.
Result<GuestProcess> fork_helper(const char* name);

// The exit status of a helper that has ended, EIO of one that was killed; nothing: it has not. Reaps it.
std::optional<int> reap_helper(GuestProcess& helper);

}  // namespace lmsb::launcher
