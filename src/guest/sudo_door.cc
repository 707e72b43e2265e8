#include "guest/sudo_door.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "guest_protocol/sudo.h"

namespace lmsb::guest {
namespace {

constexpr std::uint64_t kAhead = std::uint64_t{guest_protocol::kSudoBurst} * guest_protocol::kSudoIntervalMs;

}  // namespace

int SudoDoor::open() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  const std::string_view name = guest_protocol::kSudoSocket;
  std::memcpy(&place.sun_path[1], name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), size) < 0 ||
      ::listen(socket.get(), guest_protocol::kMaxSudo) < 0)
    return errno;
  listener_ = std::move(socket);
  return 0;
}

int SudoDoor::socket(std::uint64_t now, bool is_full) const {
  return is_closed_ || is_full || server_ >= 0 || opens_ms(now) != 0 ? -1 : listener_.get();
}

int SudoDoor::make_answer() {
  answer_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return answer_.get();
}

void SudoDoor::note_start(pid_t server, std::uint64_t now) {
  server_ = server;
  spent_until_ms_ = std::max(spent_until_ms_, now) + guest_protocol::kSudoIntervalMs;
}

pid_t SudoDoor::take_caller() {
  std::uint64_t caller = 0;
  const iovec into{&caller, sizeof caller};
  // Root inside may have taken O_NONBLOCK from it: who serves has it, too.
  if (server_ < 0) return 0;
  // The C library's own would be 3 KiB of emulation.
  if (::syscall(SYS_preadv2, answer_.get(), &into, 1L, -1L, -1L, RWF_NOWAIT) != long{sizeof caller}) return 0;
  server_ = -1;
  return static_cast<pid_t>(caller);
}

void SudoDoor::pause(std::uint64_t now) { spent_until_ms_ = now + kAhead + guest_protocol::kSudoPauseMs; }

std::uint64_t SudoDoor::opens_ms(std::uint64_t now) const {
  return spent_until_ms_ <= now + kAhead ? 0 : spent_until_ms_ - kAhead;
}

}  // namespace lmsb::guest
