#pragma once
// OutputCapture: reads one output stream of a command to its end, keeping at most `cap` octets of it: all, or the first
// and the last half, and counts what is missing. Memory grows with what is kept, never beyond the cap.
#include <memory>

#include <boost/asio/io_context.hpp>

#include "control/exec.h"
#include "control/spill.h"
#include "io/deadline.h"
#include "io/foreign_pipe.h"
#include "io/task.h"

namespace lmsb::control {

// Keeps head and tail of a stream of octets. Pure; tested apart.
class HeadAndTail {
 public:
  explicit HeadAndTail(std::size_t cap) : head_cap_(cap - cap / 2), tail_cap_(cap / 2) {}
  void append(std::string_view octets);
  // Counts octets that never came here: what follows is the tail.
  void lose(std::uint64_t count) {
    if (count > 0) head_cap_ = head_.size();
    dropped_ += count;
  }
  // Whether so many more are kept without dropping anything.
  bool has_room_for(std::size_t size) const {
    return dropped_ == 0 && head_.size() + tail_.size() + size <= head_cap_ + tail_cap_;
  }
  // Everything so far, while nothing has been dropped.
  std::string whole() const { return head_ + tail_; }
  // What was kept; the object is empty afterwards.
  Output take();

 private:
  std::size_t head_cap_;
  std::size_t tail_cap_;
  std::string head_;
  std::string tail_;            // a ring once it is full
  std::size_t tail_begin_ = 0;  // where the ring's oldest octet is
  std::uint64_t dropped_ = 0;
};

class OutputCapture {
 public:
  // Starts reading at once. `loop` outlives it. A stream larger than the cap goes to `spill` as a whole, if there
  // is one.
  OutputCapture(boost::asio::io_context& loop, io::ForeignPipe stream, Bytes cap,
                std::shared_ptr<Spill> spill = nullptr);
  // Stops reading.
  ~OutputCapture();
  OutputCapture(const OutputCapture&) = delete;
  OutputCapture& operator=(const OutputCapture&) = delete;

  // Waits for the end of the stream. False: the deadline passed first (somebody still holds the other end), or the
  // wait was cancelled.
  io::Always<bool> wait_end(io::Deadline deadline);
  // Of a command that has ended: whether what it left keeps the pipe locked (io/foreign_pipe.h). If so that is ended.
  bool take_back();
  Output take();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::control
