#include "io/stream.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace lmsb::io {
namespace {

bool would_block(int err) { return err == EAGAIN || err == EWOULDBLOCK; }

UniqueFd non_blocking(UniqueFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  return fd;
}

}  // namespace

FdStream::FdStream(const boost::asio::any_io_executor& loop, UniqueFd fd)
    : fd_(non_blocking(std::move(fd))), watch_(loop, fd_) {}

Task<std::size_t> FdStream::read_some(char* buffer, std::size_t size, Deadline deadline) {
  while (true) {
    const ssize_t count = ::read(fd_.get(), buffer, size);
    if (count >= 0) co_return static_cast<std::size_t>(count);
    if (errno == EIO) co_return std::size_t{0};  // a terminal whose other end has closed
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return Error::from_errno(errno, "read from stream");
    LMSB_CO_CHECK(co_await watch_.readable(deadline));
  }
}

Task<std::string> FdStream::read_all(Bytes limit, Deadline deadline) {
  std::string all;
  std::array<char, 16384> chunk{};
  while (true) {
    LMSB_CO_TRY(const std::size_t count, co_await read_some(chunk.data(), chunk.size(), deadline));
    if (count == 0) co_return all;
    if (all.size() + count > limit.count()) {
      co_return Error(ErrorCode::resource_exhausted, "read from stream: more than " + format_bytes(limit));
    }
    all.append(chunk.data(), count);
  }
}

Task<void> FdStream::write_all(std::string data, Deadline deadline) {
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t count = ::write(fd_.get(), data.data() + done, data.size() - done);
    if (count >= 0) {
      done += static_cast<std::size_t>(count);
    } else if (would_block(errno)) {
      LMSB_CO_CHECK(co_await watch_.writable(deadline));
    } else if (errno != EINTR) {
      co_return Error::from_errno(errno, "write to stream");
    }
  }
  co_return Status();
}

UniqueFd FdStream::release() && {
  { const FdWatch ended = std::move(watch_); }
  return std::move(fd_);
}

}  // namespace lmsb::io
