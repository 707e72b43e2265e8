#include "control/bundle_reader.h"

#include <cstring>

#include "guest_protocol/bundle.h"

namespace lmsb::control {

using guest_protocol::BundleEntry;

Bundle read_bundle(std::string_view bundle) {
  Bundle found;
  for (std::uint32_t i = 0; i < guest_protocol::kMaxBundleFiles && bundle.size() >= sizeof(BundleEntry); ++i) {
    BundleEntry entry{};
    std::memcpy(&entry, bundle.data(), sizeof entry);
    bundle.remove_prefix(sizeof entry);
    if (entry.magic != guest_protocol::kBundleMagic || entry.path_size > guest_protocol::kMaxBundlePath) break;
    if (entry.path_size > bundle.size()) break;
    const std::string path(bundle.substr(0, entry.path_size));
    bundle.remove_prefix(entry.path_size);
    if (entry.content_size > bundle.size()) break;
    if (entry.error == 0) {
      found.files.push_back({path, std::string(bundle.substr(0, entry.content_size))});
    } else {
      found.errors.emplace(path, entry.error);
    }
    bundle.remove_prefix(entry.content_size);
  }
  return found;
}

}  // namespace lmsb::control
