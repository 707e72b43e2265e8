#pragma once
// HealLimit: how often a dead launcher is started again before its parent gives up. One that dies at once whenever it
// is started is not mended by starting it; and each is a fork of the same parent, so who may make it die as often as
// they like learns a little of its addresses each time.
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace lmsb::launcher {

class HealLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Bound {
    std::size_t most;
    std::chrono::seconds within;
  };
  static constexpr Bound kSoon{5, std::chrono::minutes(1)};
  static constexpr Bound kInADay{10, std::chrono::hours(24)};

  // The bound that forbids it at `now`, which is never before the last one. Nothing: it may be done, and counts.
  std::optional<Bound> take(Time now);

 private:
  bool is_met(const Bound& bound, Time now) const;

  std::array<Time, kInADay.most> last_{};  // a ring
  std::size_t count_ = 0;                  // of all that were done
};

}  // namespace lmsb::launcher
