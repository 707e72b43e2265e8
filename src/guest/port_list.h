#pragma once
// The program `ports`: says what listens for TCP connections in the sandbox, one PortRecord each
// (guest_protocol/port_records.h), as /proc/net/tcp and tcp6 have it. Whose a socket is stands in the descriptors of
// processes: of its own user's, for this program has no Landlock (see to_look_at_commands()).
#include <cstdint>
#include <string_view>

#include "guest_protocol/port_records.h"

namespace lmsb::guest {

struct ListeningSocket {
  guest_protocol::PortRecord record{};
  std::uint64_t inode = 0;
};

// One line of /proc/net/tcp, or of tcp6 when `is_v6`. False for sockets that do not listen, and for the header.
bool parse_socket_line(std::string_view line, bool is_v6, ListeningSocket& socket);

// Exit status: 0, or the errno of what failed.
int run_ports();

// The same for a sandbox that has no room for a process which looks: whose a socket is stays unsaid. `proc`: an open
// /proc. At most kMaxListedPorts records are written, which an empty pipe of the usual size has room for. Returns 0 or
// an errno.
int list_without_owners(int proc, int out);

}  // namespace lmsb::guest
