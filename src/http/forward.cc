#include "http/forward.h"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/answer_reader.h"
#include "http/hop_headers.h"
#include "http/tunnel_answer.h"
#include "io/socket_stream.h"
#include "io/spawn.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

using Clock = io::Deadline::Clock;

constexpr Bytes kNoBound = Bytes(std::numeric_limits<std::uint64_t>::max());
constexpr unsigned kPiecesInARow = 16;  // of a body that never waits, before others have their turn

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> content_length(const Headers& headers) {
  const auto text = headers.find("Content-Length");
  return text && headers.count("Content-Length") == 1 ? number_of(*text) : std::nullopt;
}

std::string head_of(const ForwardedRequest& request) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers.fields()) out += name + ": " + value + "\r\n";
  if (request.body && request.body_size) out += "Content-Length: " + std::to_string(*request.body_size) + "\r\n";
  if (request.body && !request.body_size) out += "Transfer-Encoding: chunked\r\n";
  out += request.is_web_socket ? "Connection: Upgrade\r\nUpgrade: websocket\r\n" : "Connection: close\r\n";
  return out + "\r\n";
}

// What our parsers let through cannot end a line; this is for whoever changes a request afterwards.
bool is_one_head(const std::string& head) { return head.find("\r\n\r\n") == head.size() - 4; }

Error of_request_body(Error error) {
  const bool is_late = error.code() == ErrorCode::deadline_exceeded;
  if (error.code() == ErrorCode::cancelled) return error;
  return std::move(error).with_slug(is_late ? "request_timeout" : "malformed_request");
}

// One request and its answer. Shared by who reads the answer and by the task that sends the request's body.
struct Exchange {
  Exchange(const asio::any_io_executor& loop, io::HeldSocket socket, bool bodyless)
      : server(loop, std::move(socket)), reader(kNoBound, bodyless) {}

  // What is there of the answer, and the end of the connection.
  io::Task<void> read_more(io::Deadline deadline) {
    LMSB_CO_TRY(const std::span<char> room, reader.room());
    auto count = co_await server.read_some(room.data(), room.size(), deadline);
    if (!count.ok()) co_return explain(std::move(count).error());
    co_return *count == 0 ? reader.end() : reader.took(*count);
  }

  Error explain(Error error) const {
    if (body_failed) return *body_failed;
    if (error.sys_errno() == 0) return error;
    return std::move(error).with_code(ErrorCode::unavailable).with_context("the connection was lost");
  }

  io::SocketStream server;
  AnswerReader reader;
  Clock::time_point last_taken = Clock::now();  // when the server took something of the request
  std::optional<Error> body_failed;             // why the request's body has no end: then the exchange is over
};

// A server that takes no more of the body may have answered: whoever reads that decides what it means.
io::Task<void> send_piece(Exchange& exchange, std::string piece, bool chunked) {
  if (chunked) {
    std::array<char, 18> size{};
    const auto end = std::to_chars(size.data(), size.data() + size.size(), piece.size(), 16).ptr;
    piece = std::string(size.data(), end) + "\r\n" + piece + "\r\n";
  }
  LMSB_CO_CHECK(co_await exchange.server.write_all(piece));
  exchange.last_taken = Clock::now();
  co_return Status();
}

io::Always<void> send_body(std::shared_ptr<Exchange> exchange, std::shared_ptr<BodyReader> body, bool chunked) {
  const auto loop = co_await asio::this_coro::executor;
  for (unsigned in_a_row = 1;; ++in_a_row) {
    auto piece = co_await body->read();
    if (!piece.ok()) {
      exchange->body_failed = of_request_body(std::move(piece).error());
      exchange->server.end();
      co_return;
    }
    const bool is_last = piece->empty();
    if (is_last && !chunked) co_return;
    const Status sent = co_await send_piece(*exchange, *std::move(piece), chunked);
    if (!sent.ok() || is_last) co_return;
    if (in_a_row % kPiecesInARow == 0) co_await asio::post(loop, asio::use_awaitable);
  }
}

