#pragma once
// ZstdSource: the octets behind a Zstandard stream (RFC 8878), of which another source gives the compressed ones.
// No exceptions: the guest is linked with it. One thread; blocks as the other source does.
#include <array>
#include <zstd.h>

#include "os/archive.h"

namespace lmsb::guest {

class ZstdSource final : public os::ArchiveSource {
 public:
  // What a decoder may have to remember of what it made: the most that RFC 8878 asks of one.
  static constexpr int kMaxWindowLog = 23;  // 8 MiB

  // `packed` outlives it.
  explicit ZstdSource(os::ArchiveSource& packed) : packed_(packed) {}
  ~ZstdSource() override { (void)ZSTD_freeDStream(stream_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  // EBADMSG: not such a stream, or a damaged one; EPIPE: cut off; EPROTONOSUPPORT: needs a larger window.
  ssize_t read(void* data, std::size_t size) override;

 private:
  os::ArchiveSource& packed_;
  ZSTD_DStream* stream_ = nullptr;
  std::array<char, 64 * 1024> octets_{};
  ZSTD_inBuffer in_{octets_.data(), 0, 0};
  bool is_within_ = true;  // a frame, or before the first
};

}  // namespace lmsb::guest
