#pragma once
// LinkTable: files with several names, each with the one that was seen first. Static memory that costs nothing until it
// is used. No exceptions: the guest is linked with it. One thread.
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <sys/stat.h>

namespace lmsb::os {

class LinkTable {
 public:
  static constexpr std::size_t kMax = 8192;  // files

  // "" = it has not been seen, or there was no room.
  std::string_view find(const struct stat& status) const {
    const Slot& slot = slots_[place_of(status)];
    return {paths_.data() + slot.path, slot.size};
  }
  void add(const struct stat& status, std::string_view path) {
    Slot& slot = slots_[place_of(status)];
    if (slot.size != 0 || count_ == kMax || path.size() > paths_.size() - used_) return;
    std::memcpy(paths_.data() + used_, path.data(), path.size());
    slot = {status.st_dev, status.st_ino, static_cast<std::uint32_t>(used_), static_cast<std::uint32_t>(path.size())};
    used_ += path.size();
    ++count_;
  }
  void clear() {
    if (count_ > 0) slots_.fill({});
    count_ = used_ = 0;
  }

 private:
  struct Slot {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint32_t path = 0;
    std::uint32_t size = 0;  // 0 = free
  };

  // Its own, or the free one that it would have: half of them always are.
  std::size_t place_of(const struct stat& status) const {
    std::size_t place = (status.st_ino * 0x9E3779B97F4A7C15U) >> 50U;
    while (slots_[place].size != 0 && (slots_[place].inode != status.st_ino || slots_[place].device != status.st_dev))
      place = (place + 1) % slots_.size();
    return place;
  }

  std::array<Slot, 2 * kMax> slots_{};
  std::array<char, 128 * kMax> paths_{};
  std::size_t count_ = 0;
  std::size_t used_ = 0;
};

}  // namespace lmsb::os
