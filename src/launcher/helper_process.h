#pragma once
// A process of the launcher's own that does one thing which may take long, while the launcher serves everybody else.
#include <optional>
#include <vector>

#include "base/result.h"
#include "launcher/spawn.h"

namespace lmsb::launcher {

// Forks. The child, which has pid 0 here, is called `name`, dies with the launcher, and ends by _exit(). It holds
// `kept` and the standard streams alone: what is locked is not locked for as long as the kernel keeps it busy after the
// launcher's death. The parent waits for the pidfd, and reaps by it.
Result<GuestProcess> fork_helper(const char* name, std::vector<int> kept);

// Reaps a process of the launcher's own, if it has ended: its exit status, EIO of one that was killed; nothing: it
// runs. One that is not its child (a guest that was taken over) its parent reaps: 0 once it has ended.
std::optional<int> reap(GuestProcess& process);

}  // namespace lmsb::launcher
