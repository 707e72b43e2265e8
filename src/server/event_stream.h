#pragma once
// Event streams: a sequence of JSON objects as the body of one answer, each sent when it is there. As server-sent
// events (text/event-stream) for browsers and whoever wants names and ids, or one object a line (application/x-ndjson).
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/message.h"
#include "io/deadline.h"
#include "io/task.h"

namespace lmsb::server {

struct StreamEvent {
  std::string json;  // one object, without line breaks outside of strings: as json::Writer writes it
  std::string name;  // SSE's `event:`; "" = none. Not in NDJSON: what must be known there stands in the object, too.
  std::string id;    // SSE's `id:`, what a client that comes back sends as Last-Event-ID; "" = none
};

// Gives the events of one stream, asked for the next when the client has taken the one before: a slow client slows it
// down. Whoever makes events faster than that bounds what waits, and says in the stream what was left out.
class EventSequence {
 public:
  virtual ~EventSequence() = default;
  // The next event, or nothing: that was the last. Error deadline_exceeded: none came by then; it is asked again. Any
  // other Error ends the connection in the middle; what the client should know of a failure is an event of its own.
  // Cancelled when the client goes away.
  virtual io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) = 0;
};

// How an answer may look.
enum class AnswerFormat : std::uint8_t {
  json,    // whole
  ndjson,  // application/x-ndjson
  sse,     // text/event-stream
};

// What the client wants most (RFC 9110 section 12.5.1): of what Accept names, the highest q, and of equals the first;
// `otherwise` when it wants anything, or nothing that we have.
AnswerFormat wanted_format(const http::Headers& headers, AnswerFormat otherwise);

// One event as octets.
std::string format_event(const StreamEvent& event, AnswerFormat format);

// 200 with the sequence as body; `format` is ndjson or sse. SSE says a comment after 15 s of silence, so that proxies,
// and clients that have gone without a word, are noticed.
http::Response event_answer(std::unique_ptr<EventSequence> sequence, AnswerFormat format);

}  // namespace lmsb::server
