#include <algorithm>
#include <cerrno>
#include <cstring>

#include "guest/disk_tar.h"

namespace lmsb::guest {
namespace {

using os::MemberType;

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 62U;
constexpr std::size_t kMaxEnd = 64;
constexpr std::size_t kMaxOfMember = 16U << 10U;  // octets of its records, without its attributes
// Of the other records, each at most once.
constexpr std::array<std::string_view, 8> kKeys = {
    "path", "linkpath", "mtime", "atime", "size", "GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.realsize"};

// "-1.250000000": exactly nine digits behind the point.
bool parse_time(std::string_view text, timespec& time) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  const std::size_t point = text.find('.');
  std::uint64_t seconds = 0;
  std::uint64_t nanoseconds = 0;
  if (point == std::string_view::npos || text.size() != point + 10) return false;
  if (!os::tar::parse_decimal(text.substr(0, point), seconds) || seconds > kMaxSize) return false;
  if (!os::tar::parse_decimal(text.substr(point + 1), nanoseconds)) return false;
  const bool borrows = is_negative && nanoseconds > 0;
  time.tv_sec = static_cast<time_t>(seconds) * (is_negative ? -1 : 1) - (borrows ? 1 : 0);
  time.tv_nsec = static_cast<long>(borrows ? 1'000'000'000 - nanoseconds : nanoseconds);
  return true;
}

bool is_known(char type) { return type != '4' && type >= '0' && type <= '6'; }

}  // namespace

int DiskTarReader::read_exactly(void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = source_.read(at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EPIPE;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

int DiskTarReader::read_header(char& type, std::uint64_t& size) {
  if (const int error = read_exactly(block_.data(), block_.size()); error != 0) return error;
  if (std::memcmp(block_.data() + os::tar::kMagicAt, "ustar", 6) != 0 || !os::tar::has_right_sum(block_))
    return EBADMSG;
  if (!os::tar::number_at(block_, os::tar::kSizeAt, 12, size) || size > kMaxSize) return EBADMSG;
  type = block_[os::tar::kTypeAt];
  return 0;
}

bool DiskTarReader::take_record(std::string_view key, std::string_view value) {
  if (key.starts_with(kAttributePrefix)) return true;  // next_attribute()
  const auto* const known = std::find(kKeys.begin(), kKeys.end(), key);
  const auto bit = 1U << static_cast<unsigned>(known - kKeys.begin());
  if (known == kKeys.end() || (said_ & bit) != 0) return false;
  said_ |= bit;
  if (key == "path") return path_ = value, true;
  if (key == "linkpath") return target_ = value, true;
  if (key == "mtime") return parse_time(value, mtime_);
  if (key == "atime") return parse_time(value, atime_);
  if (key == "size") return has_size_ = os::tar::parse_decimal(value, said_size_);
  if (key == "GNU.sparse.realsize") return has_real_size_ = os::tar::parse_decimal(value, real_size_);
  ++sparse_words_;
  return value == (key == "GNU.sparse.major" ? "1" : "0");
}

int DiskTarReader::take_records(std::uint64_t size) {
  path_ = target_ = {};
  has_size_ = has_real_size_ = has_holes_ = false;
  sparse_words_ = said_ = 0;
  mtime_ = atime_ = {};
  if (size > records_.size()) return EBADMSG;
  records_size_ = static_cast<std::size_t>(size);
  if (const int error = read_exactly(records_.data(), records_size_); error != 0) return error;
  std::string_view rest = attributes_ = {records_.data(), records_size_};
  std::size_t attributes = 0;  // octets of them
  while (!rest.empty()) {
    std::string_view key;
    std::string_view value;
    const std::size_t before = rest.size();
    if (!os::tar::take_record(rest, key, value) || !take_record(key, value)) return EBADMSG;
    if (key.starts_with(kAttributePrefix)) attributes += before - rest.size();
  }
  if (records_size_ - attributes > kMaxOfMember) return EBADMSG;
  has_holes_ = sparse_words_ > 0;
  if (has_holes_ != has_real_size_ || (has_holes_ && sparse_words_ != 2)) return EBADMSG;
  os::tar::Block nothing{};
  return read_exactly(nothing.data(), os::tar::padding_of(size));
}

bool DiskTarReader::next_attribute(std::string_view& name, std::string_view& value) {
  std::string_view key;
  while (!attributes_.empty() && os::tar::take_record(attributes_, key, value)) {
    if (!key.starts_with(kAttributePrefix)) continue;
    key.remove_prefix(kAttributePrefix.size());
    std::size_t size = 0;
    while (!key.empty() && size < name_.size() - 1) {
      const bool is_percent = key.starts_with("%25");
      const bool is_escaped = is_percent || key.starts_with("%3D");
      name_[size++] = is_percent ? '%' : is_escaped ? '=' : key.front();
      key.remove_prefix(is_escaped ? 3 : 1);
    }
    name_[size] = '\0';
    name = key.empty() ? std::string_view(name_.data(), size) : std::string_view();  // too long is nobody's
    return true;
  }
  return false;
}

int DiskTarReader::take_member(DiskMember& member, char type) {
  std::uint64_t mode = 0;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  if (!os::tar::number_at(block_, os::tar::kModeAt, 8, mode) || !os::tar::number_at(block_, os::tar::kUidAt, 8, uid) ||
      !os::tar::number_at(block_, os::tar::kGidAt, 8, gid) ||
      !os::tar::number_at(block_, os::tar::kDevMajorAt, 8, major) ||
      !os::tar::number_at(block_, os::tar::kDevMinorAt, 8, minor))
    return EBADMSG;
  if (path_.empty() || mode > 07777 || uid > kMaxDiskId || gid > kMaxDiskId || major > kMaxDiskId || minor > kMaxDiskId)
    return EBADMSG;
  member.type = static_cast<MemberType>(type);
  member.path = path_;
  member.target = target_;
  member.mode = static_cast<std::uint32_t>(mode);
  member.uid = static_cast<std::uint32_t>(uid);
  member.gid = static_cast<std::uint32_t>(gid);
  member.device = major << 32U | minor;
  member.atime = atime_;
  member.mtime = mtime_;
  return 0;
}

// One number of a map, with its line's end.
int DiskTarReader::next_line(std::uint64_t& number) {
  std::array<char, 20> digits{};
  for (std::size_t size = 0;; ++size) {
    if (line_at_ == block_.size()) {
      if (stored_ < block_.size()) return EBADMSG;
      if (const int error = read_exactly(block_.data(), block_.size()); error != 0) return error;
      stored_ -= block_.size();
      line_at_ = 0;
    }
    const char octet = block_[line_at_++];
    if (octet == '\n') return os::tar::parse_decimal({digits.data(), size}, number) ? 0 : EBADMSG;
    if (size == digits.size()) return EBADMSG;
    digits[size] = octet;
  }
}

// In order, within the file, and together all of what follows.
int DiskTarReader::take_map() {
  line_at_ = block_.size();
  std::uint64_t count = 0;
  if (const int error = next_line(count); error != 0) return error;
  if (count > extents_.size()) return EBADMSG;
  std::uint64_t end = 0;
  std::uint64_t sum = 0;
  for (extent_count_ = 0; extent_count_ < count; ++extent_count_) {
    Extent& extent = extents_[extent_count_];
    int error = next_line(extent.offset);
    if (error == 0) error = next_line(extent.size);
    if (error != 0) return error;
    if (extent.offset < end || extent.offset > real_size_ || extent.size > real_size_ - extent.offset) return EBADMSG;
    end = extent.offset + extent.size;
    sum += extent.size;
  }
  return sum == stored_ ? 0 : EBADMSG;
}

// Counts what came before, and is followed by two empty blocks and nothing else.
int DiskTarReader::take_end() {
  std::array<char, kMaxEnd> text{};
  if (stored_ > text.size() || has_holes_) return EBADMSG;
  const auto size = static_cast<std::size_t>(stored_);
  if (const int error = read_exactly(text.data(), size); error != 0) return error;
  const std::string_view counts(text.data(), size);
  const std::size_t space = counts.find(' ');
  std::uint64_t members = 0;
  std::uint64_t bytes = 0;
  if (space == std::string_view::npos || !counts.ends_with('\n') ||
      !os::tar::parse_decimal(counts.substr(0, space), members) ||
      !os::tar::parse_decimal(counts.substr(space + 1, size - space - 2), bytes))
    return EBADMSG;
  if (members != members_ || bytes != bytes_) return EBADMSG;
  if (const int error = read_exactly(block_.data(), padding_); error != 0) return error;
  for (int i = 0; i < 2; ++i) {
    if (const int error = read_exactly(block_.data(), block_.size()); error != 0) return error;
    if (!os::tar::is_zero(block_)) return EBADMSG;
  }
  return expect_end();
}

// Not the same as a source that was cut off, which says so.
int DiskTarReader::expect_end() {
  char more = 0;
  for (;;) {
    const ssize_t n = source_.read(&more, 1);
    if (n >= 0) return n == 0 ? 0 : EBADMSG;
    if (errno != EINTR) return errno;
  }
}

int DiskTarReader::skip_content() {
  std::array<char, 4096> nothing;  // NOLINT: only written
  for (std::uint64_t left = stored_ + padding_; left > 0;) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, nothing.size()));
    if (const int error = read_exactly(nothing.data(), part); error != 0) return error;
    left -= part;
  }
  stored_ = padding_ = 0;
  return 0;
}

