#include "control/layers.h"

namespace lmsb::control {

std::vector<std::string> layers_in_force(const Layers& layers) {
  std::vector<std::string> names = {"user_namespace", "pid_namespace", "mount_namespace", "network_namespace",
                                    "ipc_namespace",  "uts_namespace", "cgroup_namespace"};
  if (layers.has_memory_limit && layers.has_cpu_limit && layers.has_process_limit) names.emplace_back("cgroup_limits");
  for (const char* name : {"seccomp", "no_new_privs", "no_capabilities", "masked_proc", "no_more_namespaces"})
    names.emplace_back(name);
  if (layers.has_own_ids) names.emplace_back("own_ids");
  if (layers.has_device_list) names.emplace_back("device_list");
  if (layers.has_own_nodes) names.emplace_back("own_nodes");
  if (layers.has_socket_limit) names.emplace_back("socket_limit");
  if (layers.packet_times == guest_protocol::PacketTimes::forbidden) names.emplace_back("packet_times");
  if (layers.has_netlink_door) names.emplace_back("netlink_door");
  if (layers.landlock_abi > 0) names.push_back("landlock:" + std::to_string(layers.landlock_abi));
  return names;
}

std::vector<std::string> layers_missing(const Layers& layers) {
  std::vector<std::string> missing;
  if (layers.landlock_abi == 0) missing.emplace_back("the kernel has no Landlock");
  if (!layers.has_device_list)
    missing.emplace_back("the kernel takes no list of devices from us (cgroup programs, or the devices controller)");
  if (!layers.has_own_nodes)
    missing.emplace_back("the machine lets us make no device nodes: sandboxes share its own with everybody");
  if (!layers.has_socket_limit)
    missing.emplace_back(
        "what is in sockets has no limit (cgroup v1, whose kernel counts no memory of TCP, or cgroup.memory=nosocket "
        "or "
        "nokmem on its command line)");
  if (layers.packet_times == guest_protocol::PacketTimes::refused)
    missing.emplace_back("the machine does not let sandboxes forbid times of packets (net.core.tstamp_allow_data)");
  if (!layers.has_memory_limit)
    missing.emplace_back("memory has no limit: the controller memory was not delegated to this user");
  if (!layers.has_cpu_limit)
    missing.emplace_back("CPU time has no limit: the controller cpu was not delegated to this user");
  if (!layers.has_process_limit)
    missing.emplace_back("processes have a resource limit alone: the controller pids was not delegated to this user");
  if (!layers.has_own_ids)
    missing.emplace_back(
        "sandboxes share one range of ids: namespaces alone are between them (this user has few subordinate ids, or "
        "the image is a stored one)");
  return missing;
}

}  // namespace lmsb::control
