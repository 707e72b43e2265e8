#pragma once
// Deadline: the moment by which a wait must end. A value: made once where the limit is known, then handed down, so that
// several steps share one limit instead of each starting its own.
#include <algorithm>
#include <chrono>

namespace lmsb::io {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  static Deadline never() { return Deadline(Clock::time_point::max()); }
  static Deadline at(Clock::time_point when) { return Deadline(when); }
  // `left` from now; a negative time has passed already, one beyond the clock's range is never.
  static Deadline in(Clock::duration left) {
    const auto now = Clock::now();
    return left > Clock::time_point::max() - now ? never() : Deadline(now + left);
  }

  bool is_never() const { return when_ == Clock::time_point::max(); }
  bool passed() const { return !is_never() && Clock::now() >= when_; }
  Clock::time_point when() const { return when_; }
  // What is left, rounded up to whole milliseconds: 0 exactly when it has passed.
  std::chrono::milliseconds left() const {
    if (is_never()) return std::chrono::milliseconds::max();
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(when_ - Clock::now()), std::chrono::milliseconds(0));
  }
  auto operator<=>(const Deadline&) const = default;  // the earlier is the smaller

 private:
  explicit Deadline(Clock::time_point when) : when_(when) {}
  Clock::time_point when_;
};

}  // namespace lmsb::io
