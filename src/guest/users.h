#pragma once
// Users: where commands of a sandbox with Profile::root are. Root among them may do a few things to all that belongs to
// an id of that namespace. The guest is outside: it has an id that does not exist there, and everything else of the
// sandbox (mounts, network, processes) belongs to the namespace around it, over which no command has any power.
//
// Each returns 0 or an errno and is allocation-free.
#include "base/unique_fd.h"

namespace lmsb::guest {

// The limits of the user namespace of whoever calls, for all below it; `directory`: /proc/sys/user.
int write_user_limits(int directory);

// Makes the namespace, one below the present one, with the ids 0..kInnerIds-1 of it, the caller's resource limits for
// all of them together, and limits of its own. It is of kOuterGuestId: who has that id and no other power may enter it.
// The caller is root with all capabilities, and may make one namespace more. `proc`: /proc.
int make_users(int proc, int user_limits, UniqueFd& users);

// For good: all capabilities there, none here.
int enter_users(int users);

}  // namespace lmsb::guest
