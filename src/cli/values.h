#pragma once
// Values as they are written on the command line, in Docker's spelling. Pure.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::cli {

// "90" (seconds), "500ms", "30s", "5m", "1h30m". At most 24 hours, as the API has it; zero is refused.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// The same for how long a sandbox lives: up to ten years; "none" and "0" are no limit.
Result<std::chrono::milliseconds> parse_life(std::string_view text);
// The same for how long processes have to end by themselves; "0" is not at all.
// (How much that may be, the daemon says.)
Result<std::chrono::milliseconds> parse_grace(std::string_view text);
// "1.5 MiB"
std::string human_size(double bytes);

// "1.5" CPUs as 1500 thousandths; more digits than three are refused, and so is zero.
Result<std::uint32_t> parse_cpus(std::string_view text);

// A count from 1 up to 4194304 (the kernel's own highest pid).
Result<std::uint32_t> parse_count(std::string_view text);

// "512m" and so on (base/units.h) as an error that shows the form.
Result<Bytes> parse_size(std::string_view text);

// One --ulimit NAME=VALUE, as the API has it: {"cpu_ms", 2000} of "cpu=2"; also as=SIZE, fsize=SIZE, nofile=NUMBER.
Result<std::pair<std::string, std::uint64_t>> parse_ulimit(std::string_view text);

// One -v SRC:DST[:ro|:rw]. `source` is as written: a directory (perhaps relative) or, without any slash, the name or id
// of a volume; `target` is absolute.
struct MountFlag {
  std::string source;
  std::string target;
  bool read_only = false;
  bool operator==(const MountFlag&) const = default;
  bool is_volume() const { return source.find('/') == std::string::npos && source != "." && source != ".."; }
};
Result<MountFlag> parse_mount_flag(std::string_view text);

// One -p [HOST:]GUEST: a port of this machine's loopback that leads to one of the sandbox. HOST 0 is any free one;
// without it it is the same number. "127.0.0.1:HOST:GUEST" and "GUEST/tcp" say no more.
struct PortFlag {
  std::uint16_t host = 0;
  std::uint16_t guest = 0;
  bool operator==(const PortFlag&) const = default;
};
Result<PortFlag> parse_port_flag(std::string_view text);

// What a sandbox may reach, in the API's words, of "none", "open" or "HOST,...". What a host is the daemon says.
struct NetworkFlag {
  std::string mode;
  std::vector<std::string> allow;
  bool operator==(const NetworkFlag&) const = default;
};
Result<NetworkFlag> parse_network(std::string_view text);
// Beside what it may reach, or for that alone.
void add_credential(std::optional<NetworkFlag>& network, const std::string& name);

using Variables = std::map<std::string, std::string>;
// The value of a variable of the CLI's own environment; nothing when it is not set.
using Lookup = std::function<std::optional<std::string>(const std::string&)>;

// Adds "KEY=VALUE", or for "KEY" the variable of that name if it is set (as Docker does).
Status add_variable(Variables& variables, std::string_view text, const Lookup& lookup);

// Adds the lines of an --env-file: each as above; empty lines and lines that begin with '#' are skipped.
Status add_variables_of_file(Variables& variables, std::string_view content, const Lookup& lookup);

// "KEY=VALUE" or "KEY" (an empty value), for labels.
Status add_label(Variables& labels, std::string_view text);

// `text` as one segment of a URL's path (RFC 3986: all but unreserved characters as %XX).
std::string url_segment(std::string_view text);
// Where the API has a sandbox, by its id or name.
inline std::string sandbox_url(std::string_view sandbox) { return "/v1/sandboxes/" + url_segment(sandbox); }

}  // namespace lmsb::cli
