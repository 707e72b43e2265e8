#pragma once
// Who is at the other end of a TCP connection on this machine, and who holds a port: asked of the kernel.
#include <cstdint>
#include <optional>
#include <string>
#include <sys/socket.h>

#include "base/result.h"

namespace lmsb {

// The uid of the socket at the other end of an established loopback connection (NETLINK_SOCK_DIAG, the exact pair of
// addresses). `theirs` and `ours` are what getpeername() and getsockname() said. Fails closed: a peer that is closing,
// is on another machine, or whose socket no process holds is an Error, never a guess. Costs four system calls; does
// not wait.
Result<std::uint32_t> tcp_peer_uid(const sockaddr_storage& theirs, const sockaddr_storage& ours);

// A process that listens on a TCP port.
struct PortHolder {
  std::uint64_t inode = 0;  // of its socket
  std::uint32_t uid = 0;
  std::optional<std::int32_t> pid;  // nothing when its descriptors are not ours to see
  std::string command;              // its command line, cut short; "" without pid
};

// Who listens on `port` at any address of this network namespace; the first found. Reads /proc and may take
// milliseconds: for error messages.
std::optional<PortHolder> find_port_holder(std::uint16_t port);

}  // namespace lmsb
