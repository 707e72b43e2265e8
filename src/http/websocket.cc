#include "http/websocket.h"

#include <algorithm>
#include <array>
#include <functional>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/text.h"
#include "http/client_wire.h"
#include "http/hop_headers.h"
#include "http/upgrade.h"
#include "io/alarm.h"
#include "io/error.h"
#include "io/spawn.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kKeySize = 24;     // 16 octets in base64
constexpr std::size_t kMaxReason = 120;  // of 123: a character that is cut becomes one of three octets
constexpr std::string_view kServer = "lm-sandbox";
using Socket = asio::generic::stream_protocol::socket;

// Beast would end a connection by waiting for the peer to close, for a time of its own, before it says what was wrong.
// Here that waits for nothing: see State::drain().
class Lane : public Socket {
 public:
  explicit Lane(Socket socket) : Socket(std::move(socket)) {}
};

// Called by Beast.
template <class Handler>
void async_teardown(boost::beast::role_type /*role*/, Lane& lane, Handler&& handler) {
  boost::system::error_code ignored;
  lane.shutdown(Socket::shutdown_send, ignored);
  asio::post(lane.get_executor(),
             boost::beast::bind_front_handler(std::forward<Handler>(handler), boost::system::error_code()));
}

using Stream = websocket::stream<Lane, false>;

Error to_error(const boost::system::error_code& error, Bytes max_message) {
  if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow) {
    return Error(ErrorCode::resource_exhausted, "the message is larger than " + format_bytes(max_message));
  }
  if (error == boost::beast::error::timeout) {
    return Error(ErrorCode::deadline_exceeded, "the other end gives no sign of life");
  }
  if (error == websocket::condition::protocol_violation) {
    return Error(ErrorCode::invalid_argument, "not WebSocket").with_cause(error.message());
  }
  if (error == asio::error::operation_aborted) return Error(ErrorCode::cancelled, "WebSocket: cancelled");
  return Error(ErrorCode::unavailable, "WebSocket").with_cause(error.message());
}

Result<Socket> socket_on(const asio::any_io_executor& loop, UniqueFd fd) {
  int family = 0;
  socklen_t size = sizeof family;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
  Socket socket(loop);
  boost::system::error_code failed;
  socket.assign(asio::generic::stream_protocol(family, 0), fd.get(), failed);
  if (failed) return io::to_error(failed, "take the connection over");
  (void)fd.release();
  return socket;
}

bool is_key(std::string_view key) {
  constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return key.size() == kKeySize && key.ends_with("==") &&
         key.substr(0, kKeySize - 2).find_first_not_of(kBase64) == std::string_view::npos;
}

}  // namespace

// ---- One connection

struct WebSocket::State {
  State(Socket socket, WebSocketOptions o) : options(std::move(o)), stream(Lane(std::move(socket))) {
    limit_handshakes(options.close);
    stream.read_message_max(options.max_message.count());
    stream.auto_fragment(false);
  }

  // Opening and saying goodbye.
  void limit_handshakes(std::chrono::steady_clock::duration limit) {
    websocket::stream_base::timeout times{};
    times.handshake_timeout = limit;
    times.idle_timeout = 2 * options.ping;
    times.keep_alive_pings = true;
    stream.set_option(times);
  }

  // No more of it, whoever still has a copy.
  void end() {
    over = true;
    boost::system::error_code ignored;
    stream.next_layer().close(ignored);
  }

