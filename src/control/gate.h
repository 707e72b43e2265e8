#pragma once
// Gate: the daemon's end of a process of the launcher's that serves the network of one sandbox (docs/adr/0038).
// Destroying it ends that, and with it every connection. One loop, one thread.
#include <cstdint>
#include <functional>
#include <span>

#include <boost/asio/io_context.hpp>

#include "guest_client/network_sockets.h"
#include "guest_protocol/gate.h"
#include "io/deadline.h"
#include "io/task.h"
#include "io/wait_fd.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

class Gate {
 public:
  // Called once, when it is to end.
  using Release = std::function<void(std::uint64_t serial)>;
  Gate(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Release release);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  std::uint64_t serial() const { return serial_; }
  // Sends a policy, the first one with what it is to serve. Never blocks. Error: gate_lost.
  Status give(const guest_protocol::GatePolicy& policy, const guest_client::NetworkSockets* sockets);
  // Answers what it has asked for (GateNote::asking). Never blocks. Error: gate_lost, also where it does not keep up.
  Status give(const guest_protocol::GateStreams& streams, std::span<const int> fds);
  // How many connections it may have from now on. Never blocks. Error: gate_lost, as above.
  Status give(const guest_protocol::GateShare& share);
  // What it tells next. Errors: gate_lost (it has ended, or is not ours any more), cancelled.
  io::Task<guest_protocol::GateNote> next(io::Deadline deadline);
  // Ends the wait in next().
  void cancel() { watch_.cancel(); }

 private:
  std::uint64_t serial_;
  Release release_;
  UniqueFd channel_;
  io::FdWatch watch_;  // after channel_: ends before it
};

}  // namespace lmsb::control
