#pragma once
// ZipWriter: a zip archive as a stream. Files are deflated, their sizes follow them; zip64 where numbers need it. The
// list that stands at an archive's end is kept in memory until then: about 100 octets and the name of each member, up
// to kMaxList. No exceptions, no iostreams: the guest is linked with it. One thread; blocks as its sink does.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <zlib.h>

#include "os/archive.h"

namespace lmsb::guest {

class ZipWriter final : public os::ArchiveWriter {
 public:
  static constexpr std::size_t kMaxList = 64U << 20U;

  explicit ZipWriter(os::ArchiveSink& sink) : sink_(sink) {}
  ~ZipWriter() override;
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;

  // Files, directories and symbolic links. EOVERFLOW: too many members, or too long ones.
  int member(const os::ArchiveMember& member) override;
  int content(const void* data, std::size_t size) override;
  int finish() override;

 private:
  class Fields;
  struct Present {
    std::uint16_t flags = 0, method = 0;
    std::uint32_t mode = 0, checksum = 0;
    std::uint64_t packed_size = 0, size = 0, offset = 0;
    std::int64_t mtime = 0;
    bool is_large = false;  // its sizes are written as zip64 has them
    bool is_open = false;
  };

  int write(const void* data, std::size_t size);
  int begin(std::string_view name);
  int write_whole(std::string_view content);
  int deflate_more(int flush);
  int close();
  int describe();
  int keep(const void* data, std::size_t size);

  os::ArchiveSink& sink_;
  std::uint64_t written_ = 0;
  std::uint64_t members_ = 0;
  Present present_;
  std::array<char, os::kMaxArchivePath + 2> name_{};
  std::size_t name_size_ = 0;

  char* list_ = nullptr;
  std::size_t list_size_ = 0;
  std::size_t list_room_ = 0;

  z_stream stream_{};
  bool has_stream_ = false;
  std::array<unsigned char, 32 * 1024> packed_{};
};

}  // namespace lmsb::guest
