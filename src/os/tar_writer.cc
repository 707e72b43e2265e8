#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "os/tar.h"

namespace lmsb::os {
namespace {

// struct posix_header of POSIX.1-2001, as offsets.
constexpr std::size_t kNameSize = 100;
constexpr std::size_t kModeAt = 100;
constexpr std::size_t kUidAt = 108;
constexpr std::size_t kGidAt = 116;
constexpr std::size_t kSizeAt = 124;
constexpr std::size_t kMtimeAt = 136;
constexpr std::size_t kSumAt = 148;
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kTargetAt = 157;
constexpr std::size_t kMagicAt = 257;
constexpr std::uint64_t kMaxOctal = 077777777777;  // eleven digits

using Block = std::array<char, kTarBlock>;

void put_octal(Block& block, std::size_t at, int digits, std::uint64_t value) {
  std::snprintf(block.data() + at, static_cast<std::size_t>(digits) + 1, "%0*llo", digits,
                static_cast<unsigned long long>(value));
}

void put_text(Block& block, std::size_t at, std::string_view text) {
  std::copy_n(text.data(), std::min(text.size(), kNameSize), block.data() + at);
}

void put_sum(Block& block) {
  std::memset(block.data() + kSumAt, ' ', 8);
  unsigned sum = 0;
  for (const char octet : block) sum += static_cast<unsigned char>(octet);
  std::snprintf(block.data() + kSumAt, 8, "%06o", sum);
}

// One "SIZE KEY=VALUE\n" of a pax header; its size counts itself. Returns how much was appended, 0 when there is no
// room.
std::size_t put_record(char* at, std::size_t room, const char* key, std::string_view value) {
  const std::size_t rest = std::strlen(key) + value.size() + 3;  // ' ', '=', '\n'
  std::size_t size = rest + 1;
  while (size != rest + static_cast<std::size_t>(std::snprintf(nullptr, 0, "%zu", size))) ++size;
  if (size > room) return 0;
  const int head = std::snprintf(at, room, "%zu %s=", size, key);
  std::copy_n(value.data(), value.size(), at + head);
  at[size - 1] = '\n';
  return size;
}

bool is_plain(const ArchiveMember& member) {
  return member.path.size() < kNameSize && member.target.size() <= kNameSize && member.size <= kMaxOctal &&
         member.mtime >= 0 && static_cast<std::uint64_t>(member.mtime) <= kMaxOctal;
}

}  // namespace

int TarWriter::header(const ArchiveMember& member, char type) {
  Block block{};
  const bool is_directory = type == static_cast<char>(MemberType::directory);
  const std::string_view name = member.path.substr(0, kNameSize - (is_directory ? 1 : 0));
  put_text(block, 0, name);
  if (is_directory) block[name.size()] = '/';
  put_octal(block, kModeAt, 7, member.mode & 07777U);
  put_octal(block, kUidAt, 7, 0);
  put_octal(block, kGidAt, 7, 0);
  put_octal(block, kSizeAt, 11, std::min(member.size, kMaxOctal));
  put_octal(block, kMtimeAt, 11,
            std::min(kMaxOctal, static_cast<std::uint64_t>(std::max<std::int64_t>(0, member.mtime))));
  block[kTypeAt] = type;
  put_text(block, kTargetAt, member.target);
  std::memcpy(block.data() + kMagicAt,
              "ustar\0"
              "00",
              8);
  put_sum(block);
  left_ = member.size;
  past_block_ = 0;
  return sink_.write(block.data(), block.size());
}

int TarWriter::extended_header(const ArchiveMember& member) {
  std::array<char, 2 * kMaxArchivePath + 512> records{};
  std::size_t used = 0;
  const auto put = [&](const char* key, std::string_view value) {
    const std::size_t size = put_record(records.data() + used, records.size() - used, key, value);
    used += size;
    return size > 0;
  };
  std::array<char, 32> number{};
  const auto text = [&number](long long value) {  // sizes are below 2^62
    const int size = std::snprintf(number.data(), number.size(), "%lld", value);
    return std::string_view(number.data(), static_cast<std::size_t>(size));
  };
  bool fits = put("path", member.path) && put("mtime", text(member.mtime));
  if (!member.target.empty()) fits = fits && put("linkpath", member.target);
  if (member.size > kMaxOctal) fits = fits && put("size", text(static_cast<long long>(member.size)));
  if (!fits) return ENAMETOOLONG;
  ArchiveMember extended;
  extended.path = "pax_header";
  extended.size = used;
  if (const int error = header(extended, 'x'); error != 0) return error;
  if (const int error = content(records.data(), used); error != 0) return error;
  return pad();
}

int TarWriter::member(const ArchiveMember& member) {
  if (const int error = pad(); error != 0) return error;
  if (!is_plain(member)) {
    if (const int error = extended_header(member); error != 0) return error;
  }
  return header(member, static_cast<char>(member.type));
}

int TarWriter::content(const void* data, std::size_t size) {
  if (size > left_) return EFBIG;
  left_ -= size;
  past_block_ = (past_block_ + size) % kTarBlock;
  return sink_.write(data, size);
}

int TarWriter::pad() {
  if (left_ > 0) return EINVAL;  // less content than was said
  if (past_block_ == 0) return 0;
  static constexpr Block kZeros{};
  const std::size_t size = kTarBlock - past_block_;
  past_block_ = 0;
  return sink_.write(kZeros.data(), size);
}

int TarWriter::finish() {
  static constexpr std::array<char, 2 * kTarBlock> kEnd{};
  const int error = pad();
  return error != 0 ? error : sink_.write(kEnd.data(), kEnd.size());
}

}  // namespace lmsb::os
