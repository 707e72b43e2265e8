#pragma once
// Tunnel: octets carried between two connections, both ways, as fast as the slower one takes them: one piece at a time
// is held in each direction.
//
// An end that only stops sending is passed on as that (a half-closed connection); the rest may go on as long as
// something is carried every kHalfOpen. Any other end, of either connection, ends both.
#include <chrono>
#include <memory>
#include <string>

#include "io/duplex.h"
#include "io/held_socket.h"
#include "io/task.h"

namespace lmsb::io {

// One of the two, and what has been read from it already.
struct TunnelEnd {
  TunnelEnd(HeldSocket s, std::string r) : socket(std::move(s)), read_ahead(std::move(r)) {}
  HeldSocket socket;
  std::string read_ahead;
};

constexpr std::chrono::minutes kHalfOpen{10};

// Ends when both directions have; cancelling the task ends both connections.
Always<void> carry(TunnelEnd left, TunnelEnd right, std::chrono::milliseconds half_open = kHalfOpen);

// The same between a connection that is not plain octets on a socket, and a socket.
Always<void> carry(std::shared_ptr<Duplex> left, HeldSocket right, std::chrono::milliseconds half_open = kHalfOpen);

}  // namespace lmsb::io