  // Says that we go, as far as that can be said at once: a cancelled read leaves Beast without a way to.
  void say_going_away() {
    if (sending || !stream.next_layer().is_open()) return;  // a frame may be half sent
    static constexpr std::array<unsigned char, 4> kClose1001{0x88, 0x02, 0x03, 0xe9};
    (void)::send(stream.next_layer().native_handle(), kClose1001.data(), kClose1001.size(),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  static io::Task<std::optional<WebSocketMessage>> read(std::shared_ptr<State> self);
  static io::Task<void> send(std::shared_ptr<State> self, WebSocketMessage message);
  static io::Task<void> close(std::shared_ptr<State> self, std::uint16_t code, std::string text);
  static io::Always<void> drain(std::shared_ptr<State> self);
  io::Task<void> usable() const;

  const WebSocketOptions options;
  Stream stream;
  bool sending = false;
  bool closing = false;
  bool over = false;
};

// Beast's operations do not look whether they have been cancelled before.
io::Task<void> WebSocket::State::usable() const {
  const bool cancelled = co_await io::is_cancelled();
  if (cancelled || over) co_return Error(ErrorCode::cancelled, "WebSocket: cancelled");
  co_return Status();
}

io::Task<std::optional<WebSocketMessage>> WebSocket::State::read(std::shared_ptr<State> self) {
  LMSB_CO_CHECK(co_await self->usable());
  WebSocketMessage message;
  auto buffer = asio::dynamic_buffer(message.data);
  const auto [error, count] = co_await self->stream.async_read(buffer, kAwait);
  if (error == websocket::error::closed) co_return std::optional<WebSocketMessage>();
  if (error == asio::error::operation_aborted && self->closing) {  // the goodbye has taken the answer off
    const bool cancelled = co_await io::is_cancelled();
    if (!cancelled) co_return std::optional<WebSocketMessage>();
  }
  if (error) co_return to_error(error, self->options.max_message);
  message.data.resize(count);
  message.is_text = self->stream.got_text();
  co_return std::optional<WebSocketMessage>(std::move(message));
}

io::Task<void> WebSocket::State::send(std::shared_ptr<State> self, WebSocketMessage message) {
  LMSB_CO_CHECK(co_await self->usable());
  if (self->sending) co_return Error(ErrorCode::internal, "WebSocket: two messages are sent at once");
  self->sending = true;
  self->stream.text(message.is_text);
  const auto [error, count] = co_await self->stream.async_write(asio::buffer(message.data), kAwait);
  self->sending = false;
  if (error == websocket::error::closed) co_return Error(ErrorCode::unavailable, "WebSocket: closed");
  if (error) co_return to_error(error, self->options.max_message);
  co_return Status();
}

io::Task<void> WebSocket::State::close(std::shared_ptr<State> self, std::uint16_t code, std::string text) {
  LMSB_CO_CHECK(co_await self->usable());
  if (std::exchange(self->closing, true) || !self->stream.is_open()) co_return Status();  // Beast takes one
  std::function<void()> stop = [self] { self->end(); };
  const io::Alarm alarm(self->stream.get_executor(), io::Deadline::in(2 * self->options.close), std::move(stop));
  const std::string fitting = to_utf8(std::string_view(text).substr(0, kMaxReason));
  websocket::close_reason reason(code);
  reason.reason.assign(fitting.data(), std::min(fitting.size(), reason.reason.max_size()));
  const auto [error] = co_await self->stream.async_close(reason, kAwait);
  if (error && error != asio::error::operation_aborted) co_return to_error(error, self->options.max_message);
  co_return Status();
}

// Lets the peer read the last frame before the connection goes: closing with unread input would reset it.
io::Always<void> WebSocket::State::drain(std::shared_ptr<State> self) {
  self->over = true;
  std::function<void()> stop = [self] { self->end(); };
  const io::Alarm alarm(self->stream.get_executor(), io::Deadline::in(self->options.close), std::move(stop));
  Lane& lane = self->stream.next_layer();
  boost::system::error_code ended;
  lane.shutdown(Socket::shutdown_send, ended);
  std::array<char, 4096> sink{};
  while (!ended && lane.is_open()) {
    const auto [error, count] = co_await lane.async_read_some(asio::buffer(sink), kAwait);
    ended = error;
  }
}

WebSocket::WebSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}

io::Task<std::optional<WebSocketMessage>> WebSocket::read() { return State::read(state_); }
io::Task<void> WebSocket::send(WebSocketMessage message) { return State::send(state_, std::move(message)); }
io::Task<void> WebSocket::close(std::uint16_t code, std::string text) {
  return State::close(state_, code, std::move(text));
}

CloseReason WebSocket::close_reason() const {
  const websocket::close_reason& said = state_->stream.reason();
  CloseReason reason;
  if (said) reason.code = said.code;
  reason.text.assign(said.reason.data(), said.reason.size());
  return reason;
}

// ---- The server's end

namespace {

// Hands a connection over to Beast, which answers the handshake by itself: it is told once more what was asked, without
// what does not matter any longer.
class Acceptance final : public Upgrade {
 public:
  Acceptance(std::string key, std::shared_ptr<WebSocketSession> session, WebSocketOptions options)
      : key_(std::move(key)), session_(std::move(session)), options_(std::move(options)) {}

