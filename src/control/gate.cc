#include "control/gate.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <utility>

#include "os/message_socket.h"

namespace lmsb::control {
namespace {

Error lost() {
  return Error(ErrorCode::unavailable, "the process that serves the sandbox's network has ended")
      .with_slug("gate_lost")
      .with_hint("another one is started; the daemon's log may say more");
}

}  // namespace

Gate::Gate(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Release release)
    : serial_(launched.serial),
      release_(std::move(release)),
      channel_(std::move(launched.only)),
      watch_(loop.get_executor(), channel_) {
  (void)::fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
}

Gate::~Gate() { release_(serial_); }

Status Gate::give(const guest_protocol::GatePolicy& policy, const guest_client::NetworkSockets* sockets) {
  const iovec part{const_cast<guest_protocol::GatePolicy*>(&policy), sizeof policy};  // NOLINT: C interface
  std::array<int, 2> fds{};
  if (sockets != nullptr) fds = {sockets->listener().get(), sockets->names().get()};
  if (send_message(channel_.get(), &part, 1, fds.data(), sockets != nullptr ? fds.size() : 0)) return {};
  return lost();
}

Status Gate::give(const guest_protocol::GateStreams& streams, std::span<const int> fds) {
  const iovec part{const_cast<guest_protocol::GateStreams*>(&streams), sizeof streams};  // NOLINT: C interface
  if (send_message(channel_.get(), &part, 1, fds.data(), fds.size())) return {};
  return lost();
}

Status Gate::give(const guest_protocol::GateShare& share) {
  const iovec part{const_cast<guest_protocol::GateShare*>(&share), sizeof share};  // NOLINT: C interface
  if (send_message(channel_.get(), &part, 1, nullptr, 0)) return {};
  return lost();
}

io::Task<guest_protocol::GateNote> Gate::next(io::Deadline deadline) {
  guest_protocol::GateNote note;
  for (;;) {
    const ssize_t size = receive_without_descriptors(channel_.get(), &note, sizeof note, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
      LMSB_CO_CHECK(co_await watch_.readable(deadline));
      continue;
    }
    if (size != static_cast<ssize_t>(sizeof note) || note.magic != guest_protocol::kGateMagic) co_return lost();
    co_return note;
  }
}

}  // namespace lmsb::control
