#include "guest_client/port_socket.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "guest_client/channel_state.h"
#include "os/tcp_socket.h"

namespace lmsb::guest_client {

using guest_protocol::Kind;

PortSocket::PortSocket(const std::shared_ptr<ChannelState>& channel, UniqueFd fd)
    : channel_(channel), fd_(std::move(fd)) {
  channel->port_sockets.insert(fd_.get());
}

PortSocket::~PortSocket() {
  if (!fd_) return;
  if (const auto channel = channel_.lock()) channel->port_sockets.erase(fd_.get());
  os::close_at_once(std::move(fd_));
}

void ChannelState::end_ports() {
  for (const int fd : port_sockets) (void)::shutdown(fd, SHUT_RDWR);
  for (const auto& [sequence, waiting] : connecting) waiting->answered.notify_all();
  for (const auto& [sequence, waiting] : taking) waiting->answered.notify_all();
  for (const auto& [sequence, waiting] : taking_models) waiting->answered.notify_all();
}

// A connection that nobody waits for any more is closed.
bool ChannelState::take_port(std::uint32_t sequence, ReceivedFds& fds) {
  if (fds.count != 1 || !os::is_tcp_socket(fds.fds[0].get())) return false;
  const auto found = connecting.find(sequence);
  if (found == connecting.end() || found->second->is_answered()) return os::close_at_once(std::move(fds.fds[0])), true;
  AwaitedSocket& waiting = *found->second;
  if (!os::prepare_connection(fds.fds[0].get())) waiting.error = errno;
  waiting.socket = std::move(fds.fds[0]);
  waiting.answered.notify_all();
  return true;
}

bool ChannelState::take_port_failure(const guest_protocol::PortFailed& told) {
  const auto found = connecting.find(told.header.sequence);
  if (found == connecting.end()) return true;
  found->second->error = told.error != 0 ? told.error : EPROTO;
  found->second->answered.notify_all();
  return true;
}

namespace {

Error not_connected(int error) {
  switch (error) {
    case ECONNREFUSED:
      return Error(ErrorCode::unavailable, "nothing listens on that port in the sandbox")
          .with_slug("port_not_listening");
    case ETIMEDOUT:
      return Error(ErrorCode::deadline_exceeded, "what listens on that port in the sandbox accepts no connection")
          .with_slug("port_timeout");
    case EAGAIN:         // too many at once,
    case EMFILE:         // no descriptor,
    case ENFILE:         //
    case ENOBUFS:        // no memory,
    case ENOMEM:         //
    case EADDRNOTAVAIL:  // or no port left for our end
      return guest_busy();
    default:
      return Error(ErrorCode::unavailable, "connect in the sandbox")
          .with_cause(std::strerror(error))
          .with_slug("port_no_answer");
  }
}

}  // namespace

io::Task<PortSocket> Channel::connect_port(std::uint16_t port) {
  const auto state = state_;
  if (state->closed) co_return guest_gone();
  Awaiting waiting(state, &ChannelState::connecting);
  const guest_protocol::ConnectPort request{{Kind::connect_port, waiting.sequence()}, port};
  if (!state->send(request)) co_return errno == EAGAIN ? guest_busy() : guest_gone();
  const auto deadline = io::Deadline::in(state->answer_limit);
  AwaitedSocket& answer = waiting.answer();
  while (!answer.is_answered() && !state->closed) LMSB_CO_CHECK(co_await answer.answered.wait(deadline));
  if (state->closed) co_return guest_gone();
  if (answer.error != 0) co_return not_connected(answer.error);
  co_return PortSocket(state, std::move(answer.socket));
}

}  // namespace lmsb::guest_client
