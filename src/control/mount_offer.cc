#include "control/mount_offer.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/unique_fd.h"
#include "io/wait_fd.h"
#include "os/message_socket.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::milliseconds kPatience{5'000};

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::invalid_argument, "socket path " + path + " is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!socket || ::connect(socket.get(), generic, sizeof address) < 0)
    return Error::from_errno(errno, "connect to the launcher's mount desk " + path);
  return socket;
}

}  // namespace

io::Task<sandbox::MountToken> offer_mount(std::string desk_socket, std::string directory) {
  const UniqueFd source(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!source) co_return Error::from_errno(errno, "open " + directory);
  LMSB_CO_TRY(const UniqueFd socket, connect_to(desk_socket));
  sandbox::MountOffer offer;
  const iovec part{&offer, sizeof offer};
  const int fd = source.get();
  if (!send_message(socket.get(), &part, 1, &fd, 1)) co_return Error::from_errno(errno, "offer " + directory);
  LMSB_CO_CHECK(co_await io::wait_readable(socket, io::Deadline::in(kPatience)));
  sandbox::MountReply reply;
  ReceivedFds none;
  if (receive_message(socket.get(), &reply, sizeof reply, none) != static_cast<ssize_t>(sizeof reply))
    co_return Error(ErrorCode::unavailable, "the launcher's mount desk did not answer");
  if (reply.error != 0) co_return Error::from_errno(reply.error, "offer " + directory);
  co_return reply.token;
}

}  // namespace lmsb::control
