#pragma once
// daemon_view: what the daemon of a user sees of that user's files. It is not the user, and its directories lie in
// others that are closed to everybody else, so they are put before it; what else lies there it does not see.
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::launcher {

// In a new mount namespace of this process, which is root of a user's namespace: each of `directories` (absolute) can
// be reached by its path by whoever may enter it itself. The first directory on the way that is closed to others is
// covered by an empty one, in which the way is made anew. Blocks on the kernel alone.
Status open_ways(const std::vector<std::string>& directories);

}  // namespace lmsb::launcher
