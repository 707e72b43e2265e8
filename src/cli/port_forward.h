#pragma once
// Port forward: a port of this machine's loopback that leads to one of a sandbox, whatever the daemon is reached by.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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

// Ports that lead into a sandbox while it lives, by a thread of its own, whose complaints go to stderr.
class PortsForwarded {
 public:
  // Listens when it returns; an address that was not named is told. `connection` outlives it. Error: a port is taken.
  static Result<std::unique_ptr<PortsForwarded>> start(const Connection& connection, const std::string& sandbox,
                                                       const std::vector<PortFlag>& ports, Console& console);
  // Ends all connections.
  ~PortsForwarded();
  PortsForwarded(const PortsForwarded&) = delete;
  PortsForwarded& operator=(const PortsForwarded&) = delete;

 private:
  struct State;
  explicit PortsForwarded(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lmsb::cli
