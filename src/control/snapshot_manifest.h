#pragma once
// The beginning of a snapshot's file (docs/adr/0036): what the snapshot is, before its files. A skippable frame of
// Zstandard (RFC 8878, 3.1.2), so that programs which know nothing of it see the archive behind it alone:
//
//     4 octets 0x184D2A5E, 4 octets size (both little-endian), then so many:
//     "lm-sandbox-snapshot 1 " CRC-32 of the rest as 8 hexadecimal digits "\n" JSON
//
// What is read comes from anywhere. Pure.
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sandbox/limits.h"

namespace lmsb::control {

struct SnapshotManifest {
  std::string id;  // on the machine that it was exported from
  std::string name;
  std::string sandbox;
  std::string created_at;
  std::string image;
  std::string image_digest;
  std::string workdir;
  std::map<std::string, std::string> env;
  sandbox::Limits limits;
};

constexpr std::size_t kManifestHead = 8;
constexpr std::size_t kMaxManifest = 1U << 20U;  // octets behind the head

// False: its variables are more than a file carries.
bool can_be_read(const SnapshotManifest& manifest);
std::string format_manifest(const SnapshotManifest& manifest);
// How many octets follow the first kManifestHead. Errors: not_a_snapshot.
Result<std::size_t> manifest_size(std::string_view head);
// Those octets. Errors: not_a_snapshot, snapshot_version_unknown, snapshot_damaged.
Result<SnapshotManifest> parse_manifest(std::string_view text);

Error snapshot_damaged(const std::string& what);

}  // namespace lmsb::control
