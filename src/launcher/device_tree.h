#pragma once
// DeviceTree: what of the machine sandboxes with devices are shown, in a mount namespace of its own: the launcher's
// stays as small as it is for all the others. Made once, from the table that root's settings have become, while the
// machine's files are in reach.
//
//     /files/N   file or directory N of the table, read-only
//     /nodes/N   node N of the table; a node of our own where that is possible, else the machine's
//     /base/*    the nodes that every sandbox has
//     /dev       where a sandbox's is put together
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/device_table.h"
#include "sandbox/launch_plan.h"

namespace lmsb::launcher {

class DeviceTree {
 public:
  // In the machine's mount namespace; `scratch` is an empty directory. `table` outlives it. Something that is not there
  // any more is none of its errors: who asks for a device that needs it is refused.
  static Result<DeviceTree> make(const sandbox::DeviceTable& table, const std::string& scratch);

  // Error (ENODEV) where a place is beyond the table, or of a device that cannot be used.
  Status check(const sandbox::LaunchPlan& plan) const;

  // For a plan that was checked: a detached /dev, all files, and what of them appears where (guest_protocol/devices.h).
  struct Parts {
    UniqueFd dev;
    UniqueFd files;
    UniqueFd records;
  };
  Result<Parts> parts_for(const sandbox::LaunchPlan& plan) const;

 private:
  class Inside;
  explicit DeviceTree(const sandbox::DeviceTable& table) : table_(&table) {}
  Status build();
  Status make_dev(const sandbox::LaunchPlan& plan) const;
  Result<UniqueFd> records_for(const sandbox::LaunchPlan& plan) const;

  const sandbox::DeviceTable* table_;
  std::vector<bool> has_file_;
  std::vector<bool> has_node_;
  UniqueFd outer_;
  UniqueFd own_;
};

}  // namespace lmsb::launcher
