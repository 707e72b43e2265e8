#pragma once
// orphans: what a dead launcher leaves to the parent, which is the subreaper of all that it started.
#include <map>
#include <set>
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::launcher {

// Children that are not ours: who executed this program had them before (`sidecar & exec lm-sandbox serve`). What they
// leave themselves is not known from what sandboxes leave.
class ForeignChildren {
 public:
  // All that are there now: before anything is forked.
  static Result<ForeignChildren> find();
  // Those that have not ended.
  std::set<pid_t> living() const;

 private:
  std::map<pid_t, UniqueFd> all_;  // with pidfds: the number of one that has ended may be another's
};

// Makes this process the one that orphans among its descendants are given to, and holds SIGCHLD back for end_orphans().
Status adopt_orphans();

// Reaps children that have ended. One of `awaited`, whose end somebody waits for by another way, is left to them, and
// so is what the kernel names behind it.
void reap_orphans(const std::set<pid_t>& awaited);

// Kills and reaps every child that is left but `spared`, at most `timeout_ms` long: all of a guest's sandbox ends with
// it. For when nobody else waits for children any more.
void end_orphans(int timeout_ms, const std::set<pid_t>& spared);

}  // namespace lmsb::launcher
