#pragma once
// cgroup_host: the cgroup hierarchies of the machine as they are, and the place in v2 where our tree may stand.
#include <string>
#include <vector>

#include "base/result.h"
#include "launcher/starter.h"

namespace lmsb::launcher {

// A cgroup mount of this machine.
struct Hierarchy {
  std::string mount_point;
  bool is_v2 = false;
  std::vector<std::string> controllers;  // v1 only
};
// Fails where /proc cannot be read.
Result<std::vector<Hierarchy>> find_hierarchies();

// The cgroup below `mount_point` (v2) that this process was given to manage: systemd marks a service's own, with
// Delegate=yes. "/system.slice/lm-sandbox.service", or "" when there is none: then our tree stands at the top.
// Where a user starts it, who cannot see the mark of an older systemd (trusted.delegate), also the top of what was
// given to that user: a cgroup of the user's below one that is somebody else's.
std::string delegated_path(const std::string& mount_point, Starter starter);

// Whether nobody but this user can enter a cgroup, or end what is in it.
bool is_own_cgroup(const std::string& directory);

// The leaf for the processes that a delegated cgroup begins with; in a unit file: DelegateSubgroup=supervisor.
constexpr const char* kSupervisorLeaf = "supervisor";

// Enables controllers ("+memory +pids") for the children of a v2 cgroup. The kernel refuses that while processes are in
// the cgroup itself (cgroups(7), "no internal processes"), unless it is the top: those are then moved into the leaf
// first, this one's parents and siblings with them.
Status enable_controllers(int directory, const std::string& controllers);

}  // namespace lmsb::launcher
