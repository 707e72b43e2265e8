#pragma once
// Port forward: a port of this machine's loopback that leads to one of a sandbox, whatever the daemon is reached by.
#include <cstdint>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/console.h"
#include "http/listener.h"

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

// Ports that lead into a sandbox while it lives, by a process of its own, whose complaints go to stderr.
class PortsForwarded {
 public:
  // Listens from here on; an address that was not named is told. Error: a port is taken.
  static Result<std::unique_ptr<PortsForwarded>> bind(const std::vector<PortFlag>& ports, Console& console);
  // Carries connections there. Error: no process can be started.
  Status lead_to(const Connection& connection, const std::string& sandbox);
  // Ends all connections.
  ~PortsForwarded();
  PortsForwarded(const PortsForwarded&) = delete;
  PortsForwarded& operator=(const PortsForwarded&) = delete;

 private:
  PortsForwarded() = default;
  struct Port {
    http::Listener listener;
    std::uint16_t guest = 0;
  };
  void serve(const Connection& connection, const std::string& sandbox) const;
  std::vector<Port> ports_;
  pid_t process_ = -1;
};

}  // namespace lmsb::cli
