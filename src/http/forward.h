#pragma once
// Forwarding: a request of our client's is passed on to a server, on a connection that somebody has made, and its
// answer passed back. The server may be hostile: what it says is parsed as strictly as what any server says
// (http/parser.h).
//
// Both bodies travel as they come, at the same time, each with the speed of the slower end and in constant memory; a
// server that answers before it has read all is heard. What ends too early there ends too early here, so that nobody
// takes a part for the whole. A connection serves one request.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "http/body.h"
#include "http/message.h"
#include "io/held_socket.h"
#include "io/task.h"

namespace lmsb::http {

struct ForwardedRequest {
  // What of `request` is passed on: not what concerns its connection (http/hop_headers.h), nor Expect, which the server
  // of the connection answers. Change target and headers to what the other server is to see.
  explicit ForwardedRequest(Request request);

  std::string method;
  std::string target;
  Headers headers;
  std::shared_ptr<BodyReader> body;        // null: none
  std::optional<std::uint64_t> body_size;  // nothing: it is sent in chunks
  bool is_web_socket = false;              // it asks to speak that
};

// How long a server may take to begin its answer, counted from the last octet of the request that it took.
constexpr std::chrono::minutes kForwardPatience{10};

// Ends when the answer's head is there; the answer holds the connection as long as its body, or a WebSocket, lasts.
// Errors: unavailable (the server closed, or answered with less than a head), invalid_argument (not HTTP, or another
// protocol that nobody asked for), deadline_exceeded (its patience is over), cancelled; those of the request's body
// have the slugs request_timeout and malformed_request.
io::Task<Response> forward(io::HeldSocket server, ForwardedRequest request,
                           std::chrono::milliseconds patience = kForwardPatience);

}  // namespace lmsb::http
