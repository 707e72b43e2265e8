#include "os/tcp_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace lmsb::os {
namespace {

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

}  // namespace

bool is_tcp_socket(int fd) {
  const int domain = option(fd, SO_DOMAIN);
  if (domain != AF_INET && domain != AF_INET6) return false;
  return option(fd, SO_TYPE) == SOCK_STREAM && option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

bool prepare_connection(int fd) {
  const linger none{0, 0};
  const int yes = 1;
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
         ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0 &&
         ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0;
}

void close_at_once(UniqueFd fd) {
  const linger none{0, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);  // since it may have been set again
}

}  // namespace lmsb::os
