#pragma once
// DiskStore: the disks of kept sandboxes, which outlive their processes: a btrfs file system in one sparse file of the
// data directory, a subvolume for each sandbox with a limit of its own. Counted and limited by the kernel, made and
// removed in a moment, whatever is in them.
//
//     <directory>/lock        held by the launcher that has the store
//     <directory>/store.img   the file system:
//         fresh/<id>          what was made and not yet claimed: nobody was told of it, and the next start removes it
//         disks/<id>          of sandboxes; snapshots/<id>, copies that nobody writes to; volumes/<id>, which sandboxes
//                             share (sandbox/disk_id.h has their prefixes)
//         moving/<any>        a copy on its way to the place of a disk; trash/<any>, what is to be removed
//
// What is claimed goes only when it is asked for by its id. What is inside a disk belongs to its sandbox: nothing here
// follows a path into one. Files carry the ids of the image range, whoever's range the sandbox has when it runs; who
// mounts a disk maps them.
//
// Not thread-safe. Blocks on the file system; what takes long (copying, emptying the trash) is a process of its own.
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/spawn.h"

namespace lmsb::launcher {

class DiskStore {
 public:
  // Makes the store where there is none: `size` bytes, or three quarters of what is free when 0, of which only what is
  // used is taken. Then mounts it, for this process alone. Before the launcher gives up its power. Errors:
  // already_exists (another launcher has it), invalid_argument (one is to be made, of less than 2 kFloor), unsupported
  // (no store is there, and this machine cannot make one: the message says why), failed_precondition (one is there, and
  // cannot be used), unavailable (kFailedInUse: its file system has failed, and stays so until nothing uses it any
  // more), and those of the directory.
  static Result<DiskStore> open(const std::string& directory, std::uint64_t size);

  // The mount, to be attached in the launcher's own tree.
  const UniqueFd& mount() const { return mount_; }

  // Errors: EROFS, the kernel has found the file system, or what is beneath it, damaged: until it is mounted again
  // nothing of it changes.
  Status check() const;
  // An empty disk or volume, fresh. Errors: ENOSPC when the machine has less than kFloor left, EEXIST.
  Status make(const std::string& id, std::uint64_t bytes);
  // Held by whoever uses a sandbox's disk, its guest above all, as long as any copy of the descriptor is open: who has
  // lost sight of a guest does not give its disk to another. It says nothing of the disk, and leads nowhere. Errors:
  // EBUSY, somebody has it.
  Result<UniqueFd> lock(const std::string& id) const;
  // Whether there is such a disk, snapshot or volume, fresh or claimed.
  bool has(const std::string& id) const;
  // Where it is, below the mount: "disks/<id>".
  std::string path_of(const std::string& id) const;
  // What is fresh stays from now on. Errors: ENOENT, nothing fresh has that id.
  Status claim(const std::string& id);
  // What the disk may hold from now on; what it holds already stays.
  Status limit(const std::string& id, std::uint64_t bytes);
  // What it holds, as its limit counts; half a minute old at most. Errors: ENOENT.
  Result<std::uint64_t> held_bytes(const std::string& id) const;
  // Its files are out of reach at once; ENOENT is no error. sweep() gives their space back. Of a snapshot or a volume,
  // too. Nobody holds the disk's lock, or whoever calls does.
  Status remove(const std::string& id);
  // Everything fresh but what is used goes the same way.
  void remove_fresh(const std::function<bool(const std::string& id)>& is_used);
  // The first claimed id behind `after` in their order; "" = there is no more. Of snapshots or volumes when `after`
  // begins as theirs. What is listed is what was there when a listing began, with an `after` that is no id. Errors: of
  // reading.
  Result<std::string> next(const std::string& after);

  // Starts copying `from`, as it is then, to `to`, which is fresh. With Replace::yes it takes the place of a disk `to`
  // that nobody uses, in one step: a copy that is killed leaves the one that was. The process's exit status is 0, or
  // the errno: ENOENT, EEXIST, ENOSPC.
  enum class Replace : std::uint8_t { no, yes };
  Result<GuestProcess> start_copy(const std::string& from, const std::string& to, Replace replace);
  // Starts waiting until everything that was written is on the disk: a copy has less to do then.
  Result<GuestProcess> start_sync();

  // Of who has seen a copy end, however it did: something may be in the trash.
  void expect_trash() { has_trash_ = true; }
  // Starts emptying the trash when something was put there and nobody does so already: true. The process's pidfd is
  // sweeper(): when that is readable, sweep() again.
  bool sweep();
  const UniqueFd& sweeper() const { return sweeper_.pidfd; }

  static constexpr const char* kFailedInUse = "store_failed";  // a slug
  static constexpr std::uint64_t kFloor = 1ULL << 30;
  // More than its limit, that a guest which starts on a full disk may have for itself.
  static constexpr std::uint64_t kRoomToStart = 8ULL << 20;

 private:
  DiskStore() = default;
  Result<UniqueFd> open_disk(const std::string& id) const;
  std::vector<int> directories() const;  // what a helper needs
  Status check_room() const;             // ENOSPC
  bool is_fresh(const std::string& id) const;
  // The directory that it is in, or belongs into.
  int place_of(const std::string& id) const;
  int claimed_place_of(const std::string& id) const;
  Status copy(const std::string& from, const std::string& to) const;
  Status replace(const std::string& from, const std::string& to, const std::string& name) const;
  std::string new_name();  // in moving and trash, where a disk can be more than once

  UniqueFd directory_;
  UniqueFd lock_;
  UniqueFd disk_locks_;
  UniqueFd mount_;
  UniqueFd fresh_;
  UniqueFd disks_;
  UniqueFd snapshots_;
  UniqueFd volumes_;
  UniqueFd moving_;
  UniqueFd trash_;
  // What there was when a listing began, in order; of sandboxes, snapshots and volumes.
  std::array<std::vector<std::string>, 3> listed_;
  GuestProcess sweeper_;
  std::uint64_t names_ = 0;  // given out
  bool has_trash_ = true;    // since the last sweeper began: what that could not remove is left to the next start
};

}  // namespace lmsb::launcher
