#include "guest/zip_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/zip_format.h"
#include "os/archive_magic.h"

namespace lmsb::guest {
namespace {

using os::MemberType;

template <class Number>
Number number_at(const unsigned char* at) {
  Number value = 0;
  std::memcpy(&value, at, sizeof value);  // x86 has its least octet first, as zip
  return value;
}
std::uint16_t short_at(const unsigned char* at) { return number_at<std::uint16_t>(at); }
std::uint32_t word_at(const unsigned char* at) { return number_at<std::uint32_t>(at); }
std::uint64_t long_at(const unsigned char* at) { return number_at<std::uint64_t>(at); }

MemberType type_of(std::uint32_t mode, bool is_directory) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG: return is_directory ? MemberType::directory : MemberType::file;
    case S_IFDIR: return MemberType::directory;
    case S_IFLNK: return MemberType::symbolic_link;
    default: return MemberType::other;
  }
}

// Whether one of these octets, which are at `offset` in the file, is the beginning of a true end that is followed by
// something. Not that of an archive in the archive: its directory is elsewhere.
bool ends_before(const unsigned char* tail, std::size_t size, std::uint64_t offset) {
  for (std::size_t i = 0; i + zip::kEndSize < size; ++i)
    if (word_at(tail + i) == zip::kEnd && std::uint64_t{word_at(tail + i + 12)} + word_at(tail + i + 16) == offset + i)
      return true;
  return false;
}

}  // namespace

ZipReader::~ZipReader() {
  if (has_stream_) (void)::inflateEnd(&stream_);
}

