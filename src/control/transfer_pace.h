#pragma once
// TransferPace: what an export or an import has moved since it began. There are places for few of them, so one that
// hardly moves is ended. Asked when something moves; that nothing does is seen by whoever waits for it.
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "http/body.h"
#include "io/task.h"

namespace lmsb::control {

class TransferPace {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kFree{10};     // however slow it is
  static constexpr std::uint64_t kLeast = 16U << 10U;  // octets a second, on the average, after that

  explicit TransferPace(Clock::time_point begin = Clock::now()) : begin_(begin) {}

  // So many octets more. Errors: snapshot_transfer_lost.
  Status moved(std::size_t octets, Clock::time_point now) {
    octets_ += octets;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - begin_);
    if (seconds < kFree || octets_ / kLeast >= static_cast<std::uint64_t>(seconds.count())) return {};
    return Error(ErrorCode::unavailable, "the snapshot's file moves too slowly: less than 16 KiB a second")
        .with_slug("snapshot_transfer_lost")
        .with_hint("export to, or import from, the daemon's own machine or a faster connection");
  }

 private:
  Clock::time_point begin_;
  std::uint64_t octets_ = 0;
};

// Reads a body to its end: only of what has been sent to its end anybody knows what it was. Both outlive the task.
// Errors: those of its reader, snapshot_transfer_lost.
io::Task<void> read_rest(http::BodyReader& body, TransferPace& pace);

}  // namespace lmsb::control
