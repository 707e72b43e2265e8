#include "base/clock.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace lmsb {

namespace {

timespec now(clockid_t clock = CLOCK_REALTIME) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time;
}

std::int64_t now_ns(clockid_t clock) {
  const timespec time = now(clock);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// How far the wall clock is ahead of CLOCK_BOOTTIME, to the nearest millisecond: the same until somebody sets it. Read
// again where others had the processor between the readings, a few times at most.
std::int64_t wall_ahead_ms() {
  constexpr std::int64_t kTogether = 100'000;  // ns
  std::int64_t wall = 0;
  std::int64_t boottime = 0;
  for (int tries = 0; tries < 10; ++tries) {
    const std::int64_t before = now_ns(CLOCK_BOOTTIME);
    wall = now_ns(CLOCK_REALTIME);
    boottime = now_ns(CLOCK_BOOTTIME);
    if (boottime - before < kTogether) break;
  }
  return (wall - boottime + 500'000) / 1'000'000;
}

std::string rfc3339(const timespec& time) {
  std::tm utc{};
  ::gmtime_r(&time.tv_sec, &utc);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(time.tv_nsec / 1'000'000));
  return std::string(text.data(), size) + fraction.data();
}

}  // namespace

std::string rfc3339_now() { return rfc3339(now()); }

std::string rfc3339_in(std::chrono::milliseconds ahead) {
  timespec time = now();
  const std::int64_t ms = time.tv_nsec / 1'000'000 + ahead.count();
  time.tv_sec += ms / 1000;
  time.tv_nsec = ms % 1000 * 1'000'000;
  if (time.tv_nsec < 0) {
    --time.tv_sec;
    time.tv_nsec += 1'000'000'000;
  }
  return rfc3339(time);
}

std::string rfc3339_of_boottime(std::uint64_t ms) {
  const std::int64_t wall_ms = wall_ahead_ms() + static_cast<std::int64_t>(ms);
  timespec time{};
  time.tv_sec = wall_ms / 1000;
  time.tv_nsec = wall_ms % 1000 * 1'000'000;
  return rfc3339(time);
}

std::uint64_t boottime_of(std::int64_t wall_ms) {
  const std::int64_t ahead = wall_ahead_ms();
  return wall_ms < ahead ? 0 : static_cast<std::uint64_t>(wall_ms - ahead);
}

std::uint64_t boottime_ms() {
  const timespec time = now(CLOCK_BOOTTIME);
  return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
}

}  // namespace lmsb
