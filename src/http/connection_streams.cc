// Connection: bodies that are not whole, in either direction, and connections that are given away.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <limits>

#include "http/connection.h"
#include "http/upgrade.h"
#include "http/wire.h"

namespace lmsb::http {
namespace {

constexpr std::size_t kOctetsInARow = 1U << 20U;  // of a source that never waits, before others get their turn
constexpr std::size_t kLeastCounted = 1U << 16U;  // of a piece: small ones take their time, too

Error client_gone() { return Error(ErrorCode::cancelled, "read the request's body: the client is gone"); }

// Anything that is thrown is a bug of the source's. It belongs to the caller, who waits.
io::Task<BodyPiece> next_piece(BodySource& source) {
  try {
    co_return co_await source.next_piece();
  } catch (const std::exception&) {
    // Answered below, where co_await is allowed again.
  }
  co_return Error(ErrorCode::internal, "internal error");
}

// A chunk's first line.
struct ChunkHead {
  explicit ChunkHead(std::size_t size) {
    char* end = std::to_chars(text.data(), text.data() + 16, size, 16).ptr;
    *end++ = '\r';
    *end++ = '\n';
    length = static_cast<std::size_t>(end - text.data());
  }
  std::string_view view() const { return {text.data(), length}; }
  std::array<char, 18> text{};
  std::size_t length;
};

}  // namespace

// ---- A request's body

// What a handler holds. Says that the client is gone once the request is over, whoever keeps it.
class Connection::Incoming final : public BodyReader {
 public:
  Incoming(std::shared_ptr<BodyLink> link, std::chrono::milliseconds patience)
      : link_(std::move(link)), patience_(patience) {}

  io::Task<std::string> read() override { return read_from(link_, io::Deadline::in(patience_)); }

 private:
  static io::Task<std::string> read_from(std::shared_ptr<BodyLink> link, io::Deadline deadline) {
    while (link->owner != nullptr) {
      if (auto piece = link->owner->next_of_body()) co_return *std::move(piece);
      Status arrived = co_await link->arrived.wait(deadline);
      if (arrived.ok()) continue;
      if (arrived.error().code() != ErrorCode::deadline_exceeded) co_return client_gone();
      co_return Error(ErrorCode::deadline_exceeded, "the request's body did not arrive in time");
    }
    co_return client_gone();
  }

  const std::shared_ptr<BodyLink> link_;
  const std::chrono::milliseconds patience_;
};

std::shared_ptr<BodyReader> Connection::open_body() {
  body_ = std::make_shared<BodyLink>(state_->loop);
  body_->owner = this;
  return std::make_shared<Incoming>(body_, state_->limits.body_timeout);
}

// The handler has answered. What has come of the rest is passed over: if that was all, the connection can go on.
void Connection::close_body() {
  body_->owner = nullptr;
  body_->arrived.notify_all();
  body_.reset();
  Inbox& in = inbox();
  if (parser_.stage() == Stage::body) in.begin += parser_.feed(in.data());
  (void)parser_.take_body();
}

// The next piece, the end, or why there is none. Nothing: it has yet to come.
std::optional<Result<std::string>> Connection::next_of_body() {
  Inbox& in = inbox();
  if (parser_.stage() == Stage::body && in.begin < in.end) in.begin += parser_.feed(in.data());
  if (inbox_ && !inbox_->has_room(1) && parser_.stage() == Stage::body) {
    parser_.refuse({400, "malformed request: a line of the body is too long"});
  }
  std::string piece = parser_.take_body();
  if (parser_.stage() == Stage::body) start_read();
  if (!piece.empty()) return piece;
  if (parser_.stage() == Stage::complete) return std::string();
  if (parser_.stage() == Stage::failed) return Error(ErrorCode::invalid_argument, parser_.refusal().detail);
  if (input_ended_ || expired_) return client_gone();
  if (parser_.expects_continue() && !continued_) send_continue();
  return std::nullopt;
}

// ---- An answer's body

// Asks for the next piece when the socket has taken the one before.
io::Always<bool> Connection::stream(std::shared_ptr<BodySource> source, std::optional<std::uint64_t> size,
                                    bool http10) {
  phase_ = Phase::streaming;
  start_read();
  const bool chunked = !size && !http10;
  cut_off_ = !size && http10;  // until it is whole
  std::uint64_t left = size.value_or(std::numeric_limits<std::uint64_t>::max());
  for (std::size_t in_a_row = 0;;) {
    if (input_ended_ || expired_) co_return false;
    Result<BodyPiece> piece = co_await next_piece(*source);
    if (!piece.ok() || piece->size() > left) co_return false;
    const std::size_t octets = piece->size();
    if (octets == 0) break;
    left -= octets;
    const bool sent = co_await send_piece(*std::move(piece), chunked);
    if (!sent) co_return false;
    in_a_row += std::max(octets, kLeastCounted);
    if (in_a_row < kOctetsInARow) continue;
    in_a_row = 0;
    co_await let_others();
  }
  if (size && left > 0) co_return false;
  cut_off_ = false;
  if (!chunked) co_return true;
  const std::string end = last_chunk(source->trailer());
  Gather last;
  last.add(end);
  co_return co_await send_all(last);
}

io::Always<bool> Connection::send_all(Gather out, Gather::Then then) {
  const Gather::Sent sent = send_now(out, then);
  if (sent == Gather::Sent::full) co_return co_await finish(out);
  co_return sent == Gather::Sent::all;
}

io::Always<bool> Connection::send_piece(BodyPiece piece, bool chunked) {
  const ChunkHead head(piece.size());
  Gather out;
  if (chunked) out.add(head.view());
  if (piece.relay) {
    const bool begun = co_await send_all(out, Gather::Then::more);
    if (!begun) co_return false;
    const bool relayed = co_await send_relayed(std::move(piece.relay));
    if (!relayed) co_return false;
    out = Gather();
  }
  out.add(piece.octets);
  if (chunked) out.add("\r\n");
  co_return co_await send_all(out);
}

// All that it holds.
io::Always<bool> Connection::send_relayed(std::shared_ptr<io::PipeRelay> relay) {
  if (tls_) co_return co_await send_read_out(std::move(relay));
  if (!socket_.native_non_blocking()) socket_.native_non_blocking(true);
  while (relay->held() > 0) {
    const ssize_t sent = relay->give_now(BorrowedFd(socket_.native_handle()));
    if (sent > 0) continue;
    if (sent == 0 || errno != EAGAIN) co_return false;
    const bool writable = co_await wait_writable();
    if (!writable) co_return false;
  }
  co_return true;
}

// ---- A connection that is given away

io::Always<void> Connection::hand_over(Response response) {
  phase_ = Phase::handing_over;
  end_watch_.reset();
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  co_await wait_input();
  if (input_ended_ || expired_ || state_->stopping) co_return;
  TakenOver taken;
  append_head(taken.head, response, Framing());
  taken.read_ahead = std::string(inbox().data());
  std::shared_ptr<Crossing> crossing;
  if (tls_) {
    crossing = give_socket(taken);
    if (!crossing) co_return;
  } else {
    taken.socket.reset(socket_.release(ignored));
  }
  std::shared_ptr<Upgrade> upgrade = std::move(response.upgrade);
  try {
    co_await upgrade->run(std::move(taken));
  } catch (const std::exception&) {
    // A bug of the upgrade's; the connection ends by it.
  }
  upgrade.reset();  // with what it still holds of the socket
  if (crossing) co_await end_crossing(std::move(crossing));
}

}  // namespace lmsb::http
