#pragma once
// disk_tar: a sandbox's disk as one stream (docs/adr/0036): a tar archive as POSIX.1-2001 has it, which GNU tar reads,
// too. All that matters stands in the pax header before each member: names, times in nanoseconds, extended attributes;
// files with holes have them as GNU tar's format 1.0 says. The last member, `end`, counts those before it.
//
// DiskTarReader takes what DiskTarWriter makes and nothing else: what it reads is hostile. Both are streams in constant
// memory, 1 MiB for the header of one member. One thread; blocks as source or sink does.
#include <array>
#include <cstdint>
#include <ctime>
#include <span>
#include <string_view>

#include "os/archive.h"
#include "os/tar_block.h"

namespace lmsb::guest {

constexpr std::size_t kMaxDiskHeader = 1U << 20U;               // octets of what stands before one member
constexpr std::uint64_t kMaxDiskId = 0xffff;                    // of an owner, and of a device's numbers
constexpr std::string_view kAttributePrefix = "SCHILY.xattr.";  // of a record, before an attribute's name
constexpr std::size_t kMaxExtents = 32768;                      // of one file with holes

// A part of a file that is there; between them are holes.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct DiskMember {
  std::string_view path;    // "disk", "disk/upper/etc/hosts"
  std::string_view target;  // of a link
  os::MemberType type = os::MemberType::file;
  std::uint32_t mode = 0;  // permission bits
  std::uint32_t uid = 0;   // 0..65535, as the sandbox sees them
  std::uint32_t gid = 0;
  std::uint64_t size = 0;  // of a file, holes included
  std::uint64_t device = 0;
  timespec atime{};
  timespec mtime{};
};

// Whether an extended attribute is part of a disk: users' own, and of the overlay's marks those of what was removed,
// and those that a sandbox within the sandbox has made. The others name inodes of the machine that they were made on.
bool is_carried(std::string_view attribute);

class DiskTarWriter {
 public:
  // `sink` outlives it.
  explicit DiskTarWriter(os::ArchiveSink& sink) : sink_(sink) {}

  // All return 0 or an errno. An attribute is the next member's: E2BIG when there are too many.
  int attribute(std::string_view name, std::string_view value);
  // `extents`: of a file with holes, in order; nothing: it has none. Its content follows: exactly the extents, or all.
  int member(const DiskMember& member, std::span<const Extent> extents = {}, bool has_holes = false);
  int content(const void* data, std::size_t size);
  // What ends the archive.
  int finish();

  std::uint64_t members() const { return members_; }
  std::uint64_t bytes() const { return bytes_; }  // of contents

 private:
  int header(const DiskMember& member, std::uint64_t size, char type);
  int put(std::string_view key, std::string_view value);
  int write_map(std::span<const Extent> extents);
  int pad();

  os::ArchiveSink& sink_;
  std::uint64_t left_ = 0;  // of the present content
  std::uint64_t past_ = 0;  // octets behind the last whole block
  std::uint64_t members_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t used_ = 0;
  std::array<char, kMaxDiskHeader> records_{};  // of the next member
};

class DiskTarReader {
 public:
  // `source` outlives it.
  explicit DiskTarReader(os::ArchiveSource& source) : source_(source) {}

  // The next member; the rest of the one before is passed over. 1, 0 when the archive is whole and nothing follows it,
  // or -errno: EBADMSG (not such an archive, or a damaged one), EPIPE (cut off), or what the source said. What
  // `member` names is valid until the next call.
  int next(DiskMember& member);
  // The present member's attributes, one by one; false: there is no more. Valid until the next call.
  bool next_attribute(std::string_view& name, std::string_view& value);
  // The next octets of its content and their place in the file: `size`, or fewer before a hole or its end, where there
  // are 0; -errno.
  ssize_t read(void* data, std::size_t size, std::uint64_t& offset);

  std::uint64_t members() const { return members_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  int read_exactly(void* data, std::size_t size);
  int read_header(char& type, std::uint64_t& size);
  int take_records(std::uint64_t size);
  bool take_record(std::string_view key, std::string_view value);
  int take_member(DiskMember& member, char type);
  int take_map();
  int next_line(std::uint64_t& number);
  int take_end();
  int expect_end();
  int skip_content();

  os::ArchiveSource& source_;
  os::tar::Block block_{};
  std::array<char, kMaxDiskHeader> records_{};
  std::size_t records_size_ = 0;
  std::string_view attributes_;  // those records that are still to be told
  std::array<char, 256> name_{};
  // Said by the records of the present member.
  std::string_view path_;
  std::string_view target_;
  std::uint64_t said_size_ = 0;
  std::uint64_t real_size_ = 0;
  timespec atime_{};
  timespec mtime_{};
  bool has_size_ = false, has_real_size_ = false, has_holes_ = false;
  unsigned sparse_words_ = 0;  // that say which format it is
  unsigned said_ = 0;          // a bit for each kind of record that was there
  // Its content.
  std::array<Extent, kMaxExtents> extents_{};
  std::size_t extent_count_ = 0, extent_ = 0;
  std::uint64_t in_extent_ = 0;  // octets of it that have been read
  std::uint64_t stored_ = 0;     // octets of content in the archive that have not been read
  std::size_t padding_ = 0;
  std::size_t line_at_ = 0;  // in block_, while a map is read
  std::uint64_t members_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace lmsb::guest
