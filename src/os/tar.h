#pragma once
// Tar archives: made as ustar with pax headers where a name or a number needs one, read as ustar, pax and GNU. Both are
// streams in constant memory. What is read is hostile: sizes are checked, paths and numbers bounded. No exceptions, no
// iostreams: the guest is linked with it. One thread; blocks as its source or sink does.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

#include "os/archive.h"
#include "os/tar_block.h"

namespace lmsb::os {

class TarWriter final : public ArchiveWriter {
 public:
  explicit TarWriter(ArchiveSink& sink) : sink_(sink) {}

  int member(const ArchiveMember& member) override;
  int content(const void* data, std::size_t size) override;
  int finish() override;
  bool keeps_hard_links() const override { return true; }

 private:
  int header(const ArchiveMember& member, char type);
  int extended_header(const ArchiveMember& member);
  int pad();

  ArchiveSink& sink_;
  std::uint64_t left_ = 0;  // of the present member's content
  std::size_t past_block_ = 0;
};

class TarReader final : public ArchiveReader {
 public:
  explicit TarReader(ArchiveSource& source) : source_(source) {}

  int next(ArchiveMember& member) override;
  ssize_t read(void* data, std::size_t size) override;
  int drain() override;

 private:
  // What headers before a member say about it.
  struct Extension {
    bool has_path = false, has_target = false, has_size = false, has_mtime = false;
    std::uint64_t size = 0;
    std::int64_t mtime = 0;
  };

  int read_block();
  int refuse_block(int error);
  int read_fully(void* data, std::size_t size);
  int skip(std::uint64_t size);
  int take_long_text(std::array<char, kMaxArchivePath + 1>& text, std::uint64_t size);
  int take_extension(std::uint64_t size);
  bool take_record(std::string_view key, std::string_view value);
  int take_member(ArchiveMember& member, char type, std::uint64_t size);

  ArchiveSource& source_;
  tar::Block block_{};
  bool is_begun_ = false;      // the first block is there
  std::uint64_t left_ = 0;     // of the present member's content
  std::uint64_t padding_ = 0;  // behind it
  Extension extension_;
  std::array<char, kMaxArchivePath + 1> path_{};
  std::array<char, kMaxArchivePath + 1> target_{};
};

}  // namespace lmsb::os
