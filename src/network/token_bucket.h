#pragma once
// TokenBucket: so many a second, and after a while more at once: twice as many, unless it is said. Pure.
#include <algorithm>
#include <cstdint>

namespace lmsb::network {

class TokenBucket {
 public:
  TokenBucket() = default;
  // 0: as many as come.
  explicit TokenBucket(std::uint64_t per_second) : TokenBucket(per_second, 2 * per_second) {}
  TokenBucket(std::uint64_t per_second, std::uint64_t at_once)
      : rate_(per_second), most_(static_cast<double>(at_once)), tokens_(most_) {}

  // Whether there is one; it is taken then.
  bool take(std::uint64_t now_ms) {
    fill(now_ms);
    if (rate_ == 0) return true;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Takes what has been used already, though it may be more than there is.
  void spend(std::uint64_t count, std::uint64_t now_ms) {
    fill(now_ms);
    tokens_ -= static_cast<double>(count);
  }
  // 0: something may be spent now; else how long until then.
  std::uint64_t wait_ms(std::uint64_t now_ms) {
    fill(now_ms);
    if (rate_ == 0 || tokens_ > 0) return 0;
    return static_cast<std::uint64_t>(-tokens_ * 1000 / static_cast<double>(rate_)) + 1;
  }

 private:
  void fill(std::uint64_t now_ms) {
    if (rate_ == 0) return void(tokens_ = 0);
    const std::uint64_t passed = last_ms_ == 0 || now_ms < last_ms_ ? 0 : now_ms - last_ms_;
    last_ms_ = now_ms;
    const auto rate = static_cast<double>(rate_);
    tokens_ = std::min(most_, tokens_ + rate * static_cast<double>(passed) / 1000);
  }

  std::uint64_t rate_ = 0;
  double most_ = 0;
  double tokens_ = 0;
  std::uint64_t last_ms_ = 0;
};

}  // namespace lmsb::network
