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
  Result<Followed> show(std::string lines, const Shown& shown) {
    api_.answers["GET /y"] = {200, std::move(lines)};
    return follow(api_, Call("GET", "/y"), false, console_, {}, shown);
  }
  FakeApi api_;
  RecordingConsole console_;
};

constexpr const char* kLog = R"({"type":"stdout","offset":0,"text":"0\n1\n2\n3\n"})"
                             "\n"
                             R"({"type":"stderr","offset":0,"base64":"/w=="})"
                             "\n"
                             R"({"type":"result","outcome":"exited","exit_code":3})"
                             "\n";
constexpr const char* kLogOfTwo = R"({"process":"a","type":"stdout","offset":0,"text":"1\n2\n"})"
                                  "\n"
                                  R"({"process":"b","type":"stdout","offset":0,"text":"3\n"})"
                                  "\n";

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
  ASSERT_TRUE(follow_events(R"({"type":"stdout","offset":7,"missing_bytes":7,"text":"end"})"
                            "\n",
                            false)
                  .ok());
  EXPECT_EQ(console_.err_text, "lm-sandbox: 7 bytes of stdout are lost: more was written than is kept\n");
}

TEST_F(FollowTest, BeginsWhereItIsTold) {
  Shown shown;
  shown.beginnings[{"", "stdout"}] = 4;
  shown.beginnings[{"", "stderr"}] = 9;
  ASSERT_TRUE(show(kLog, shown).ok());
  EXPECT_EQ(console_.out_text, "2\n3\n");
  EXPECT_EQ(console_.err_text, "");
}

TEST_F(FollowTest, BeginsInEachProcessWhereItIsToldAndNamesThoseThatSaySomething) {
  Shown shown;
  shown.beginnings[{"a", "stdout"}] = 2;
  shown.beginnings[{"b", "stdout"}] = 2;
  ASSERT_TRUE(show(kLogOfTwo, shown).ok());
  EXPECT_EQ(console_.out_text, "==> a <==\n2\n");
}

TEST_F(FollowTest, PrintsAnObjectALineWithTheProcessThatItIsOf) {
  Shown shown;
  shown.form = EventForm::json_lines;
  shown.process = "prc_1";
  shown.beginnings[{"", "stdout"}] = 4;
  ASSERT_TRUE(show(kLog, shown).ok());
  EXPECT_EQ(console_.out_text, R"({"process":"prc_1","type":"stdout","offset":4,"text":"2\n3\n"})"
                               "\n"
                               R"({"process":"prc_1","type":"stderr","offset":0,"base64":"/w=="})"
                               "\n"
                               R"({"process":"prc_1","type":"result","outcome":"exited","exit_code":3})"
                               "\n");
  EXPECT_EQ(console_.err_text, "");
}

TEST_F(FollowTest, DoesNotTakeForLostWhatWasNotAskedFor) {
  Shown shown;
  ASSERT_TRUE(show(R"({"type":"stdout","offset":7,"text":"end"})"
                   "\n"
                   R"({"type":"stdout","offset":12,"missing_bytes":2,"text":""})"
                   "\n",
                   shown)
                  .ok());
  EXPECT_EQ(console_.out_text, "end");
  EXPECT_EQ(console_.err_text, "lm-sandbox: 2 bytes of stdout are lost: more was written than is kept\n");
}

TEST_F(FollowTest, PrintsInFrontOfEachLineWhenItBegan) {
  Shown shown;
  shown.timestamps = true;
  ASSERT_TRUE(show(R"({"type":"stdout","offset":0,"at":"T1","text":"a\nb"})"
                   "\n"
                   R"({"type":"stderr","offset":0,"at":"T2","text":"e\n"})"
                   "\n"
                   R"({"type":"stdout","offset":3,"at":"T3","text":"c\n\nd"})"
                   "\n",
                   shown)
                  .ok());
  EXPECT_EQ(console_.out_text, "T1 a\nT1 bc\nT3 \nT3 d");
  EXPECT_EQ(console_.err_text, "T2 e\n");
}

TEST_F(FollowTest, TellsInJsonWhenPiecesCame) {
  Shown shown;
  shown.form = EventForm::json_lines;
  const std::string event = R"({"process":"a","type":"stdout","offset":4,"missing_bytes":1,"at":"T1","text":"a\n"})"
                            "\n";
  ASSERT_TRUE(show(event, shown).ok());
  EXPECT_EQ(console_.out_text, event);
}

TEST_F(FollowTest, PrintsOneDocumentAlsoOfNothing) {
  Shown shown;
  shown.form = EventForm::json_document;
  ASSERT_TRUE(show(kLogOfTwo, shown).ok());
  const auto document = parse_json(console_.out_text, "what was printed");
  ASSERT_TRUE(document.ok()) << console_.out_text;
  EXPECT_EQ(document->root().find("data")->items().size(), 2U);
  console_.out_text.clear();
  ASSERT_TRUE(show("", shown).ok());
  EXPECT_EQ(console_.out_text, "{\"data\":[],\"next_cursor\":null}\n");
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
