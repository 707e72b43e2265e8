#pragma once
// Upgrade: what takes a connection over from the server, once a handler has agreed to speak something else on it
// (RFC 9110 section 7.8).
#include <string>

#include "base/unique_fd.h"
#include "io/task.h"

namespace lmsb::http {

// A client's connection as the server leaves it. The socket does not block.
struct TakenOver {
  UniqueFd socket;
  std::string head;        // the answer's, not sent yet: "HTTP/1.1 101 ..." to the empty line
  std::string read_ahead;  // what the client sent behind its request, 64 KiB at most
};

// Owned by the answer.
class Upgrade {
 public:
  virtual ~Upgrade() = default;
  // Sends the head and talks until it is done; the connection ends with it, and counts among the server's until then.
  // Cancelled when the server shuts down, not when the client goes away: nobody else reads the socket now.
  virtual io::Always<void> run(TakenOver taken) = 0;
};

}  // namespace lmsb::http
