#pragma once
// Spec: one file of the Container Device Interface, read: which devices there are, and what a sandbox needs to have
// them. Only what we carry out ourselves is taken: no program that a file names is ever run. What we do not know how
// to do makes the device unusable, with a reason; it is never left out in silence.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lmsb::cdi {

struct Number {
  unsigned major;
  unsigned minor;
};

struct DeviceNode {
  std::string path;       // inside: below /dev
  std::string host_path;  // on the machine
  bool is_block = false;
  std::optional<Number> number;  // none: what the machine's node is
};

struct Mount {
  std::string host_path;
  std::string path;  // inside
};

struct Link {
  std::string path;    // inside
  std::string target;  // as it is to stand in the link
};

// What a device, or all devices of a file, need.
struct Edits {
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<DeviceNode> nodes;
  std::vector<Mount> mounts;  // shown read-only, whatever they say
  std::vector<Link> links;
  std::vector<std::string> library_directories;  // whose libraries programs are to find
  std::string fault;                             // why none of it can be used; "" = it can
};

struct Device {
  std::string name;  // "0", "all"
  Edits edits;
};

struct Spec {
  std::string kind;  // "nvidia.com/gpu"
  Edits edits;       // of each of its devices
  std::vector<Device> devices;
};

constexpr std::size_t kMaxDevices = 256;     // of a file
constexpr std::size_t kMaxEdits = 1024;      // of each kind
constexpr std::size_t kMaxPathOctets = 255;  // of a path
constexpr std::size_t kMaxNameOctets = 120;  // of "vendor.com/class=name"

// A path that begins with '/', has no empty part, no "." and no "..", and no control characters.
bool is_clean_path(std::string_view path);

// Pure. Errors: invalid_argument, when the file is not of a version that we know or not well-formed.
Result<Spec> read_spec(std::string_view text);

}  // namespace lmsb::cdi
