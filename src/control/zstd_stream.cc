#include "control/zstd_stream.h"

#include <zstd.h>

namespace lmsb::control {
namespace {

constexpr int kLevel = 1;  // 400 MB/s; what more would save is not worth the wait on one machine

}  // namespace

class ZstdStream::Compressor {
 public:
  Compressor() : context_(ZSTD_createCCtx()) {
    LMSB_ASSERT(context_ != nullptr);
    (void)ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, kLevel);
    (void)ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~Compressor() { (void)ZSTD_freeCCtx(context_); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // What is ready when `piece` has been taken; the rest of everything when there is no more of it.
  Result<std::string> compress(const std::string& piece) {
    const ZSTD_EndDirective end = piece.empty() ? ZSTD_e_end : ZSTD_e_continue;
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    std::string packed;
    for (std::size_t left = 1; left > 0;) {
      const std::size_t before = packed.size();
      packed.resize(before + ZSTD_CStreamOutSize());
      ZSTD_outBuffer out{packed.data() + before, packed.size() - before, 0};
      const std::size_t result = ZSTD_compressStream2(context_, &out, &in, end);
      packed.resize(before + out.pos);
      if (ZSTD_isError(result) != 0)
        return Error(ErrorCode::internal, std::string("compress an archive: ") + ZSTD_getErrorName(result));
      left = end == ZSTD_e_end ? result : in.size - in.pos;
    }
    return packed;
  }

 private:
  ZSTD_CCtx* context_;
};

ZstdStream::ZstdStream(std::unique_ptr<FileStream> plain, io::BlockingPool& pool)
    : plain_(std::move(plain)), pool_(pool), compressor_(std::make_shared<Compressor>()) {}

ZstdStream::~ZstdStream() = default;

io::Task<std::string> ZstdStream::read() {
  while (!is_ended_) {
    LMSB_CO_TRY(std::string piece, co_await plain_->read());
    is_ended_ = piece.empty();
    auto work = [compressor = compressor_, taken = std::move(piece)] { return compressor->compress(taken); };
    auto job = pool_.run(std::move(work));
    LMSB_CO_TRY(std::string packed, co_await std::move(job));
    if (!packed.empty()) co_return std::move(packed);
  }
  co_return std::string();
}

}  // namespace lmsb::control
