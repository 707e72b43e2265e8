#include "launcher/heal_limit.h"

namespace lmsb::launcher {

bool HealLimit::take(Time now) {
  Time& oldest = last_.at(count_ % kMost);
  if (count_ >= kMost && now - oldest < kWithin) return false;
  oldest = now;
  ++count_;
  return true;
}

}  // namespace lmsb::launcher
