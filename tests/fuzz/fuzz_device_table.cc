// The table of devices that daemon and launcher get: what is read is what would be written.
#include "fuzz.h"
#include "sandbox/device_table.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = lmsb::sandbox::parse_table(text);
  if (!table.ok()) return 0;
  const std::string written = lmsb::sandbox::format_table(*table);
  const auto again = lmsb::sandbox::parse_table(written);
  LMSB_ASSERT(again.ok() && lmsb::sandbox::format_table(*again) == written);
  for (const auto& device : table->devices) {
    for (const auto place : device.nodes) LMSB_ASSERT(place < table->nodes.size());
    for (const auto place : device.files) LMSB_ASSERT(place < table->files.size());
    for (const auto place : device.links) LMSB_ASSERT(place < table->links.size());
  }
  return 0;
}
