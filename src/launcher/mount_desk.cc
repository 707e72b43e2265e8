#include "launcher/mount_desk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "os/message_socket.h"

namespace lmsb::launcher {
namespace {

constexpr std::size_t kMaxCallers = 32;
constexpr std::size_t kMaxWaiting = 64;
constexpr std::int64_t kLifetimeMs = 60'000;

std::int64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

// Receives the offer and checks what came with it. Returns an errno.
int receive_offer(int socket, HandedMount& mount) {
  sandbox::MountOffer offer{};
  ReceivedFds fds;
  const ssize_t size = receive_message(socket, &offer, sizeof offer, fds);
  if (size != static_cast<ssize_t>(sizeof offer) || offer.magic != sandbox::kMountOfferMagic || fds.count != 1)
    return EPROTO;
  struct stat kind {};
  if (::fstat(fds.fds[0].get(), &kind) < 0) return errno;
  if (!S_ISDIR(kind.st_mode)) return ENOTDIR;
  ucred caller{};
  socklen_t length = sizeof caller;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &caller, &length) < 0) return errno;
  mount.source = std::move(fds.fds[0]);
  mount.uid = caller.uid;
  mount.gid = caller.gid;
  return 0;
}

}  // namespace

Result<MountDesk> MountDesk::open(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::invalid_argument, "socket path " + path + " is too long (107 bytes at most)");
  std::strcpy(address.sun_path, path.c_str());  // NOLINT: the bound stands above
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return Error::from_errno(errno, "mounts socket");
  (void)::unlink(path.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(listener.get(), generic, sizeof address) < 0 || ::chmod(path.c_str(), 0666) < 0 ||
      ::listen(listener.get(), 16) < 0)
    return Error::from_errno(errno, "listen on " + path);
  return MountDesk(std::move(listener));
}

int MountDesk::accept_one() {
  UniqueFd caller(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!caller) return -1;
  if (callers_.size() >= kMaxCallers) callers_.pop_front();
  callers_.push_back(std::move(caller));
  return callers_.back().get();
}

void MountDesk::serve(int caller) {
  const auto found =
      std::find_if(callers_.begin(), callers_.end(), [&](const UniqueFd& c) { return c.get() == caller; });
  if (found == callers_.end()) return;
  const UniqueFd socket = std::move(*found);
  callers_.erase(found);
  const std::int64_t now = now_ms();
  std::erase_if(waiting_, [now](const Waiting& w) { return now - w.since_ms > kLifetimeMs; });
  Waiting entry{{}, now, {}};
  sandbox::MountReply reply;
  reply.error = waiting_.size() >= kMaxWaiting ? EAGAIN : receive_offer(socket.get(), entry.mount);
  if (reply.error == 0 && ::getrandom(entry.token.bytes.data(), entry.token.bytes.size(), 0) < 0) reply.error = errno;
  if (reply.error == 0) {
    reply.token = entry.token;
    waiting_.push_back(std::move(entry));
  }
  const iovec part{&reply, sizeof reply};
  (void)send_message(socket.get(), &part, 1);
}

std::optional<HandedMount> MountDesk::take(const sandbox::MountToken& token) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.token == token; });
  if (found == waiting_.end()) return std::nullopt;
  HandedMount mount = std::move(found->mount);
  waiting_.erase(found);
  return mount;
}

}  // namespace lmsb::launcher
