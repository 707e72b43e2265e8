#include "http/server.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "http/connection.h"
#include "http/server_state.h"
#include "io/spawn.h"
#include "os/tcp_socket.h"

namespace lmsb::http {
namespace {

using Door = ServerState::Door;

constexpr std::chrono::milliseconds kOutOfDescriptors{100};
constexpr std::chrono::milliseconds kEndAfterCancel{5000};
// A sandbox may come and go as fast as it likes: 200 connections a second are taken of it, a few at a time.
constexpr std::chrono::milliseconds kForeignPause{20};
constexpr int kForeignAtOnce = 4;

enum class Accepted : std::uint8_t {
  all,      // nobody waits any more
  no_room,  // the process is out of descriptors or memory
  over,     // it does not listen any more: it is somebody else's, too
};

// A sandbox has a part in what is set on its listener, and none in what was accepted there: closing that does not wait,
// and what the kernel remembers of it keeps nobody from listening there again.
void make_own(int fd) {
  const linger none{0, 0};
  const int yes = 1;
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

// Somebody waits to be accepted, and accept4() will not wait for more. Whoever has the listener, too, can make it
// wait again, and take who waits: this is asked before each accept4().
bool is_one_waiting(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return false;
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

// Accepts what waits.
Accepted accept_waiting(const std::shared_ptr<ServerState>& state, const Door& door) {
  for (int taken = 0; !state->stopping && !state->is_full(); ++taken) {
    if (state->is_foreign && (taken >= kForeignAtOnce || !is_one_waiting(door.listener.fd.get()))) break;
    Address peer;
    UniqueFd fd(::accept4(door.listener.fd.get(), peer.get(), &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      if (state->is_foreign) make_own(fd.get());
      if (door.listener.is_unix) peer.storage.ss_family = AF_UNIX;  // clients rarely have a name
      io::Canceller canceller;
      const TlsContext* tls = door.listener.is_unix ? nullptr : state->tls.get();
      if (tls != nullptr) state->make_way_for_handshake(peer);
      auto connection = std::make_unique<Connection>(state, std::move(fd), peer, canceller, tls);
      io::spawn(state->loop, Connection::run(std::move(connection)), std::move(canceller));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return Accepted::no_room;
    } else if (errno == EINVAL) {
      return Accepted::over;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return Accepted::all;
    }
  }
  return Accepted::all;
}

// `door` belongs to the state.
io::Always<void> accept_all(std::shared_ptr<ServerState> state, Door* door) {
  while (!state->stopping) {
    const Status ready = co_await door->watch.readable();
    if (!ready.ok()) co_return;
    while (!state->stopping && state->is_full()) {
      state->close_longest_idle();  // for the client that waits; it is gone at the next change
      const Status changed = co_await state->changed.wait();
      if (!changed.ok()) co_return;
    }
    const Accepted accepted = accept_waiting(state, *door);
    if (accepted == Accepted::over) co_return;
    if (state->is_foreign) {
      const Status paused = co_await io::sleep_until(io::Deadline::in(kForeignPause));
      if (!paused.ok()) co_return;
    }
    if (accepted == Accepted::no_room) {
      state->close_longest_idle();
      const Status slept = co_await io::sleep_until(io::Deadline::in(kOutOfDescriptors));
      if (!slept.ok()) co_return;
    }
  }
}

}  // namespace

// ---- State

void ServerState::watch(Clock::time_point when) {
  if (when >= next_look_) return;
  next_look_ = when;
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto state = weak.lock();
    if (!error && state) state->look();
  });
}

void ServerState::look() {
  next_look_ = Clock::time_point::max();
  const auto now = Clock::now();
  auto earliest = Clock::time_point::max();
  for (Connection* connection : connections) {
    if (connection->deadline() <= now) {
      connection->expire();
    } else {
      earliest = std::min(earliest, connection->deadline());
    }
  }
  if (earliest != Clock::time_point::max()) watch(earliest);
}

void ServerState::close_longest_idle() {
  Connection* longest = nullptr;
  for (Connection* connection : connections) {
    if (!connection->is_idle()) continue;
    if (longest == nullptr || connection->idle_since() < longest->idle_since()) longest = connection;
  }
  if (longest != nullptr) longest->close();
}

std::optional<std::uint64_t> ServerState::passed_bound(std::uint64_t ours, Bytes most, std::uint64_t of_all) const {
  if (ours > most.count()) return most.count();
  if (!shared_octets || of_all <= shared_octets->most.count()) return std::nullopt;
  const std::uint64_t part = shared_octets->fair_part();
  return ours > part ? std::optional(part) : std::nullopt;
}

std::optional<std::uint64_t> ServerState::passed_bound_of_bodies() const {
  return passed_bound(body_octets, limits.bodies, shared_octets ? shared_octets->octets : 0);
}

std::optional<std::uint64_t> ServerState::passed_bound_of_answers() const {
  return passed_bound(unread_octets, limits.answers, shared_octets ? shared_octets->unread : 0);
}

// Who has just begun to wait is not among them: an answer that is larger than all may be is sent all the same.
void ServerState::make_room_for_answers() {
  while (const auto bound = passed_bound_of_answers()) {
    const std::uint64_t part = *bound / std::max<std::uint64_t>(limits.connections, 1);
    Connection* longest = nullptr;
    for (Connection* connection : connections) {
      if (!connection->is_waiting() || connection->unread() <= part) continue;
      if (longest == nullptr || connection->deadline() < longest->deadline()) longest = connection;
    }
    if (longest == nullptr) return;
    longest->drop_unread();
  }
}

void ServerState::close_idle() {
  for (Connection* connection : connections) {
    if (connection->is_idle() || connection->is_endless()) connection->close();
  }
}

void ServerState::close_of(const std::string& name) {
  for (Connection* connection : connections) {
    if (!name.empty() && connection->is_for(name)) connection->close();
  }
}

void ServerState::cancel_all() {
  for (Connection* connection : connections) connection->close();
}

// The list is in the order in which they came.
void ServerState::make_way_for_handshake(const Address& from) {
  Connection* longest = nullptr;
  std::uint32_t count = 0;
  for (Connection* connection : connections) {
    if (!connection->is_greeting_from(from)) continue;
    if (longest == nullptr) longest = connection;
    ++count;
  }
  if (count >= limits.handshakes) longest->close();
}

// ---- Server

struct Server::State : ServerState {
  using ServerState::ServerState;

