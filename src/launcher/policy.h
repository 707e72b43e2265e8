#pragma once
// Policy: what the administrator allows, whoever asks. Read once, at the start, from root's settings: the daemon cannot
// change it. Raising a cap therefore needs a new start.
#include <cstdint>
#include <string>

#include "base/result.h"
#include "launcher/cgroup_tree.h"
#include "launcher/id_pool.h"
#include "launcher/starter.h"
#include "sandbox/device_table.h"
#include "sandbox/launch_plan.h"

namespace lmsb::launcher {

// The most that one sandbox gets.
struct Caps {
  std::uint64_t memory_bytes = 0;  // 0 = what the machine has
  std::uint32_t cpu_millis = 0;    // 0 = all CPUs
  std::uint32_t processes = 32768;
  std::uint64_t disk_bytes = 0;  // 0 = no cap
  bool allows_root = false;      // Profile::root: a plan that asks for it otherwise is refused
};

struct Policy {
  std::string image_root;         // holds <name>/rootfs
  std::string disks;              // directory of the disk store; "" = kept sandboxes write to memory
  std::uint64_t store_bytes = 0;  // of a store that is made; 0 = disk_store.h decides
  bool needs_store = false;       // no store is an error; else kept sandboxes write to memory then
  std::string meetings;           // directory where guests that stay are met by a later launcher
  bool sandboxes_stay = false;    // those with disks outlive daemon and launcher
  std::string scratch;            // an empty directory for the launcher's mounts
  std::string cgroup_name;
  std::string mounts_socket;        // where callers hand over directories for -v; "" = nobody can
  std::uint32_t daemon_uid = ~0U;   // who the daemon is, for the mount desk; ~0 = nobody
  std::string id_locks = kIdLocks;  // shared by all daemons of the machine (id_pool.h)
  Caps caps;
  sandbox::DeviceTable devices;  // that sandboxes may be given: a plan names them by their places in it
  Starter starter = Starter::root;
  std::uint32_t ids_of_sandbox = kIdRange;  // that shares its ids, and how many have own ones: sandbox/own_ids.h
  std::uint32_t own_ranges = 0;
  TreeLimits all = limits_of_all();
  std::size_t max_sandboxes = 20000;
};

// `caps` with the machine's own size in place of 0.
Result<Caps> resolve(Caps caps);

// `plan` with no limit above the caps. The daemon refuses requests that ask for more; what it makes for itself
// (prepared sandboxes, runners) is cut down here, as is all that a daemon asks for that has been taken over.
sandbox::LaunchPlan within(const Caps& caps, sandbox::LaunchPlan plan);

}  // namespace lmsb::launcher
