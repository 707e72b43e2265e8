#pragma once
// Headers that concern one connection and not the message (RFC 9110 section 7.6.1): who passes a message on leaves them
// out. Pure.
#include <string_view>

#include "http/message.h"

namespace lmsb::http {

// Whether one of the comma-separated items of `name`'s fields is `token`.
bool lists(const Headers& headers, std::string_view name, std::string_view token);

// Takes them out: Connection and what it names, and those that are so by themselves. Also those by which a body's end
// is found (Transfer-Encoding, Trailer); Content-Length stays.
void remove_hop_headers(Headers& headers);

}  // namespace lmsb::http
