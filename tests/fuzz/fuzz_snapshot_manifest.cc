// The beginning of a snapshot's file, which the daemon parses.
#include "control/snapshot_manifest.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = lmsb::fuzz::text_of(data, size);
  const auto said = lmsb::control::manifest_size(text.substr(0, lmsb::control::kManifestHead));
  LMSB_ASSERT(!said.ok() || *said <= lmsb::control::kMaxManifest);
  const auto parsed = lmsb::control::parse_manifest(text);
  if (!parsed.ok()) return 0;
  const std::string again = lmsb::control::format_manifest(*parsed);
  LMSB_ASSERT(lmsb::control::parse_manifest(again.substr(lmsb::control::kManifestHead)).ok());
  return 0;
}
