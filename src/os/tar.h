#pragma once
// Tar archives: made as ustar with pax headers where a name or a number needs one, read as ustar, pax and GNU. Both are
// streams in constant memory. What is read is hostile: sizes are checked, paths and numbers bounded. No exceptions, no
// iostreams: the guest is linked with it. One thread; blocks as its source or sink does.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <sys/types.h>

namespace lmsb::os {

constexpr std::size_t kTarBlock = 512;
constexpr std::size_t kMaxTarPath = 4095;

enum class TarType : char {
  file = '0',
  hard_link = '1',
  symbolic_link = '2',
  character_device = '3',
  block_device = '4',
  directory = '5',
  fifo = '6',
  other = '?',
};

struct TarMember {
  std::string_view path;    // of a directory without a slash at the end
  std::string_view target;  // of a link
  TarType type = TarType::file;
  std::uint32_t mode = 0644;  // permission bits
  std::uint64_t size = 0;     // of a file's content
  std::int64_t mtime = 0;     // seconds
};

class TarSink {
 public:
  virtual ~TarSink() = default;
  // Takes all. Returns 0 or an errno, which ends the archive.
  virtual int write(const void* data, std::size_t size) = 0;
};

class TarSource {
 public:
  virtual ~TarSource() = default;
  // As read(2): at most `size` octets, 0 at the end, -1 and errno.
  virtual ssize_t read(void* data, std::size_t size) = 0;
};

class TarWriter {
 public:
  explicit TarWriter(TarSink& sink) : sink_(sink) {}

  // Each returns 0 or an errno. A file's content follows its member, exactly so many octets.
  int member(const TarMember& member);
  int content(const void* data, std::size_t size);
  // The two blocks that end an archive.
  int finish();

 private:
  int header(const TarMember& member, char type);
  int extended_header(const TarMember& member);
  int pad();

  TarSink& sink_;
  std::uint64_t left_ = 0;  // of the present member's content
  std::size_t past_block_ = 0;
};

class TarReader {
 public:
  explicit TarReader(TarSource& source) : source_(source) {}

  // The next member; the rest of the one before is passed over. 1, 0 at the end of the archive, or -errno: EBADMSG (not
  // a tar archive, or a damaged one), EPIPE (cut off), ENAMETOOLONG, or what the source said. `member` is valid until
  // the next call.
  int next(TarMember& member);
  // The present member's content: at most `size` octets; 0 at its end; -errno.
  ssize_t read(void* data, std::size_t size);
  // What follows the archive's end, so that who sends it is not cut off. Returns 0 or an errno.
  int drain();

 private:
  // What headers before a member say about it.
  struct Extension {
    bool has_path = false, has_target = false, has_size = false, has_mtime = false;
    std::uint64_t size = 0;
    std::int64_t mtime = 0;
  };

  int read_block();
  int read_fully(void* data, std::size_t size);
  int skip(std::uint64_t size);
  int take_long_text(std::array<char, kMaxTarPath + 1>& text, std::uint64_t size);
  int take_extension(std::uint64_t size);
  bool take_record(std::string_view key, std::string_view value);
  int take_member(TarMember& member, char type, std::uint64_t size);

  TarSource& source_;
  std::array<unsigned char, kTarBlock> block_{};
  std::uint64_t left_ = 0;     // of the present member's content
  std::uint64_t padding_ = 0;  // behind it
  Extension extension_;
  std::array<char, kMaxTarPath + 1> path_{};
  std::array<char, kMaxTarPath + 1> target_{};
};

}  // namespace lmsb::os
