// Lists in header fields: what an Accept wants, and whether a request asks for a WebSocket. The first line is the
// field, the second a key.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "http/websocket.h"
#include "server/event_stream.h"

namespace {

using lmsb::server::AnswerFormat;

void check_accept(const std::string& field) {
  lmsb::http::Headers headers;
  headers.set("Accept", field);
  const AnswerFormat wanted = lmsb::server::wanted_format(headers, AnswerFormat::json);
  LMSB_ASSERT(wanted == AnswerFormat::json || wanted == AnswerFormat::ndjson || wanted == AnswerFormat::sse);
  // What it names first of all stays what it wants, whatever comes behind.
  headers.set("Accept", "text/event-stream," + field);
  LMSB_ASSERT(lmsb::server::wanted_format(headers, AnswerFormat::json) == AnswerFormat::sse);
}

void check_upgrade(const std::string& field, const std::string& key) {
  lmsb::http::Request request;
  request.method = "GET";
  request.headers.set("Connection", field);
  request.headers.set("Upgrade", "websocket");
  request.headers.set("Sec-WebSocket-Version", "13");
  request.headers.set("Sec-WebSocket-Key", key);
  const auto refusal = lmsb::http::check_web_socket(request);
  if (!refusal) LMSB_ASSERT(key.size() == 24 && field.size() >= 7);
  if (refusal) LMSB_ASSERT(refusal->status == 400 || refusal->status == 426);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = lmsb::fuzz::text_of(data, size);
  const std::string field(input.substr(0, input.find('\n')));
  check_accept(field);
  check_upgrade(field, std::string(input.substr(std::min(field.size() + 1, input.size()))));
  return 0;
}
