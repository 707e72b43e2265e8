#include "http/tls_stream.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/spawn.h"
#include "io/tunnel.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

using Step = TlsSession::Step;

constexpr unsigned kReadsInARow = 16;  // from one that always has something, before others have their turn
constexpr std::chrono::milliseconds kLinger{1000};

Error over(const char* what) { return Error(ErrorCode::cancelled, std::string(what) + ": the connection was ended"); }

// What others do then may have cancelled this.
io::Task<void> let_others() {
  const auto loop = co_await asio::this_coro::executor;
  co_await asio::post(loop, asio::use_awaitable);
  const bool cancelled = co_await io::is_cancelled();
  if (cancelled) co_return Error(ErrorCode::cancelled, "read from the connection: cancelled");
  co_return Status();
}

}  // namespace

TlsStream::TlsStream(const asio::any_io_executor& loop, UniqueFd socket, std::unique_ptr<TlsSession> session)
    : socket_(std::move(socket)), session_(std::move(session)), watch_(loop, socket_) {}

io::Task<void> TlsStream::shake_hands() {
  while (!is_over_) {
    const Step step = session_->shake_hands();
    if (step == Step::done) co_return Status();
    if (step == Step::ended || step == Step::failed) co_return session_->failure("TLS handshake");
    LMSB_CO_CHECK(co_await wait_for(step));
  }
  co_return over("TLS handshake");
}

io::Task<void> TlsStream::wait_for(Step step) {
  if (step == Step::wants_write) co_return co_await watch_.writable();
  co_return co_await watch_.readable();
}

io::Task<std::size_t> TlsStream::read_some(char* buffer, std::size_t size) {
  if (++reads_in_a_row_ > kReadsInARow) {
    reads_in_a_row_ = 0;
    LMSB_CO_CHECK(co_await let_others());
  }
  while (!is_over_) {
    std::size_t count = 0;
    const Step step = session_->read(buffer, size, count);
    if (step == Step::done) co_return count;
    if (step == Step::ended) co_return std::size_t{0};
    if (step == Step::failed) co_return session_->failure("read from the connection");
    reads_in_a_row_ = 0;
    LMSB_CO_CHECK(co_await wait_for(step));
  }
  co_return over("read from the connection");
}

io::Task<void> TlsStream::write_all(std::string_view data) {
  Gather out;
  out.add(data);
  while (!is_over_) {
    const Gather::Sent sent = session_->send_now(out);
    if (sent == Gather::Sent::all) co_return Status();
    if (sent == Gather::Sent::failed) co_return session_->failure("write to the connection");
    LMSB_CO_CHECK(co_await watch_.writable());
  }
  co_return over("write to the connection");
}

bool TlsStream::is_hung_up() const {
  pollfd look{socket_.get(), 0, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

io::Always<void> TlsStream::end_writing() {
  const io::Deadline deadline = io::Deadline::in(kLinger);
  while (!is_over_ && session_->say_goodbye() == Step::wants_write) {
    const Status writable = co_await watch_.writable(deadline);
    if (!writable.ok()) break;
  }
  (void)::shutdown(socket_.get(), SHUT_WR);
}

void TlsStream::end() {
  if (std::exchange(is_over_, true)) return;
  watch_.cancel();
}

io::Always<void> TlsStream::linger(io::Deadline deadline) {
  (void)::shutdown(socket_.get(), SHUT_WR);
  std::array<char, 4096> sink{};
  for (unsigned reads = 1;; ++reads) {
    const ssize_t count = ::recv(socket_.get(), sink.data(), sink.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) || deadline.passed()) co_return;
    if (count > 0 && reads % kReadsInARow != 0) continue;
    const Status readable = co_await watch_.readable(deadline);
    if (!readable.ok()) co_return;
  }
}

namespace {

io::Always<void> carry_both_ways(std::shared_ptr<TlsStream> stream, UniqueFd socket, std::function<void()> done) {
  io::HeldSocket inner(std::move(socket));
  std::shared_ptr<io::Duplex> outer = stream;
  co_await io::carry(std::move(outer), std::move(inner));
  co_await stream->linger(io::Deadline::in(kLinger));
  if (done) done();
}

}  // namespace

Result<UniqueFd> socket_to(asio::io_context& loop, std::shared_ptr<TlsStream> stream, std::function<void()> done) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
    return Error::from_errno(errno, "make a pair of sockets");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  io::spawn(loop, carry_both_ways(std::move(stream), std::move(ours), std::move(done)));
  return theirs;
}

}  // namespace lmsb::http
