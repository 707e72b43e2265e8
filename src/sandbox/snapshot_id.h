#pragma once
// Ids of snapshots: "snp_" and an id like a sandbox's. A disk's id is a sandbox's or a snapshot's. Pure.
#include <string_view>

#include "base/ids.h"

namespace lmsb::sandbox {

constexpr std::string_view kSnapshotPrefix = "snp_";

inline bool is_snapshot_id(std::string_view text) {
  return text.starts_with(kSnapshotPrefix) && SandboxId::parse(text.substr(kSnapshotPrefix.size()));
}

inline bool is_disk_id(std::string_view text) { return SandboxId::parse(text) || is_snapshot_id(text); }

}  // namespace lmsb::sandbox
