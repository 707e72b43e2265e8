#pragma once
// cgroup_host: the cgroup hierarchies of the machine as they are, and the place in v2 where our tree may stand.
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::launcher {

// A cgroup mount of this machine.
struct Hierarchy {
  std::string mount_point;
  bool is_v2 = false;
  std::vector<std::string> controllers;  // v1 only
};
std::vector<Hierarchy> find_hierarchies();

// The cgroup below `mount_point` (v2) that this process was given to manage: systemd marks a service's own, with
// Delegate=yes. "/system.slice/lm-sandbox.service", or "" when there is none: then our tree stands at the top.
std::string delegated_path(const std::string& mount_point);

// The leaf for the processes that a delegated cgroup begins with; in a unit file: DelegateSubgroup=supervisor.
constexpr const char* kSupervisorLeaf = "supervisor";

// Enables controllers ("+memory +pids") for the children of a v2 cgroup. The kernel refuses that while processes are in
// the cgroup itself (cgroups(7), "no internal processes"), unless it is the top: those are then moved into the leaf
// first, this one's parents and siblings with them.
Status enable_controllers(int directory, const std::string& controllers);

}  // namespace lmsb::launcher
