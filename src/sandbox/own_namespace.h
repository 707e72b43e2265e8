#pragma once
// own_namespace: a user namespace of a normal user's, in which what makes sandboxes is root.
#include "base/result.h"
#include "sandbox/own_ids.h"

namespace lmsb::sandbox {

// Whether the programs are there that write down the maps of a user namespace for who is not root, and whether ids that
// no map has are told from those that one has. The Error says what to install. Blocks.
Status check_own_namespace();

// Makes this process, which has one thread, root of a new user namespace with those ids, in a mount namespace of its
// own, and of no group but the user's. It has no power over anything of the machine by it that the user had not, beside
// the subordinate ids, and all in it together has half of the inotify(7) that the user may have. Blocks while
// newuidmap(1) and newgidmap(1) run.
Status enter_own_namespace(const OwnIds& ids);

}  // namespace lmsb::sandbox
