#pragma once
// An answer after which the client talks to somebody else: octets are carried both ways (io/tunnel.h).
#include "http/message.h"
#include "io/tunnel.h"

namespace lmsb::http {

// `head` has status 101 and an Upgrade header. The connection to `other` ends with the client's, and the other way
// round.
Response tunnel_answer(Response head, io::TunnelEnd other);

}  // namespace lmsb::http
