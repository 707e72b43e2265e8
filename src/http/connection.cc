#include "http/connection.h"

#include <algorithm>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "http/wire.h"
#include "os/tcp_peer.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kSmallBuffer = 8192;   // of a connection that has said nothing large yet
constexpr std::size_t kLargeBuffer = 65536;  // at most; what is read ahead of a request counts too
constexpr std::chrono::milliseconds kLinger{1000};
constexpr std::size_t kMaxInARow = 16;  // pipelined requests before others get their turn

ParserLimits parser_limits(const ServerLimits& limits) {
  ParserLimits result;
  result.header = std::min(limits.header, Bytes(kLargeBuffer));
  result.body = limits.body;
  return result;
}

void reset_on_close(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

void Connection::Inbox::shrink() {
  if (begin == end && buffer.size() > kSmallBuffer) buffer = std::vector<char>(kSmallBuffer);
}

bool Connection::Inbox::has_room(std::size_t wanted_size) {
  if (begin == end) begin = end = 0;
  if (end == buffer.size() && begin > 0) {
    std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin), buffer.end(), buffer.begin());
    end -= begin;
    begin = 0;
  }
  if (end == buffer.size()) wanted_size = std::max(wanted_size, end * 2);
  if (buffer.size() < std::min(wanted_size, kLargeBuffer)) buffer.resize(std::min(wanted_size, kLargeBuffer));
  return end < buffer.size();
}

Connection::Connection(std::shared_ptr<ServerState> state, UniqueFd fd, Address peer, io::Canceller canceller,
                       const TlsContext* tls)
    : state_(std::move(state)),
      canceller_(std::move(canceller)),
      socket_(state_->loop.get_executor()),
      tls_(tls != nullptr ? TlsSession::of_server(*tls, fd) : nullptr),
      is_tls_(tls != nullptr),
      address_(peer),
      parser_(parser_limits(state_->limits), &state_->streamed_body),
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
  state_->count_body(accounted_body_ + unread_, 0);
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

// ---- Reading

io::Always<Connection::Got> Connection::read_request() {
  parser_.reset();
  continued_ = false;
  end_watch_.reset();
  phase_ = Phase::idle;
  if (inbox_) inbox_->shrink();
  Stage before = Stage::idle;
  while (true) {
    if (const auto got = take_input(before)) co_return *got;
    if (input_ended_ || expired_) co_return on_input_end();
    if (phase_ == Phase::idle && !state_->stopping) set_deadline(state_->limits.idle_timeout);
    if (phase_ == Phase::idle && state_->stopping) co_return Got::end;
    start_read();
    served_in_a_row_ = 0;
    co_await wait_input();
  }
}

// Gives the parser what there is. Nothing: more is needed.
std::optional<Connection::Got> Connection::take_input(Stage& before) {
  Inbox& in = inbox();
  if (in.begin == in.end) return std::nullopt;
  in.begin += parser_.feed(in.data());
  account_body();
  if (accounted_body_ > 0 && !state_->make_room_for_bodies()) {
    parser_.refuse({503, "too many large requests at once; try again in a moment"});
  } else if (inbox_ && !inbox_->has_room(kSmallBuffer)) {
    parser_.refuse({400, "malformed request: a line of the body is too long"});
  }
  const Stage stage = parser_.stage();
  if (stage == Stage::failed) return Got::refusal;
  if (stage == Stage::complete || parser_.is_streamed()) return Got::request;
  note_progress(before);
  before = stage;
  if (stage == Stage::body && parser_.expects_continue() && !continued_) send_continue();
  return std::nullopt;
}

// Starts the clock of the part that the request has come to.
void Connection::note_progress(Stage before) {
  const Stage stage = parser_.stage();
  if (stage == Stage::idle || stage == before) return;
  phase_ = Phase::reading;
  set_deadline(stage == Stage::header ? state_->limits.header_timeout : state_->limits.body_timeout);
}

Connection::Got Connection::on_input_end() {
  const Stage stage = parser_.stage();
  if (input_ended_ || stage == Stage::idle) return Got::end;
  parser_.refuse({408, stage == Stage::header ? "the request's header did not arrive in time"
                                              : "the request's body did not arrive in time"});
  expired_ = false;  // the answer has its own time
  return Got::refusal;
}

void Connection::account_body() {
  const std::uint64_t size = parser_.request().body.size();
  state_->count_body(accounted_body_, size);
  accounted_body_ = size;
}

void Connection::account_unread(std::uint64_t octets) {
  state_->count_body(unread_, octets);
  unread_ = octets;
}

void Connection::send_continue() {
  continued_ = true;
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  // A client whose socket is too full for 25 octets sends its body unasked after a while.
  if (tls_) return tls_->send_aside(kContinue);
  (void)::send(socket_.native_handle(), kContinue.data(), kContinue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::start_read() {
  const std::size_t wanted = parser_.stage() == Stage::body ? kLargeBuffer : kSmallBuffer;
  if (!inbox_ || input_ended_) return;
  if (!inbox_->has_room(wanted)) return watch_end();
  in_flight_ = inbox_.get();
  if (tls_) return start_read_by_tls(std::move(inbox_));
  const auto room =
      asio::buffer(in_flight_->buffer.data() + in_flight_->end, in_flight_->buffer.size() - in_flight_->end);
  socket_.async_read_some(
      room, [this, inbox = std::move(inbox_)](const boost::system::error_code& error, std::size_t count) mutable {
        inbox_ = std::move(inbox);
        in_flight_ = nullptr;
        on_read(error, count);
      });
}

// Of a client that has sent more than is read ahead: reads do not come to its end.
void Connection::watch_end() {
  if (end_watch_ || (phase_ != Phase::serving && phase_ != Phase::streaming)) return;
  end_watch_ = std::make_unique<EndWatch>(state_->loop, BorrowedFd(socket_.native_handle()), [this] {
    if (in_flight_ != nullptr) return end_watch_.reset();  // that read sees it, behind what comes before
    input_ended_ = true;
    on_end_of_input();
  });
}

void Connection::on_end_of_input() {
  if (body_) body_->arrived.notify_all();
  if (phase_ == Phase::serving || phase_ == Phase::streaming) canceller_.cancel();
}

void Connection::on_read(const boost::system::error_code& error, std::size_t count) {
  inbox_->end += count;
  // A read that expire() or hand_over() ended is not the end of the input.
  const bool ended_by_us = error == asio::error::operation_aborted && (expired_ || phase_ == Phase::handing_over);
  if (error && !ended_by_us) input_ended_ = true;
  if (body_) body_->arrived.notify_all();
  if (inbox_->waiting) {
    Wake wake = *std::exchange(inbox_->waiting, std::nullopt);
    std::move(wake)();
  } else if (phase_ == Phase::serving || phase_ == Phase::streaming) {
    if (input_ended_) {
      on_end_of_input();
    } else {
      start_read();
    }
  }
}

// Ends when the read in flight has.
io::Always<void> Connection::wait_input() {
  if (in_flight_ == nullptr) co_return;
  auto start = [this](auto handler) { in_flight_->waiting.emplace(std::move(handler)); };
  auto wait = asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(start), asio::use_awaitable);
  co_await std::move(wait);
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

// Sends the rest as the client takes it, which may be never: it counts until it is gone, so that those who read nothing
// do not hold more together than all bodies may have. What `out` refers to is the caller's.
io::Always<bool> Connection::finish(Gather out) {
  no_deadline();  // its own begins now: others make way
  account_unread(out.size());
  (void)state_->make_room_for_bodies();
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
