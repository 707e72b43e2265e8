#include "base/moment.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace lmsb {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Moment, ReadsDurationsAsPeopleWriteThem) {
  EXPECT_EQ(parse_duration("90", hours(24)), milliseconds(90'000));
  EXPECT_EQ(parse_duration("1h30m", hours(24)), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("1m500ms", hours(24)), milliseconds(60'500));
  EXPECT_EQ(parse_duration("2d", hours(48)), hours(48));
  EXPECT_EQ(parse_duration("0", hours(24)), milliseconds(0));
  for (const char* bad : {"", "m", "5x", "-5m", "1h 5m", "25h", "99999999999999999999h", "5m3", "+5m"})
    EXPECT_FALSE(parse_duration(bad, hours(24))) << bad;
}

TEST(Moment, ReadsTimesOfRfc3339) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339("2026-01-31T23:59:59.123Z"), 1'769'903'999'123);
  EXPECT_EQ(parse_rfc3339("2026-01-31t23:59:59.1239999z"), 1'769'903'999'123);
  EXPECT_EQ(parse_rfc3339("2026-01-31T23:59:59.1Z"), 1'769'903'999'100);
  EXPECT_EQ(parse_rfc3339("2026-02-01T00:59:59.123+01:00"), 1'769'903'999'123);
  EXPECT_EQ(parse_rfc3339("2026-01-31T18:29:59.123-05:30"), 1'769'903'999'123);
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.999Z"), -1);
  EXPECT_EQ(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2017-01-01T00:00:00Z"));
}

TEST(Moment, RefusesWhatIsNoTime) {
  for (const char* bad :
       {"", "2026", "2026-01-31", "2026-01-31T23:59:59", "2026-01-31T23:59Z", "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:61Z", "2026-01-31T23:59:59.Z", "2026-01-31T23:59:59Zx", "2026-01-31T23:59:59+1:00",
        "2026-01-31T23:59:59+24:00", "2026-01-31T23:59:59 01:00", "-026-01-31T23:59:59Z", "2026-1-031T23:59:59Z",
        "2026-01-31 23:59:59Z"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

TEST(Moment, IsSoLongAgoOrATime) {
  EXPECT_EQ(parse_moment("1h30m")->ago, milliseconds(5'400'000));
  EXPECT_EQ(parse_moment("1970-01-01T00:00:01Z")->wall_ms, 1000);
  EXPECT_FALSE(parse_moment("1970-01-01T00:00:01Z")->ago);
  for (const char* bad : {"", "10", "1767225600", "yesterday", "-10m", "99999d"})
    EXPECT_FALSE(parse_moment(bad)) << bad;
}

TEST(Moment, OfTheMachinesUptimeIsToldByTheWallClockAndBack) {
  const std::uint64_t now = boottime_ms();
  const std::string before = rfc3339_now();
  const std::string told = rfc3339_of_boottime(boottime_ms());
  EXPECT_LE(*parse_rfc3339(before), *parse_rfc3339(told) + 1) << "one millisecond: each clock is cut by itself";
  EXPECT_NEAR(static_cast<double>(boottime_of(*parse_rfc3339(rfc3339_of_boottime(now)))), static_cast<double>(now), 1);
  EXPECT_EQ(boottime_of(0), 0U) << "it was not up in 1970";
}

}  // namespace
}  // namespace lmsb
