#pragma once
// Wall-clock time as users see it.
#include <chrono>
#include <cstdint>
#include <string>

namespace lmsb {

// Now, RFC 3339 in UTC with milliseconds: "2026-01-31T23:59:59.123Z". Texts of that form sort by time.
std::string rfc3339_now();
// The same of the moment that is so far ahead.
std::string rfc3339_in(std::chrono::milliseconds ahead);

// Since the machine was started, its sleep counted (CLOCK_BOOTTIME).
std::uint64_t boottime_ms();
// Such a moment as the wall clock would have shown it, set as it is now.
std::string rfc3339_of_boottime(std::uint64_t ms);
// The other way round, of milliseconds since 1970; 0 of what was before the start, far ahead of what is to come.
std::uint64_t boottime_of(std::int64_t wall_ms);

}  // namespace lmsb
