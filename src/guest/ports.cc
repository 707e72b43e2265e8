#include "guest/ports.h"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/message_socket.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Kind;

struct LoopbackAddress {
  LoopbackAddress(bool is_v6, std::uint16_t port) {
    if (is_v6) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      v6.sin6_addr = IN6ADDR_LOOPBACK_INIT;
      size = sizeof v6;
    } else {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      size = sizeof v4;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&v6); }  // NOLINT: C interface
  union {
    sockaddr_in6 v6{};
    sockaddr_in v4;
  };
  socklen_t size;
};

// Whether the kernel has chosen the port itself for our end: then nobody listens there, and we talk to ourselves.
bool is_connected_to_itself(int socket, std::uint16_t port) {
  sockaddr_in6 ours{};
  socklen_t size = sizeof ours;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&ours), &size) < 0) return false;  // NOLINT: C interface
  return ntohs(ours.sin6_port) == port;  // which lies where IPv4's does
}

int error_of(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

}  // namespace

void Ports::connect(const guest_protocol::ConnectPort& request, std::uint64_t now_ms) {
  const std::uint32_t sequence = request.header.sequence;
  if (sequence == 0 || request.port == 0 || request.port > UINT16_MAX) return fail(sequence, EINVAL);
  Connecting* place = places_.find_free([](const Connecting& c) { return c.sequence == 0; });
  if (place == nullptr) return fail(sequence, EAGAIN);
  place->sequence = sequence;
  place->port = static_cast<std::uint16_t>(request.port);
  place->is_v6 = false;
  place->deadline_ms = now_ms + kPatienceMs;
  begin(*place);
}

// Tries the place's family, and the other one when nothing listens there.
void Ports::begin(Connecting& place) {
  const int error = try_family(place);
  if (error != EINPROGRESS) conclude(place, error);
}

int Ports::try_family(Connecting& place) {
  const LoopbackAddress address(place.is_v6, place.port);
  place.socket.reset(
      ::socket(place.is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!place.socket) return place.is_v6 ? ECONNREFUSED : errno;  // a kernel without IPv6: nothing listens there
  if (::connect(place.socket.get(), address.get(), address.size) == 0) return 0;
  return errno == EINPROGRESS ? wait_for(place) : errno;
}

int Ports::wait_for(const Connecting& place) {
  if (!epoll_) epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return errno;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u64 = static_cast<std::uint64_t>(&place - places_.begin());
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, place.socket.get(), &event) < 0 ? errno : EINPROGRESS;
}

void Ports::handle_events() {
  std::array<epoll_event, 16> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    Connecting& place = places_[events[static_cast<std::size_t>(i)].data.u64];
    if (place.sequence != 0) conclude(place, error_of(place.socket.get()));
  }
}

// Closing our descriptor takes it out of the epoll; the daemon's copy is another one of the same open file, which would
// stay in it.
void Ports::conclude(Connecting& place, int error) {
  if (error == 0 && is_connected_to_itself(place.socket.get(), place.port)) error = ECONNREFUSED;
  if (epoll_) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, place.socket.get(), nullptr);
  if (error == ECONNREFUSED && !place.is_v6) {
    place.is_v6 = true;
    return begin(place);
  }
  if (error == 0) {
    guest_protocol::Header header{Kind::port_connected, place.sequence};
    const iovec part{&header, sizeof header};
    const int socket = place.socket.get();
    if (!send_message(channel_, &part, 1, &socket, 1)) error = errno;
  }
  if (error != 0) fail(place.sequence, error);
  place.sequence = 0;
  place.socket.reset();
}

void Ports::fail(std::uint32_t sequence, int error) const {
  guest_protocol::PortFailed failed{{Kind::port_failed, sequence}, error};
  const iovec part{&failed, sizeof failed};
  (void)send_message(channel_, &part, 1);  // it fails when the daemon has gone: see Server
}

std::uint64_t Ports::first_deadline_ms() {
  std::uint64_t first = 0;
  for (const Connecting& place : places_)
    if (place.sequence != 0 && (first == 0 || place.deadline_ms < first)) first = place.deadline_ms;
  return first;
}

void Ports::handle_deadlines(std::uint64_t now_ms) {
  for (Connecting& place : places_)
    if (place.sequence != 0 && place.deadline_ms <= now_ms) conclude(place, ETIMEDOUT);
}

void Ports::lose_channel() {
  for (Connecting& place : places_) {
    place.socket.reset();
    place.sequence = 0;
  }
}

}  // namespace lmsb::guest
