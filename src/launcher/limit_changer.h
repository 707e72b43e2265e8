#pragma once
// LimitChanger: a process of the launcher's that changes the limits of one branch and ends. The kernel gives memory
// back page by page, which may take seconds: the launcher serves everybody else meanwhile.
#include <chrono>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/cgroup_limits.h"
#include "launcher/spawn.h"

namespace lmsb::launcher {

// Starts it: change_limits() of cgroup_limits.h, in a process that holds the branch's directories and the standard
// streams alone, dies with the launcher, and is kind to others (nice 10). When `limit` has passed, whatever it waits
// for is ended again and again until it gives up. Its exit status is 0, or the errno: EBUSY also where time was up.
// Killed, it may leave limits between both.
Result<GuestProcess> start_limit_changer(const BranchDirectories& branch, const BranchLimits& to,
                                         std::chrono::milliseconds limit = std::chrono::seconds(5));

}  // namespace lmsb::launcher
