#pragma once
// Listening sockets: made non-blocking, close-on-exec, with what every accepted connection inherits (no delay, keep
// alive).
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::http {

struct Listener {
  UniqueFd fd;
  std::string address;  // "127.0.0.1:8000" with the real port, or the path
  bool is_unix = false;
};

// "127.0.0.1:8000", "[::1]:0", "localhost:8000". IPv6 sockets take IPv6 only. A taken port is already_exists and
// names its holder.
Result<Listener> make_tcp_listener(const std::string& address);

// A stale socket file at `path` is replaced; one that somebody listens on, or a file of another kind, is
// already_exists.
Result<Listener> make_unix_listener(const std::string& path, unsigned mode);

// Takes over a socket that listens already (from a service manager).
Result<Listener> adopt_listener(UniqueFd fd);

// Listens on a TCP socket that is bound already, and that a sandbox has as well: `backlog` at most wait to be accepted.
// What each connection may keep in the kernel is fixed here. It belongs to both: nothing that is set on it stays so for
// sure, and it may stop listening at any time.
Result<Listener> listen_on_foreign(UniqueFd bound, int backlog);

// Stops listening; removes the socket file unless somebody else listens there by now.
void close_listener(Listener& listener);

}  // namespace lmsb::http
