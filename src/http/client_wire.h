#pragma once
// ClientWire: a client's connection to an endpoint, by TCP, TLS or a unix socket. Internal to http.
#include <memory>
#include <span>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "http/client.h"
#include "http/tls_stream.h"
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

  explicit ClientWire(const boost::asio::any_io_executor& loop) : loop_(loop), socket_(loop), resolver_(loop) {}

  // Connects, with TLS where the endpoint wants it. `endpoint` outlives the task. Errors: unavailable, and those of
  // TlsContext::of_client().
  io::Task<void> open(const Endpoint& endpoint);
  // Sends both. They outlive the task. Errors: with the errno of EPIPE or ECONNRESET when the server has closed.
  io::Task<void> write(std::string_view head, std::string_view body);
  // What is there, waiting until there is something; 0 is the end. `room` outlives the task.
  io::Task<std::size_t> read_some(std::span<char> room);
  // Ends all of that, and closes.
  void give_up();
  bool gave_up() const { return gave_up_; }
  // Gives the connection away, as a socket; by TLS, as one that somebody on the loop carries to and fro.
  Result<UniqueFd> release();

 private:
  io::Task<void> connect(const Endpoint& endpoint);
  io::Task<void> connect_by_name(const Endpoint& endpoint);
  io::Task<void> connect_to(boost::asio::generic::stream_protocol::endpoint address);
  io::Task<void> open_tls(const Endpoint& endpoint);

  const boost::asio::any_io_executor loop_;
  Socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  std::shared_ptr<TlsStream> tls_;  // null: none. Has the socket, else.
  bool gave_up_ = false;
};

}  // namespace lmsb::http
