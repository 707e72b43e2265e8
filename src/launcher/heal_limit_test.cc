#include "launcher/heal_limit.h"

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

bool take(HealLimit& limit, milliseconds since_start) { return !limit.take(HealLimit::Time(since_start)); }

TEST(HealLimit, IsFiveWithinAMinute) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, seconds(i))) << i;
  EXPECT_FALSE(take(limit, seconds(5)));
  EXPECT_FALSE(take(limit, milliseconds(59'999)));
}

TEST(HealLimit, CountsFromTheOldestOfTheLastFive) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, seconds(i)));
  EXPECT_TRUE(take(limit, seconds(60)));   // 60 s behind the first
  EXPECT_FALSE(take(limit, seconds(60)));  // the second was at 1 s
  EXPECT_TRUE(take(limit, seconds(61)));
}

TEST(HealLimit, IsNotUsedUpByWhatIsRefused) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, seconds(0)));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(take(limit, seconds(59)));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, seconds(60)));
  EXPECT_FALSE(take(limit, seconds(60)));
}

TEST(HealLimit, IsTenWithinADayHoweverSlowlyTheyCome) {
  HealLimit limit;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(take(limit, hours(i))) << i;
  EXPECT_FALSE(take(limit, hours(10)));
  EXPECT_FALSE(take(limit, hours(24) - milliseconds(1)));
  EXPECT_TRUE(take(limit, hours(24)));  // a day behind the first
  EXPECT_FALSE(take(limit, hours(24)));
  EXPECT_TRUE(take(limit, hours(25)));
}

TEST(HealLimit, NamesTheBoundThatIsMet) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, seconds(0)));
  EXPECT_EQ(limit.take(HealLimit::Time(seconds(1)))->within, HealLimit::kSoon.within);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(take(limit, minutes(2)));
  EXPECT_EQ(limit.take(HealLimit::Time(minutes(4)))->within, HealLimit::kInADay.within);
}

TEST(HealLimit, IsNeverMetByOneThatDiesSeldom) {
  HealLimit limit;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(take(limit, minutes(144 * i))) << i;
}

}  // namespace
}  // namespace lmsb::launcher
