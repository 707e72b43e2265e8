#pragma once
// WatchTable: the directories that are watched, by the number of their watch, each with its name in its parent. Static
// memory that costs nothing until it is used. One thread.
#include <array>
#include <cstdint>
#include <string_view>

#include "os/tree_walk.h"

namespace lmsb::guest {

class WatchTable {
 public:
  static constexpr int kMax = 8192;  // what a sandbox may have of them (guest_protocol/profile.h)
  static constexpr int kNone = -1;

  // Places stay what they are until remove(). kNone when it is full, or the name longer than a name can be.
  int add(int watch, int parent, std::string_view name);
  int find(int watch) const;
  int child(int parent, std::string_view name) const;
  int watch(int place) const { return watches_[static_cast<std::size_t>(place)]; }
  int parent(int place) const { return parents_[static_cast<std::size_t>(place)]; }
  // Whether `place` is in use, and is `top` or below it.
  bool is_below(int place, int top) const;
  void remove(int place);
  void remove_tree(int top);
  std::uint32_t size() const { return size_; }
  // Appends its path from the top one on. False when that would be too long, or a parent has gone.
  bool append_path(int place, os::PathBuffer& path) const;

 private:
  static constexpr std::size_t kName = 256;
  std::array<int, kMax> watches_{};  // 0 = free
  std::array<int, kMax> parents_{};
  std::array<std::array<char, kName>, kMax> names_{};
  int used_ = 0;  // places from here on have never been used
  std::uint32_t size_ = 0;
};

}  // namespace lmsb::guest
