#include "image/stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <vector>

#include <openssl/evp.h>

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

class Sha256 {
 public:
  Sha256() { LMSB_ASSERT(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1); }
  void add(const char* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    LMSB_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    std::string text = "sha256:";
    for (unsigned i = 0; i < size; ++i) {
      text += "0123456789abcdef"[digest[i] >> 4U];
      text += "0123456789abcdef"[digest[i] & 15U];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

}  // namespace

Result<StreamFacts> pump(UniqueFd from, UniqueFd to, const PumpOptions& options) {
  Pumping pumping{options};
  Sha256 hash;
  std::vector<char> chunk(kChunk);
  for (;;) {
    LMSB_TRY(const std::size_t size, read_chunk(from.get(), chunk, pumping));
    if (size == 0) return StreamFacts{hash.finish(), Bytes(pumping.total)};
    hash.add(chunk.data(), size);
    pumping.total += size;
    LMSB_CHECK(write_chunk(to.get(), chunk.data(), size, pumping));
  }
}

}  // namespace lmsb::image
