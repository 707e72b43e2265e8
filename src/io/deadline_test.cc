#include "io/deadline.h"

#include <gtest/gtest.h>

namespace lmsb::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Deadline, NeverDoesNotPass) {
  EXPECT_FALSE(Deadline::never().passed());
  EXPECT_EQ(Deadline::never().left(), milliseconds::max());
}

TEST(Deadline, HasNothingLeftOnceItPassed) {
  EXPECT_TRUE(Deadline::in(milliseconds(-5)).passed());
  EXPECT_EQ(Deadline::in(milliseconds(-5)).left(), milliseconds(0));
  EXPECT_GT(Deadline::in(hours(1)).left(), hours(1) - milliseconds(1000));
}

TEST(Deadline, OfMoreThanTheClockCanCountIsNever) {
  EXPECT_TRUE(Deadline::in(Deadline::Clock::duration::max()).is_never());
}

TEST(Deadline, OrdersTheEarlierFirst) { EXPECT_LT(Deadline::in(hours(1)), Deadline::never()); }

}  // namespace
}  // namespace lmsb::io
