#include "model/gguf.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::model {
namespace {

constexpr std::uint64_t kMaxHeader = 64U << 20U;
constexpr std::uint64_t kMaxPairs = 65'536;
constexpr std::uint64_t kMaxText = 256;  // of texts that we keep

enum class Type : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

// Octets of a value of fixed size; 0 for string, array and unknown types.
std::uint64_t size_of(Type type) {
  constexpr std::array<std::uint8_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  const auto index = static_cast<std::size_t>(type);
  return index < kSizes.size() ? kSizes[index] : 0;
}

// Reads forward through the file, a block at a time: vocabularies are some hundred thousand short texts. After the
// first failure everything fails.
class Cursor {
 public:
  explicit Cursor(int file, std::uint64_t end) : file_(file), end_(std::min(end, kMaxHeader)) {}

  template <class T>
  bool read(T& value) {
    return take(&value, sizeof value);
  }
  bool skip(std::uint64_t size) {
    if (failed_ || size > end_ - at_) return fail();
    at_ += size;
    return true;
  }
  // A text; what is longer than kMaxText is skipped and comes back empty.
  bool text(std::string& out) {
    std::uint64_t size = 0;
    out.clear();
    if (!read(size)) return false;
    if (size > kMaxText) return skip(size);
    out.resize(size);
    return take(out.data(), size);
  }

 private:
  // At most a block.
  bool take(void* out, std::size_t size) {
    if (failed_ || size > end_ - at_) return fail();
    if ((at_ < block_at_ || at_ + size > block_at_ + block_size_) && !load(size)) return fail();
    std::memcpy(out, &block_[at_ - block_at_], size);
    at_ += size;
    return true;
  }
  bool load(std::size_t wanted) {
    const ssize_t got = ::pread(file_, block_.data(), block_.size(), static_cast<off_t>(at_));
    block_at_ = at_;
    block_size_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    return wanted <= block_size_;
  }
  bool fail() {
    failed_ = true;
    return false;
  }
  int file_;  // owned by the caller
  std::uint64_t at_ = 0;
  std::uint64_t end_;
  std::array<char, 16 * 1024> block_{};
  std::uint64_t block_at_ = 0;
  std::size_t block_size_ = 0;
  bool failed_ = false;
};

bool skip_array(Cursor& cursor) {
  Type type{};
  std::uint64_t count = 0;
  if (!cursor.read(type) || !cursor.read(count)) return false;
  if (const std::uint64_t size = size_of(type); size > 0)
    return count <= kMaxHeader / size && cursor.skip(count * size);
  if (type != Type::string) return false;  // arrays of arrays are not in use
  std::string ignored;
  for (std::uint64_t i = 0; i < count; ++i)
    if (!cursor.text(ignored)) return false;
  return true;
}

bool read_pair(Cursor& cursor, GgufFacts& facts) {
  std::string key;
  Type type{};
  if (!cursor.text(key) || !cursor.read(type)) return false;
  if (type == Type::string) {
    std::string value;
    if (!cursor.text(value)) return false;
    if (key == "general.name") facts.name = value;
    if (key == "general.architecture") facts.architecture = value;
    if (key == "tokenizer.chat_template") facts.has_chat_template = true;
    return true;
  }
  if (type == Type::array) return skip_array(cursor);
  const std::uint64_t size = size_of(type);
  return size > 0 && cursor.skip(size);
}

Error not_a_model(const std::string& path, const char* why) {
  return Error(ErrorCode::invalid_argument, path + " is not a usable GGUF file: " + why)
      .with_slug("not_a_model")
      .with_hint("download it again, or choose another file");
}

}  // namespace

Result<GgufFacts> read_gguf(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open model " + path);
  if (!S_ISREG(info.st_mode)) return not_a_model(path, "it is no regular file");
  GgufFacts facts;
  facts.size = Bytes(static_cast<std::uint64_t>(info.st_size));
  Cursor cursor(file.get(), facts.size.count());
  std::array<char, 4> magic{};
  if (!cursor.read(magic) || std::memcmp(magic.data(), "GGUF", 4) != 0)
    return not_a_model(path, "it does not begin with GGUF");
  std::uint64_t tensors = 0;
  std::uint64_t pairs = 0;
  if (!cursor.read(facts.version) || facts.version < 2 || facts.version > 3)
    return not_a_model(path, "unknown version");
  if (!cursor.read(tensors) || !cursor.read(pairs) || pairs > kMaxPairs)
    return not_a_model(path, "its header is damaged");
  for (std::uint64_t i = 0; i < pairs; ++i)
    if (!read_pair(cursor, facts)) return not_a_model(path, "its header is damaged or cut off");
  return facts;
}

}  // namespace lmsb::model
