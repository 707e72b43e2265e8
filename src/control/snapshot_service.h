#pragma once
// SnapshotService: copies of the disks of kept sandboxes, and what is made from them, as server/ sees them.
#include <string>
#include <vector>

#include "control/control.h"
#include "io/task.h"

namespace lmsb::control {

class SnapshotService {
 public:
  virtual ~SnapshotService() = default;

  // Of one that runs, its processes stand still for the moment of copying, which the answer tells; what they wrote
  // before is in it. Errors, beside sandbox_not_found and sandbox_ambiguous: disk_not_kept, disk_lost, invalid_name,
  // too_many_snapshots, pause_failed, store_full.
  virtual io::Task<SnapshotInfo> take(Principal who, std::string sandbox, std::string name) = 0;
  // At most `limit` (1..1000) a page, ordered by creation; of one sandbox unless `sandbox`, an id, is "".
  virtual SnapshotPage list(const Principal& who, const std::string& sandbox, std::size_t limit,
                            const std::string& cursor) const = 0;
  // Errors: snapshot_not_found.
  virtual Result<SnapshotInfo> get(const Principal& who, const std::string& id) const = 0;
  virtual io::Task<void> remove(Principal who, std::string id) = 0;
  // `count` sandboxes (1 to kMaxForks) on copies of its disk, all of one moment, each with an identity of its own, with
  // its labels, limits and life. All or none. Errors: those of take() and of creating.
  virtual io::Task<std::vector<SandboxInfo>> fork(Principal who, std::string sandbox, std::size_t count) = 0;
  // Its disk is again what it was in the snapshot, which must be one of its own (snapshot_of_another). Its processes
  // end; it runs again if it did. Cut short, it is as before or as in the snapshot.
  virtual io::Task<SandboxInfo> roll_back(Principal who, std::string sandbox, std::string snapshot) = 0;

  static constexpr std::size_t kMaxSnapshots = 10'000;
  static constexpr std::size_t kMaxForks = 64;
};

}  // namespace lmsb::control