  io::Always<void> run(TakenOver taken) override {
    const auto loop = co_await asio::this_coro::executor;
    auto socket = socket_on(loop, std::move(taken.socket));
    if (!socket.ok()) co_return;
    const auto state = std::make_shared<WebSocket::State>(*std::move(socket), options_);
    const Status accepted = co_await accept(state, std::move(taken.read_ahead));
    if (!accepted.ok()) co_return;
    const AtEnd at_end(*state);
    co_await session_->run(WebSocket(state));
    co_await say_goodbye(state);
  }

 private:
  // However the session ends.
  struct AtEnd {
    explicit AtEnd(WebSocket::State& s) : state(s) {}
    ~AtEnd() { state.end(); }
    AtEnd(const AtEnd&) = delete;
    AtEnd& operator=(const AtEnd&) = delete;
    WebSocket::State& state;
  };

  // What came ahead must fit Beast's buffer of 1.5 KiB; a client that keeps to the protocol sends nothing ahead.
  io::Task<void> accept(std::shared_ptr<WebSocket::State> state, std::string read_ahead) {
    std::string heard = "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    heard += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key_ + "\r\n\r\n" + read_ahead;
    auto add_fields = [protocol = options_.protocol](websocket::response_type& answer) {
      answer.set(boost::beast::http::field::server, boost::beast::string_view(kServer.data(), kServer.size()));
      if (!protocol.empty()) answer.set(boost::beast::http::field::sec_websocket_protocol, protocol);
    };
    state->stream.set_option(websocket::stream_base::decorator(std::move(add_fields)));
    const auto [error] = co_await state->stream.async_accept(asio::buffer(heard), kAwait);
    if (error) co_return to_error(error, options_.max_message);
    co_return Status();
  }

  static io::Always<void> say_goodbye(std::shared_ptr<WebSocket::State> state) {
    const bool cancelled = co_await io::is_cancelled();
    if (cancelled) {
      state->say_going_away();
      co_return;
    }
    // It may be gone already: then there is nobody to tell.
    (void)co_await WebSocket::State::close(state, CloseReason::kNormal, "");
    co_await WebSocket::State::drain(state);
  }

