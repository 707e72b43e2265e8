#pragma once
// orphans: what a dead launcher leaves to the parent, which is the subreaper of all that it started.
#include <set>
#include <sys/types.h>

#include "base/result.h"

namespace lmsb::launcher {

// Makes this process the one that orphans among its descendants are given to, and holds SIGCHLD back for end_orphans().
Status adopt_orphans();

// Reaps children that have ended. One of `awaited`, whose end somebody waits for by another way, is left to them, and
// so is what the kernel names behind it.
void reap_orphans(const std::set<pid_t>& awaited);

// Kills and reaps every child that is left but `spared`, at most `timeout_ms` long: all of a guest's sandbox ends with
// it. For when nobody else waits for children any more.
void end_orphans(int timeout_ms, const std::set<pid_t>& spared);

}  // namespace lmsb::launcher
