// A file that describes devices: nothing that comes out leads anywhere but where it says, in one line.
#include <algorithm>

#include "cdi/spec.h"
#include "fuzz.h"

namespace {

bool is_one_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

void check(const lmsb::cdi::Edits& edits) {
  for (const auto& node : edits.nodes) {
    LMSB_ASSERT(lmsb::cdi::is_clean_path(node.path) && node.path.starts_with("/dev/"));
    LMSB_ASSERT(lmsb::cdi::is_clean_path(node.host_path));
  }
  for (const auto& mount : edits.mounts)
    LMSB_ASSERT(lmsb::cdi::is_clean_path(mount.path) && lmsb::cdi::is_clean_path(mount.host_path));
  for (const auto& link : edits.links)
    LMSB_ASSERT(lmsb::cdi::is_clean_path(link.path) && !link.target.empty() && is_one_line(link.target));
  for (const auto& folder : edits.library_directories) LMSB_ASSERT(lmsb::cdi::is_clean_path(folder));
  for (const auto& variable : edits.environment)
    LMSB_ASSERT(is_one_line(variable) && variable.find('=') != std::string::npos);
  LMSB_ASSERT(is_one_line(edits.fault));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto spec = lmsb::cdi::read_spec({reinterpret_cast<const char*>(data), size});
  if (!spec.ok()) return 0;
  LMSB_ASSERT(spec->devices.size() <= lmsb::cdi::kMaxDevices && is_one_line(spec->kind));
  check(spec->edits);
  for (const auto& device : spec->devices) {
    LMSB_ASSERT(!device.name.empty() && is_one_line(device.name));
    check(device.edits);
  }
  return 0;
}
