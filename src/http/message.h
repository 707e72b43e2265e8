#pragma once
// HTTP messages as values: what handlers see. No Beast, no Asio.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmsb::http {

class BodyReader;  // http/body.h
class BodySource;
class Upgrade;  // http/upgrade.h

// Whether two header names (or other tokens that ignore case) are the same. ASCII only.
bool same_name(std::string_view a, std::string_view b);

// Header fields in order; names compare without case (RFC 9110 section 5.1).
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  // The first value of `name`; nothing when absent.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  void set(std::string_view name, std::string value);  // replaces all of that name
  void add(std::string_view name, std::string value);
  void remove(std::string_view name);  // all of that name
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

// Who is at the other end, asked of the kernel once per connection.
struct Peer {
  bool is_unix = false;               // came by the unix socket
  bool is_tls = false;                // came by TLS
  bool is_loopback = false;           // TCP from 127.0.0.0/8 or ::1
  std::optional<std::uint32_t> uid;   // of the peer process; nothing when it cannot be known (not on this machine)
  std::string address;                // "127.0.0.1:4711" or "unix", for logs
  bool listener_is_loopback = false;  // the address it connected to is loopback (or the unix socket)
};

struct Request {
  std::string method;
  std::string target;                        // as sent, for logs
  std::string path;                          // percent-decoded UTF-8 without NUL, without query; always begins with '/'
  std::string encoded_path;                  // as it was sent; routes are found by it, as "%2F" is no slash there
  std::map<std::string, std::string> query;  // percent-decoded; the last of equal names
  std::map<std::string, std::string> params;  // of the route's pattern, for example {"id", ...}
  Headers headers;
  std::string body;                      // empty when `incoming` is there
  std::shared_ptr<BodyReader> incoming;  // of a route that reads its body as it comes; else null
  Peer peer;
  // Whoever knows it writes here for whom this is done: Server::close_of() ends it. Null where no server is.
  std::shared_ptr<std::string> on_behalf_of;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::shared_ptr<BodySource> source;  // sent instead of `body` when there is one
  // How much it gives, if that is known: Content-Length instead of chunks. Without one: of an answer to HEAD, what GET
  // would give.
  std::optional<std::uint64_t> source_size;
  bool is_endless = false;           // the source ends with its client alone: a server that stops does not wait for it
  std::shared_ptr<Upgrade> upgrade;  // takes the connection over, when there is one; with status 101

  static Response text(int status, std::string body, std::string_view content_type = "text/plain; charset=utf-8");
  static Response json(int status, std::string body);  // application/json
  static Response no_content();                        // 204
};

}  // namespace lmsb::http
