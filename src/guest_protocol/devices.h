#pragma once
// DeviceRecord: what a sandbox is shown of the machine for its devices, beside their nodes. The launcher writes one
// after the other into a sealed file; the guest that builds the sandbox does them in that order.
#include <array>
#include <cstdint>

namespace lmsb::guest_protocol {

enum class DeviceRecordKind : std::uint32_t {
  show,  // the mount of that number appears at the path
  link,  // a symbolic link to the target is there
};

struct DeviceRecord {
  DeviceRecordKind kind = DeviceRecordKind::show;
  std::uint32_t number = 0;        // of what is shown: its name in the tree of device files
  std::array<char, 256> path{};    // below /, no leading slash, NUL-terminated
  std::array<char, 256> target{};  // of a link, NUL-terminated
};

}  // namespace lmsb::guest_protocol
