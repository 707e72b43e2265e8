#pragma once
// Ids of what the store of disks has: those of sandboxes, and with a prefix those of snapshots and volumes. Pure.
#include <string_view>

#include "base/ids.h"

namespace lmsb::sandbox {

constexpr std::string_view kSnapshotPrefix = "snp_";

inline bool is_snapshot_id(std::string_view text) {
  return text.starts_with(kSnapshotPrefix) && SandboxId::parse(text.substr(kSnapshotPrefix.size()));
}

constexpr std::string_view kVolumePrefix = "vol_";

inline bool is_volume_id(std::string_view text) {
  return text.starts_with(kVolumePrefix) && SandboxId::parse(text.substr(kVolumePrefix.size()));
}

// Of a sandbox, or a copy of one.
inline bool is_copy_id(std::string_view text) { return SandboxId::parse(text) || is_snapshot_id(text); }
inline bool is_disk_id(std::string_view text) { return is_copy_id(text) || is_volume_id(text); }

}  // namespace lmsb::sandbox
