#pragma once
// FailedHandshakes: of clients who speak TLS with us and do not come to an end with it. Each is counted; the log has
// the first, and then one a minute with how many there were since, for anybody may make as many as he likes.
#include <chrono>
#include <cstdint>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"

namespace lmsb::serve {

class FailedHandshakes {
 public:
  using Clock = std::chrono::steady_clock;

  // Both outlive it.
  FailedHandshakes(Metrics& metrics, Logger& log);

  // Lives on the event loop's thread.
  void note(const Error& why, Clock::time_point now = Clock::now());

 private:
  Counter& count_;
  Logger& log_;
  std::uint64_t since_last_ = 0;
  Clock::time_point next_ = Clock::time_point::min();
};

}  // namespace lmsb::serve
