#pragma once
// HealLimit: how often a dead launcher is started again before its parent gives up: one that dies at once whenever it
// is started is not mended by starting it.
#include <array>
#include <chrono>
#include <cstddef>

namespace lmsb::launcher {

class HealLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMost = 5;
  static constexpr std::chrono::seconds kWithin{60};

  // Whether it may be done at `now`, which is never before the last one; what may be done counts.
  bool take(Time now);

 private:
  std::array<Time, kMost> last_{};  // a ring
  std::size_t count_ = 0;           // of all that were done
};

}  // namespace lmsb::launcher
