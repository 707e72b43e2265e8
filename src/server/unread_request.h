#pragma once
// Unread requests: what the HTTP server refuses before a route is asked, as an Error that each dialect can say. Pure.
#include <string>

#include "server/doors.h"

namespace lmsb::server {

// `status` and `why` as http::Server has them.
Refusal unread_request(int status, const std::string& why);

}  // namespace lmsb::server
