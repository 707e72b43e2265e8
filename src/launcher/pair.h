#pragma once
// Pair: one launcher and one daemon, started together by the parent, with the sockets between the three.
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/parent_options.h"

namespace lmsb::launcher {

// Opened once, so that every pair is of the same version whatever lies at their paths by then.
struct Programs {
  UniqueFd guest;  // sealed copies, for the launcher
  UniqueFd archiver;
  UniqueFd gate;
  UniqueFd daemon;  // the file itself
};
Result<Programs> open_programs(const ParentOptions& options);

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;
};

struct Pair {
  Child launcher;
  Child daemon;
  UniqueFd files;    // the daemon's words, and files for it (handed_files.h)
  UniqueFd started;  // one octet when the launcher serves; its end without one: it cannot
  // Of the socket between both. Kept until the launcher serves: of one that cannot be, which says why itself, the
  // daemon is not to hear.
  UniqueFd launcher_end;
};

// Forks both, and hands the files over. The launcher's copy of `programs` is used up, the caller's is not. With an
// error neither is there any more, unless the kernel holds one that was killed; what the launcher has begun may be.
Result<Pair> start_pair(const ParentOptions& options, const Policy& policy, Programs& programs);

bool ends_within(const Child& child, int timeout_ms);
// Whether it has ended, or the kernel is at it, which can take as long as its disks do.
bool is_ending(const Child& child);
// Waits for a child at most `timeout_ms`, and kills it then. Returns its status as waitpid(2) does. One that the kernel
// still holds kKilledMs later (a disk does not answer) counts as killed; it is reaped as an orphan when it is let go.
constexpr int kKilledMs = 15'000;
int wait_for(const Child& child, int timeout_ms);
// Of such a status, as shells count: 128 + signal.
int exit_status(int status);

}  // namespace lmsb::launcher