  std::string open(Listener listener) {
    doors.push_back(std::make_unique<Door>(loop, std::move(listener)));
    io::spawn(loop, accept_all(shared_from_this(), doors.back().get()));
    return doors.back()->listener.address;
  }

  void stop_accepting() {
    stopping = true;
    for (const auto& door : doors) {
      door->watch.stop();
      if (is_foreign && door->listener.fd) os::close_at_once(std::move(door->listener.fd));
      close_listener(door->listener);
    }
    changed.notify_all();
  }

  io::Always<void> wait_until_empty(io::Deadline deadline) {
    while (!connections.empty()) {
      const Status changed_in_time = co_await changed.wait(deadline);
      if (!changed_in_time.ok()) co_return;
    }
  }
};

Server::Server(boost::asio::io_context& loop, ServerLimits limits, Serve serve, StreamedBody streamed, Refuse refuse)
    : state_(std::make_shared<State>(loop, limits, std::move(serve), std::move(streamed))) {
  if (refuse) state_->refuse = std::move(refuse);
}

Server::~Server() {
  state_->stop_accepting();
  state_->cancel_all();
}

Result<std::string> Server::listen_tcp(const std::string& address) {
  LMSB_TRY(Listener listener, make_tcp_listener(address));
  return state_->open(std::move(listener));
}

Status Server::listen_unix(const std::string& path, unsigned mode) {
  LMSB_TRY(Listener listener, make_unix_listener(path, mode));
  state_->open(std::move(listener));
  return Status();
}

Result<std::string> Server::listen_on(UniqueFd listening) {
  LMSB_TRY(Listener listener, adopt_listener(std::move(listening)));
  return state_->open(std::move(listener));
}

void Server::use_tls(std::shared_ptr<const TlsContext> context) { state_->tls = std::move(context); }
void Server::when_handshake_fails(std::function<void(const Error&)> told) {
  state_->handshake_failed = std::move(told);
}
Status Server::listen_on_foreign(UniqueFd bound, int backlog) {
  LMSB_TRY(Listener listener, http::listen_on_foreign(std::move(bound), backlog));
  state_->is_foreign = true;
  state_->open(std::move(listener));
  return Status();
}

void Server::share_octets(std::shared_ptr<SharedOctets> shared) {
  ++shared->servers;
  state_->shared_octets = std::move(shared);
}

io::Always<void> Server::shutdown(std::chrono::milliseconds grace) {
  const auto state = state_;  // the Server may be destroyed meanwhile
  state->stop_accepting();
  state->close_idle();
  co_await state->wait_until_empty(io::Deadline::in(grace));
  state->cancel_all();
  co_await state->wait_until_empty(io::Deadline::in(kEndAfterCancel));
}

void Server::close_of(const std::string& name) { state_->close_of(name); }

std::size_t Server::open_connections() const { return state_->connections.size(); }

}  // namespace lmsb::http
