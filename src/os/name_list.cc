#include "os/name_list.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

namespace lmsb::os {
namespace {

// struct linux_dirent64 of the kernel.
constexpr std::size_t kLengthAt = 16;
constexpr std::size_t kNameAt = 19;

// Makes room for `need` items. `items` is of malloc.
template <class T>
bool grow(T*& items, std::size_t& room, std::size_t need) {
  if (need <= room) return true;
  const std::size_t wanted = std::max<std::size_t>({need, 2 * room, 4096 / sizeof(T)});
  void* const larger = std::realloc(items, wanted * sizeof(T));
  if (larger == nullptr) return false;
  items = static_cast<T*>(larger);
  room = wanted;
  return true;
}

}  // namespace

NameList::~NameList() {
  std::free(names_);
  std::free(offsets_);
}

int NameList::add(const char* name) {
  const std::size_t size = std::strlen(name) + 1;
  if (used_ + size > kMaxOctets) return EFBIG;
  if (!grow(names_, room_, used_ + size) || !grow(offsets_, places_, count_ + 1)) return ENOMEM;
  std::memcpy(names_ + used_, name, size);
  offsets_[count_++] = static_cast<std::uint32_t>(used_);
  used_ += size;
  return 0;
}

int NameList::load(int dir, std::string_view from) {
  count_ = used_ = 0;
  if (::lseek(dir, 0, SEEK_SET) < 0) return errno;
  alignas(8) std::array<char, 32768> entries;  // NOLINT: written by the kernel
  for (;;) {
    const long got = ::syscall(SYS_getdents64, dir, entries.data(), entries.size());
    if (got < 0) return errno;
    if (got == 0) break;
    for (const char* at = entries.data(); at < entries.data() + got;) {
      std::uint16_t length = 0;
      std::memcpy(&length, at + kLengthAt, sizeof length);
      const char* const name = at + kNameAt;
      at += length;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0 || std::string_view(name) < from) continue;
      if (const int error = add(name); error != 0) return error;
    }
  }
  std::sort(offsets_, offsets_ + count_,
            [this](std::uint32_t a, std::uint32_t b) { return std::strcmp(names_ + a, names_ + b) < 0; });
  return 0;
}

}  // namespace lmsb::os
