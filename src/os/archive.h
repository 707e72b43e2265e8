#pragma once
// Archives, whatever their format: what is in them, and how they are made and taken apart, as streams. No exceptions,
// no iostreams: the guest is linked with it. One thread; blocks as its source or sink does.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

namespace lmsb::os {

constexpr std::size_t kMaxArchivePath = 4095;

enum class MemberType : char {
  file = '0',
  hard_link = '1',
  symbolic_link = '2',
  character_device = '3',
  block_device = '4',
  directory = '5',
  fifo = '6',
  other = '?',
};

struct ArchiveMember {
  std::string_view path;    // of a directory without a slash at the end
  std::string_view target;  // of a link
  MemberType type = MemberType::file;
  std::uint32_t mode = 0644;  // permission bits
  std::uint64_t size = 0;     // of a file's content
  std::int64_t mtime = 0;     // seconds
};

class ArchiveSink {
 public:
  virtual ~ArchiveSink() = default;
  // Takes all. Returns 0 or an errno, which ends the archive.
  virtual int write(const void* data, std::size_t size) = 0;
};

class ArchiveSource {
 public:
  virtual ~ArchiveSource() = default;
  // As read(2): at most `size` octets, 0 at the end, -1 and errno.
  virtual ssize_t read(void* data, std::size_t size) = 0;
};

class ArchiveWriter {
 public:
  virtual ~ArchiveWriter() = default;
  // Each returns 0 or an errno. A file's content follows its member, exactly so many octets.
  virtual int member(const ArchiveMember& member) = 0;
  virtual int content(const void* data, std::size_t size) = 0;
  // What ends an archive.
  virtual int finish() = 0;
  // Whether a second name of a file can be a member of its own kind (hard_link).
  virtual bool keeps_hard_links() const { return false; }
};

class ArchiveReader {
 public:
  virtual ~ArchiveReader() = default;
  // The next member; the rest of the one before is passed over. 1, 0 at the end of the archive, or -errno: EBADMSG (not
  // such an archive, or a damaged one), ENOEXEC (well known, but another format), E2BIG (more behind its end), EPIPE
  // (cut off), ENAMETOOLONG, EPROTONOSUPPORT (a kind that is not known here), or what the source said. `member` is
  // valid until the next call.
  virtual int next(ArchiveMember& member) = 0;
  // The present member's content: at most `size` octets; 0 at its end; -errno.
  virtual ssize_t read(void* data, std::size_t size) = 0;
  // What follows the archive's end, so that who sends it is not cut off. Returns 0 or an errno.
  virtual int drain() = 0;
};

}  // namespace lmsb::os
