#pragma once
// RefusalLog: one warning for each request that the doors turned away, up to a bound, so that whoever knocks in a loop
// fills no disk. One thread.
#include <chrono>
#include <cstdint>

#include "base/log.h"
#include "http/message.h"
#include "server/doors.h"

namespace lmsb::server {

class RefusalLog {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit RefusalLog(Logger& log) : log_(log) {}

  // At most 60 a minute are written; the first after that says how many were not.
  void add(const http::Request& request, const Refusal& refusal, Time now = std::chrono::steady_clock::now());

 private:
  Logger& log_;
  Time window_;
  std::uint64_t in_window_ = 0;
};

}  // namespace lmsb::server
