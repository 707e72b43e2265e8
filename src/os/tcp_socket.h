#pragma once
// A TCP connection that somebody passes on, who is not trusted.
//
// What it is can be asked of the kernel; two things cannot be relied on afterwards, since they belong to the open file
// or the socket, which others may hold as well: whether calls wait (so use MSG_DONTWAIT), and how long closing lingers.
#include "base/unique_fd.h"

namespace lmsb::os {

// Whether `fd` is a socket of TCP over IPv4 or IPv6. That it is connected is not asked: it may be over at any moment,
// and whoever uses it learns of that.
bool is_tcp_socket(int fd);

// Makes it ready for an event loop: never waits, sends at once. False with errno when that cannot be.
bool prepare_connection(int fd);

// Closes it without waiting for what has not been sent.
void close_at_once(UniqueFd fd);

}  // namespace lmsb::os
