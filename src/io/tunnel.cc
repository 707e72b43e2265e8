#include "io/tunnel.h"

#include <cstdint>
#include <memory>

#include "io/event.h"
#include "io/socket_stream.h"
#include "io/spawn.h"

namespace lmsb::io {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10U;

class SocketDuplex final : public Duplex {
 public:
  SocketDuplex(boost::asio::io_context& loop, HeldSocket socket) : stream_(loop.get_executor(), std::move(socket)) {}

  Task<std::size_t> read_some(char* buffer, std::size_t size) override { return stream_.read_some(buffer, size); }
  Task<void> write_all(std::string_view data) override { return stream_.write_all(data); }
  bool is_hung_up() const override { return stream_.is_hung_up(); }
  Always<void> end_writing() override {
    stream_.end_writing();
    co_return;
  }
  void end() override { stream_.end(); }

 private:
  SocketStream stream_;
};

struct Tunnel {
  Tunnel(boost::asio::io_context& l, std::shared_ptr<Duplex> a, std::shared_ptr<Duplex> b)
      : loop(l), left(std::move(a)), right(std::move(b)), changed(l) {}

  void end() {
    left->end();
    right->end();
  }

  boost::asio::io_context& loop;
  const std::shared_ptr<Duplex> left;
  const std::shared_ptr<Duplex> right;
  int directions = 2;        // that go on
  std::uint64_t pieces = 0;  // carried so far
  Event changed;             // one of the directions has ended
};

// Until `from` has nothing more. Both are of `tunnel`, as is what ends it.
Task<void> copy(Tunnel& tunnel, Duplex& from, Duplex& to, std::string piece) {
  LMSB_CO_CHECK(co_await to.write_all(piece));
  piece.resize(kPiece);
  while (true) {
    LMSB_CO_TRY(const std::size_t count, co_await from.read_some(piece.data(), piece.size()));
    if (count == 0) break;
    LMSB_CO_CHECK(co_await to.write_all(std::string_view(piece).substr(0, count)));
    ++tunnel.pieces;
  }
  co_await to.end_writing();
  if (from.is_hung_up()) co_return Error(ErrorCode::unavailable, "the connection was ended");  // not one half alone
  co_return Status();
}

Always<void> carry_one_way(std::shared_ptr<Tunnel> tunnel, Duplex* from, Duplex* to, std::string piece) {
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

Always<void> carry_both_ways(std::shared_ptr<Tunnel> tunnel, std::string of_left, std::string of_right,
                             std::chrono::milliseconds half_open) {
  Duplex* const left = tunnel->left.get();
  Duplex* const right = tunnel->right.get();
  spawn(tunnel->loop, carry_one_way(tunnel, left, right, std::move(of_left)));
  spawn(tunnel->loop, carry_one_way(tunnel, right, left, std::move(of_right)));
  const Status ended = co_await wait_end(*tunnel, half_open);
  if (ended.ok()) co_return;
  tunnel->end();
  co_await forget_cancellation();
  while (tunnel->directions > 0) {
    const Status last = co_await tunnel->changed.wait();
    if (!last.ok()) co_return;
  }
}

}  // namespace

Always<void> carry(TunnelEnd left, TunnelEnd right, std::chrono::milliseconds half_open) {
  boost::asio::io_context* const loop = co_await this_loop();
  auto one = std::make_shared<SocketDuplex>(*loop, std::move(left.socket));
  auto other = std::make_shared<SocketDuplex>(*loop, std::move(right.socket));
  auto tunnel = std::make_shared<Tunnel>(*loop, std::move(one), std::move(other));
  co_await carry_both_ways(std::move(tunnel), std::move(left.read_ahead), std::move(right.read_ahead), half_open);
}

Always<void> carry(std::shared_ptr<Duplex> left, HeldSocket right, std::chrono::milliseconds half_open) {
  boost::asio::io_context* const loop = co_await this_loop();
  auto other = std::make_shared<SocketDuplex>(*loop, std::move(right));
  auto tunnel = std::make_shared<Tunnel>(*loop, std::move(left), std::move(other));
  co_await carry_both_ways(std::move(tunnel), std::string(), std::string(), half_open);
}

}  // namespace lmsb::io
