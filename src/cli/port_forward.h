#pragma once
// Port forward: a port of this machine's loopback that leads to one of a sandbox, whatever the daemon is reached by.
#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/console.h"

namespace lmsb::cli {

struct PortForward {
  std::string sandbox;
  std::uint16_t host = 0;  // 0: any free one
  std::uint16_t guest = 0;
};

// Says where it listens, then carries connections until Ctrl-C, which ends them all; what is wrong with one of them
// goes to err. At most 256 are carried at once, others wait. Blocks. Errors: the port is taken; it can accept no
// more.
Status forward_port(const Connection& connection, const PortForward& forward, bool json, Console& console);

}  // namespace lmsb::cli
