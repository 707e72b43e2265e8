#pragma once
// WebSockets of /v1: what a handler answers with. Their row is an ordinary GET: who asks, and from which Origin, has
// been checked when the handler runs (server/doors.h).
#include <memory>

#include "http/websocket.h"
#include "server/routes.h"

namespace lmsb::server {

// Hands the connection to `session`, or says why not: 426 `upgrade_required` with the headers that go with it, or 400.
// Check first whatever can still be answered by an ordinary Error.
http::Response open_web_socket(const Call& call, std::shared_ptr<http::WebSocketSession> session,
                               http::WebSocketOptions options = http::WebSocketOptions());

}  // namespace lmsb::server
