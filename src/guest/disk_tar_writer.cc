#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "guest/disk_tar.h"

namespace lmsb::guest {
namespace {

using os::tar::Block;

constexpr time_t kMaxSeconds = time_t{1} << 62U;  // before or after 1970, that a reader takes: others are cut to it

// Numbers as text, on the stack.
class Text {
 public:
  explicit Text(std::uint64_t number) {
    size_ = std::snprintf(octets_.data(), octets_.size(), "%llu", static_cast<unsigned long long>(number));
  }
  // Seconds as a decimal fraction, -1.25 for what is 1.25 s before 1970.
  explicit Text(timespec time) {
    if (time.tv_sec >= kMaxSeconds) time = {kMaxSeconds, 0};
    if (time.tv_sec < -kMaxSeconds) time = {-kMaxSeconds, 0};
    const bool is_before = time.tv_sec < 0 && time.tv_nsec > 0;
    const long long seconds = time.tv_sec + (is_before ? 1 : 0);
    const long nanoseconds = is_before ? 1'000'000'000 - time.tv_nsec : time.tv_nsec;
    size_ = std::snprintf(octets_.data(), octets_.size(), "%s%lld.%09ld", is_before && seconds == 0 ? "-" : "", seconds,
                          nanoseconds);
  }
  std::string_view get() const { return {octets_.data(), static_cast<std::size_t>(size_)}; }

 private:
  std::array<char, 48> octets_{};
  int size_ = 0;
};

std::uint64_t sum_of(std::span<const Extent> extents) {
  std::uint64_t sum = 0;
  for (const Extent& extent : extents) sum += extent.size;
  return sum;
}

// A map is lines of decimal numbers: how many extents, then offset and size of each.
std::size_t map_size(std::span<const Extent> extents) {
  std::size_t size = Text(extents.size()).get().size() + 1;
  for (const Extent& extent : extents) size += Text(extent.offset).get().size() + Text(extent.size).get().size() + 2;
  return size;
}

}  // namespace

bool is_carried(std::string_view attribute) {
  constexpr std::string_view kOverlay = "user.overlay.";
  if (!attribute.starts_with("user.")) return false;
  if (!attribute.starts_with(kOverlay)) return true;
  const std::string_view mark = attribute.substr(kOverlay.size());
  return mark == "opaque" || mark == "whiteout" || mark.starts_with("overlay.");
}

int DiskTarWriter::put(std::string_view key, std::string_view value) {
  const std::size_t size = os::tar::put_record(records_.data() + used_, records_.size() - used_, key, value);
  used_ += size;
  return size > 0 ? 0 : E2BIG;
}

// The name goes as GNU tar has it: what would end the key is escaped.
int DiskTarWriter::attribute(std::string_view name, std::string_view value) {
  std::array<char, kAttributePrefix.size() + 3 * 256> key{};
  if (name.size() > 255) return ENAMETOOLONG;
  char* to = std::copy(kAttributePrefix.begin(), kAttributePrefix.end(), key.data());
  for (const char octet : name) {
    const std::string_view escaped = octet == '%' ? "%25" : octet == '=' ? "%3D" : std::string_view(&octet, 1);
    to = std::copy(escaped.begin(), escaped.end(), to);
  }
  return put({key.data(), static_cast<std::size_t>(to - key.data())}, value);
}

int DiskTarWriter::header(const DiskMember& member, std::uint64_t size, char type) {
  Block block{};
  os::tar::put_text(block, os::tar::kNameAt, member.path);
  os::tar::put_octal(block, os::tar::kModeAt, 7, member.mode & 07777U);
  os::tar::put_octal(block, os::tar::kUidAt, 7, member.uid);
  os::tar::put_octal(block, os::tar::kGidAt, 7, member.gid);
  os::tar::put_octal(block, os::tar::kSizeAt, 11, std::min(size, os::tar::kMaxOctal));
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, member.mtime.tv_sec));
  os::tar::put_octal(block, os::tar::kMtimeAt, 11, std::min(os::tar::kMaxOctal, seconds));
  block[os::tar::kTypeAt] = type;
  os::tar::put_text(block, os::tar::kTargetAt, member.target);
  os::tar::put_octal(block, os::tar::kDevMajorAt, 7, 0);
  os::tar::put_octal(block, os::tar::kDevMinorAt, 7, 0);
  os::tar::put_magic_and_sum(block);
  return sink_.write(block.data(), block.size());
}

