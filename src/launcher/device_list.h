#pragma once
// device_list: which devices the processes of a cgroup may open, by a program that the kernel runs at each open: those
// of guest_protocol/profile.h and terminals. None may be made. Behind the sandboxes' mounts, which have no devices at
// all. Devices that root's settings let sandboxes have are on the list of all of them, as the launcher may load
// no program once it serves; on cgroup v1 each sandbox without any has a narrower one (cgroup_tree.h).
#include <vector>

#include "base/result.h"
#include "sandbox/device_table.h"

namespace lmsb::launcher {

// Puts the list, and `more`, on a directory of cgroup v2, for all below it and for as long as it is there, unless it
// has that one; one of ours with other devices goes. Needs CAP_BPF and CAP_NET_ADMIN, or root's power. Errors: what the
// kernel says (EPERM in most containers).
Status list_devices_v2(int directory, const std::vector<sandbox::TableNode>& more = {});

}  // namespace lmsb::launcher
