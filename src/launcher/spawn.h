#pragma once
// Spawning a guest: the clone3 of a sandbox's first process, and user namespaces that exist only to map ids.
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::launcher {

struct GuestProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
  bool is_child = true;     // of the launcher, which reaps it; else its parent does
  UniqueFd user_namespace;  // until its mounts are mapped
};

// Clones the first process of a sandbox: new user and pid namespace, inside `cgroup_v2`, and lets it enter the v1
// cgroups by itself. It waits for the first message on `channel` before it becomes root of its user namespace and
// executes `guest_program` (a sealed memfd) by `name`. The caller writes its id maps before it sends that message.
//
// `owner` makes the user namespace: what the kernel counts by user in it (inotify, namespaces, signals that wait,
// message queues) counts for that id outside, too, with the machine's limits for one user, so that no sandbox takes
// any of it from root, or from another. An id of its own, or the caller's.
Result<GuestProcess> spawn_guest(int guest_program, int channel, int cgroup_v2, const std::vector<UniqueFd>& join,
                                 uid_t owner, const char* name = "lm-sandbox-guest");

// Writes the maps of `pid`: lines as in user_namespaces(7).
Status write_id_maps(pid_t pid, const std::string& uid_map, const std::string& gid_map);

// A user namespace without processes, for mapping mounts.
Result<UniqueFd> make_user_namespace(const std::string& uid_map, const std::string& gid_map);

}  // namespace lmsb::launcher
