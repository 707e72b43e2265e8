#pragma once
// GgufCursor: reads forward through the header of a GGUF file, a block at a time: vocabularies are some hundred
// thousand short texts. Private to gguf.cc.
#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace lmsb::model {

constexpr std::uint64_t kMaxGgufHeader = 64U << 20U;

// Of a value; the numbers are the format's.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// Octets of a value of fixed size; 0 for string, array and unknown types.
std::uint64_t size_of(GgufType type);

// Each function returns false when that is not there; after the first failure everything fails.
class GgufCursor {
 public:
  // `file` is borrowed, `end` its size.
  GgufCursor(int file, std::uint64_t end);

  std::uint64_t at() const { return at_; }
  // Of a read that failed, which says nothing of the file; 0: none did.
  int error() const { return error_; }
  template <class T>
  bool read(T& value) {
    return take(&value, sizeof value);
  }
  bool skip(std::uint64_t size);
  // A text; what is longer than `max` (a block at most) is skipped and comes back empty.
  bool text(std::string& out, std::uint64_t max);
  // Past a value of that type. Arrays of arrays are not in use, and refused.
  bool skip_value(GgufType type);
  // A whole number; of a value of another type it is nothing, and that is skipped. A negative one is UINT64_MAX.
  bool whole_number(GgufType type, std::optional<std::uint64_t>& out);
  // An array's head.
  bool array(GgufType& type, std::uint64_t& count);
  // Past the values of an array.
  bool skip_values(GgufType type, std::uint64_t count);

 private:
  bool take(void* out, std::size_t size);  // a block at most
  bool load(std::size_t wanted);
  bool fail();
  int file_;
  std::uint64_t at_ = 0;
  std::uint64_t end_;
  std::array<char, 64 * 1024> block_{};
  std::uint64_t block_at_ = 0;
  std::size_t block_size_ = 0;
  bool failed_ = false;
  int error_ = 0;
};

}  // namespace lmsb::model