  const std::string key_;
  const std::shared_ptr<WebSocketSession> session_;
  const WebSocketOptions options_;
};

}  // namespace

std::optional<Refusal> check_web_socket(const Request& request) {
  const Headers& headers = request.headers;
  if (request.method != "GET" || !lists(headers, "Connection", "upgrade") || !lists(headers, "Upgrade", "websocket")) {
    return Refusal{426, "a WebSocket is spoken here: the request must ask for an upgrade to it"};
  }
  if (headers.count("Sec-WebSocket-Version") != 1 || *headers.find("Sec-WebSocket-Version") != "13") {
    return Refusal{426, "only version 13 of WebSocket is spoken here"};
  }
  if (headers.count("Sec-WebSocket-Key") != 1 || !is_key(*headers.find("Sec-WebSocket-Key"))) {
    return Refusal{400, "malformed request: Sec-WebSocket-Key is not 16 octets in base64"};
  }
  return std::nullopt;
}

void add_web_socket_headers(Response& refusal) {
  if (refusal.status != 426) return;
  refusal.headers.set("Upgrade", "websocket");
  refusal.headers.set("Sec-WebSocket-Version", "13");
}

Response web_socket_answer(const Request& request, std::shared_ptr<WebSocketSession> session,
                           WebSocketOptions options) {
  Response response;
  response.status = 101;
  std::string key(*request.headers.find("Sec-WebSocket-Key"));
  response.upgrade = std::make_shared<Acceptance>(std::move(key), std::move(session), std::move(options));
  return response;
}

// ---- A client's end

namespace {

Response to_response(const websocket::response_type& from) {
  Response response;
  response.status = static_cast<int>(from.result_int());
  for (const auto& field : from) {
    response.headers.add(std::string_view(field.name_string().data(), field.name_string().size()),
                         std::string(field.value().data(), field.value().size()));
  }
  response.body = from.body();
  return response;
}

// All of it has one limit, which closes the wire or, once it is made, the stream.
class Opening {
 public:
  static io::Task<WebSocketOpening> run(Endpoint endpoint, ClientRequest request, WebSocketOptions options) {
    const std::string step = "WebSocket " + quoted(request.target) + " of " + describe(endpoint);
    const auto loop = co_await asio::this_coro::executor;
    Opening self(loop);
    std::function<void()> stop = [&self] { self.give_up(); };
    const io::Alarm alarm(loop, io::Deadline::in(request.timeout), std::move(stop));
    Result<WebSocketOpening> opened = co_await self.open(endpoint, request, std::move(options));
    if (opened.ok()) co_return opened;
    if (self.wire_.gave_up()) co_return Error(ErrorCode::deadline_exceeded, step + ": not open within the time limit");
    co_return std::move(opened).error().with_context(step);
  }

 private:
  explicit Opening(const asio::any_io_executor& loop) : wire_(loop) {}

  void give_up() {
    wire_.give_up();
    if (state_) state_->end();
  }

  // Both are of run()'s frame.
  io::Task<WebSocketOpening> open(const Endpoint& endpoint, const ClientRequest& request, WebSocketOptions options) {
    LMSB_CO_CHECK(to_octets(request, host_field(endpoint)).ok() ? Status() : bad_request());
    LMSB_CO_CHECK(co_await wire_.open(endpoint));
    LMSB_CO_TRY(UniqueFd released, wire_.release());
    const auto loop = co_await asio::this_coro::executor;
    LMSB_CO_TRY(Socket socket, socket_on(loop, std::move(released)));
    state_ = std::make_shared<WebSocket::State>(std::move(socket), std::move(options));
    auto add_fields = [fields = request.headers.fields()](websocket::request_type& out) {
      for (const auto& [name, value] : fields) out.set(name, value);
    };
    state_->stream.set_option(websocket::stream_base::decorator(std::move(add_fields)));
    state_->limit_handshakes(websocket::stream_base::none());  // run() has the limit
    websocket::response_type answer;
    const std::string host = host_field(endpoint);
    const auto [error] = co_await state_->stream.async_handshake(answer, host, request.target, kAwait);
    WebSocketOpening opening;
    if (error == websocket::error::upgrade_declined) {
      opening.refusal = to_response(answer);
    } else if (error) {
      co_return to_error(error, state_->options.max_message);
    } else {
      state_->limit_handshakes(state_->options.close);
      opening.socket.emplace(state_);
    }
    co_return opening;
  }

  static Error bad_request() {
    return Error(ErrorCode::invalid_argument, "the request has a control character in its target or header");
  }

  ClientWire wire_;
  std::shared_ptr<WebSocket::State> state_;
};

}  // namespace

io::Task<WebSocketOpening> open_web_socket(Endpoint endpoint, ClientRequest request, WebSocketOptions options) {
  return Opening::run(std::move(endpoint), std::move(request), std::move(options));
}

}  // namespace lmsb::http
