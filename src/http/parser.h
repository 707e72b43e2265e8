#pragma once
// The two directions of HTTP/1.1 parsing as plain state machines: octets in, a message or a refusal out. No sockets, so
// that whole conversations can be tested and fuzzed in memory. What Beast's parser lets through is narrowed here:
// nothing that two programs in a row could read differently (RFC 9112 section 11.2) is accepted.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "http/body.h"
#include "http/message.h"

namespace lmsb::http {

struct ParserLimits {
  Bytes header = Bytes::KiB(32);  // start line and fields, all of them
  std::size_t fields = 128;
  Bytes body = Bytes::MiB(64);
};

// How far a message has come.
enum class Stage : std::uint8_t { idle, header, body, complete, failed };

// Why a request is refused: the answer's status and the sentence that goes with it.
struct Refusal {
  int status = 400;
  std::string detail;
};

// Reads requests, one after the other: reset() between them.
class RequestParser {
 public:
  // `streamed` outlives the parser; null: no body is.
  explicit RequestParser(ParserLimits limits, const StreamedBody* streamed = nullptr);
  ~RequestParser();

  void reset();
  // Takes what it can of `input` and returns how much. What it left must be presented again with more behind it; when
  // nothing more comes to mind for a full buffer, the message is malformed.
  std::size_t feed(std::string_view input);
  Stage stage() const;
  const Refusal& refusal() const;  // when failed
  void refuse(Refusal why);        // for a limit that the caller keeps
  // The request read so far; whole when complete.
  Request& request();
  // The header is complete, and the body is for its handler to read as it comes: it is not in request(), but here.
  bool is_streamed() const;
  std::string take_body();
  // Of the header: whether the connection may be used again, and whether the client waits for "100 Continue".
  bool keep_alive() const;
  bool is_http10() const;
  bool expects_continue() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads one response; interim ones (1xx, but 101) are passed over: 16, as large together as one header may be.
class ResponseParser {
 public:
  // `bodyless`: the request was HEAD.
  ResponseParser(ParserLimits limits, bool bodyless);
  ~ResponseParser();

  std::size_t feed(std::string_view input);
  // The connection ended: completes a body that lasts until then.
  void feed_end();
  Stage stage() const;
  const Error& error() const;  // when failed: invalid_argument (not HTTP) or resource_exhausted (too large)
  Response& response();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmsb::http
