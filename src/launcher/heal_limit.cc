#include "launcher/heal_limit.h"

namespace lmsb::launcher {

bool HealLimit::is_met(const Bound& bound, Time now) const {
  return count_ >= bound.most && now - last_.at((count_ - bound.most) % last_.size()) < bound.within;
}

std::optional<HealLimit::Bound> HealLimit::take(Time now) {
  for (const Bound& bound : {kSoon, kInADay})
    if (is_met(bound, now)) return bound;
  last_.at(count_++ % last_.size()) = now;
  return std::nullopt;
}

}  // namespace lmsb::launcher
