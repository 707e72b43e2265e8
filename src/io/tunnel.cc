#include "io/tunnel.h"

#include <cstdint>
#include <memory>

#include "io/event.h"
#include "io/socket_stream.h"
#include "io/spawn.h"

namespace lmsb::io {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10U;

struct Tunnel {
  Tunnel(boost::asio::io_context& l, TunnelEnd& a, TunnelEnd& b)
      : loop(l),
        left(l.get_executor(), std::move(a.socket)),
        right(l.get_executor(), std::move(b.socket)),
        changed(l) {}

  void end() {
    left.end();
    right.end();
  }

  boost::asio::io_context& loop;
  SocketStream left;
  SocketStream right;
  int directions = 2;        // that go on
  std::uint64_t pieces = 0;  // carried so far
  Event changed;             // one of the directions has ended
};

// Until `from` has nothing more. Both are of `tunnel`, as is what ends it.
Task<void> copy(Tunnel& tunnel, SocketStream& from, SocketStream& to, std::string piece) {
  LMSB_CO_CHECK(co_await to.write_all(piece));
  piece.resize(kPiece);
  while (true) {
    LMSB_CO_TRY(const std::size_t count, co_await from.read_some(piece.data(), piece.size()));
    if (count == 0) break;
    LMSB_CO_CHECK(co_await to.write_all(std::string_view(piece).substr(0, count)));
    ++tunnel.pieces;
  }
  to.end_writing();
  if (from.is_hung_up()) co_return Error(ErrorCode::unavailable, "the connection was ended");  // not one half alone
  co_return Status();
}

Always<void> carry_one_way(std::shared_ptr<Tunnel> tunnel, SocketStream* from, SocketStream* to, std::string piece) {
  const Status copied = co_await copy(*tunnel, *from, *to, std::move(piece));
  if (!copied.ok()) tunnel->end();
  --tunnel->directions;
  tunnel->changed.notify_all();
}

// Nothing is awaited with a limit while both directions are open.
Task<void> wait_end(Tunnel& tunnel, std::chrono::milliseconds half_open) {
  while (tunnel.directions == 2) LMSB_CO_CHECK(co_await tunnel.changed.wait());
  while (tunnel.directions == 1) {
    const std::uint64_t before = tunnel.pieces;
    Status ended = co_await tunnel.changed.wait(Deadline::in(half_open));
    const bool is_silent = !ended.ok() && tunnel.pieces == before;
    if (is_silent || (!ended.ok() && ended.error().code() == ErrorCode::cancelled)) co_return ended;
  }
  co_return Status();
}

}  // namespace

Always<void> carry(TunnelEnd left, TunnelEnd right, std::chrono::milliseconds half_open) {
  boost::asio::io_context* const loop = co_await this_loop();
  const auto tunnel = std::make_shared<Tunnel>(*loop, left, right);
  spawn(*loop, carry_one_way(tunnel, &tunnel->left, &tunnel->right, std::move(left.read_ahead)));
  spawn(*loop, carry_one_way(tunnel, &tunnel->right, &tunnel->left, std::move(right.read_ahead)));
  const Status ended = co_await wait_end(*tunnel, half_open);
  if (ended.ok()) co_return;
  tunnel->end();
  co_await forget_cancellation();
  while (tunnel->directions > 0) {
    const Status last = co_await tunnel->changed.wait();
    if (!last.ok()) co_return;
  }
}

}  // namespace lmsb::io
