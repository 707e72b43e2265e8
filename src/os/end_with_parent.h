#pragma once
// A process that ends with the one that started it: the kernel sends it a signal then (PR_SET_PDEATHSIG), but nothing
// for a parent that ended before it was asked to. So whoever asks has to look at its parent afterwards.
#include <sys/types.h>

namespace lmsb::os {

// From now on this process gets `signal` when the thread that has started it ends. False: `parent`, which is to be its
// parent, is it not, or no more; the caller ends itself. A change of ids or powers can take the signal back
// (prctl(2)): call it again behind. Not where the parent is in another PID namespace, and so has no number here.
bool end_with_parent(pid_t parent, int signal);

}  // namespace lmsb::os
