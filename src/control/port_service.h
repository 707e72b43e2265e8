#pragma once
// PortService: what listens inside kept sandboxes, and connections to it. They go by the sandbox's own loopback, made
// by its guest, so a sandbox needs no network for it.
#include <cstdint>
#include <string>
#include <vector>

#include "control/principal.h"
#include "io/held_socket.h"
#include "io/task.h"

namespace lmsb::control {

struct ListeningPort {
  std::uint16_t port = 0;
  std::string address;  // "127.0.0.1", "0.0.0.0", "::1"
  int pid = 0;          // inside; 0: whose it is cannot be seen
  std::string process;  // its name; "" as well
};

class PortService {
 public:
  virtual ~PortService() = default;

  // A connection to what listens on `port`. The sandbox is in use as long as it lives; it ends with the sandbox.
  // Errors: sandbox_not_found, sandbox_ambiguous, sandbox_paused, sandbox_stopped, disk_lost, sandbox_lost,
  // sandbox_busy, invalid_port, too_many_port_connections, port_not_listening (the hint says what listens),
  // port_timeout, port_no_answer, deadline_exceeded (its guest does not answer), cancelled.
  virtual io::Task<io::HeldSocket> connect(Principal who, std::string sandbox, std::uint16_t port) = 0;
  // The id of a sandbox to which `who` may connect; whether it could be done is not asked. Errors: sandbox_not_found,
  // sandbox_ambiguous.
  virtual Result<std::string> may_connect(const Principal& who, const std::string& sandbox) = 0;
  // That `by` has made a URL that lets whoever has it connect to `port` of the sandbox of that id until then (RFC 3339
  // UTC), for the audit log.
  virtual void note_preview(const Principal& by, const std::string& sandbox, std::uint16_t port,
                            const std::string& expires_at) = 0;
  // What listens, ordered by port. Errors, beside those of the sandbox and of starting a command in it:
  // too_many_port_connections, port_list_failed, deadline_exceeded.
  virtual io::Task<std::vector<ListeningPort>> list(Principal who, std::string sandbox) = 0;
};

}  // namespace lmsb::control
