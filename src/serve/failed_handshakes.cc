#include "serve/failed_handshakes.h"

namespace lmsb::serve {
namespace {

constexpr std::chrono::minutes kPause{1};

}  // namespace

FailedHandshakes::FailedHandshakes(Metrics& metrics, Logger& log)
    : count_(metrics.counter("lmsb_tls_handshake_failures_total", "TLS handshakes of clients that failed")),
      log_(log) {}

void FailedHandshakes::note(const Error& why, Clock::time_point now) {
  count_.increment();
  ++since_last_;
  if (now < next_) return;
  next_ = now + kPause;
  log_.log(LogLevel::info, "tls.handshake_failed", {{"error", why.message()}, {"count", since_last_}});
  since_last_ = 0;
}

}  // namespace lmsb::serve
