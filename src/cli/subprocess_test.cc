#include "cli/subprocess.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

TEST(Subprocess, GivesStatusAndBothStreams) {
  const auto result = run_subprocess({"sh", "-c", "echo out; echo err >&2; exit 3"}, milliseconds(10'000));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->status, 3);
  EXPECT_EQ(result->output, "out\nerr\n");
}

TEST(Subprocess, ThatIsNotThereIsAnError) {
  EXPECT_FALSE(run_subprocess({"no-such-program-anywhere"}, milliseconds(10'000)).ok());
}

TEST(Subprocess, ThatDoesNotEndIsKilled) {
  const auto result = run_subprocess({"sleep", "100"}, milliseconds(50));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), ErrorCode::deadline_exceeded);
}

TEST(Subprocess, ThatFloodsIsBounded) {
  const auto result = run_subprocess({"sh", "-c", "head -c 1000000 /dev/zero"}, milliseconds(10'000));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->status, 0);
  EXPECT_EQ(result->output.size(), 65536U);
}

}  // namespace
}  // namespace lmsb::cli