int DiskTarWriter::member(const DiskMember& member, std::span<const Extent> extents, bool has_holes) {
  if (const int error = pad(); error != 0) return error;
  if (member.uid > kMaxDiskId || member.gid > kMaxDiskId) return EOVERFLOW;
  std::size_t map = has_holes ? map_size(extents) : 0;
  map += os::tar::padding_of(map);
  const std::uint64_t size = has_holes ? map + sum_of(extents) : member.size;
  int error = put("path", member.path);
  if (error == 0) error = put("mtime", Text(member.mtime).get());
  if (error == 0) error = put("atime", Text(member.atime).get());
  if (error == 0 && !member.target.empty()) error = put("linkpath", member.target);
  if (error == 0 && size > os::tar::kMaxOctal) error = put("size", Text(size).get());
  if (error == 0 && has_holes) {
    error = put("GNU.sparse.major", "1");
    if (error == 0) error = put("GNU.sparse.minor", "0");
    if (error == 0) error = put("GNU.sparse.realsize", Text(member.size).get());
  }
  if (error != 0) return error;
  DiskMember records;
  records.path = "pax_header";
  error = header(records, used_, 'x');
  if (error == 0) error = sink_.write(records_.data(), used_);
  past_ = std::exchange(used_, 0);
  if (error == 0) error = pad();
  if (error == 0) error = header(member, size, static_cast<char>(member.type));
  left_ = has_holes ? size - map : size;
  past_ = 0;
  ++members_;
  bytes_ += left_;
  return error == 0 && has_holes ? write_map(extents) : error;
}

int DiskTarWriter::write_map(std::span<const Extent> extents) {
  std::size_t written = 0;
  const auto line = [&](std::uint64_t number) {
    const Text text(number);
    written += text.get().size() + 1;
    const int error = sink_.write(text.get().data(), text.get().size());
    return error == 0 ? sink_.write("\n", 1) : error;
  };
  int error = line(extents.size());
  for (const Extent& extent : extents) {
    if (error == 0) error = line(extent.offset);
    if (error == 0) error = line(extent.size);
  }
  static constexpr Block kZeros{};
  return error == 0 ? sink_.write(kZeros.data(), os::tar::padding_of(written)) : error;
}

int DiskTarWriter::content(const void* data, std::size_t size) {
  if (size > left_) return EFBIG;
  left_ -= size;
  past_ += size;
  return sink_.write(data, size);
}

int DiskTarWriter::pad() {
  if (left_ > 0) return EIO;  // less content than was said
  static constexpr Block kZeros{};
  const std::size_t size = os::tar::padding_of(past_);
  past_ = 0;
  return size == 0 ? 0 : sink_.write(kZeros.data(), size);
}

int DiskTarWriter::finish() {
  std::array<char, 64> counts{};
  const int size = std::snprintf(counts.data(), counts.size(), "%llu %llu\n", static_cast<unsigned long long>(members_),
                                 static_cast<unsigned long long>(bytes_));
  DiskMember end;
  end.path = "end";
  end.mode = 0444;
  end.size = static_cast<std::uint64_t>(size);
  int error = member(end);
  if (error == 0) error = content(counts.data(), static_cast<std::size_t>(size));
  --members_;
  bytes_ -= static_cast<std::uint64_t>(size);
  if (error == 0) error = pad();
  static constexpr std::array<char, 2 * os::tar::kBlockSize> kEnd{};
  return error == 0 ? sink_.write(kEnd.data(), kEnd.size()) : error;
}

}  // namespace lmsb::guest
