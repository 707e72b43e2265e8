#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "os/tar.h"

namespace lmsb::os {
namespace {

using namespace tar;  // NOLINT: the offsets, and what is put there

bool is_plain(const ArchiveMember& member) {
  return member.path.size() < kNameSize && member.target.size() <= kNameSize && member.size <= kMaxOctal &&
         member.mtime >= 0 && static_cast<std::uint64_t>(member.mtime) <= kMaxOctal;
}

}  // namespace

int TarWriter::header(const ArchiveMember& member, char type) {
  Block block{};
  const bool is_directory = type == static_cast<char>(MemberType::directory);
  const std::string_view name = member.path.substr(0, kNameSize - (is_directory ? 1 : 0));
  put_text(block, kNameAt, name);
  if (is_directory) block[name.size()] = '/';
  put_octal(block, kModeAt, 7, member.mode & 07777U);
  put_octal(block, kUidAt, 7, 0);
  put_octal(block, kGidAt, 7, 0);
  put_octal(block, kSizeAt, 11, std::min(member.size, kMaxOctal));
  put_octal(block, kMtimeAt, 11,
            std::min(kMaxOctal, static_cast<std::uint64_t>(std::max<std::int64_t>(0, member.mtime))));
  block[kTypeAt] = type;
  put_text(block, kTargetAt, member.target);
  put_magic_and_sum(block);
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
  past_block_ = (past_block_ + size) % kBlockSize;
  return sink_.write(data, size);
}

int TarWriter::pad() {
  if (left_ > 0) return EINVAL;  // less content than was said
  static constexpr Block kZeros{};
  const std::size_t size = padding_of(past_block_);
  past_block_ = 0;
  return size == 0 ? 0 : sink_.write(kZeros.data(), size);
}

int TarWriter::finish() {
  static constexpr std::array<char, 2 * kBlockSize> kEnd{};
  const int error = pad();
  return error != 0 ? error : sink_.write(kEnd.data(), kEnd.size());
}

}  // namespace lmsb::os
