#pragma once
// device_list: which devices the processes of a cgroup may open, by a program that the kernel runs at each open: those
// of guest_protocol/profile.h and terminals. None may be made. Behind the sandboxes' mounts, which have no devices at
// all. Where root's settings have devices that sandboxes may be given, the list of all sandboxes has these, too, and
// each sandbox without any has the list that all have elsewhere.
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/device_table.h"

namespace lmsb::launcher {

// Puts the list, and `more`, on a directory of cgroup v2, for all below it and for as long as it is there, unless it
// has that one; one of ours with other devices goes. Needs CAP_BPF and CAP_NET_ADMIN, or root's power. Errors: what the
// kernel says (EPERM in most containers).
Status list_devices_v2(int directory, const std::vector<sandbox::TableNode>& more = {});

// The list without any more, to be put on many directories that have none. Errors: as above.
Result<UniqueFd> load_device_list_v2();
Status put_device_list_v2(int directory, const UniqueFd& list);

}  // namespace lmsb::launcher
