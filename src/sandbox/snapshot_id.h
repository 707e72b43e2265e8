#pragma once
// Ids of snapshots: "snp_" and 20 characters of [a-z0-9]. Pure.
#include <algorithm>
#include <string_view>

namespace lmsb::sandbox {

constexpr std::string_view kSnapshotPrefix = "snp_";

inline bool is_snapshot_id(std::string_view text) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.size() != kSnapshotPrefix.size() + 20 || !text.starts_with(kSnapshotPrefix)) return false;
  text.remove_prefix(kSnapshotPrefix.size());
  return std::all_of(text.begin(), text.end(), fits);
}

}  // namespace lmsb::sandbox
