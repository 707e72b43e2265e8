#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/archive_magic.h"
#include "os/tar.h"

namespace lmsb::os {
namespace {

using namespace tar;  // NOLINT: the offsets, and what is there

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 62U;
constexpr std::uint64_t kMaxExtension = 64 * 1024;

bool copy_text(std::string_view text, std::array<char, kMaxArchivePath + 1>& to) {
  if (text.size() > kMaxArchivePath || text.find('\0') != std::string_view::npos) return false;
  if (!text.empty()) std::memcpy(to.data(), text.data(), text.size());
  to[text.size()] = '\0';
  return true;
}

MemberType type_of(char flag) {
  switch (flag) {
    case '0':
    case '\0':
    case '7': return MemberType::file;
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6': return static_cast<MemberType>(flag);
    default: return MemberType::other;
  }
}

}  // namespace

int TarReader::read_fully(void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  const std::size_t whole = size;
  while (size > 0) {
    const ssize_t n = source_.read(at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return size == whole ? ENODATA : EPIPE;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

int TarReader::read_block() { return read_fully(block_.data(), block_.size()); }

// Says of what was to be the first block, and is none, what it is if that is known.
int TarReader::refuse_block(int error) {
  const bool is_other = !is_begun_ && begins_as_known_format({block_.data(), block_.size()});
  return is_other ? -ENOEXEC : -error;
}

int TarReader::skip(std::uint64_t size) {
  std::array<char, 4096> nothing;  // NOLINT: only written
  while (size > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, nothing.size()));
    if (const int error = read_fully(nothing.data(), part); error != 0) return error == ENODATA ? EPIPE : error;
    size -= part;
  }
  return 0;
}

// GNU's way to say a long name: as the content of a member of its own.
int TarReader::take_long_text(std::array<char, kMaxArchivePath + 1>& text, std::uint64_t size) {
  if (size > text.size()) return ENAMETOOLONG;
  if (const int error = read_fully(text.data(), static_cast<std::size_t>(size)); error != 0) return EPIPE;
  text[std::min(static_cast<std::size_t>(size), kMaxArchivePath)] = '\0';
  return skip(padding_of(size));
}

bool TarReader::take_record(std::string_view key, std::string_view value) {
  if (key == "path") return extension_.has_path = copy_text(value, path_);
  if (key == "linkpath") return extension_.has_target = copy_text(value, target_);
  if (key == "size") return extension_.has_size = parse_decimal(value, extension_.size);
  if (key == "mtime") {
    const bool is_negative = !value.empty() && value.front() == '-';
    if (is_negative) value.remove_prefix(1);
    std::uint64_t seconds = 0;
    if (!parse_decimal(value.substr(0, value.find('.')), seconds) || seconds > kMaxSize) return false;
    extension_.mtime = is_negative ? -static_cast<std::int64_t>(seconds) : static_cast<std::int64_t>(seconds);
    extension_.has_mtime = true;
  }
  return !key.starts_with("GNU.sparse.");  // its content is not the file's
}

// pax: lines of "SIZE KEY=VALUE\n".
int TarReader::take_extension(std::uint64_t size) {
  static std::array<char, kMaxExtension> text;  // one thread, used up before the next
  if (size > text.size()) return EBADMSG;
  if (const int error = read_fully(text.data(), static_cast<std::size_t>(size)); size > 0 && error != 0) return EPIPE;
  std::string_view rest(text.data(), static_cast<std::size_t>(size));
  while (!rest.empty()) {
    std::string_view key;
    std::string_view value;
    if (!tar::take_record(rest, key, value) || !take_record(key, value)) return EBADMSG;
  }
  return skip(padding_of(size));
}

int TarReader::take_member(ArchiveMember& member, char type, std::uint64_t size) {
  std::uint64_t mode = 0;
  std::uint64_t mtime = 0;
  if (!number_at(block_, kModeAt, 8, mode) || !number_at(block_, kMtimeAt, 12, mtime)) return EBADMSG;
  if (!extension_.has_path) {
    const std::string_view prefix =
        text_at(block_, kMagicAt, 6) == "ustar" ? text_at(block_, kPrefixAt, kPrefixSize) : std::string_view();
    const std::string_view name = text_at(block_, kNameAt, kNameSize);
    std::size_t used = 0;
    if (!prefix.empty()) {
      std::memcpy(path_.data(), prefix.data(), prefix.size());
      used = prefix.size();
      path_[used++] = '/';
    }
    std::memcpy(path_.data() + used, name.data(), name.size());
    path_[used + name.size()] = '\0';
  }
  if (!extension_.has_target) (void)copy_text(text_at(block_, kTargetAt, kNameSize), target_);
  member = ArchiveMember{};
  member.path = path_.data();
  member.type = type_of(type);
  if (member.type == MemberType::file && member.path.ends_with('/'))
    member.type = MemberType::directory;  // before ustar
  while (member.path.size() > 1 && member.path.ends_with('/')) member.path.remove_suffix(1);
  member.target = target_.data();
  member.mode = static_cast<std::uint32_t>(mode) & 07777U;
  member.mtime = extension_.has_mtime ? extension_.mtime : static_cast<std::int64_t>(mtime & (kMaxSize - 1));
  if (extension_.has_size) size = extension_.size;
  if (size > kMaxSize) return EBADMSG;
  // Links have no content, whatever they say; devices and directories neither.
  left_ = member.type == MemberType::file || member.type == MemberType::other ? size : 0;
  padding_ = padding_of(left_);
  member.size = left_;
  return 0;
}

int TarReader::next(ArchiveMember& member) {
  if (const int error = skip(left_ + padding_); error != 0) return -error;
  left_ = padding_ = 0;
  extension_ = Extension{};
  for (;;) {
    const int got = read_block();
    if (got == ENODATA) return -EPIPE;  // without the block that ends it, it may have been cut off
    if (got != 0) return refuse_block(got);
    if (is_zero(block_)) return 0;
    std::uint64_t size = 0;
    if (!has_right_sum(block_) || !number_at(block_, kSizeAt, 12, size) || size > kMaxSize)
      return refuse_block(EBADMSG);
    is_begun_ = true;
    const char type = block_[kTypeAt];
    int error = 0;
    switch (type) {
      case 'x': error = take_extension(size); break;
      case 'L': error = take_long_text(path_, size), extension_.has_path = true; break;
      case 'K': error = take_long_text(target_, size), extension_.has_target = true; break;
      case 'g': error = skip(size + padding_of(size)); break;
      default: error = take_member(member, type, size); return error != 0 ? -error : 1;
    }
    if (error != 0) return -error;
  }
}

ssize_t TarReader::read(void* data, std::size_t size) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, left_));
  if (part == 0) return 0;
  for (;;) {
    const ssize_t n = source_.read(data, part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -EPIPE;
    left_ -= static_cast<std::uint64_t>(n);
    return n;
  }
}

int TarReader::drain() {
  std::array<char, 4096> nothing;  // NOLINT: only written
  for (;;) {
    const ssize_t n = source_.read(nothing.data(), nothing.size());
    if (n == 0) return 0;
    if (n < 0 && errno != EINTR) return errno;
  }
}

}  // namespace lmsb::os