// The answer's body. Ends the exchange with itself.
class AnswerBody final : public BodySource {
 public:
  explicit AnswerBody(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~AnswerBody() override { exchange_->server.end(); }
  AnswerBody(const AnswerBody&) = delete;
  AnswerBody& operator=(const AnswerBody&) = delete;

  io::Task<std::string> next() override {
    AnswerReader& reader = exchange_->reader;
    while (true) {
      std::string piece = std::exchange(reader.response().body, {});
      if (!piece.empty() || reader.is_complete()) co_return piece;
      LMSB_CO_CHECK(co_await exchange_->read_more(io::Deadline::never()));
    }
  }

 private:
  const std::shared_ptr<Exchange> exchange_;
};

// The patience is counted anew while the server takes the request, however slowly that comes.
io::Task<void> read_head(Exchange& exchange, std::chrono::milliseconds patience) {
  while (!exchange.reader.has_head()) {
    const auto deadline = io::Deadline::at(exchange.last_taken + patience);
    Status more = co_await exchange.read_more(deadline);
    if (more.ok()) {
      if (!deadline.passed()) continue;  // parts that count for nothing could go on for ever
    } else if (exchange.body_failed || more.error().code() != ErrorCode::deadline_exceeded) {
      co_return more;
    }
    if (exchange.last_taken + patience <= Clock::now())
      co_return Error(ErrorCode::deadline_exceeded, "no answer within " + std::to_string(patience.count()) + " ms");
  }
  co_return Status();
}

bool is_event_stream(const Headers& headers) {
  const auto type = headers.find("Content-Type");
  return type && same_name(type->substr(0, type->find(';')), "text/event-stream");
}

// The answer as our client gets it, but for its body.
Response to_answer(Response& heard) {
  Response answer;
  answer.status = heard.status;
  answer.headers = std::move(heard.headers);
  answer.source_size = content_length(answer.headers);
  remove_hop_headers(answer.headers);
  return answer;
}

Response with_body(std::shared_ptr<Exchange> exchange, Response answer, bool is_head) {
  if (exchange->reader.is_complete() && !is_head) {
    answer.body = std::move(exchange->reader.response().body);
    answer.source_size.reset();
    exchange->server.end();
    return answer;
  }
  answer.is_endless = is_event_stream(answer.headers);
  answer.source = std::make_shared<AnswerBody>(std::move(exchange));
  return answer;
}

// Sends the request's head and waits for the answer's.
io::Task<void> converse(std::shared_ptr<Exchange> exchange, ForwardedRequest& request,
                        std::chrono::milliseconds patience) {
  const std::string head = head_of(request);
  if (!is_one_head(head)) co_return Error(ErrorCode::invalid_argument, "the request's header cannot be passed on");
  const Status sent = co_await exchange->server.write_all(head, io::Deadline::in(patience));
  if (!sent.ok() && sent.error().sys_errno() == 0) co_return sent;
  if (request.body) co_await io::spawn_here(send_body(exchange, std::move(request.body), !request.body_size));
  co_return co_await read_head(*exchange, patience);
}

}  // namespace

ForwardedRequest::ForwardedRequest(Request request)
    : method(std::move(request.method)), target(std::move(request.target)), headers(std::move(request.headers)) {
  body_size = content_length(headers);
  if (body_size || headers.find("Transfer-Encoding")) body = std::move(request.incoming);
  is_web_socket =
      !body && method == "GET" && lists(headers, "Connection", "upgrade") && lists(headers, "Upgrade", "websocket");
  remove_hop_headers(headers);
  headers.remove("Content-Length");
  headers.remove("Expect");
}

io::Task<Response> forward(io::HeldSocket server, ForwardedRequest request, std::chrono::milliseconds patience) {
  const auto loop = co_await asio::this_coro::executor;
  const bool is_head = request.method == "HEAD";
  const bool is_web_socket = request.is_web_socket;
  auto exchange = std::make_shared<Exchange>(loop, server, is_head);
  Status heard = co_await converse(exchange, request, patience);
  if (!heard.ok()) {
    exchange->server.end();
    co_return std::move(heard).error();
  }
  Response answer = to_answer(exchange->reader.response());
  if (answer.status == 101 && is_web_socket) {
    answer.headers.set("Upgrade", "websocket");
    std::string read_ahead = exchange->reader.rest();
    exchange.reset();  // it watches the socket
    co_return tunnel_answer(std::move(answer), io::TunnelEnd(std::move(server), std::move(read_ahead)));
  }
  if (answer.status < 200) {
    exchange->server.end();
    co_return Error(ErrorCode::invalid_argument, "the answer changes to a protocol that nobody asked for");
  }
  co_return with_body(std::move(exchange), std::move(answer), is_head);
}

}  // namespace lmsb::http
