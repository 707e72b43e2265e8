#include "base/moment.h"

#include <array>
#include <charconv>

namespace lmsb {
namespace {

using std::chrono::milliseconds;

struct DurationUnit {
  std::string_view name;
  std::uint64_t ms;
};
// "ms" stands before "m", which is its beginning.
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

// Milliseconds of the unit at the front of `text`; nothing when there is none.
std::optional<std::uint64_t> take_unit(std::string_view& text) {
  for (const DurationUnit& unit : kDurationUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.ms;
  }
  return std::nullopt;
}

// The number at the front of `text`, at most `digits` of them.
std::optional<std::uint64_t> take_number(std::string_view& text, std::size_t digits = 20) {
  std::uint64_t number = 0;
  const std::string_view front = text.substr(0, digits);
  const auto [end, error] = std::from_chars(front.data(), front.data() + front.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - front.data()));
  return number;
}

// A number of exactly so many digits, with `before` in front of it. Sets `is_whole` to false where there is none.
unsigned take_part(std::string_view& text, std::string_view before, std::size_t digits, bool& is_whole) {
  is_whole = is_whole && text.starts_with(before);
  if (!is_whole) return 0;
  text.remove_prefix(before.size());
  const std::size_t size = text.size();
  const auto number = take_number(text, digits);
  is_whole = number && size - text.size() == digits;
  return static_cast<unsigned>(number.value_or(0));
}

// Of a fraction of a second, if there is one.
milliseconds take_fraction(std::string_view& text, bool& is_whole) {
  if (!text.starts_with('.')) return milliseconds(0);
  text.remove_prefix(1);
  unsigned ms = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits)
    if (digits < 3) ms = ms * 10 + static_cast<unsigned>(text[digits] - '0');
  for (std::size_t i = digits; i < 3; ++i) ms *= 10;
  is_whole = is_whole && digits > 0;
  text.remove_prefix(digits);
  return milliseconds(ms);
}

// How far the clock that was read is ahead of UTC.
std::chrono::minutes take_zone(std::string_view& text, bool& is_whole) {
  if (text == "Z" || text == "z") {
    text = {};
    return {};
  }
  const bool is_behind = text.starts_with('-');
  const unsigned hours = take_part(text, is_behind ? "-" : "+", 2, is_whole);
  const unsigned minutes = take_part(text, ":", 2, is_whole);
  is_whole = is_whole && hours < 24 && minutes < 60;
  const std::chrono::minutes ahead(hours * 60 + minutes);
  return is_behind ? -ahead : ahead;
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text, milliseconds longest) {
  const auto most = static_cast<std::uint64_t>(longest.count());
  const bool is_number = text.find_first_not_of("0123456789") == std::string_view::npos;
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto unit = is_number ? std::optional<std::uint64_t>(1000) : take_unit(text);
    if (!number || !unit || *number > most / *unit) return std::nullopt;
    total += *number * *unit;
    if (total > most) return std::nullopt;
  }
  return milliseconds(static_cast<milliseconds::rep>(total));
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  bool is_whole = true;
  const std::chrono::year year(static_cast<int>(take_part(text, "", 4, is_whole)));
  const std::chrono::month month(take_part(text, "-", 2, is_whole));
  const std::chrono::day day(take_part(text, "-", 2, is_whole));
  const unsigned hour = take_part(text, text.starts_with('t') ? "t" : "T", 2, is_whole);
  const unsigned minute = take_part(text, ":", 2, is_whole);
  const unsigned second = take_part(text, ":", 2, is_whole);
  const milliseconds fraction = take_fraction(text, is_whole);
  const std::chrono::minutes ahead = take_zone(text, is_whole);
  const std::chrono::year_month_day date(year, month, day);
  constexpr unsigned kLeapSecond = 60;
  if (!is_whole || !text.empty() || !date.ok() || hour > 23 || minute > 59 || second > kLeapSecond) return std::nullopt;
  const auto midnight = std::chrono::duration_cast<milliseconds>(std::chrono::sys_days(date).time_since_epoch());
  const std::chrono::seconds since_midnight(hour * 3600 + minute * 60 + second);
  return (midnight + since_midnight + fraction - ahead).count();
}

std::optional<Moment> parse_moment(std::string_view text) {
  Moment moment;
  if (const auto wall_ms = parse_rfc3339(text)) {
    moment.wall_ms = *wall_ms;
    return moment;
  }
  constexpr std::chrono::hours kLongest(24 * 3660);
  const bool has_unit = text.find_first_not_of("0123456789") != std::string_view::npos;
  if (has_unit) moment.ago = parse_duration(text, kLongest);
  return moment.ago ? std::optional(moment) : std::nullopt;
}

}  // namespace lmsb
