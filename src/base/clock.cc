#include "base/clock.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace lmsb {

namespace {

timespec now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time;
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

std::uint64_t boottime_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
}

}  // namespace lmsb
