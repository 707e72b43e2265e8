#include "http/connection.h"

#include <algorithm>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "http/wire.h"
#include "os/tcp_peer.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::size_t kMaxInARow = 16;  // pipelined requests before others get their turn

ParserLimits parser_limits(const ServerLimits& limits, Bytes most_of_header) {
  ParserLimits result;
  result.header = std::min(limits.header, most_of_header);
  result.body = limits.body;
  return result;
}

void reset_on_close(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerState> state, UniqueFd fd, Address peer, io::Canceller canceller,
                       const TlsContext* tls)
    : state_(std::move(state)),
      canceller_(std::move(canceller)),
      socket_(state_->loop.get_executor()),
      tls_(tls != nullptr ? TlsSession::of_server(*tls, fd) : nullptr),
      is_tls_(tls != nullptr),
      address_(peer),
      parser_(parser_limits(state_->limits, Bytes(Inbox::kLarge)), &state_->streamed_body),
      inbox_(std::make_unique<Inbox>()),
      phase_(is_tls_ ? Phase::greeting : Phase::idle) {
  boost::system::error_code failed;
  socket_.assign(asio::generic::stream_protocol(peer.storage.ss_family, 0), fd.get(), failed);
  if (failed) {
    input_ended_ = true;  // the loop cannot watch it; `fd` closes it
  } else {
    (void)fd.release();
  }
  self_ = state_->connections.insert(state_->connections.end(), this);
}

Connection::~Connection() {
  if (body_) body_->owner = nullptr;
  state_->count_body(accounted_body_, 0);
  state_->count_unread(unread_, 0);
  state_->connections.erase(self_);
  state_->changed.notify_all();
}

io::Always<void> Connection::run(std::unique_ptr<Connection> connection) { co_await connection->serve_all(); }

io::Always<void> Connection::serve_all() {
  if (tls_) {
    const Greeting greeting = co_await greet();
    if (greeting == Greeting::plain) {
      Refusal refusal{400, "this port speaks HTTPS: its address begins with https://"};
      co_await refuse(std::move(refusal));
    }
    if (greeting != Greeting::done) co_return co_await leave();
  }
  while (true) {
    const Got got = co_await read_request();
    if (got == Got::end) break;
    if (got == Got::refusal) {
      co_await refuse(parser_.refusal());
      break;
    }
    const bool keep_alive = co_await answer();
    if (!keep_alive) break;
  }
  co_await leave();
}

// ---- Answering

io::Always<bool> Connection::answer() {
  Request request = std::move(parser_.request());
  request.peer = peer();
  on_behalf_of_->clear();
  request.on_behalf_of = on_behalf_of_;
  const bool with_body = request.method != "HEAD";
  if (parser_.is_streamed()) request.incoming = open_body();
  no_deadline();
  phase_ = Phase::serving;
  start_read();
  Response response = co_await call_handler(std::move(request));
  state_->count_body(std::exchange(accounted_body_, 0), 0);
  if (body_ && !response.source) close_body();  // a source may still read it
  if (response.upgrade) {
    co_await hand_over(std::move(response));
    co_return false;
  }
  const bool keep_alive = may_keep_alive(response);
  const bool sent = co_await send(std::move(response), keep_alive, with_body);
  if (body_) close_body();
  if (sent && keep_alive && ++served_in_a_row_ >= kMaxInARow) co_await let_others();
  co_return sent&& keep_alive;
}

bool Connection::may_keep_alive(const Response& response) const {
  const auto close = response.headers.find("Connection");
  return parser_.keep_alive() && !input_ended_ && !state_->stopping && !(close && same_name(*close, "close")) &&
         !lasts_until_close(response, parser_.is_http10());
}

io::Always<void> Connection::let_others() {
  served_in_a_row_ = 0;
  co_await asio::post(state_->loop, asio::use_awaitable);
}

io::Always<Response> Connection::call_handler(Request request) {
  try {
    co_return co_await state_->serve(std::move(request));
  } catch (const std::exception&) {
    // A bug of the handler's: answered below, where co_await is allowed again.
  }
  co_return state_->refuse("", 500, "internal error");
}

io::Always<void> Connection::refuse(Refusal refusal) {
  // What could not be read to its end says by its beginning which answers it knows.
  const Request& request = parser_.request();
  const std::string begun = request.target.substr(0, request.target.find_first_of("?#"));
  Response response = state_->refuse(request.path.empty() ? begun : request.path, refusal.status, refusal.detail);
  if (refusal.status == 503) response.headers.set("Retry-After", "1");
  co_await send(std::move(response), false, true);
}

