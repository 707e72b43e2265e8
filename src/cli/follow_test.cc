#include "cli/follow.h"

#include <gtest/gtest.h>

#include "cli/fake_api_for_test.h"

namespace lmsb::cli {
namespace {

class FollowTest : public testing::Test {
 protected:
  Result<Followed> follow_events(std::string lines, bool wants_end = true, int status = 200) {
    api_.answers["POST /x"] = {status, std::move(lines)};
    return follow(api_, Call("POST", "/x"), wants_end, console_);
  }
  FakeApi api_;
  RecordingConsole console_;
};

TEST_F(FollowTest, PrintsTheOctetsAndReturnsTheStatus) {
  const auto followed = follow_events(R"({"type":"started","process":{"pid":5}})"
                                      "\n"
                                      R"({"type":"stdout","offset":0,"text":"a\n"})"
                                      "\n"
                                      R"({"type":"stderr","offset":0,"text":"b"})"
                                      "\n"
                                      R"({"type":"stdout","offset":2,"base64":"/wA="})"
                                      "\n"
                                      R"({"type":"result","outcome":"exited","exit_code":3,"hint":null})"
                                      "\n");
  ASSERT_TRUE(followed.ok());
  EXPECT_EQ(followed->exit_status, 3);
  EXPECT_EQ(console_.out_text, std::string("a\n\xff\0", 4));
  EXPECT_EQ(console_.err_text, "b");
}

TEST_F(FollowTest, CountsWhatIsLost) {
  ASSERT_TRUE(follow_events(R"({"type":"stdout","offset":7,"text":"end"})"
                            "\n",
                            false)
                  .ok());
  EXPECT_EQ(console_.err_text, "lm-sandbox: 7 bytes of stdout are lost: more was written than is kept\n");
}

TEST_F(FollowTest, TakesAStreamWithoutAnEndForALostSandbox) {
  const auto followed = follow_events(R"({"type":"stdout","offset":0,"text":"a"})"
                                      "\n");
  EXPECT_EQ(followed.error().slug(), "sandbox_lost");
  EXPECT_EQ(console_.out_text, "a");
}

TEST_F(FollowTest, PassesOnWhatWasRefused) {
  const auto followed = follow_events(R"({"error":{"code":"sandbox_not_found","message":"no sandbox"}})", true, 404);
  EXPECT_EQ(followed.error().slug(), "sandbox_not_found");
}

TEST_F(FollowTest, RefusesEventsThatAreNone) { EXPECT_FALSE(follow_events("what?\n").ok()); }

}  // namespace
}  // namespace lmsb::cli
