#include "io/pipe_relay.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"

namespace lmsb::io {
namespace {

ssize_t splice_now(int from, int to, std::size_t size) {
  ssize_t moved = 0;
  do moved = ::splice(from, nullptr, to, nullptr, size, SPLICE_F_NONBLOCK);
  while (moved < 0 && errno == EINTR);
  return moved;
}

}  // namespace

Result<std::shared_ptr<PipeRelay>> PipeRelay::make() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0) return Error::from_errno(errno, "make a pipe");
  std::shared_ptr<PipeRelay> relay(new PipeRelay(UniqueFd(ends[0]), UniqueFd(ends[1])));
  widen(relay->write_);
  return relay;
}

void PipeRelay::widen(BorrowedFd pipe) { (void)::fcntl(pipe.get(), F_SETPIPE_SZ, static_cast<int>(kSize)); }

ssize_t PipeRelay::take_now(BorrowedFd pipe, std::size_t size) {
  LMSB_ASSERT(held_ == 0);
  const ssize_t moved = splice_now(pipe.get(), write_.get(), std::min(size, kSize));
  if (moved > 0) held_ = static_cast<std::size_t>(moved);
  return moved;
}

ssize_t PipeRelay::give_now(BorrowedFd socket) {
  const ssize_t moved = splice_now(read_.get(), socket.get(), held_);
  if (moved > 0) held_ -= static_cast<std::size_t>(moved);
  return moved;
}

ssize_t PipeRelay::read_now(char* buffer, std::size_t size) {
  ssize_t count = 0;
  do count = ::read(read_.get(), buffer, std::min(size, held_));
  while (count < 0 && errno == EINTR);
  if (count > 0) held_ -= static_cast<std::size_t>(count);
  return count;
}

}  // namespace lmsb::io
