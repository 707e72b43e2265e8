#include "http/client_wire.h"

#include <array>
#include <string>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "http/address.h"
#include "io/error.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Error not_reached(const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted) return io::to_error(error, "connect");
  return Error(ErrorCode::unavailable, "connect").with_cause(error.message());
}

}  // namespace

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

io::Task<void> ClientWire::open(const Endpoint& endpoint) {
  LMSB_CO_CHECK(co_await connect(endpoint));
  if (endpoint.kind == Endpoint::Kind::tls) co_return co_await open_tls(endpoint);
  co_return Status();
}

io::Task<void> ClientWire::connect(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::unix_socket) {
    LMSB_CO_TRY(const Address address, to_unix_address(endpoint.path));
    co_return co_await connect_to(asio::generic::stream_protocol::endpoint(address.get(), address.size));
  }
  HostPort host_port;
  host_port.host = endpoint.host;
  host_port.port = endpoint.port;
  const Result<Address> numeric = to_address(host_port);
  if (numeric.ok()) {
    co_return co_await connect_to(asio::generic::stream_protocol::endpoint(numeric->get(), numeric->size));
  }
  co_return co_await connect_by_name(endpoint);
}

io::Task<void> ClientWire::connect_by_name(const Endpoint& endpoint) {
  const auto [error, found] = co_await resolver_.async_resolve(endpoint.host, std::to_string(endpoint.port), kAwait);
  if (error) co_return Error(ErrorCode::unavailable, "look up the name").with_cause(error.message());
  Status last = Error(ErrorCode::unavailable, "look up the name").with_cause("no address");
  for (const auto& entry : found) {
    last = co_await connect_to(asio::generic::stream_protocol::endpoint(entry.endpoint()));
    if (last.ok() || gave_up_) break;
  }
  co_return last;
}

io::Task<void> ClientWire::connect_to(asio::generic::stream_protocol::endpoint address) {
  if (gave_up_) co_return Error(ErrorCode::deadline_exceeded, "connect: time limit met");
  boost::system::error_code ignored;
  socket_.close(ignored);
  const auto [error] = co_await socket_.async_connect(address, kAwait);
  if (error) co_return not_reached(error);
  if (address.protocol().family() == AF_UNIX) co_return Status();
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);  // for answers that may be silent for long
  co_return Status();
}

io::Task<void> ClientWire::open_tls(const Endpoint& endpoint) {
  LMSB_CO_TRY(const auto context, TlsContext::of_client(endpoint.ca_file));
  boost::system::error_code failed;
  UniqueFd socket(socket_.release(failed));
  if (failed) co_return Error(ErrorCode::internal, "take the connection over").with_cause(failed.message());
  LMSB_CO_TRY(auto session, TlsSession::of_client(*context, socket, endpoint.host));
  tls_ = std::make_shared<TlsStream>(loop_, std::move(socket), std::move(session));
  if (gave_up_) tls_->end();
  co_return co_await tls_->shake_hands();
}

io::Task<void> ClientWire::write(std::string_view head, std::string_view body) {
  if (tls_) {
    LMSB_CO_CHECK(co_await tls_->write_all(head));
    co_return co_await tls_->write_all(body);
  }
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(head), asio::buffer(body)};
  const auto [error, count] = co_await asio::async_write(socket_, parts, kAwait);
  if (error) co_return io::to_error(error, "send the request");
  co_return Status();
}

io::Task<std::size_t> ClientWire::read_some(std::span<char> room) {
  if (tls_) co_return co_await tls_->read_some(room.data(), room.size());
  const auto [error, count] = co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
  if (error && error != asio::error::eof) co_return io::to_error(error, "read the answer");
  co_return count;
}

Result<UniqueFd> ClientWire::release() {
  if (tls_) {
    auto& loop = static_cast<asio::io_context&>(asio::query(loop_, asio::execution::context));
    return socket_to(loop, std::move(tls_));
  }
  boost::system::error_code failed;
  UniqueFd socket(socket_.release(failed));
  if (failed) return Error(ErrorCode::internal, "take the connection over").with_cause(failed.message());
  return socket;
}

void ClientWire::give_up() {
  gave_up_ = true;
  boost::system::error_code ignored;
  resolver_.cancel();
  socket_.close(ignored);
  if (tls_) tls_->end();
}

}  // namespace lmsb::http
