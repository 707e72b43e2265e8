#include "os/files.h"

#include <gtest/gtest.h>

namespace lmsb::os {
namespace {

TEST(NumberBehind, IsFoundAtTheBeginningOfALineAlone) {
  const std::string text = "oom 3\noom_kill 7\noom_group_kill 9\n";
  EXPECT_EQ(number_behind(text, "oom "), 3U);
  EXPECT_EQ(number_behind(text, "oom_kill "), 7U);
  EXPECT_EQ(number_behind(text, "kill "), 0U);
  EXPECT_EQ(number_behind("max_oom 1\noom 2\n", "oom "), 2U);
}

TEST(NumberBehind, OfNoKeyIsTheTextsOwn) {
  EXPECT_EQ(number_behind("4096\n", ""), 4096U);
  EXPECT_EQ(number_behind("max\n", ""), 0U);
  EXPECT_EQ(number_behind("", ""), 0U);
}

}  // namespace
}  // namespace lmsb::os
