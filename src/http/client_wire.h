#pragma once
// ClientWire: a client's connection to an endpoint, by TCP, TLS or a unix socket. Internal to http.
#include <memory>
#include <span>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "http/client.h"
#include "io/task.h"

namespace lmsb::http {

// "unix:/path", "https://host:443".
std::string describe(const Endpoint& endpoint);
// What a Host header field says.
std::string host_field(const Endpoint& endpoint);

// One task at a time, but give_up() may be called while it waits.
class ClientWire {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  explicit ClientWire(const boost::asio::any_io_executor& loop) : socket_(loop), resolver_(loop) {}

  // Connects, with TLS where the endpoint wants it. `endpoint` outlives the task. Errors: unavailable, internal.
  io::Task<void> open(const Endpoint& endpoint);
  // Sends both. They outlive the task. Errors: with the errno of EPIPE or ECONNRESET when the server has closed.
  io::Task<void> write(std::string_view head, std::string_view body);
  // What is there, waiting until there is something; 0 is the end. `room` outlives the task.
  io::Task<std::size_t> read_some(std::span<char> room);
  // Ends all of that, and closes.
  void give_up();
  bool gave_up() const { return gave_up_; }
  // Gives the connection away, which is none by TLS.
  Socket release() { return std::move(socket_); }

 private:
  using TlsStream = boost::asio::ssl::stream<Socket&>;

  io::Task<void> connect(const Endpoint& endpoint);
  io::Task<void> connect_by_name(const Endpoint& endpoint);
  io::Task<void> connect_to(boost::asio::generic::stream_protocol::endpoint address);
  Status prepare_tls(const Endpoint& endpoint);

  Socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  std::unique_ptr<boost::asio::ssl::context> context_;
  std::unique_ptr<TlsStream> tls_;  // null: none. After what it refers to.
  bool gave_up_ = false;
};

}  // namespace lmsb::http
