#pragma once
// WriteRoom: whether the sandbox's writable file system has room for a write. The kernel counts no refused writes, so
// what a guest can tell of a command is what it found before and after it.
#include <cstdint>

namespace lmsb::guest {

class WriteRoom {
 public:
  // `has_quota`: it is a disk of the store, whose limit is no number of the file system: only a trial tells. What is
  // written to memory is told by statfs(2).
  explicit WriteRoom(bool has_quota) : has_quota_(has_quota) {}

  // Before a command. A trial is made only where something may have been written since room was found last.
  bool has_room() { return (has_quota_ && found_room_) || look(); }
  // Now.
  bool look();
  // Something may have been written.
  void forget() { found_room_ = false; }
  // Whether a command whose pages of files came to so much (ru_oublock) may have written here. Memory is not counted.
  bool may_have_written(std::int64_t blocks) const { return !has_quota_ || blocks > 0; }

 private:
  bool has_quota_;
  bool found_room_ = false;
};

}  // namespace lmsb::guest
