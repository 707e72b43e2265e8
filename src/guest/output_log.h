#pragma once
// OutputLog: what one stream of a kept command has written: the last kRing octets in memory, those before them in a
// nameless file on the sandbox's own disk, up to what is asked for. What fits neither is lost, and reading says where.
//
//     file_begin ....... file_end      ring_begin ....... end
//             in the file       (lost)         in memory
//
// Memory is used as octets come, and is the sandbox's. No allocation by the C++ run time.
#include <cstddef>
#include <cstdint>

#include "base/unique_fd.h"

namespace lmsb::guest {

class OutputLog {
 public:
  static constexpr std::size_t kRing = 256 * 1024;

  OutputLog() = default;
  ~OutputLog();
  OutputLog(const OutputLog&) = delete;
  OutputLog& operator=(const OutputLog&) = delete;

  // Once, before the first append; the file takes `max_file` octets. Returns 0 or an errno.
  int prepare(std::uint64_t max_file);
  // Takes all of it; what has to make room goes to the file.
  void append(const char* data, std::size_t size);
  // Copies what stands at `offset`, or after it where that is lost, in one run: at most `size` octets. Sets `offset`
  // to where they begin. 0: nothing there.
  std::size_t read(std::uint64_t& offset, char* data, std::size_t size) const;
  std::uint64_t end() const { return end_; }
  // What stands before `offset` is not wanted any more: the file begins anew once it holds nothing else.
  void discard(std::uint64_t offset);
  // Drops everything.
  void clear();

 private:
  std::uint64_t ring_begin() const { return end_ < kRing ? 0 : end_ - kRing; }
  void spill(std::uint64_t count);
  void copy_in(const char* data, std::size_t size);
  std::size_t read_ring(std::uint64_t offset, char* data, std::size_t size) const;

  char* ring_ = nullptr;  // octet i stands at i % kRing
  std::uint64_t end_ = 0;
  std::uint64_t max_file_ = 0;
  UniqueFd file_;
  std::uint64_t file_begin_ = 0;  // octets [file_begin_, file_end_) are in the file
  std::uint64_t file_end_ = 0;
  bool file_is_full_ = false;  // takes no more
};

}  // namespace lmsb::guest
