#pragma once
// Server: HTTP/1.1 on TCP and unix listeners, with every limit that keeps one client from hurting the others.
//
// One io_context, one thread. Owns its listeners and connections. A connection is one coroutine: read a request within
// the limits, hand it to `serve`, write the answer, again while keep-alive. While `serve` runs, the connection watches
// for the client going away and cancels it then (io/spawn.h says how cancelling works); a client that only closes its
// sending half counts as gone.
//
// Bodies need not be whole (http/body.h). An answer with a source is sent as that gives it: in chunks, with a length,
// or until the connection's end; a request whose body is streamed is handed on as soon as its header is there, its body
// read ahead by 64 KiB at most. A handler that answers before it has read all ends the connection by that. The client's
// end is noticed, and cancels, in all of this as it does while a handler runs, unless it comes behind more than is read
// ahead. An answer with an upgrade gives the connection away (http/upgrade.h, http/websocket.h).
//
// The bodies of all requests in progress have one bound (`bodies`), what waits of answers for clients that do not read
// them another one (`answers`): a body is read before anybody knows whose it is, and ends nobody's answer; it is
// answered 503 where it is too much. Beyond `answers` the connection ends whose client has taken nothing for longest,
// among those that hold more than their part, which is the bound divided by `connections`: slow downloads and streams
// of small pieces go on. Somebody always holds more than that while all together hold too much.
//
// What it answers by itself: 400, 408, 413, 417, 431, 501, 503, 505, as `Refuse` words it, and the end of the
// connection. HEAD is handed on as HEAD; the answer's body is left out.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "http/body.h"
#include "http/message.h"
#include "http/tls.h"
#include "io/task.h"

namespace boost::asio {
class io_context;
}

namespace lmsb::http {

struct ServerLimits {
  Bytes header = Bytes::KiB(32);     // request line and fields; beyond: 431
  Bytes body = Bytes::MiB(64);       // beyond: 413
  Bytes bodies = Bytes::MiB(256);    // of all requests in progress; beyond: 503
  Bytes answers = Bytes::MiB(256);   // of all answers, what waits for their clients; beyond: see above
  std::uint32_t connections = 2048;  // beyond: the longest idle makes way, else the listen queue waits
  std::uint32_t handshakes = 64;     // of TLS, not over, from one address (IPv6: /64); beyond: the longest makes way
  std::chrono::milliseconds handshake_timeout{10'000};  // of TLS: closed
  std::chrono::milliseconds header_timeout{10'000};     // from the first octet to the end of the header: 408
  std::chrono::milliseconds body_timeout{60'000};   // for the whole body: 408; for any progress of one that is streamed
  std::chrono::milliseconds idle_timeout{75'000};   // between requests: closed
  std::chrono::milliseconds write_timeout{60'000};  // for a client that takes nothing of what is sent: closed
};

// Turns one request into one answer; never fails (errors are answers). What it throws is answered with 500.
using Serve = std::function<io::Always<Response>(Request)>;

// Words the answer to a request that is no request, or too much of one. `path` is "" where it was not known yet.
using Refuse = std::function<Response(const std::string& path, int status, const std::string& why)>;

class Server {
 public:
  // `streamed`: none, when empty. `refuse`: {"detail": "..."}, when empty.
  Server(boost::asio::io_context& loop, ServerLimits limits, Serve serve, StreamedBody streamed = {},
         Refuse refuse = {});
  // Closes listeners and cancels connections; these end only when the loop runs, so call shutdown() first, or destroy
  // the loop before what `serve` refers to.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and listens on "ADDR:PORT" ("127.0.0.1:8000", "[::1]:0"); returns the address with the real port.
  // A taken port is an Error that names who holds it, as far as /proc lets us see.
  Result<std::string> listen_tcp(const std::string& address);
  // Listens on a unix socket at `path` with `mode`; a stale socket file is replaced, a live one is an Error.
  Status listen_unix(const std::string& path, unsigned mode);
  // Takes over a socket that listens already, TCP or unix; returns its address.
  Result<std::string> listen_on(UniqueFd listening);

  // TCP connections that come from now on speak TLS (http/tls.h); those that are open go on as they are, and the unix
  // socket stays plain. Who speaks plain HTTP there gets 400.
  void use_tls(std::shared_ptr<const TlsContext> context);
  // `told` hears why a handshake came to no good end: the client does not trust our certificate, speaks something
  // else, or takes too long.
  void when_handshake_fails(std::function<void(const Error&)> told);

  // Listens on a sandbox's own socket, which is bound already, and keeps accepting for as long as it listens. Nothing
  // is asked of the kernel about who connects: Peer says no more than that it is a sandbox. Such a server has no other
  // listeners.
  Status listen_on_foreign(UniqueFd bound, int backlog);
  // What those bodies add up to in all servers that share it, and what those answers do. Beyond `most` of either a
  // server that has more than its fair part of that answers 503, or makes way; the others go on, so it is never more
  // than twice as much.
  struct SharedOctets {
    explicit SharedOctets(Bytes limit) : most(limit) {}
    std::uint64_t fair_part() const { return most.count() / std::max<std::uint64_t>(servers, 1); }
    const Bytes most;  // of bodies; of answers as much
    std::uint64_t octets = 0;
    std::uint64_t unread = 0;  // of answers
    std::uint64_t servers = 0;
  };
  void share_octets(std::shared_ptr<SharedOctets> shared);

  // Stops accepting, ends what has no end of its own, lets running answers finish until `grace` has passed, then
  // cancels what runs and closes. Ends when all are gone, or 5 s after cancelling (a handler that does not end then is
  // a bug).
  io::Always<void> shutdown(std::chrono::milliseconds grace);

  // Ends the connections whose present request, or what they have been given away for, is done for `name`
  // (Request::on_behalf_of): what runs is cancelled, and the rest of a body is not sent.
  void close_of(const std::string& name);

  std::size_t open_connections() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::http
