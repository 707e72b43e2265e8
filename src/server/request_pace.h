#pragma once
// RequestPace: how fast the requests of one sandbox are taken up: so many a second, and of large ones fewer, since each
// is read as JSON on the loop that serves everybody. Pure.
#include <cstddef>
#include <cstdint>

#include "network/token_bucket.h"

namespace lmsb::server {

class RequestPace {
 public:
  static constexpr std::uint64_t kPerSecond = 100;   // twice as many after a while
  static constexpr std::size_t kOctets = 32 * 1024;  // count for one request more

  // How long a request of that size is to wait, and to ask again then; 0: it is taken up.
  std::uint64_t wait_ms(std::size_t octets, std::uint64_t now_ms) {
    const std::uint64_t wait = bucket_.wait_ms(now_ms);
    if (wait == 0) bucket_.spend(1 + octets / kOctets, now_ms);
    return wait;
  }

 private:
  network::TokenBucket bucket_{kPerSecond};
};

}  // namespace lmsb::server
