#include "control/verdict.h"

#include <cerrno>
#include <signal.h>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

Course ended(int exit_status) {
  Course course;
  course.ending.kind = guest_client::Ending::Kind::exited;
  course.ending.exited.status = exit_status << 8U;
  return course;
}
ExecResult judged(const Course& course) { return verdict_of(course, Attempt{}, nullptr); }

TEST(Verdict, IsOfAFullDiskOnlyWhereTheCommandFilledIt) {
  Course course = ended(1);
  course.ending.exited.disk_full = 1;
  EXPECT_EQ(judged(course).outcome, Outcome::exited);
  EXPECT_NE(judged(course).hint.find("disk is full"), std::string::npos);
  course.ending.exited.disk_filled = 1;
  EXPECT_EQ(judged(course).outcome, Outcome::disk_full);
  course.ending.exited.status = SIGBUS;
  EXPECT_EQ(judged(course).outcome, Outcome::disk_full);
  course.ending.exited.status = SIGSEGV;
  EXPECT_EQ(judged(course).outcome, Outcome::signaled);
}

TEST(Verdict, NamesWantOfMemoryInsideATreeThatGoesOn) {
  Course course = ended(0);
  course.oom_kills_before = 2;
  course.oom_kills = 3;
  EXPECT_FALSE(judged(course).oom_killed) << "it may have been another's";
  EXPECT_EQ(judged(course).hint, kOutOfMemoryMeanwhile);
  course.ending.exited.was_alone = 1;
  EXPECT_TRUE(judged(course).oom_killed);
  EXPECT_EQ(judged(course).outcome, Outcome::exited);
  course.oom_kills = 2;
  EXPECT_FALSE(judged(course).oom_killed);
  EXPECT_EQ(judged(course).hint, "");
}

TEST(Verdict, SaysWhichLimitAFileThatGrowsTooLargeHasMet) {
  Course course = ended(0);
  course.ending.exited.status = SIGXFSZ;
  EXPECT_NE(judged(course).hint.find("file_bytes"), std::string::npos);
}

TEST(Verdict, OfAWorkingDirectoryThatIsNoneIsNobodysBug) {
  guest_client::Ending ending;
  ending.kind = guest_client::Ending::Kind::start_failed;
  ending.step = guest_protocol::Step::command_cwd;
  Attempt attempt;
  attempt.cwd = "/dev/null";
  for (int error = 1; error < 134; ++error) {
    ending.error = error;
    const auto failed = result_of_failed_start(ending, attempt);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().slug(), "invalid_cwd");
    EXPECT_NE(failed.error().code(), ErrorCode::internal) << error;
  }
  ending.error = ENOTDIR;
  EXPECT_EQ(result_of_failed_start(ending, attempt).error().message(),
            "working directory \"/dev/null\": Not a directory");
}

TEST(Verdict, HintsAtWhatIsFullWhereTheLastWordsSaySo) {
  const ExecResult failed = judged(ended(1));
  EXPECT_NE(hint_of_words(failed, "head: write error: Disk quota exceeded\n").find("volume"), std::string::npos);
  EXPECT_NE(hint_of_words(failed, "write f: no space left on device"), "");
  EXPECT_EQ(hint_of_words(failed, "no such file"), "");
  EXPECT_EQ(hint_of_words(failed, "disk quota exceeded" + std::string(kReadOfWords, '.')), "");
  EXPECT_EQ(hint_of_words(judged(ended(0)), "disk quota exceeded"), "");
}

}  // namespace
}  // namespace lmsb::control
