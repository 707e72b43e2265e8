#include "model/gguf_cursor.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <unistd.h>

namespace lmsb::model {
namespace {

template <class T>
bool read_whole(GgufCursor& cursor, std::optional<std::uint64_t>& out) {
  T value{};
  if (!cursor.read(value)) return false;
  const bool is_negative = std::is_signed_v<T> && value < T{};
  out = is_negative ? UINT64_MAX : static_cast<std::uint64_t>(value);
  return true;
}

}  // namespace

std::uint64_t size_of(GgufType type) {
  constexpr std::array<std::uint8_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const auto index = static_cast<std::size_t>(type);
  return index < kSizes.size() ? kSizes[index] : 0;
}

GgufCursor::GgufCursor(int file, std::uint64_t end) : file_(file), end_(std::min(end, kMaxGgufHeader)) {}

bool GgufCursor::skip(std::uint64_t size) {
  if (failed_ || size > end_ - at_) return fail();
  at_ += size;
  return true;
}

bool GgufCursor::text(std::string& out, std::uint64_t max) {
  std::uint64_t size = 0;
  out.clear();
  if (!read(size)) return false;
  if (size > max) return skip(size);
  if (size > end_ - at_) return fail();
  out.resize(size);
  return take(out.data(), size);
}

bool GgufCursor::array(GgufType& type, std::uint64_t& count) { return read(type) && read(count); }

bool GgufCursor::skip_values(GgufType type, std::uint64_t count) {
  if (const std::uint64_t size = size_of(type); size > 0)
    return count <= kMaxGgufHeader / size ? skip(count * size) : fail();
  if (type != GgufType::string) return fail();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t size = 0;
    if (!read(size) || !skip(size)) return false;
  }
  return true;
}

bool GgufCursor::skip_value(GgufType type) {
  std::uint64_t count = 0;
  if (type == GgufType::array) return array(type, count) && skip_values(type, count);
  return skip_values(type, 1);
}

bool GgufCursor::whole_number(GgufType type, std::optional<std::uint64_t>& out) {
  out.reset();
  switch (type) {
    case GgufType::u8:
    case GgufType::boolean: return read_whole<std::uint8_t>(*this, out);
    case GgufType::i8: return read_whole<std::int8_t>(*this, out);
    case GgufType::u16: return read_whole<std::uint16_t>(*this, out);
    case GgufType::i16: return read_whole<std::int16_t>(*this, out);
    case GgufType::u32: return read_whole<std::uint32_t>(*this, out);
    case GgufType::i32: return read_whole<std::int32_t>(*this, out);
    case GgufType::u64: return read_whole<std::uint64_t>(*this, out);
    case GgufType::i64: return read_whole<std::int64_t>(*this, out);
    default: return skip_value(type);
  }
}

bool GgufCursor::take(void* out, std::size_t size) {
  if (failed_ || size > end_ - at_) return fail();
  if ((at_ < block_at_ || at_ + size > block_at_ + block_size_) && !load(size)) return fail();
  if (size > 0) std::memcpy(out, &block_[at_ - block_at_], size);
  at_ += size;
  return true;
}

bool GgufCursor::load(std::size_t wanted) {
  ssize_t got = 0;
  do got = ::pread(file_, block_.data(), block_.size(), static_cast<off_t>(at_));
  while (got < 0 && errno == EINTR);
  if (got < 0) error_ = errno;
  block_at_ = at_;
  block_size_ = got > 0 ? static_cast<std::size_t>(got) : 0;
  return wanted <= block_size_;
}

bool GgufCursor::fail() {
  failed_ = true;
  return false;
}

}  // namespace lmsb::model
