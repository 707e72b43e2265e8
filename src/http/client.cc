#include "http/client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/text.h"
#include "http/address.h"
#include "http/answer_reader.h"
#include "io/alarm.h"
#include "io/error.h"
#include "io/run_blocking.h"
#include "io/wait_fd.h"
#include "os/pipe.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket&>;
using Resolver = asio::ip::tcp::resolver;

std::string describe(const Endpoint& endpoint) {
  switch (endpoint.kind) {
    case Endpoint::Kind::unix_socket: return "unix:" + endpoint.path;
    case Endpoint::Kind::tls: return "https://" + endpoint.host + ":" + std::to_string(endpoint.port);
    case Endpoint::Kind::tcp: return "http://" + endpoint.host + ":" + std::to_string(endpoint.port);
  }
  return "";
}

std::string host_field(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::unix_socket) return endpoint.host.empty() ? "localhost" : endpoint.host;
  const bool is_default = endpoint.port == (endpoint.kind == Endpoint::Kind::tls ? 443 : 80);
  const std::string host = endpoint.host.find(':') == std::string::npos ? endpoint.host : "[" + endpoint.host + "]";
  return is_default ? host : host + ":" + std::to_string(endpoint.port);
}

// What could end a line of the request early is refused, not repaired.
bool is_safe(std::string_view text, bool allow_space) {
  return std::all_of(text.begin(), text.end(),
                     [allow_space](char c) { return c > ' ' || c < 0 || (allow_space && (c == ' ' || c == '\t')); });
}

Result<std::string> to_wire(const ClientRequest& request, const std::string& host) {
  bool safe = is_safe(request.method, false) && is_safe(request.target, false) && is_safe(host, false);
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + host + "\r\n";
  for (const auto& [name, value] : request.headers.fields()) {
    safe = safe && !name.empty() && is_safe(name, false) && is_safe(value, true);
    out += name + ": " + value + "\r\n";
  }
  if (!safe) return Error(ErrorCode::invalid_argument, "the request has a control character in its target or header");
  if (!request.body.empty() && !request.headers.find("Content-Type")) out += "Content-Type: application/json\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return out + "Connection: close\r\n\r\n";
}

// One request and its answer on one connection, with one limit on all of it. Lives in the frame of run().
class Exchange {
 public:
  Exchange(const asio::any_io_executor& loop, Endpoint& endpoint, const ClientRequest& request)
      : name_(describe(endpoint)), endpoint_(endpoint), request_(request), socket_(loop), resolver_(loop) {}

  static io::Task<Response> run(Endpoint endpoint, std::string host, ClientRequest request) {
    Exchange self(co_await asio::this_coro::executor, endpoint, request);
    std::function<void()> stop = [&self] { self.give_up(); };
    const io::Alarm alarm(self.socket_.get_executor(), io::Deadline::in(request.timeout), std::move(stop));
    Result<Response> result = co_await self.carry_out(std::move(host));
    if (result.ok()) co_return result;
    co_return self.explain(std::move(result).error());
  }

 private:
  io::Task<Response> carry_out(std::string host) {
    LMSB_CO_TRY(std::string head, to_wire(request_, host));
    LMSB_CO_CHECK(co_await connect());
    if (endpoint_.kind != Endpoint::Kind::tls) co_return co_await converse(socket_, std::move(head));
    asio::ssl::context context(asio::ssl::context::tls_client);
    LMSB_CO_TRY(auto stream, prepare_tls(context));
    const auto [error] = co_await stream->async_handshake(TlsStream::client, kAwait);
    if (error) co_return Error(ErrorCode::unavailable, "TLS handshake: " + error.message());
    co_return co_await converse(*stream, std::move(head));
  }

  io::Task<void> connect() {
    if (endpoint_.kind == Endpoint::Kind::unix_socket) {
      LMSB_CO_TRY(const Address address, to_unix_address(endpoint_.path));
      co_return co_await connect_to(asio::generic::stream_protocol::endpoint(address.get(), address.size));
    }
    HostPort host_port;
    host_port.host = endpoint_.host;
    host_port.port = endpoint_.port;
    const Result<Address> numeric = to_address(host_port);
    if (numeric.ok()) {
      co_return co_await connect_to(asio::generic::stream_protocol::endpoint(numeric->get(), numeric->size));
    }
    co_return co_await connect_by_name();
  }

