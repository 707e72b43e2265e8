#pragma once
// NetworkUsage: what has gone through the network interfaces of a sandbox, as its kernel counts it.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::control {

// Of all interfaces but loopback together, since each of them was made. A sum beyond 64 bits stays at the largest.
struct NetworkUsage {
  std::uint64_t received_bytes = 0;
  std::uint64_t received_packets = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t sent_packets = 0;
  bool operator==(const NetworkUsage&) const = default;
};

// Reads the text of /proc/net/dev. Names of interfaces may be anything that the kernel takes. Error: internal, it is
// another text. Pure.
Result<NetworkUsage> parse_network_counters(std::string_view text);

// The same of a descriptor, at most 1 MiB of it: some thousand interfaces.
Result<NetworkUsage> read_network_counters(BorrowedFd counters);

}  // namespace lmsb::control
