#pragma once
// ZipReader: what is in a zip archive, which is hostile. Its central directory says what there is; what stands before a
// member's content must agree. Stored and deflated members, zip64, symbolic links of Unix. Constant memory.
//
// A member's size and checksum must be true. All contents together fit between the archive's beginning and its
// directory, so that none is there twice: what comes out is at most 1032 times what went in, and a sandbox's disk is
// the bound for that. No exceptions, no iostreams: the guest is linked with it. One thread; blocks on its file.
#include <array>
#include <cstddef>
#include <cstdint>
#include <zlib.h>

#include "os/archive.h"

namespace lmsb::guest {

class ZipReader final : public os::ArchiveReader {
 public:
  // `file` holds the whole archive and nothing else, and stays open.
  explicit ZipReader(int file) : file_(file) {}
  ~ZipReader() override;
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  // EPROTONOSUPPORT: encrypted, or compressed by another method.
  int next(os::ArchiveMember& member) override;
  ssize_t read(void* data, std::size_t size) override;
  int drain() override { return 0; }

 private:
  // A member as the directory has it.
  struct Entry {
    std::uint16_t flags = 0, method = 0, name_size = 0, extra_size = 0, comment_size = 0;
    std::uint32_t checksum = 0, attributes = 0;
    std::uint64_t packed_size = 0, size = 0, offset = 0;
    std::int64_t mtime = 0;
    bool made_by_unix = false;
  };

  int read_at(void* data, std::size_t size, std::uint64_t offset) const;
  int find_directory();
  int why_no_end(bool has_end) const;
  int take_end(const unsigned char* end, std::uint64_t at);
  int take_end64(std::uint64_t locator_at);
  int take_entry(Entry& entry);
  int take_extra(Entry& entry);
  static int take_large_numbers(Entry& entry, const unsigned char* at, std::size_t size);
  int open_content(const Entry& entry);
  bool has_name_at(std::uint64_t offset, std::size_t size) const;
  int take_target(os::ArchiveMember& member);
  ssize_t read_stored(unsigned char* data, std::size_t size);
  ssize_t read_deflated(unsigned char* data, std::size_t size);
  ssize_t count(const unsigned char* data, std::size_t size);

  int file_;
  bool is_open_ = false;
  std::uint64_t directory_ = 0;  // where it begins
  std::uint64_t directory_end_ = 0;
  std::uint64_t entries_left_ = 0;
  std::uint64_t next_entry_ = 0;  // where
  std::uint64_t claimed_ = 0;     // by members so far, of what is before the directory

  std::uint64_t content_at_ = 0;
  std::uint64_t packed_left_ = 0;
  std::uint64_t left_ = 0;
  std::uint32_t checksum_ = 0;
  std::uint32_t said_checksum_ = 0;
  bool is_deflated_ = false;
  bool is_done_ = true;

  z_stream stream_{};
  bool has_stream_ = false;
  std::array<unsigned char, 64 * 1024> packed_{};  // also of extra fields
  std::array<char, os::kMaxArchivePath + 1> path_{};
  std::array<char, os::kMaxArchivePath + 1> target_{};
};

}  // namespace lmsb::guest
