#pragma once
// device_list: which devices the processes of a cgroup may open, by a program that the kernel runs at each open: those
// of guest_protocol/profile.h and terminals. None may be made. Behind the sandboxes' mounts, which have no devices at
// all.
#include "base/result.h"

namespace lmsb::launcher {

// Puts the list on a directory of cgroup v2, for all below it and for as long as it is there, unless it has one. Needs
// CAP_BPF and CAP_NET_ADMIN, or root's power. Errors: what the kernel says (EPERM in most containers).
Status list_devices_v2(int directory);

}  // namespace lmsb::launcher
