#pragma once
// Options of the sockets that a gate serves. Private to the gate.
#include <cstddef>
#include <sys/socket.h>

namespace lmsb::network {

inline void set_option(int socket, int level, int name, int value = 1) {
  (void)::setsockopt(socket, level, name, &value, sizeof value);
}

// What the kernel keeps for a connection, which is this process's memory, does not grow beyond that (twice as much, as
// it counts).
inline void limit_buffers(int socket, std::size_t octets) {
  set_option(socket, SOL_SOCKET, SO_RCVBUF, static_cast<int>(octets));
  set_option(socket, SOL_SOCKET, SO_SNDBUF, static_cast<int>(octets));
}

}  // namespace lmsb::network
