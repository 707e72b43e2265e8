#include "image/build_line.h"

#include <gtest/gtest.h>

namespace lmsb::image {
namespace {

using std::chrono::seconds;

TEST(BuildLine, SaysHowLongAStepTakesAndWhatHasCome) {
  EXPECT_EQ(build_line(seconds(0), Bytes()), "  0 s");
  EXPECT_EQ(build_line(seconds(75), Bytes::MiB(120)), "  75 s  120 MiB");
}

TEST(BuildLine, DrawsBelowTheStepAndTakesThatAway) {
  std::string shown;
  {
    BuildLine line([&shown](std::string_view text) { shown += text; }, true);
    line.step("installing");
    line.tick(Bytes());
    line.tick(Bytes());  // too soon to be drawn again
    line.step("unpacked");
    line.tick(Bytes::MiB(1));
  }
  EXPECT_EQ(shown, "installing\n\r\x1b[K  0 s\r\x1b[Kunpacked\n\r\x1b[K  0 s  1 MiB\r\x1b[K");
}

TEST(BuildLine, IsTheStepsAloneWhereNothingCanBeDrawnOver) {
  std::string shown;
  {
    BuildLine line([&shown](std::string_view text) { shown += text; }, false);
    line.step("installing");
    line.tick(Bytes::MiB(1));
  }
  EXPECT_EQ(shown, "installing\n");
}

}  // namespace
}  // namespace lmsb::image
