#pragma once
// OutputTimes: when the octets of one stream came, as marks in a list that never grows beyond kMarks. What came within
// one millisecond is one mark. Where the list is full neighbours become one, first those whose times are close together
// for how long ago they are: what came lately is known exactly, what came long ago within a part of its age.
//
// Times are CLOCK_BOOTTIME in milliseconds: who sets the machine's clock moves none of them. Memory is used as octets
// come, and is the sandbox's. No allocation by the C++ run time.
#include <cstddef>
#include <cstdint>

namespace lmsb::guest {

class OutputTimes {
 public:
  static constexpr std::size_t kMarks = 1024;  // 24 KiB

  OutputTimes() = default;
  ~OutputTimes() { clear(); }
  OutputTimes(const OutputTimes&) = delete;
  OutputTimes& operator=(const OutputTimes&) = delete;

  // Once, before the first note. Returns 0 or an errno.
  int prepare();
  // What is appended at `offset`, the end of the stream, has come now. No time is before that of the last note.
  void note(std::uint64_t offset, std::uint64_t now_ms);
  // What came together with the octet at `offset`, or is not known apart from it.
  struct Run {
    std::uint64_t end = UINT64_MAX;  // where what came later begins; of the last one there is none yet
    std::uint64_t first_ms = 0;      // when its first octet came; 0: nothing is noted
  };
  Run run_at(std::uint64_t offset) const;
  // Where that begins which may have come at `ms` or later; UINT64_MAX: nothing has.
  std::uint64_t begin_of(std::uint64_t ms) const;
  // Where that begins which came later than `ms`; UINT64_MAX: nothing has.
  std::uint64_t end_of(std::uint64_t ms) const;
  std::size_t size() const { return count_; }
  // Drops everything.
  void clear();

 private:
  // Of the octets from `offset` to the next mark.
  struct Mark {
    std::uint64_t offset;
    std::uint64_t first_ms;
    std::uint64_t last_ms;
  };
  const Mark* begin() const { return marks_; }
  const Mark* end() const { return marks_ + count_; }
  void make_room(std::uint64_t now_ms);
  void merge(std::uint64_t now_ms, std::uint64_t part);

  Mark* marks_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace lmsb::guest