// Exactly `size` octets. Returns 0 or an errno.
int ZipReader::read_at(void* data, std::size_t size, std::uint64_t offset) const {
  auto* at = static_cast<unsigned char*>(data);
  while (size > 0) {
    const ssize_t n = ::pread(file_, at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EPIPE;
    at += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

// The end is the last record of its kind whose comment ends with the file. Without one the archive was cut off.
int ZipReader::find_directory() {
  static std::array<unsigned char, zip::kEndSize + 0xFFFF> tail;  // one thread, used up here
  struct stat status {};
  if (::fstat(file_, &status) < 0) return errno;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, tail.size()));
  if (part < zip::kEndSize) return why_no_end(false);
  if (const int error = read_at(tail.data(), part, size - part); error != 0) return error;
  for (std::size_t i = part - zip::kEndSize + 1; i-- > 0;) {
    if (word_at(&tail[i]) != zip::kEnd || short_at(&tail[i + 20]) != part - zip::kEndSize - i) continue;
    return take_end(&tail[i], size - part + i);
  }
  return why_no_end(ends_before(tail.data(), part, size - part));
}

// What has come instead of a whole archive.
int ZipReader::why_no_end(bool has_end) const {
  std::array<char, os::kMagicSize> octets{};
  if (read_at(octets.data(), octets.size(), 0) != 0) return EPIPE;
  const std::string_view first(octets.data(), octets.size());
  if (first.starts_with("PK\x03\x04") || first.starts_with("PK\x05\x06")) return has_end ? E2BIG : EPIPE;
  return os::begins_as_known_format(first) ? ENOEXEC : EBADMSG;
}

int ZipReader::take_end(const unsigned char* end, std::uint64_t at) {
  entries_left_ = short_at(end + 10);
  const std::uint64_t size = word_at(end + 12);
  directory_ = word_at(end + 16);
  directory_end_ = at;
  const bool sees64 = entries_left_ == zip::kSee64Short || size == zip::kSee64 || directory_ == zip::kSee64;
  if (sees64 && at >= zip::kLocatorSize) {
    const int error = take_end64(at - zip::kLocatorSize);
    if (error != ENOENT) return error;
  }
  if (short_at(end + 4) != 0 || short_at(end + 6) != 0 || short_at(end + 8) != entries_left_) return EBADMSG;
  return directory_ <= at && at - directory_ == size ? 0 : EBADMSG;
}

// ENOENT: there is none, and the numbers are just as large as they look.
int ZipReader::take_end64(std::uint64_t locator_at) {
  std::array<unsigned char, zip::kEnd64Size> octets;  // NOLINT: read before it is used
  if (const int error = read_at(octets.data(), zip::kLocatorSize, locator_at); error != 0) return error;
  if (word_at(octets.data()) != zip::kEnd64Locator) return ENOENT;
  const std::uint64_t at = long_at(&octets[8]);
  if (at > locator_at || locator_at - at < zip::kEnd64Size) return EBADMSG;
  if (const int error = read_at(octets.data(), octets.size(), at); error != 0) return error;
  if (word_at(octets.data()) != zip::kEnd64 || word_at(&octets[16]) != 0 || word_at(&octets[20]) != 0) return EBADMSG;
  entries_left_ = long_at(&octets[32]);
  const std::uint64_t size = long_at(&octets[40]);
  directory_ = long_at(&octets[48]);
  directory_end_ = at;
  return directory_ <= at && at - directory_ == size ? 0 : EBADMSG;
}

int ZipReader::take_large_numbers(Entry& entry, const unsigned char* at, std::size_t size) {
  for (std::uint64_t* number : {&entry.size, &entry.packed_size, &entry.offset}) {
    if (*number != zip::kSee64) continue;
    if (size < 8) return EBADMSG;
    *number = long_at(at);
    at += 8;
    size -= 8;
  }
  return 0;
}

int ZipReader::take_extra(Entry& entry) {
  const std::size_t whole = std::min<std::size_t>(entry.extra_size, packed_.size());
  for (std::size_t i = 0; whole - i >= 4;) {
    const std::uint16_t kind = short_at(&packed_[i]);
    const std::size_t size = short_at(&packed_[i + 2]);
    i += 4;
    if (size > whole - i) return EBADMSG;
    if (kind == zip::kExtra64) {
      if (const int error = take_large_numbers(entry, &packed_[i], size); error != 0) return error;
    } else if (kind == zip::kExtraTime && size >= 5 && (packed_[i] & 1U) != 0) {
      entry.mtime = number_at<std::int32_t>(&packed_[i + 1]);
    }
    i += size;
  }
  return 0;
}

int ZipReader::take_entry(Entry& entry) {
  std::array<unsigned char, zip::kCentralSize> octets;  // NOLINT: read before it is used
  if (directory_end_ - next_entry_ < octets.size()) return EBADMSG;
  if (const int error = read_at(octets.data(), octets.size(), next_entry_); error != 0) return error;
  if (word_at(octets.data()) != zip::kCentralHeader) return EBADMSG;
  entry.made_by_unix = octets[5] == zip::kMadeByUnix;
  entry.flags = short_at(&octets[8]);
  entry.method = short_at(&octets[10]);
  entry.mtime = zip::from_dos({short_at(&octets[12]), short_at(&octets[14])});
  entry.checksum = word_at(&octets[16]);
  entry.packed_size = word_at(&octets[20]);
  entry.size = word_at(&octets[24]);
  entry.name_size = short_at(&octets[28]);
  entry.extra_size = short_at(&octets[30]);
  entry.comment_size = short_at(&octets[32]);
  entry.attributes = word_at(&octets[38]);
  entry.offset = word_at(&octets[42]);
  const std::uint64_t rest = std::uint64_t{entry.name_size} + entry.extra_size + entry.comment_size;
  if (short_at(&octets[34]) != 0 || directory_end_ - next_entry_ - octets.size() < rest) return EBADMSG;
  if (entry.name_size > os::kMaxArchivePath) return ENAMETOOLONG;
  const std::uint64_t at = next_entry_ + octets.size();
  if (const int error = read_at(path_.data(), entry.name_size, at); error != 0) return error;
  path_[entry.name_size] = '\0';
  if (const int error = read_at(packed_.data(), entry.extra_size, at + entry.name_size); error != 0) return error;
  next_entry_ = at + rest;
  --entries_left_;
  return std::strlen(path_.data()) == entry.name_size && entry.name_size > 0 ? take_extra(entry) : EBADMSG;
}

bool ZipReader::has_name_at(std::uint64_t offset, std::size_t size) const {
  std::array<char, 512> part;  // NOLINT: read before it is used
  for (std::size_t done = 0; done < size;) {
    const std::size_t n = std::min(part.size(), size - done);
    if (read_at(part.data(), n, offset + done) != 0 || std::memcmp(part.data(), &path_[done], n) != 0) return false;
    done += n;
  }
  return true;
}

// What stands before the content repeats the directory; who reads only one of the two must not see something else.
int ZipReader::open_content(const Entry& entry) {
  constexpr std::uint16_t kUnreadable = zip::kEncrypted | zip::kPatched | zip::kStronglyEncrypted | zip::kMasked;
  if ((entry.flags & kUnreadable) != 0 || (entry.method != zip::kStored && entry.method != zip::kDeflated))
    return EPROTONOSUPPORT;
  std::array<unsigned char, zip::kLocalSize> octets;  // NOLINT: read before it is used
  if (entry.offset > directory_ || directory_ - entry.offset < octets.size()) return EBADMSG;
  if (const int error = read_at(octets.data(), octets.size(), entry.offset); error != 0) return error;
  const bool agrees = word_at(octets.data()) == zip::kLocalHeader && short_at(&octets[8]) == entry.method &&
                      short_at(&octets[26]) == entry.name_size &&
                      has_name_at(entry.offset + octets.size(), entry.name_size);
  if (!agrees) return EBADMSG;
  const std::uint64_t head = octets.size() + entry.name_size + short_at(&octets[28]);
  const std::uint64_t room = directory_ - entry.offset;
  if (room < head || room - head < entry.packed_size) return EBADMSG;
  if (directory_ - claimed_ < head + entry.packed_size) return EBADMSG;
  claimed_ += head + entry.packed_size;
  is_deflated_ = entry.method == zip::kDeflated;
  if (!is_deflated_ && entry.packed_size != entry.size) return EBADMSG;
  content_at_ = entry.offset + head;
  packed_left_ = entry.packed_size;
  left_ = entry.size;
  said_checksum_ = entry.checksum;
  checksum_ = 0;
  is_done_ = false;
  if (!is_deflated_) return 0;
  stream_.next_in = nullptr;
  stream_.avail_in = 0;
  const int begun = has_stream_ ? ::inflateReset(&stream_) : ::inflateInit2(&stream_, -MAX_WBITS);
  has_stream_ = has_stream_ || begun == Z_OK;
  return begun == Z_OK ? 0 : ENOMEM;
}

int ZipReader::take_target(os::ArchiveMember& member) {
  std::size_t size = 0;
  for (;;) {
    const ssize_t n = read(&target_[size], target_.size() - size);
    if (n < 0) return static_cast<int>(-n);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
    if (size == target_.size()) return ENAMETOOLONG;
  }
  target_[size] = '\0';
  member.target = target_.data();
  member.size = 0;
  return size > 0 && member.target.size() == size ? 0 : EBADMSG;
}

int ZipReader::next(os::ArchiveMember& member) {
  if (!is_open_) {
    if (const int error = find_directory(); error != 0) return -error;
    next_entry_ = directory_;
    is_open_ = true;
  }
  is_done_ = true;
  if (entries_left_ == 0) return next_entry_ == directory_end_ ? 0 : -EBADMSG;
  Entry entry;
  if (const int error = take_entry(entry); error != 0) return -error;
  if (const int error = open_content(entry); error != 0) return -error;
  const std::uint32_t mode = entry.made_by_unix ? entry.attributes >> 16U : 0;
  member = os::ArchiveMember{};
  member.path = path_.data();
  member.target = "";
  member.type = type_of(mode, member.path.ends_with('/') || (entry.attributes & zip::kDosDirectory) != 0);
  while (member.path.size() > 1 && member.path.ends_with('/')) member.path.remove_suffix(1);
  if (mode != 0) member.mode = mode & 07777U;
  if (mode == 0 && member.type == MemberType::directory) member.mode = 0755;
  member.size = entry.size;
  member.mtime = entry.mtime;
  if (member.type != MemberType::symbolic_link) return 1;
  const int error = take_target(member);
  return error == 0 ? 1 : -error;
}

// The next `size` octets of the content have come. They may not be more than was said, and at its end all must be true.
ssize_t ZipReader::count(const unsigned char* data, std::size_t size) {
  if (size > left_) return -EBADMSG;
  left_ -= size;
  checksum_ = static_cast<std::uint32_t>(::crc32(checksum_, data, static_cast<uInt>(size)));
  return !is_done_ || (left_ == 0 && checksum_ == said_checksum_) ? static_cast<ssize_t>(size) : -EBADMSG;
}

ssize_t ZipReader::read_stored(unsigned char* data, std::size_t size) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, packed_left_));
  if (const int error = read_at(data, part, content_at_); error != 0) return -error;
  content_at_ += part;
  packed_left_ -= part;
  is_done_ = packed_left_ == 0;
  return count(data, part);
}

