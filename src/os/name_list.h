#pragma once
// NameList: the names in a directory, sorted by their octets. Grows with the directory, up to a bound. No exceptions,
// no iostreams: the guest is linked with it. One thread.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lmsb::os {

class NameList {
 public:
  static constexpr std::size_t kMaxOctets = 64U << 20U;  // of all names: a million and more

  NameList() = default;
  ~NameList();
  NameList(const NameList&) = delete;
  NameList& operator=(const NameList&) = delete;

  // Reads the directory behind `dir` from its beginning, without "." and "..": the names that are not before `from`.
  // Returns 0 or an errno: EFBIG when there is more than the bound.
  int load(int dir, std::string_view from = {});

  std::size_t size() const { return count_; }
  const char* operator[](std::size_t index) const { return names_ + offsets_[index]; }

 private:
  int add(const char* name);

  char* names_ = nullptr;  // NUL-terminated, one behind the other
  std::uint32_t* offsets_ = nullptr;
  std::size_t used_ = 0, room_ = 0;
  std::size_t count_ = 0, places_ = 0;
};

}  // namespace lmsb::os
