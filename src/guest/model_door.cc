#include "guest/model_door.h"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>

#include "guest/listening.h"
#include "guest_protocol/messages.h"

namespace lmsb::guest {

int ModelDoor::open() {
  if (socket_) return 0;
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(guest_protocol::kModelPort);
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) < 0) return errno;
  socket_ = std::move(socket);
  return 0;
}

void ModelDoor::close() const { stop_listening(socket_.get()); }

}  // namespace lmsb::guest
