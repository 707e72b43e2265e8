#pragma once
// ZstdStream: a stream of files, compressed (Zstandard, RFC 8878) as it is read. The work is done on the pool, a piece
// at a time, in constant memory (about 1 MiB).
#include <memory>
#include <string>

#include "control/files.h"
#include "io/blocking_pool.h"

namespace lmsb::control {

class ZstdStream final : public FileStream {
 public:
  // `pool` outlives it.
  ZstdStream(std::unique_ptr<FileStream> plain, io::BlockingPool& pool);
  ~ZstdStream() override;

  io::Task<std::string> read() override;
  Skipped skipped() const override { return plain_->skipped(); }

 private:
  class Compressor;

  std::unique_ptr<FileStream> plain_;
  io::BlockingPool& pool_;
  std::shared_ptr<Compressor> compressor_;  // the pool may still be at it when this is gone
  bool is_ended_ = false;
};

}  // namespace lmsb::control
