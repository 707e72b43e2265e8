#include "guest/zstd_source.h"

#include <cerrno>
#include <zstd_errors.h>

namespace lmsb::guest {
namespace {

int error_of(std::size_t result) {
  switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_frameParameter_windowTooLarge:
    case ZSTD_error_dictionary_wrong: return EPROTONOSUPPORT;
    case ZSTD_error_memory_allocation: return ENOMEM;
    default: return EBADMSG;
  }
}

}  // namespace

ssize_t ZstdSource::read(void* data, std::size_t size) {
  if (stream_ == nullptr) {
    stream_ = ZSTD_createDStream();
    if (stream_ == nullptr) return errno = ENOMEM, -1;
    (void)ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kMaxWindowLog);
  }
  ZSTD_outBuffer out{data, size, 0};
  while (out.pos == 0 && size > 0) {
    if (in_.pos == in_.size) {
      const ssize_t n = packed_.read(octets_.data(), octets_.size());
      if (n < 0) return n;
      if (n == 0 && is_within_) return errno = EPIPE, -1;
      if (n == 0) return 0;
      in_.size = static_cast<std::size_t>(n);
      in_.pos = 0;
    }
    const std::size_t before = in_.pos;
    const std::size_t made = out.pos;
    const std::size_t result = ZSTD_decompressStream(stream_, &out, &in_);
    if (ZSTD_isError(result) != 0) return errno = error_of(result), -1;
    is_within_ = result != 0;
    taken_ += in_.pos - before;
    made_ += out.pos - made;
    if (taken_ > kSpare && taken_ - kSpare > kMostForOne * made_) return errno = EBADMSG, -1;
  }
  return static_cast<ssize_t>(out.pos);
}

}  // namespace lmsb::guest
