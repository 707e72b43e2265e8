#include "guest/listening.h"

#include <sys/socket.h>

namespace lmsb::guest {

void stop_listening(int socket) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (socket < 0 || ::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0) return;
  // One that does not listen would stay shut down, and with it whatever it accepts later.
  if (listens != 0) (void)::shutdown(socket, SHUT_RDWR);
}

}  // namespace lmsb::guest
