// The beginning of a snapshot's file, which the daemon parses.
#include <array>
#include <cstdio>
#include <string>
#include <zlib.h>

#include "control/snapshot_manifest.h"
#include "fuzz.h"

namespace {

using lmsb::control::kManifestHead;
using lmsb::control::SnapshotManifest;

bool is_same(const SnapshotManifest& a, const SnapshotManifest& b) {
  return a.id == b.id && a.name == b.name && a.sandbox == b.sandbox && a.created_at == b.created_at &&
         a.image == b.image && a.image_digest == b.image_digest && a.workdir == b.workdir && a.env == b.env &&
         a.limits == b.limits;
}

// What an import takes from a file, an export says again.
void check_round_trip(const SnapshotManifest& manifest) {
  const std::string file = lmsb::control::format_manifest(manifest);
  const auto size = lmsb::control::manifest_size(std::string_view(file).substr(0, kManifestHead));
  LMSB_ASSERT(size.ok() && *size == file.size() - kManifestHead);
  const auto again = lmsb::control::parse_manifest(std::string_view(file).substr(kManifestHead));
  LMSB_ASSERT(again.ok() && is_same(*again, manifest));
}

void parse(std::string_view text) {
  const auto parsed = lmsb::control::parse_manifest(text);
  if (parsed.ok()) check_round_trip(*parsed);
}

// The input under a right sum, which mutation does not find.
std::string with_sum(std::string_view json) {
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(json.data()), static_cast<uInt>(json.size()));
  std::array<char, 64> head{};
  std::snprintf(head.data(), head.size(), "lm-sandbox-snapshot 1 %08lx\n", sum);
  return head.data() + std::string(json);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = lmsb::fuzz::text_of(data, size);
  const auto said = lmsb::control::manifest_size(text.substr(0, kManifestHead));
  LMSB_ASSERT(!said.ok() || *said <= lmsb::control::kMaxManifest);
  parse(text);
  parse(with_sum(text));
  return 0;
}
