#pragma once
// PrivateTree: the launcher's own tiny mount namespace. A tmpfs with a full /proc, the cgroup v2 mount, the machine's
// /usr, the image store, and the templates that sandboxes get clones of. Nothing else of the machine is reachable by
// path once enter() is done, and cloning a namespace of ten mounts is cheap.
//
//     /root            where a guest puts its new root before it pivots
//     /proc /cgroup /usr /images
//     /store           the disks of kept sandboxes (disk_store.h), where there are any
//     /dev             template: device nodes, links, empty pts and shm
//     /private         template: `empty`, `void`, `bin` (an empty directory)
//     /host            the same with `etc` (copies of what programs need of the machine's /etc); made when it is wanted
//     /sudo            template of what stands at `bin` where commands are root; made when it is wanted
//     /lower /work     where an overlay's layers stand for the moment of mounting it, here or in a guest's own copy
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/cgroup_tree.h"
#include "launcher/starter.h"
#include "sandbox/launch_plan.h"

namespace lmsb::launcher {

class PrivateTree {
 public:
  // Unshares the mount namespace, builds the tree on `scratch` (an existing empty directory) and pivots into it.
  // `image_root` exists (it may be empty). `store` is a detached mount, or none.
  static Result<PrivateTree> enter(const std::string& scratch, const std::string& image_root,
                                   const std::string& cgroup_v2_mount, const UniqueFd& store,
                                   Starter starter = Starter::root);

  // Whether the nodes in /dev are not the machine's (where it lets nobody make any, they are).
  bool has_own_nodes() const { return has_own_nodes_; }

  // Detached trees for one sandbox. `userns` maps ids on the disk to those of its range. A user's tree leaves those of
  // the machine's file systems as they are, since no namespace of that user's owns them: in /usr all is nobody's, and
  // images are stored with the ids that their sandboxes have.
  Result<UniqueFd> clone_dev() const;
  Result<UniqueFd> clone_private(int userns) const;
  // The same for one that has the machine's /usr. The first of them takes some milliseconds more.
  Result<UniqueFd> clone_host(int userns);
  // The directory with `sudo`, which is the guest's program (guest_protocol/sudo.h).
  Result<UniqueFd> clone_sudo(int guest_program, int userns);
  Result<UniqueFd> clone_usr(int userns) const;
  Result<UniqueFd> clone_cgroup(const std::string& path) const;
  // The stored image, read-only, and the disk of a kept sandbox: the layers of an overlay that its guest mounts.
  Result<UniqueFd> clone_image(const std::string& image, int image_userns) const;
  enum class Access : std::uint8_t { read_write, read_only };
  Result<UniqueFd> clone_disk(const std::string& path /* DiskStore::path_of() */, int image_userns,
                              Access access = Access::read_write) const;
  // An overlay of the stored image under a fresh tmpfs; `image_userns` maps the image range to the sandbox's range.
  Result<UniqueFd> overlay(const sandbox::LaunchPlan& plan, int image_userns, std::uint32_t id_base) const;
  // A passed directory, read as belonging to the sandbox's user. It must be of the mount namespace that the launcher
  // was started in: the kernel clones a mount only from within its own, so the launcher goes there for that one call.
  Result<UniqueFd> clone_passed(int source, bool read_only, int userns) const;

 private:
  PrivateTree() = default;
  class Outside;
  Status make_host_template() const;
  bool has_host_template_ = false;
  bool has_sudo_template_ = false;
  bool has_own_nodes_ = false;
  Starter starter_ = Starter::root;
  UniqueFd outer_namespace_;
  UniqueFd own_namespace_;
};

}  // namespace lmsb::launcher
