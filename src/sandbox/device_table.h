#pragma once
// DeviceTable: which devices of the machine, beside those that every sandbox has, sandboxes may be given, and what
// each needs. Made once, by root, from the machine's device files (cdi/find.h), before daemon and launcher begin; both
// get the same one, sealed. A plan names devices by their places in it, and can name nothing else.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::sandbox {

struct TableNode {
  std::string name;  // below /dev: "nvidia0", "dri/renderD128"
  std::string host_path;
  bool is_block = false;
  unsigned major = 0;
  unsigned minor = 0;
  bool operator==(const TableNode&) const = default;
};

// A file or directory of the machine that is shown read-only.
struct TableFile {
  std::string path;  // inside, below /, no leading slash
  std::string host_path;
  bool operator==(const TableFile&) const = default;
};

struct TableLink {
  std::string path;  // inside, below /, no leading slash
  std::string target;
  bool operator==(const TableLink&) const = default;
};

struct TableDevice {
  std::string name;   // "nvidia.com/gpu=0"
  std::string fault;  // why no sandbox can have it; "" = it can
  std::vector<std::string> environment;
  std::vector<std::uint32_t> nodes;  // places in the table's lists
  std::vector<std::uint32_t> files;
  std::vector<std::uint32_t> links;
};

struct DeviceTable {
  std::vector<TableNode> nodes;
  std::vector<TableFile> files;
  std::vector<TableLink> links;
  std::vector<TableDevice> devices;
  std::vector<std::string> faults;  // of device files that count for nothing, in sentences: "/etc/cdi/x.yaml: ..."

  // The place of what is equal to it, which is added when there is none.
  std::uint32_t place_of(const TableNode& node);
  std::uint32_t place_of(const TableFile& file);
  std::uint32_t place_of(const TableLink& link);
  bool is_empty() const { return devices.empty(); }
};

constexpr std::size_t kMaxTableDevices = 256;
constexpr std::size_t kMaxTableItems = 2048;  // of each list
constexpr Bytes kMaxTableText = Bytes::MiB(4);

// One thing a line, its parts with tabs between. Neither has control characters; parse fails (invalid_argument) on
// what format_table() would not write, and never takes more memory than the text.
std::string format_table(const DeviceTable& table);
Result<DeviceTable> parse_table(std::string_view text);

// What a descriptor holds, from its beginning; no descriptor (-1) is an empty table.
Result<DeviceTable> read_table(int fd);

}  // namespace lmsb::sandbox
