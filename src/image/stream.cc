#include "image/stream.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <vector>

#include "base/digest.h"

namespace lmsb::image {
namespace {

constexpr std::size_t kChunk = 256 * 1024;
constexpr int kCancelCheckMs = 200;

struct Pumping {
  const PumpOptions& options;
  std::uint64_t total = 0;
};

// Waits until `fd` can be read or written.
Status await(int fd, short events, const Pumping& pumping) {
  const PumpOptions& options = pumping.options;
  for (;;) {
    options.tick(Bytes(pumping.total));
    if (options.cancelled != nullptr && options.cancelled->load()) return Error(ErrorCode::cancelled, "stopped");
    const int left = milliseconds_until(options.deadline);
    if (left == 0) return Error(ErrorCode::deadline_exceeded, "took too long");
    pollfd ready{fd, events, 0};
    const int count = ::poll(&ready, 1, std::min(left, kCancelCheckMs));
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return Error::from_errno(errno, "wait for the tar stream");
  }
}

Result<std::size_t> read_chunk(int fd, std::vector<char>& chunk, const Pumping& pumping) {
  LMSB_CHECK(await(fd, POLLIN, pumping));
  const ssize_t got = ::read(fd, chunk.data(), chunk.size());
  if (got < 0) return Error::from_errno(errno, "read the tar stream");
  return static_cast<std::size_t>(got);
}

Status write_chunk(int fd, const char* data, std::size_t size, const Pumping& pumping) {
  while (size > 0) {
    LMSB_CHECK(await(fd, POLLOUT, pumping));
    const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) continue;
    if (sent < 0) return Error::from_errno(errno, "pass the tar stream on");
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return {};
}

}  // namespace

Result<StreamFacts> pump(UniqueFd from, UniqueFd to, const PumpOptions& options) {
  Pumping pumping{options};
  Sha256Sum sum;
  std::vector<char> chunk(kChunk);
  for (;;) {
    LMSB_TRY(const std::size_t size, read_chunk(from.get(), chunk, pumping));
    if (size == 0) return StreamFacts{"sha256:" + to_hex(sum.finish()), Bytes(pumping.total)};
    sum.add({chunk.data(), size});
    pumping.total += size;
    LMSB_CHECK(write_chunk(to.get(), chunk.data(), size, pumping));
  }
}

}  // namespace lmsb::image
