#pragma once
// TlsStream: octets both ways over a socket by TLS, on one loop: a client's end, and a server's once something else
// than HTTP is spoken. Owns the socket, which does not block.
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>

#include "base/unique_fd.h"
#include "http/tls.h"
#include "io/deadline.h"
#include "io/duplex.h"
#include "io/wait_fd.h"

namespace lmsb::http {

class TlsStream final : public io::Duplex {
 public:
  // `session` is on `socket`.
  TlsStream(const boost::asio::any_io_executor& loop, UniqueFd socket, std::unique_ptr<TlsSession> session);

  // Before anything else, at a client's end. Errors: TlsSession::failure(), cancelled.
  io::Task<void> shake_hands();
  // An end without a goodbye is an Error: something may be missing. Others on the loop have their turn, however fast
  // the other end sends.
  io::Task<std::size_t> read_some(char* buffer, std::size_t size) override;
  io::Task<void> write_all(std::string_view data) override;
  bool is_hung_up() const override;
  io::Always<void> end_writing() override;
  void end() override;
  // After all of that: lets the other end read what was sent last, as closing with unread input would reset it.
  io::Always<void> linger(io::Deadline deadline);

 private:
  io::Task<void> wait_for(TlsSession::Step step);

  UniqueFd socket_;
  std::unique_ptr<TlsSession> session_;
  io::FdWatch watch_;  // after the socket: ends before it
  bool is_over_ = false;
  unsigned reads_in_a_row_ = 0;  // without a wait in between
};

// A socket for who knows of sockets alone: what is written to it goes out by `stream`, and the other way round, until
// both ends are through. `done` is called then. Errors: there are no descriptors left.
Result<UniqueFd> socket_to(boost::asio::io_context& loop, std::shared_ptr<TlsStream> stream,
                           std::function<void()> done = {});

}  // namespace lmsb::http