ssize_t ZipReader::read_deflated(unsigned char* data, std::size_t size) {
  stream_.next_out = data;
  stream_.avail_out = static_cast<uInt>(size);
  while (stream_.avail_out == size && !is_done_) {
    if (stream_.avail_in == 0 && packed_left_ > 0) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(packed_.size(), packed_left_));
      if (const int error = read_at(packed_.data(), part, content_at_); error != 0) return -error;
      content_at_ += part;
      packed_left_ -= part;
      stream_.next_in = packed_.data();
      stream_.avail_in = static_cast<uInt>(part);
    }
    const int said = ::inflate(&stream_, Z_NO_FLUSH);
    is_done_ = said == Z_STREAM_END;
    if (is_done_ && (stream_.avail_in > 0 || packed_left_ > 0)) return -EBADMSG;  // something hides behind its end
    if (said != Z_OK && !is_done_) return said == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
  }
  return count(data, size - stream_.avail_out);
}

ssize_t ZipReader::read(void* data, std::size_t size) {
  if (is_done_ || size == 0) return 0;
  auto* octets = static_cast<unsigned char*>(data);
  size = std::min<std::size_t>(size, 1U << 30U);
  return is_deflated_ ? read_deflated(octets, size) : read_stored(octets, size);
}

}  // namespace lmsb::guest
