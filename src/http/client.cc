#include "http/client.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include <boost/asio/this_coro.hpp>

#include "base/text.h"
#include "http/address.h"
#include "http/answer_reader.h"
#include "http/client_wire.h"
#include "io/alarm.h"
#include "io/run_blocking.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

// What could end a line of the request early is refused, not repaired.
bool is_safe(std::string_view text, bool allow_space) {
  return std::all_of(text.begin(), text.end(),
                     [allow_space](char c) { return c > ' ' || c < 0 || (allow_space && (c == ' ' || c == '\t')); });
}

Result<std::string> to_wire(const ClientRequest& request, const std::string& host) {
  bool safe = is_safe(request.method, false) && is_safe(request.target, false) && is_safe(host, false) &&
              is_safe(request.upgrade, false);
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  for (const auto& [name, value] : request.headers.fields()) {
    safe = safe && !name.empty() && is_safe(name, false) && is_safe(value, true);
    out += name + ": " + value + "\r\n";
  }
  if (!safe) return Error(ErrorCode::invalid_argument, "the request has a control character in its target or header");
  if (!request.body.empty() && !request.headers.find("Content-Type")) out += "Content-Type: application/json\r\n";
  if (request.source) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  if (request.upgrade.empty()) return out + "Connection: close\r\n\r\n";
  return out + "Connection: Upgrade\r\nUpgrade: " + request.upgrade + "\r\n\r\n";
}

// A server may refuse a large body by answering before it has read it: then the answer says more than the error.
bool may_have_answered(const Status& written) {
  return written.ok() || written.error().sys_errno() == EPIPE || written.error().sys_errno() == ECONNRESET;
}

// One request and its answer on one connection, with one limit on all of it. Lives in the frame of run().
class Exchange {
 public:
  Exchange(const asio::any_io_executor& loop, Endpoint& endpoint, const ClientRequest& request)
      : endpoint_(endpoint), request_(request), wire_(loop) {}

  static io::Task<Response> run(Endpoint endpoint, ClientRequest request) {
    const auto loop = co_await asio::this_coro::executor;
    Exchange self(loop, endpoint, request);
    std::function<void()> stop = [&self] { self.wire_.give_up(); };
    const io::Alarm alarm(loop, io::Deadline::in(request.timeout), std::move(stop));
    Result<Response> result = co_await self.carry_out();
    if (result.ok()) co_return result;
    co_return self.explain(std::move(result).error());
  }

 private:
  io::Task<Response> carry_out() {
    if (request_.source) co_return Error(ErrorCode::internal, "a body that comes bit by bit is open_stream()'s");
    LMSB_CO_TRY(const std::string head, to_wire(request_, host_field(endpoint_)));
    LMSB_CO_CHECK(co_await wire_.open(endpoint_));
    Status written = co_await wire_.write(head, request_.body);
    if (!may_have_answered(written)) co_return std::move(written).error();
    Result<Response> response = co_await read_response();
    if (!response.ok() && !written.ok()) co_return std::move(written).error();
    co_return response;
  }

  io::Task<Response> read_response() {
    AnswerReader reader(request_.max_body, request_.method == "HEAD");
    while (!reader.is_complete()) {
      LMSB_CO_TRY(const std::span<char> room, reader.room());
      LMSB_CO_TRY(const std::size_t count, co_await wire_.read_some(room));
      LMSB_CO_CHECK(count == 0 ? reader.end() : reader.took(count));
    }
    co_return std::move(reader.response());
  }

  Error explain(Error error) const {
    const std::string step = request_.method + " " + quoted(request_.target) + " of " + describe(endpoint_);
    if (wire_.gave_up()) {
      const std::string limit = std::to_string(request_.timeout.count()) + " ms";
      return Error(ErrorCode::deadline_exceeded, step + ": no complete answer within " + limit);
    }
    return std::move(error).with_context(step);
  }

  Endpoint& endpoint_;  // of run()'s frame, as is the request
  const ClientRequest& request_;
  ClientWire wire_;
};

Error bad_url(const std::string& url, std::string_view why) {
  return Error(ErrorCode::invalid_argument, quoted(url) + " is not an address of an HTTP server: " + std::string(why))
      .with_hint("write http://HOST:PORT, https://HOST or unix:/PATH");
}

// "host", "host:port", "[v6]:port".
Status parse_authority(const std::string& url, std::string authority, Endpoint& endpoint) {
  if (authority.empty()) return bad_url(url, "no host");
  if (authority.find('@') != std::string::npos) return bad_url(url, "a user name is not supported; use an API key");
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  if (!has_port) authority += ":" + std::to_string(endpoint.port);
  LMSB_TRY(HostPort host_port, parse_host_port(authority));
  if (host_port.port == 0) return bad_url(url, "port 0");
  endpoint.host = std::move(host_port.host);
  endpoint.port = host_port.port;
  return Status();
}

}  // namespace

Result<Endpoint> Endpoint::parse(const std::string& url, std::string* base_path) {
  Endpoint endpoint;
  if (base_path != nullptr) base_path->clear();
  if (url.rfind("unix:", 0) == 0) {
    endpoint.kind = Kind::unix_socket;
    endpoint.host = "localhost";
    endpoint.path = url.substr(url.rfind("unix://", 0) == 0 ? 7 : 5);
    LMSB_CHECK(to_unix_address(endpoint.path));
    return endpoint;
  }
  const bool tls = url.rfind("https://", 0) == 0;
  if (!tls && url.rfind("http://", 0) != 0) return bad_url(url, "its scheme is none of these");
  endpoint.kind = tls ? Kind::tls : Kind::tcp;
  endpoint.port = tls ? 443 : 80;
  const std::size_t begin = tls ? 8 : 7;
  const std::size_t end = std::min(url.find('/', begin), url.size());
  LMSB_CHECK(parse_authority(url, url.substr(begin, end - begin), endpoint));
  std::string path = url.substr(end);
  if (path.find_first_of("?#") != std::string::npos) return bad_url(url, "a query or fragment has no meaning there");
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (base_path != nullptr) *base_path = std::move(path);
  return endpoint;
}

io::Task<Response> fetch(Endpoint endpoint, ClientRequest request) {
  return Exchange::run(std::move(endpoint), std::move(request));
}

Result<std::string> to_octets(const ClientRequest& request, const std::string& host) {
  LMSB_TRY(std::string octets, to_wire(request, host));
  return octets + request.body;
}

Result<Response> fetch_blocking(const Endpoint& endpoint, const ClientRequest& request) {
  return io::run_blocking(fetch(endpoint, request));
}

}  // namespace lmsb::http