  io::Task<void> connect_by_name() {
    const auto [error, found] =
        co_await resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port), kAwait);
    if (error) co_return Error(ErrorCode::unavailable, "look up the name: " + error.message());
    Status last = Error(ErrorCode::unavailable, "look up the name: no address");
    for (const auto& entry : found) {
      last = co_await connect_to(asio::generic::stream_protocol::endpoint(entry.endpoint()));
      if (last.ok() || gave_up_) break;
    }
    co_return last;
  }

  io::Task<void> connect_to(asio::generic::stream_protocol::endpoint address) {
    if (gave_up_) co_return Error(ErrorCode::deadline_exceeded, "connect: time limit met");
    boost::system::error_code ignored;
    socket_.close(ignored);
    const auto [error] = co_await socket_.async_connect(address, kAwait);
    if (error) co_return not_reached(error);
    if (address.protocol().family() != AF_UNIX) socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    co_return Status();
  }

  static Error not_reached(const boost::system::error_code& error) {
    if (error == asio::error::operation_aborted) return io::to_error(error, "connect");
    return Error(ErrorCode::unavailable, "connect: " + error.message());
  }

  Result<std::unique_ptr<TlsStream>> prepare_tls(asio::ssl::context& context) {
    boost::system::error_code error;
    context.set_default_verify_paths(error);
    if (!error) context.set_verify_mode(asio::ssl::verify_peer, error);
    auto stream = std::make_unique<TlsStream>(socket_, context);
    if (!error) stream->set_verify_callback(asio::ssl::host_name_verification(endpoint_.host), error);
    // The macro of this name casts in C's way. Addresses are not names: nothing is sent for them (RFC 6066 section 3).
    HostPort host_port;
    host_port.host = endpoint_.host;
    if (!to_address(host_port).ok() || endpoint_.host == "localhost") {
      SSL_ctrl(stream->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, endpoint_.host.data());
    }
    if (error) return Error(ErrorCode::internal, "prepare TLS: " + error.message());
    return stream;
  }

  // `stream` is of the caller's frame, which waits for this.
  template <class Stream>
  io::Task<Response> converse(Stream& stream, std::string head) {
    const std::array<asio::const_buffer, 2> parts = {asio::buffer(head), asio::buffer(request_.body)};
    const auto [write_error, written] = co_await asio::async_write(stream, parts, kAwait);
    // A server may refuse a large body by answering before it has read it: then the answer says more than the error.
    if (write_error && write_error != asio::error::broken_pipe && write_error != asio::error::connection_reset) {
      co_return io::to_error(write_error, "send the request");
    }
    Result<Response> response = co_await read_response(stream);
    if (!response.ok() && write_error) co_return io::to_error(write_error, "send the request");
    co_return response;
  }

  template <class Stream>
  io::Task<Response> read_response(Stream& stream) {
    AnswerReader reader(request_.max_body, request_.method == "HEAD");
    while (!reader.is_complete()) {
      LMSB_CO_TRY(const std::span<char> room, reader.room());
      const auto [error, count] = co_await stream.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
      LMSB_CO_CHECK(reader.took(count));
      if (!error || reader.is_complete()) continue;
      if (error != asio::error::eof) co_return io::to_error(error, "read the answer");
      LMSB_CO_CHECK(reader.end());
    }
    co_return std::move(reader.response());
  }

  void give_up() {
    gave_up_ = true;
    boost::system::error_code ignored;
    resolver_.cancel();
    socket_.close(ignored);
  }

  Error explain(Error error) const {
    const std::string step = request_.method + " " + quoted(request_.target) + " of " + name_;
    if (gave_up_) {
      const std::string limit = std::to_string(request_.timeout.count()) + " ms";
      return Error(ErrorCode::deadline_exceeded, step + ": no complete answer within " + limit);
    }
    return std::move(error).with_context(step);
  }

  const std::string name_;
  Endpoint& endpoint_;  // of run()'s frame, as is the request
  const ClientRequest& request_;
  Socket socket_;
  Resolver resolver_;
  bool gave_up_ = false;
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
  std::string host = host_field(endpoint);
  return Exchange::run(std::move(endpoint), std::move(host), std::move(request));
}

Result<std::string> to_octets(const ClientRequest& request, const std::string& host) {
  LMSB_TRY(std::string octets, to_wire(request, host));
  return octets + request.body;
}

io::Task<Response> read_answer(UniqueFd pipe, Bytes max_body, io::Deadline deadline) {
  io::FdWatch watch(co_await asio::this_coro::executor, pipe);
  AnswerReader reader(max_body, false);
  while (!reader.is_complete()) {
    // Also while there is always more: parts that count for nothing could go on for ever.
    if (deadline.passed()) co_return Error(ErrorCode::deadline_exceeded, "no complete answer within the time limit");
    LMSB_CO_CHECK(co_await watch.readable(deadline));
    LMSB_CO_TRY(const std::span<char> room, reader.room());
    const ssize_t count = os::read_pipe_now(pipe.get(), room.data(), room.size());
    if (count < 0 && errno != EAGAIN) co_return Error::from_errno(errno, "read the answer");
    if (count > 0) LMSB_CO_CHECK(reader.took(static_cast<std::size_t>(count)));
    if (count == 0) LMSB_CO_CHECK(reader.end());
  }
  co_return std::move(reader.response());
}

Result<Response> fetch_blocking(const Endpoint& endpoint, const ClientRequest& request) {
  return io::run_blocking(fetch(endpoint, request));
}

}  // namespace lmsb::http