io::Always<bool> Connection::send(Response response, bool keep_alive, bool with_body) {
  phase_ = Phase::writing;
  head_.clear();
  Framing framing;
  framing.keep_alive = keep_alive;
  framing.http10 = parser_.is_http10();
  append_head(head_, response, framing);
  const bool body_follows = with_body && has_body(response.status);
  Gather out;
  out.add(head_);
  if (body_follows && !response.source) out.add(response.body);
  const Gather::Sent sent = send_now(out);
  if (sent == Gather::Sent::failed) co_return false;
  if (sent == Gather::Sent::full) {
    const bool finished = co_await finish(out);
    if (!finished) co_return false;
  }
  if (body_follows && response.source) {
    is_endless_ = response.is_endless;
    co_return co_await stream(std::move(response.source), response.source_size, framing.http10);
  }
  no_deadline();
  co_return true;
}

Gather::Sent Connection::send_now(Gather& out, Gather::Then then) {
  if (tls_) return tls_->send_now(out);
  return out.send_now(BorrowedFd(socket_.native_handle()), then);
}

void Connection::account_unread(std::uint64_t octets) {
  state_->count_unread(unread_, octets);
  unread_ = octets;
}

// Sends the rest as the client takes it, which may be never: it counts until it is gone, so that those who read nothing
// do not hold more together than all answers may have. What `out` refers to is the caller's.
io::Always<bool> Connection::finish(Gather out) {
  no_deadline();  // its own begins now: others make way
  account_unread(out.size());
  state_->make_room_for_answers();
  const bool sent = co_await send_rest(out);
  account_unread(0);
  co_return sent;
}

io::Always<bool> Connection::send_rest(Gather out) {
  while (true) {
    const bool writable = co_await wait_writable();
    if (!writable) co_return false;
    const Gather::Sent sent = send_now(out);
    if (sent == Gather::Sent::failed) co_return false;
    if (sent == Gather::Sent::all) co_return true;
  }
}

// Until the client has taken something; false when it does not in time, or the connection is over.
io::Always<bool> Connection::wait_writable() {
  set_deadline(state_->limits.write_timeout);
  const auto [error] = co_await socket_.async_wait(Socket::wait_write, asio::as_tuple(asio::use_awaitable));
  if (error || expired_) co_return false;
  no_deadline();
  co_return true;
}

// Lets the client read the last answer before the connection goes: closing with unread input would reset it. Then waits
// for the read in flight, which refers to this object.
io::Always<void> Connection::leave() {
  phase_ = Phase::leaving;
  end_watch_.reset();
  if (!socket_.is_open()) co_return;
  if (tls_ && !cut_off_) co_await say_goodbye();
  tls_.reset();  // what still comes is not read
  if (cut_off_) {
    reset_on_close(socket_.native_handle());
    expired_ = true;  // nothing to wait for
  } else {
    ::shutdown(socket_.native_handle(), SHUT_WR);
  }
  if (!expired_) set_deadline(kLinger);
  while (!input_ended_ && !expired_) {
    if (inbox_) inbox_->begin = inbox_->end = 0;
    start_read();
    co_await wait_input();
  }
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  co_await wait_input();
}

// ---- Time and the other end

void Connection::set_deadline(std::chrono::milliseconds from_now) {
  deadline_ = Clock::now() + from_now;
  state_->watch(deadline_);
}

Connection::Clock::time_point Connection::idle_since() const {
  if (deadline_ == Clock::time_point::max()) return deadline_;  // has just come, or goes
  return deadline_ - (phase_ == Phase::greeting ? state_->limits.handshake_timeout : state_->limits.idle_timeout);
}

void Connection::expire() {
  no_deadline();
  expired_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Connection::close() {
  expire();
  input_ended_ = true;
  canceller_.cancel();
}

void Connection::drop_unread() {
  account_unread(0);
  close();
}

const Peer& Connection::peer() {
  if (peer_) return *peer_;
  peer_.emplace();
  if (state_->is_foreign) {  // its addresses are of another network namespace than those that we could ask about
    peer_->address = "sandbox";
    return *peer_;
  }
  Address ours;
  ::getsockname(socket_.native_handle(), ours.get(), &ours.size);
  peer_->is_unix = ours.is_unix();
  peer_->is_tls = is_tls_;
  peer_->is_loopback = !peer_->is_unix && address_.is_loopback();
  peer_->listener_is_loopback = ours.is_loopback();
  peer_->address = peer_->is_unix ? "unix" : address_.str();
  if (peer_->is_unix) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0) peer_->uid = who.uid;
  } else if (peer_->is_loopback) {
    if (auto uid = tcp_peer_uid(address_.storage, ours.storage); uid.ok()) peer_->uid = *uid;
  }
  return *peer_;
}

}  // namespace lmsb::http
