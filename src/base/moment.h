#pragma once
// Moments and durations as people write them. Pure.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lmsb {

// "500ms", "30s", "5m", "1h30m", "7d"; a number alone counts seconds. Nothing when it is not of that form, or longer
// than `longest`.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, std::chrono::milliseconds longest);

// RFC 3339, "2026-01-31T23:59:59.123Z" or with an offset, "+01:00", as milliseconds since 1970; digits behind those are
// left out. Nothing when it is not of that form, or no such day.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// A moment as people name it: how long ago it is, "10m" (with a unit), or RFC 3339.
struct Moment {
  std::optional<std::chrono::milliseconds> ago;  // at most ten years
  std::int64_t wall_ms = 0;                      // unless `ago`: since 1970
};
std::optional<Moment> parse_moment(std::string_view text);

}  // namespace lmsb
