#pragma once
// Bodies that are not all there at once: made while they are sent, used while they arrive. Constant memory, whatever
// their size. One loop; one call at a time.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/units.h"
#include "http/message.h"
#include "io/pipe_relay.h"
#include "io/task.h"

namespace lmsb::http {

// A piece of an answer's body: octets, or all that `relay` holds. Neither is the end.
struct BodyPiece {
  std::string octets;
  std::shared_ptr<io::PipeRelay> relay;  // nobody takes from it or gives it anything before the next piece is asked for
  std::size_t size() const { return relay ? relay->held() : octets.size(); }
};

// A body of an answer, asked for its next piece when the client has taken the one before: a slow client slows the
// source down. Owned by the answer; destroyed when all is sent, or when the client has gone.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next octets; empty is the end. Waits until there is something. An Error ends the connection without the body's
  // end, so that the client sees that something is missing. Cancelled when the client goes away.
  virtual io::Task<std::string> next() = 0;
  // The same for who can send what a relay holds. A source has either this or next() to itself.
  virtual io::Task<BodyPiece> next_piece();
  // What there is to say once the body has ended, as header fields behind it; only where it comes in chunks.
  virtual Headers trailer() const { return {}; }
};

// The body of a request whose handler reads it as it comes. Owned by the request; ends with the connection.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next octets (64 KiB at most); empty is the end. Errors: cancelled (the client is gone), deadline_exceeded (it
  // sends nothing for too long), invalid_argument (malformed, or longer than the route allows).
  virtual io::Task<std::string> read() = 0;
};

// Which requests' bodies are read by their handler as they come, and how long they may be; nothing: the body is read
// whole before the handler is asked. Asked of every request when its header is complete; never blocks, never throws.
using StreamedBody = std::function<std::optional<Bytes>(const Request&)>;

// A body that is there already, in pieces of 64 KiB at most.
std::shared_ptr<BodyReader> reader_of(std::string whole);

}  // namespace lmsb::http
