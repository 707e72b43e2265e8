#pragma once
// WebSocket (RFC 6455): messages both ways on one connection, at the server's end and at a client's. Without
// compression.
//
// A handler answers with web_socket_answer(); its session then talks until it returns. Who asks and from where has been
// checked before by whoever checks requests: a page of any site may open a WebSocket to us, only its Origin tells.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "http/client.h"
#include "http/message.h"
#include "http/parser.h"
#include "io/task.h"

namespace lmsb::http {

struct WebSocketOptions {
  WebSocketOptions() = default;            // no aggregate: given to coroutines
  Bytes max_message = Bytes::MiB(1);       // of the peer; a longer one ends the connection with 1009
  std::chrono::milliseconds ping{20'000};  // after this much silence it is pinged; after as much again it is dead
  std::chrono::milliseconds close{2'000};  // how long opening, and saying goodbye, may take
  std::string protocol;                    // Sec-WebSocket-Protocol of the answer; one that the client has offered
};

struct WebSocketMessage {
  WebSocketMessage() = default;
  static WebSocketMessage text(std::string utf8) { return {true, std::move(utf8)}; }
  static WebSocketMessage binary(std::string octets) { return {false, std::move(octets)}; }
  bool is_text = false;  // then it is UTF-8
  std::string data;

 private:
  WebSocketMessage(bool t, std::string d) : is_text(t), data(std::move(d)) {}
};

// Why a connection was closed (RFC 6455 section 7.4).
struct CloseReason {
  static constexpr std::uint16_t kNormal = 1000;
  static constexpr std::uint16_t kGoingAway = 1001;
  static constexpr std::uint16_t kNone = 1005;  // never sent: the peer gave no reason
  std::uint16_t code = kNone;
  std::string text;
};

// One end of a connection. Copies are the same connection; it is closed when its session returns, or with the last
// copy. One loop. One read() and one send() at a time; both at once is well.
//
// Keep a read() waiting whenever nothing else holds it up: only meanwhile are pings answered, is the peer's goodbye
// heard, and its death noticed.
class WebSocket {
 public:
  struct State;
  explicit WebSocket(std::shared_ptr<State> state);

  // The next message, whole. Nothing: the connection was closed in order, see close_reason(). Errors, all of which end
  // it: deadline_exceeded (the peer gives no sign of life), resource_exhausted (a message too long), invalid_argument
  // (not as RFC 6455 wants it), unavailable (lost), cancelled.
  io::Task<std::optional<WebSocketMessage>> read();
  // Ends when the socket has taken it: a peer that is slow slows the sender down. Errors as read()'s.
  io::Task<void> send(WebSocketMessage message);
  // Says goodbye, behind what is being sent, and waits for the answer: not for long, then the connection ends. A read()
  // that waits ends with nothing. `text` is cut at 123 octets. The first goodbye counts; another one does nothing.
  io::Task<void> close(std::uint16_t code = CloseReason::kNormal, std::string text = {});
  // What the peer said, once read() has returned nothing.
  CloseReason close_reason() const;

 private:
  std::shared_ptr<State> state_;
};

// What a server does on one WebSocket. Owned by the answer.
class WebSocketSession {
 public:
  virtual ~WebSocketSession() = default;
  // Talks until it returns. A connection that is open then is closed: with 1000, with 1001 when the server shuts down
  // (the session is cancelled by that). Tasks of its own with a copy of the socket end soon after: their next use of it
  // fails.
  virtual io::Always<void> run(WebSocket socket) = 0;
};

// Whether `request` asks for a WebSocket as we speak it; else the answer's status and why: 426 for anything but an
// upgrade to version 13, 400 for a malformed one.
std::optional<Refusal> check_web_socket(const Request& request);
// The headers that go with such a refusal.
void add_web_socket_headers(Response& refusal);
// Hands the connection to `session`; the request passed check_web_socket().
Response web_socket_answer(const Request& request, std::shared_ptr<WebSocketSession> session,
                           WebSocketOptions options = WebSocketOptions());

// A client's end. `refusal` is what the server answered instead.
struct WebSocketOpening {
  std::optional<WebSocket> socket;
  Response refusal;
};
// Of `request`: target, headers, timeout. Errors: as fetch().
io::Task<WebSocketOpening> open_web_socket(Endpoint endpoint, ClientRequest request,
                                           WebSocketOptions options = WebSocketOptions());

}  // namespace lmsb::http
