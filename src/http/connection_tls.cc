// Connection: what is different by TLS.
#include <algorithm>
#include <cerrno>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>

#include "http/connection.h"
#include "http/tls_stream.h"
#include "http/upgrade.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

using Step = TlsSession::Step;

constexpr unsigned char kHandshake = 22;  // the first octet of whoever speaks TLS (RFC 8446 section 5.1)
constexpr std::size_t kPiece = std::size_t{64} << 10U;
constexpr std::chrono::milliseconds kGoodbye{1000};

// Whether the first octet that waits to be read is that of a handshake. Nothing: none has come yet.
std::optional<bool> begins_handshake(int socket) {
  unsigned char octet = 0;
  const ssize_t count = ::recv(socket, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  return count != 1 || octet == kHandshake;  // of an end, too: it fails as one
}

}  // namespace

// ---- Before the first request

io::Always<Connection::Greeting> Connection::greet() {
  const Greeting greeting = co_await shake_hands();
  if (greeting == Greeting::failed) tell_why_it_failed();
  co_return greeting;
}

void Connection::tell_why_it_failed() const {
  if (!state_->handshake_failed || state_->stopping) return;
  state_->handshake_failed(expired_ ? Error(ErrorCode::deadline_exceeded, "TLS handshake: it takes too long")
                                    : tls_->failure("TLS handshake"));
}

io::Always<Connection::Greeting> Connection::shake_hands() {
  set_deadline(state_->limits.handshake_timeout);
  std::optional<bool> speaks_tls;
  while (!speaks_tls) {
    const bool has_come = co_await wait_for(Step::wants_read);
    if (!has_come) co_return Greeting::failed;
    speaks_tls = begins_handshake(socket_.native_handle());
  }
  if (!*speaks_tls) {
    tls_.reset();
    co_return Greeting::plain;
  }
  while (true) {
    const Step step = tls_->shake_hands();
    if (step == Step::done) break;
    if (step != Step::wants_read && step != Step::wants_write) co_return Greeting::failed;
    const bool is_ready = co_await wait_for(step);
    if (!is_ready) co_return Greeting::failed;
  }
  no_deadline();
  co_return Greeting::done;
}

// False: the time is over, or the connection.
io::Always<bool> Connection::wait_for(Step step) {
  const auto what = step == Step::wants_write ? Socket::wait_write : Socket::wait_read;
  const auto [error] = co_await socket_.async_wait(what, asio::as_tuple(asio::use_awaitable));
  co_return !error && !expired_;
}

// ---- Reading

// What the session has read ahead of us would not make the socket readable.
void Connection::start_read_by_tls(std::unique_ptr<Inbox> inbox) {
  if (!tls_->has_read_ahead()) return wait_to_read(std::move(inbox), false);
  asio::post(socket_.get_executor(), [this, inbox = std::move(inbox)]() mutable { read_by_tls({}, std::move(inbox)); });
}

void Connection::wait_to_read(std::unique_ptr<Inbox> inbox, bool until_writable) {
  socket_.async_wait(until_writable ? Socket::wait_write : Socket::wait_read,
                     [this, inbox = std::move(inbox)](const boost::system::error_code& error) mutable {
                       read_by_tls(error, std::move(inbox));
                     });
}

void Connection::read_by_tls(const boost::system::error_code& error, std::unique_ptr<Inbox> inbox) {
  boost::system::error_code result = error;
  std::size_t count = 0;
  if (!error && tls_) {
    const Step step = tls_->read(inbox->buffer.data() + inbox->end, inbox->buffer.size() - inbox->end, count);
    const bool wants_more = step == Step::wants_read || step == Step::wants_write;
    // A wait that began now would not hear of what has been cancelled.
    const bool is_over = expired_ || phase_ == Phase::handing_over;
    if (wants_more && !is_over) return wait_to_read(std::move(inbox), step == Step::wants_write);
    if (wants_more) result = asio::error::operation_aborted;
    if (step == Step::ended || step == Step::failed) result = asio::error::eof;
  }
  inbox_ = std::move(inbox);
  in_flight_ = nullptr;
  on_read(result, count);
}

// ---- Sending

// What a relay holds must be encrypted, so it comes through here.
io::Always<bool> Connection::send_read_out(std::shared_ptr<io::PipeRelay> relay) {
  std::string piece;
  while (relay->held() > 0) {
    piece.resize(std::min<std::size_t>(relay->held(), kPiece));
    const ssize_t count = relay->read_now(piece.data(), piece.size());
    if (count <= 0) co_return false;
    Gather out;
    out.add(std::string_view(piece).substr(0, static_cast<std::size_t>(count)));
    const bool sent = co_await send_all(out);
    if (!sent) co_return false;
  }
  co_return true;
}

// ---- The end

// Also to a client that has still to take the last octets of an answer: else it would seem to be cut off.
io::Always<void> Connection::say_goodbye() {
  Step step = tls_->say_goodbye();
  if (step == Step::wants_write && !expired_) set_deadline(kGoodbye);
  while (step == Step::wants_write && !expired_) {
    const bool is_ready = co_await wait_for(step);
    if (!is_ready) co_return;
    step = tls_->say_goodbye();
  }
}

// ---- A connection that is given away

struct Connection::Crossing {
  explicit Crossing(asio::io_context& loop) : changed(loop) {}
  std::shared_ptr<TlsStream> stream;
  bool is_over = false;
  io::Event changed;
};

// Who takes it over knows of sockets alone: he gets one whose other end we carry to the client's. Null: there is none.
std::shared_ptr<Connection::Crossing> Connection::give_socket(TakenOver& taken) {
  boost::system::error_code failed;
  UniqueFd socket(socket_.release(failed));
  auto crossing = std::make_shared<Crossing>(state_->loop);
  crossing->stream = std::make_shared<TlsStream>(state_->loop.get_executor(), std::move(socket), std::move(tls_));
  auto theirs = socket_to(state_->loop, crossing->stream, [crossing] {
    crossing->is_over = true;
    crossing->changed.notify_all();
  });
  if (!theirs.ok()) return nullptr;
  taken.socket = *std::move(theirs);
  return crossing;
}

// What was said last still has to reach the client, who has less time for it when we end the connection.
io::Always<void> Connection::end_crossing(std::shared_ptr<Crossing> crossing) {
  co_await io::forget_cancellation();
  const io::Deadline deadline = io::Deadline::in(expired_ ? kGoodbye : state_->limits.write_timeout);
  while (!crossing->is_over) {
    const Status changed = co_await crossing->changed.wait(deadline);
    if (changed.ok()) continue;
    crossing->stream->end();
    co_return;
  }
}

}  // namespace lmsb::http
