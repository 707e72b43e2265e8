#pragma once
// Port proxy: a request goes to a port of a sandbox as it is, and the answer back. Who may has been asked, and what of
// the headers goes along decided (port_headers.h).
#include <string>

#include "control/control.h"
#include "http/forward.h"
#include "http/message.h"
#include "io/task.h"

namespace lmsb::server {

// What a client is told of a port to which there is no connection, by `error` of PortService::connect().
Result<http::Response> no_connection(Error error);

// The port's own answer; or ours, in the shape of /v1, when it gives none: 502 port_not_listening, port_no_answer,
// port_bad_answer, 504 port_timeout. Errors: those of PortService::connect(), and of the request's body.
io::Task<http::Response> pass_to_port(control::Control& control, control::Principal who, std::string sandbox,
                                      std::uint16_t port, http::ForwardedRequest request);

}  // namespace lmsb::server
