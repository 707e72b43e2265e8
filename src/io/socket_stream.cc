#include "io/socket_stream.h"

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/spawn.h"

namespace lmsb::io {
namespace asio = boost::asio;
namespace {

constexpr unsigned kReadsInARow = 16;  // from one that always has something, before others have their turn

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

Error over(const char* what) { return Error(ErrorCode::cancelled, std::string(what) + ": the connection was ended"); }

// What others do then may have cancelled this.
Task<void> let_others() {
  const auto loop = co_await asio::this_coro::executor;
  co_await asio::post(loop, asio::use_awaitable);
  const bool cancelled = co_await is_cancelled();
  if (cancelled) co_return Error(ErrorCode::cancelled, "read from the connection: cancelled");
  co_return Status();
}

}  // namespace

SocketStream::SocketStream(const boost::asio::any_io_executor& loop, HeldSocket socket)
    : socket_(std::move(socket)), watch_(loop, socket_.fd()) {}

Task<std::size_t> SocketStream::read_some(char* buffer, std::size_t size, Deadline deadline) {
  if (++reads_in_a_row_ > kReadsInARow) {
    reads_in_a_row_ = 0;
    LMSB_CO_CHECK(co_await let_others());
  }
  while (!is_over_) {
    const ssize_t count = ::recv(socket_.fd().get(), buffer, size, MSG_DONTWAIT);
    if (count >= 0) co_return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return Error::from_errno(errno, "read from the connection");
    reads_in_a_row_ = 0;
    LMSB_CO_CHECK(co_await watch_.readable(deadline));
  }
  co_return over("read from the connection");
}

Task<void> SocketStream::write_all(std::string_view data, Deadline deadline) {
  while (!is_over_) {
    if (data.empty()) co_return Status();
    const ssize_t count = ::send(socket_.fd().get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      data.remove_prefix(static_cast<std::size_t>(count));
    } else if (would_block(errno)) {
      LMSB_CO_CHECK(co_await watch_.writable(deadline));
    } else if (errno != EINTR) {
      co_return Error::from_errno(errno, "write to the connection");
    }
  }
  co_return over("write to the connection");
}

bool SocketStream::is_hung_up() const {
  pollfd look{socket_.fd().get(), 0, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

Task<void> SocketStream::hung_up(Deadline deadline) { return watch_.changed(deadline); }

void SocketStream::end_writing() { (void)::shutdown(socket_.fd().get(), SHUT_WR); }

void SocketStream::end() {
  if (std::exchange(is_over_, true)) return;
  (void)::shutdown(socket_.fd().get(), SHUT_RDWR);
  watch_.cancel();
}

}  // namespace lmsb::io
