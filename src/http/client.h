#pragma once
// Client: sends HTTP/1.1 requests and reads answers, whole within a bound or as they come, over TCP or a unix socket;
// or the two halves apart, for a caller that carries the octets itself (to a runner, through its guest). TLS for https
// URLs, certificates verified.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "http/body.h"
#include "http/message.h"
#include "io/deadline.h"
#include "io/foreign_pipe.h"
#include "io/task.h"
#include "io/tunnel.h"

namespace boost::asio {
class io_context;
}

namespace lmsb::http {

// Where a client connects to.
struct Endpoint {
  enum class Kind : std::uint8_t { tcp, tls, unix_socket };
  Kind kind = Kind::tcp;
  std::string host;  // also the Host field
  std::uint16_t port = 0;
  std::string path;     // of the unix socket
  std::string ca_file;  // of tls: whose certificates are trusted (PEM); "": those of the system

  // "http://host:port", "https://host", "unix:/path"; the URL's path is returned in `base_path` ("/v1" of an upstream).
  static Result<Endpoint> parse(const std::string& url, std::string* base_path = nullptr);
};

struct ClientRequest {
  ClientRequest() = default;
  ClientRequest(std::string m, std::string t, std::string b = {})
      : method(std::move(m)), target(std::move(t)), body(std::move(b)) {}
  std::string method = "GET";
  std::string target = "/";
  Headers headers;  // Host, Content-Length and (with a body) Content-Type application/json are added
  std::string body;
  std::string upgrade;                 // of open_upgrade(): what is to be spoken instead of HTTP
  std::shared_ptr<BodySource> source;  // of open_stream(): sent in chunks instead of `body`, as it comes
  // Connect, send and the whole answer. Of open_stream() its head; with a source this much for all before it, for each
  // of its pieces to be taken, and for what comes behind it.
  std::chrono::milliseconds timeout{120'000};
  std::chrono::milliseconds silence{0};  // of open_stream(): how long nothing of the body may come; 0: for ever
  Bytes max_body = Bytes::MiB(64);       // a larger answer is an Error
};

// One request on a fresh connection. Errors: unavailable (cannot connect, connection lost; certificate_not_trusted),
// deadline_exceeded, resource_exhausted (answer too large), invalid_argument (not HTTP, `ca_file`); messages name the
// endpoint.
io::Task<Response> fetch(Endpoint endpoint, ClientRequest request);

// An answer whose body is read as it comes: in chunks, with a length, or until the connection ends.
struct StreamedAnswer {
  int status = 0;
  Headers headers;
  std::shared_ptr<BodyReader> body;  // closes the connection when it is destroyed
};

// The same, but ends when the answer's head is there. Errors of the body's read(): unavailable (cut off),
// deadline_exceeded (silent for too long), resource_exhausted (longer than max_body), invalid_argument (not HTTP),
// cancelled.
io::Task<StreamedAnswer> open_stream(Endpoint endpoint, ClientRequest request);

// A connection on which HTTP is over, or what the server answered instead.
struct UpgradeOpening {
  std::optional<io::TunnelEnd> connection;
  Response refusal;
};
// Asks to speak `request.upgrade` on the connection. Errors: as fetch().
io::Task<UpgradeOpening> open_upgrade(Endpoint endpoint, ClientRequest request);

// The octets of a request for `host`. Errors: invalid_argument (a control character where none may be).
Result<std::string> to_octets(const ClientRequest& request, const std::string& host);
// Reads the whole answer from a pipe, whoever writes to it: never more than `max_body` and a header, never after
// `deadline`. Errors: as fetch(), without a name.
io::Task<Response> read_answer(io::ForeignPipe pipe, Bytes max_body, io::Deadline deadline);
// The same, but ends when the answer's head is there, by `head_by`. Errors of the body's read(): as of open_stream();
// `silence` is how long nothing of it may come, 0: for ever.
io::Task<StreamedAnswer> open_answer(io::ForeignPipe pipe, Bytes max_body, io::Deadline head_by,
                                     std::chrono::milliseconds silence);

// The same for callers without a loop (the CLI): runs its own and blocks.
Result<Response> fetch_blocking(const Endpoint& endpoint, const ClientRequest& request);

}  // namespace lmsb::http
