#pragma once
// Locks on whole files and directories (flock(2)), which the kernel lets go of when the last copy of the open file is
// closed. A process that was cloned has such copies until it has closed them: who is killed may still hold a lock for a
// moment through a child that has not run yet.
#include <chrono>

#include "base/result.h"

namespace lmsb::os {

constexpr std::chrono::milliseconds kLockPatience{3'000};

// Takes the exclusive lock of the open file `fd`; waits at most `patience` for it, looking again every few
// milliseconds (flock(2) has no deadline). False: somebody else keeps it. Error: the file cannot be locked at all.
Result<bool> lock_file(int fd, std::chrono::milliseconds patience = kLockPatience);

// Whether the open file is still the one of that name below `directory` (AT_FDCWD, say): who had its lock may have
// removed it, and then a lock on it keeps nobody out.
bool is_still_named(int fd, int directory, const char* name);

}  // namespace lmsb::os
