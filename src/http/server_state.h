#pragma once
// What a server's connections share: its limits, its bounds in use, and the one clock that watches all deadlines.
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "http/address.h"
#include "http/listener.h"
#include "http/server.h"
#include "http/wire.h"
#include "io/event.h"
#include "io/wait_fd.h"

namespace lmsb::http {

class Connection;

// One timer for all connections: it rings at the earliest deadline it knows of. A deadline that moves later, as that of
// a busy connection always does, costs nothing; only one that is earlier than all others sets the timer anew.
struct ServerState : std::enable_shared_from_this<ServerState> {
  using Clock = std::chrono::steady_clock;

  ServerState(boost::asio::io_context& l, ServerLimits li, Serve s, StreamedBody streamed)
      : loop(l), limits(li), serve(std::move(s)), streamed_body(std::move(streamed)), changed(l), timer_(l) {}
  ~ServerState() {
    if (shared_octets) --shared_octets->servers;
  }
  ServerState(const ServerState&) = delete;
  ServerState& operator=(const ServerState&) = delete;

  // Makes sure that a look is taken at the deadlines no later than `when`.
  void watch(Clock::time_point when);
  bool is_full() const { return connections.size() >= limits.connections; }
  // Closes the connection that has been idle longest, if any is idle.
  void close_longest_idle();
  // Closes those that wait for a request, send an answer that has no end, or have been given away.
  void close_idle();
  void close_of(const std::string& name);
  void cancel_all();
  // Makes sure that one more may begin a handshake from there: the one that takes longest makes way.
  void make_way_for_handshake(const Address& from);
  // A request's body has grown, or is over.
  void count_body(std::uint64_t before, std::uint64_t after) {
    body_octets += after - before;
    if (shared_octets) shared_octets->octets += after - before;
  }
  // What waits of an answer, the same.
  void count_unread(std::uint64_t before, std::uint64_t after) {
    unread_octets += after - before;
    if (shared_octets) shared_octets->unread += after - before;
  }
  // Whose fault it is that they are too many: nobody's without a body.
  bool has_too_many_bodies() const { return passed_bound_of_bodies().has_value(); }
  // Of those whose clients take nothing of their answers, and which hold more than their part, the longest waiting make
  // way: no more of them than it takes.
  void make_room_for_answers();

  boost::asio::io_context& loop;
  const ServerLimits limits;
  const Serve serve;
  const StreamedBody streamed_body;
  Refuse refuse = [](const std::string&, int status, const std::string& why) { return refusal_answer(status, why); };
  std::shared_ptr<const TlsContext> tls;  // of TCP connections that come from now on; null: they are plain
  std::function<void(const Error&)> handshake_failed;
  std::list<Connection*> connections;                   // each in its own coroutine's frame; they take themselves out
  std::uint64_t body_octets = 0;                        // of requests being read or served
  std::uint64_t unread_octets = 0;                      // of answers that wait
  std::shared_ptr<Server::SharedOctets> shared_octets;  // null: they count here alone
  bool is_foreign = false;                              // a sandbox listens: who connects is a program in it
  bool stopping = false;
  io::Event changed;  // a connection ended

  struct Door {
    Door(boost::asio::io_context& loop, Listener l) : listener(std::move(l)), watch(loop.get_executor(), listener.fd) {}
    Listener listener;
    io::FdWatch watch;  // after the listener: ends before it
  };
  std::vector<std::unique_ptr<Door>> doors;  // stay until the state ends: their accepting coroutines refer to them

 private:
  void look();
  // Nothing while there is room.
  std::optional<std::uint64_t> passed_bound_of_bodies() const;
  std::optional<std::uint64_t> passed_bound_of_answers() const;
  std::optional<std::uint64_t> passed_bound(std::uint64_t ours, Bytes most, std::uint64_t of_all) const;

  boost::asio::steady_timer timer_;
  Clock::time_point next_look_ = Clock::time_point::max();
};

}  // namespace lmsb::http
