// The socket by which programs of a sandbox reach its models, on its way from the guest to the daemon.
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

#include "guest_client/channel_state.h"
#include "guest_client/guest_error.h"
#include "os/tcp_socket.h"

namespace lmsb::guest_client {
namespace {

// Bound where it has to be, and neither listening nor connected.
bool is_model_socket(int fd) {
  if (!os::is_tcp_socket(fd)) return false;
  sockaddr_in here{};
  socklen_t size = sizeof here;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size) < 0) return false;  // NOLINT: C interface
  if (here.sin_family != AF_INET || ntohs(here.sin_port) != guest_protocol::kModelPort ||
      ntohl(here.sin_addr.s_addr) != INADDR_LOOPBACK)
    return false;
  int listens = 1;
  socklen_t flag_size = sizeof listens;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_size) < 0 || listens != 0) return false;
  sockaddr_in other{};
  size = sizeof other;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&other), &size) < 0 && errno == ENOTCONN;  // NOLINT
}

Error not_taken(int error) {
  if (error != EADDRINUSE) return guest_error(error, "make the socket for the sandbox's models");
  return Error(ErrorCode::failed_precondition, "a program of the sandbox has port 11434, where its models would be")
      .with_slug("model_port_taken")
      .with_hint("end that program, or stop the sandbox and start it again");
}

}  // namespace

bool ChannelState::take_models(const guest_protocol::Models& told, ReceivedFds& fds) {
  if (fds.count != (told.error == 0 ? 1 : 0)) return false;
  if (told.error == 0 && !is_model_socket(fds.fds[0].get())) return false;
  const auto found = taking_models.find(told.header.sequence);
  if (found == taking_models.end() || found->second->is_answered()) {  // nobody waits for it any more
    if (told.error == 0) os::close_at_once(std::move(fds.fds[0]));
    return true;
  }
  found->second->error = told.error;
  if (told.error == 0) found->second->socket = std::move(fds.fds[0]);
  found->second->answered.notify_all();
  return true;
}

io::Task<UniqueFd> Channel::take_models() {
  const auto state = state_;
  if (state->closed) co_return guest_gone();
  Awaiting waiting(state, &ChannelState::taking_models);
  const guest_protocol::Header request{guest_protocol::Kind::take_models, waiting.sequence()};
  if (!state->send(request)) co_return errno == EAGAIN ? guest_busy() : guest_gone();
  const auto deadline = io::Deadline::in(state->answer_limit);
  AwaitedSocket& answer = waiting.answer();
  while (!answer.is_answered() && !state->closed) LMSB_CO_CHECK(co_await answer.answered.wait(deadline));
  if (state->closed) co_return guest_gone();
  if (answer.error != 0) co_return not_taken(answer.error);
  co_return std::move(answer.socket);
}

}  // namespace lmsb::guest_client
