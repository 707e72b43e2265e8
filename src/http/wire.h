#pragma once
// Messages as octets: heads of answers and requests, and the answers the server gives by itself.
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace lmsb::http {

std::string_view reason_phrase(int status);

// What the server knows about the answer's way.
struct Framing {
  bool keep_alive = true;
  bool http10 = false;
};

// Whether only the end of the connection ends the answer's body: HTTP/1.0 knows no chunks.
bool lasts_until_close(const Response& response, bool http10);

// Writes status line and fields; Content-Length, Date and Connection are the server's: a handler's own are left out.
// Octets that would end a field are replaced by spaces, so that no value can add a field or an answer.
void append_head(std::string& out, const Response& response, Framing framing);

// The end of a body in chunks, and what stands behind it.
std::string last_chunk(const Headers& trailer);

// Whether an answer of that status has a body at all (1xx, 204 and 304 have none).
bool has_body(int status);

// {"detail": "..."}: what the server answers where no handler was asked.
Response refusal_answer(int status, std::string_view detail);

// The current time as an IMF-fixdate; computed once a second. Not thread-safe: one loop thread.
std::string_view http_date();

}  // namespace lmsb::http
