#include "launcher/heal_limit.h"

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HealLimit::Time at(std::chrono::milliseconds since_start) { return HealLimit::Time(since_start); }

TEST(HealLimit, IsFiveWithinAMinute) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take(at(seconds(i)))) << i;
  EXPECT_FALSE(limit.take(at(seconds(5))));
  EXPECT_FALSE(limit.take(at(milliseconds(59'999))));
}

TEST(HealLimit, CountsFromTheOldestOfTheLastFive) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take(at(seconds(i))));
  EXPECT_TRUE(limit.take(at(seconds(60))));   // 60 s behind the first
  EXPECT_FALSE(limit.take(at(seconds(60))));  // the second was at 1 s
  EXPECT_TRUE(limit.take(at(seconds(61))));
}

TEST(HealLimit, IsNotUsedUpByWhatIsRefused) {
  HealLimit limit;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take(at(seconds(0))));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(limit.take(at(seconds(59))));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limit.take(at(seconds(60))));
  EXPECT_FALSE(limit.take(at(seconds(60))));
}

TEST(HealLimit, IsNeverMetByOneThatDiesSeldom) {
  HealLimit limit;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limit.take(at(seconds(12 * i)))) << i;
}

}  // namespace
}  // namespace lmsb::launcher
