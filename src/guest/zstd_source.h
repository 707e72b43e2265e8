#pragma once
// ZstdSource: the octets behind a Zstandard stream (RFC 8878), of which another source gives the compressed ones.
// No exceptions: the guest is linked with it. One thread; blocks as the other source does.
#include <array>
#include <cstdint>
#include <zstd.h>

#include "os/archive.h"

namespace lmsb::guest {

class ZstdSource final : public os::ArchiveSource {
 public:
  // What a decoder may have to remember of what it made: the most that RFC 8878 asks of one.
  static constexpr int kMaxWindowLog = 23;  // 8 MiB

  // Octets of frames that hold nothing are no stream's content: of the compressed ones there are at most so many for
  // each that they make, and so many more.
  static constexpr std::uint64_t kMostForOne = 2;
  static constexpr std::uint64_t kSpare = 1U << 20U;

  // `packed` outlives it.
  explicit ZstdSource(os::ArchiveSource& packed) : packed_(packed) {}
  ~ZstdSource() override { (void)ZSTD_freeDStream(stream_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  // EBADMSG: not such a stream, a damaged one, or one of frames that hold nothing; EPIPE: cut off; EPROTONOSUPPORT:
  // needs a larger window.
  ssize_t read(void* data, std::size_t size) override;

 private:
  os::ArchiveSource& packed_;
  ZSTD_DStream* stream_ = nullptr;
  std::array<char, 64 * 1024> octets_{};
  ZSTD_inBuffer in_{octets_.data(), 0, 0};
  std::uint64_t taken_ = 0;  // compressed octets
  std::uint64_t made_ = 0;   // of them
  bool is_within_ = true;    // a frame, or before the first
};

}  // namespace lmsb::guest
