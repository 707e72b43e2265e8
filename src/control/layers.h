#pragma once
// Layers: the parts of a sandbox's containment by name, and those of them that not every machine can have.
#include <string>
#include <vector>

#include "guest_protocol/messages.h"

namespace lmsb::control {

// What guest and launcher have said is in force, beside what every sandbox has.
struct Layers {
  int landlock_abi = 0;           // 0: the kernel has none
  bool has_device_list = false;   // the kernel refuses all devices but the harmless ones, wherever they may come from
  bool has_own_nodes = false;     // nobody sees by the nodes in /dev what the machine does with its devices
  bool has_socket_limit = false;  // what is in sockets counts as memory, or has a limit of its own
  guest_protocol::PacketTimes packet_times = guest_protocol::PacketTimes::no_such_setting;
  bool has_netlink_door = false;  // programs can list network interfaces, by a few sockets; else by none
  // Without root what of cgroups was delegated may be less, and ids may be few (docs/adr/0050).
  bool has_memory_limit = true;
  bool has_cpu_limit = true;
  bool has_process_limit = true;  // else a resource limit keeps it, which cannot be changed
  bool has_own_ids = true;        // no other sandbox's files, processes or counts of the kernel are of its ids
};

// Which of a sandbox's limits hold it back.
struct LimitsKept {
  bool memory = true;
  bool cpus = true;
};
inline LimitsKept limits_kept(const Layers& layers) { return {layers.has_memory_limit, layers.has_cpu_limit}; }

// All that are in force: "user_namespace", "seccomp", "landlock:7", ...
std::vector<std::string> layers_in_force(const Layers& layers);

// What is missing, one sentence each; empty: the level `native` as it is meant (docs/internals/containment.md).
std::vector<std::string> layers_missing(const Layers& layers);

}  // namespace lmsb::control
