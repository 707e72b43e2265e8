#pragma once
// VolumeService: directories that sandboxes share and that outlive them, as server/ sees them. A volume has a limit of
// its own; what is written to it belongs to no sandbox, and is in none of their snapshots.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "control/principal.h"
#include "control/promise.h"
#include "io/task.h"

namespace lmsb::control {

struct VolumeInfo {
  std::string id;
  std::string name;
  std::string created_at;  // RFC 3339 UTC
  std::map<std::string, std::string> labels;
  Bytes size;                        // that it may hold
  bool is_lost = false;              // its row, or its disk, alone is there
  std::vector<std::string> used_by;  // ids of sandboxes
};

struct CreateVolume {
  CreateVolume() = default;
  std::string name;
  std::optional<Bytes> size;  // nothing = kDefaultSize, or the operator's cap where that is less
  std::map<std::string, std::string> labels;
  Promise<VolumeInfo> promise;
};

struct UpdateVolume {
  UpdateVolume() = default;
  std::optional<Bytes> size;                                 // no less than it holds
  std::map<std::string, std::optional<std::string>> labels;  // nothing: the label goes
};

struct VolumePage {
  std::vector<VolumeInfo> data;
  std::optional<std::string> next_cursor;
};

class VolumeService {
 public:
  virtual ~VolumeService() = default;

  // What returns a Task, once begun, goes on when who waits goes away. Errors of each: launcher_lost, cancelled, those
  // of the ledger; and where a volume is named, by its id or its name, volume_not_found.

  // Errors: invalid_name, name_taken, too_many_labels, policy_denied, limit_out_of_bounds, too_many_volumes,
  // disk_not_kept (this machine has no store), store_full.
  virtual io::Task<VolumeInfo> create(Principal who, CreateVolume request) = 0;
  // At most `limit` (1..1000) a page, ordered by creation; those that have all of `labels`.
  virtual Result<VolumePage> list(const Principal& who, const std::map<std::string, std::string>& labels,
                                  std::size_t limit, const std::string& cursor) const = 0;
  virtual Result<VolumeInfo> get(const Principal& who, const std::string& id_or_name) const = 0;
  // What it holds, as its limit counts; half a minute old at most. Error: volume_lost.
  virtual io::Task<std::uint64_t> held_bytes(Principal who, std::string id_or_name) = 0;
  // Errors: too_many_labels, policy_denied, limit_out_of_bounds, limit_in_use (it holds more), quota_exceeded,
  // sandbox_busy, deadline_exceeded (what was written to it is not on the disk after two minutes), volume_lost.
  virtual io::Task<VolumeInfo> update(Principal who, std::string id_or_name, UpdateVolume changes) = 0;
  // With all that is in it. Error: volume_in_use (a sandbox has it, be it a stopped one).
  virtual io::Task<void> remove(Principal who, std::string id_or_name) = 0;

  static constexpr std::size_t kMaxVolumes = 10'000;
  static constexpr std::size_t kMaxOfOne = 1'000;  // of one owner
  static constexpr Bytes kDefaultSize = Bytes::GiB(10);
};

}  // namespace lmsb::control
