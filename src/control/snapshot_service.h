#pragma once
// SnapshotService: copies of the disks of kept sandboxes, and what is made from them, as server/ sees them.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/control.h"
#include "control/files.h"
#include "http/body.h"
#include "io/task.h"

namespace lmsb::control {

// A copy of a kept sandbox's disk.
struct SnapshotInfo {
  std::string id;
  std::string name;        // "" = none
  std::string sandbox_id;  // of the one that it was taken of, which may be gone
  std::string image;
  std::string image_digest;
  std::string created_at;                           // RFC 3339 UTC
  std::optional<std::chrono::microseconds> frozen;  // how long its processes stood still; nothing: not known any more
};

struct SnapshotPage {
  std::vector<SnapshotInfo> data;
  std::optional<std::string> next_cursor;
};

using SnapshotPromise = Promise<SnapshotInfo>;
using ForksPromise = Promise<std::vector<SandboxInfo>>;

// What an import may say of the snapshot that it makes.
struct ImportSnapshot {
  ImportSnapshot() = default;
  std::string name;                 // "" = as the file says
  std::optional<Bytes> disk_bytes;  // limit of what is made from it, and of what it holds; nothing: as the file says
  SnapshotPromise promise;          // kept once the body has been read to its end
};

class SnapshotService {
 public:
  virtual ~SnapshotService() = default;

  // What returns a Task, once begun, goes on when who waits goes away, unless the daemon ends meanwhile. Errors of
  // each: sandbox_busy (16 are on their way for one caller; or, of what copies, too many in all), launcher_lost,
  // cancelled.

  // Of one that runs, its processes stand still for the moment of copying, which the answer tells; what they wrote
  // before is in it. Errors, beside sandbox_not_found and sandbox_ambiguous: disk_not_kept, disk_lost, invalid_name,
  // name_taken (each is its owner's), too_many_snapshots, pause_failed, sandbox_lost, store_full, deadline_exceeded
  // (copying took two minutes), and those of the ledger.
  virtual io::Task<SnapshotInfo> take(Principal who, std::string sandbox, std::string name,
                                      SnapshotPromise promise) = 0;
  // At most `limit` (1..1000) a page, ordered by creation; of one sandbox unless `sandbox`, an id, is "".
  virtual Result<SnapshotPage> list(const Principal& who, const std::string& sandbox, std::size_t limit,
                                    const std::string& cursor) const = 0;
  // Errors, of remove() too: snapshot_not_found.
  virtual Result<SnapshotInfo> get(const Principal& who, const std::string& id) const = 0;
  virtual io::Task<void> remove(Principal who, std::string id) = 0;
  // `count` sandboxes (1 to kMaxForks) on copies of its disk, all of one moment, each with an identity of its own, with
  // its labels, limits, life and volumes. All or none, also when the daemon ends meanwhile. Errors: those of take(),
  // but for a snapshot's name and number, and of creating.
  virtual io::Task<std::vector<SandboxInfo>> fork(Principal who, std::string sandbox, std::size_t count,
                                                  ForksPromise promise) = 0;
  // Its disk is again what it was in the snapshot, which must be one of its own. Its processes end; it is started
  // again if it ran or was paused, and where that fails it is `stopped`, and the log says why. Cut short, the disk is
  // as before or as in the snapshot. Errors, beside sandbox_not_found and sandbox_ambiguous: snapshot_not_found,
  // snapshot_of_another, image_changed, limit_in_use (an imported one holds more than its limit of disk),
  // disk_not_kept, disk_lost, and of one that is to run again mounts_not_kept, volume_lost and image_not_found, before
  // anything has ended; store_full, deadline_exceeded, sandbox_not_running (somebody else started it meanwhile).
  virtual io::Task<SandboxInfo> roll_back(Principal who, std::string sandbox, std::string snapshot) = 0;

  // The snapshot as one file (docs/adr/0036), while it is read. Its first octets are there. Errors: snapshot_not_found,
  // disk_lost, sandbox_busy (2 for one caller, 4 in all, of both ways). A read may end with snapshot_not_exportable or
  // snapshot_transfer_lost: what came is not all then. Meanwhile the snapshot cannot be deleted (snapshot_busy).
  virtual io::Task<std::unique_ptr<FileStream>> export_file(Principal who, std::string id) = 0;
  // A snapshot made of such a file, its maker's own. All or nothing: what ends this, before it is written down, leaves
  // nothing. Errors: not_a_snapshot, snapshot_version_unknown, snapshot_damaged, snapshot_too_large, image_not_found,
  // image_changed, invalid_name, name_taken, limit_out_of_bounds, policy_denied, too_many_snapshots, sandbox_busy,
  // store_full, and those of the body and of the ledger.
  virtual io::Task<SnapshotInfo> import_file(Principal who, ImportSnapshot request,
                                             std::shared_ptr<http::BodyReader> body) = 0;

  static constexpr std::size_t kMaxSnapshots = 10'000;
  static constexpr std::size_t kMaxForks = 64;
};

}  // namespace lmsb::control
