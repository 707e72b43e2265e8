#include "os/service_manager.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/unique_fd.h"

namespace lmsb::os {

ServiceManager ServiceManager::from_environment() {
  const char* address = std::getenv("NOTIFY_SOCKET");
  ServiceManager manager(address != nullptr ? address : "");
  ::unsetenv("NOTIFY_SOCKET");
  return manager;
}

void ServiceManager::tell(std::string_view state) const {
  sockaddr_un name{};
  const bool is_abstract = address_.starts_with('@');
  if ((!is_abstract && !address_.starts_with('/')) || address_.size() >= sizeof name.sun_path) return;
  name.sun_family = AF_UNIX;
  std::copy(address_.begin(), address_.end(), std::begin(name.sun_path));
  if (is_abstract) name.sun_path[0] = '\0';
  // The end of an abstract name is the end of the address; of a path, its zero.
  const std::size_t size = offsetof(sockaddr_un, sun_path) + address_.size() + (is_abstract ? 0 : 1);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  (void)::sendto(socket.get(), state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(size));
}

}  // namespace lmsb::os