int DiskTarReader::next(DiskMember& member) {
  char type = 0;
  std::uint64_t size = 0;
  int error = skip_content();
  if (error == 0) error = read_header(type, size);
  if (error == 0 && type != 'x') error = EBADMSG;
  if (error == 0) error = take_records(size);
  if (error == 0) error = read_header(type, size);
  if (error == 0 && !is_known(type)) error = EBADMSG;
  member = DiskMember();
  if (error == 0) error = take_member(member, type);
  if (error != 0) return -error;
  if (has_size_) size = said_size_;
  const bool is_file = member.type == MemberType::file;
  if (size > kMaxSize || (!is_file && (size > 0 || has_holes_))) return -EBADMSG;
  if (has_holes_ && real_size_ > kMaxSize) return -EBADMSG;
  padding_ = os::tar::padding_of(size);
  stored_ = size;
  extent_ = 0;
  in_extent_ = 0;
  extents_[0] = {0, size};
  extent_count_ = size > 0 ? 1 : 0;
  if (member.path == "end" && is_file) {
    error = take_end();
    stored_ = padding_ = 0;
    return -error;
  }
  if (has_holes_ && (error = take_map()) != 0) return -error;
  member.size = has_holes_ ? real_size_ : size;
  ++members_;
  bytes_ += stored_;
  return 1;
}

ssize_t DiskTarReader::read(void* data, std::size_t size, std::uint64_t& offset) {
  while (extent_ < extent_count_ && in_extent_ == extents_[extent_].size) {
    ++extent_;
    in_extent_ = 0;
  }
  if (extent_ == extent_count_ || size == 0) return 0;
  const Extent& extent = extents_[extent_];
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, extent.size - in_extent_));
  if (const int error = read_exactly(data, part); error != 0) return -error;
  offset = extent.offset + in_extent_;
  in_extent_ += part;
  stored_ -= part;
  return static_cast<ssize_t>(part);
}

}  // namespace lmsb::guest
