#include "guest_client/network_sockets.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include "guest_client/channel_state.h"
#include "os/tcp_socket.h"

namespace lmsb::guest_client {
namespace {

// -1: it is no socket.
int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

bool is_ipv4_socket(int fd, int type, int protocol) {
  return option(fd, SO_DOMAIN) == AF_INET && option(fd, SO_TYPE) == type && option(fd, SO_PROTOCOL) == protocol;
}

bool are_of_a_network(const ReceivedFds& fds) {
  return fds.count == 2 && is_ipv4_socket(fds.fds[0].get(), SOCK_STREAM, IPPROTO_TCP) &&
         is_ipv4_socket(fds.fds[1].get(), SOCK_DGRAM, IPPROTO_UDP);
}

Error no_network() {
  return Error(ErrorCode::failed_precondition, "the sandbox was started without a network")
      .with_slug("network_fixed")
      .with_hint("stop it, give it a network while it is stopped, and start it again");
}

}  // namespace

NetworkSockets::~NetworkSockets() {
  for (UniqueFd* socket : {&listener_, &names_})
    if (*socket) os::close_at_once(std::move(*socket));
}

bool ChannelState::take_network(std::uint32_t sequence, ReceivedFds& fds) {
  const bool is_none = fds.count == 0;
  if (!is_none && !are_of_a_network(fds)) return false;
  std::optional<NetworkSockets> sockets;
  if (!is_none) sockets.emplace(std::move(fds.fds[0]), std::move(fds.fds[1]));
  const auto found = taking.find(sequence);
  if (found == taking.end() || found->second->is_answered) return true;
  found->second->is_answered = true;
  if (sockets) found->second->sockets.emplace(*std::move(sockets));
  found->second->answered.notify_all();
  return true;
}

io::Task<NetworkSockets> Channel::take_network() {
  const auto state = state_;
  if (state->closed) co_return guest_gone();
  Awaiting waiting(state, &ChannelState::taking);
  const guest_protocol::Header request{guest_protocol::Kind::take_network, waiting.sequence()};
  if (!state->send(request)) co_return errno == EAGAIN ? guest_busy() : guest_gone();
  const auto deadline = io::Deadline::in(state->answer_limit);
  AwaitedNetwork& answer = waiting.answer();
  while (!answer.is_answered && !state->closed) LMSB_CO_CHECK(co_await answer.answered.wait(deadline));
  if (state->closed) co_return guest_gone();
  if (!answer.sockets) co_return no_network();
  co_return *std::move(answer.sockets);
}

}  // namespace lmsb::guest_client
