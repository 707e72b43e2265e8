#include "guest/output_times.h"

#include <vector>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

constexpr std::uint64_t kNever = UINT64_MAX;

class OutputTimesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(times_.prepare(), 0); }
  // A line of ten octets that comes then.
  void line_at(std::uint64_t ms) {
    times_.note(came_.size() * 10, ms);
    came_.push_back(ms);
  }
  // By how much what is said of a line's time is before it.
  std::uint64_t early_by(std::size_t line) { return came_[line] - times_.run_at(line * 10).first_ms; }
  OutputTimes times_;
  std::vector<std::uint64_t> came_;
};

TEST_F(OutputTimesTest, KnowWhenEachPieceCame) {
  for (const std::uint64_t ms : {100, 200, 300}) line_at(ms);
  EXPECT_EQ(times_.run_at(0).first_ms, 100U);
  EXPECT_EQ(times_.run_at(9).first_ms, 100U);
  EXPECT_EQ(times_.run_at(9).end, 10U);
  EXPECT_EQ(times_.run_at(10).first_ms, 200U);
  EXPECT_EQ(times_.run_at(29).first_ms, 300U);
  EXPECT_EQ(times_.run_at(29).end, kNever);
}

TEST_F(OutputTimesTest, FindWhatCameSinceAndUntilAMoment) {
  for (const std::uint64_t ms : {100, 200, 300}) line_at(ms);
  EXPECT_EQ(times_.begin_of(0), 0U);
  EXPECT_EQ(times_.begin_of(200), 10U);
  EXPECT_EQ(times_.begin_of(201), 20U);
  EXPECT_EQ(times_.begin_of(301), kNever);
  EXPECT_EQ(times_.end_of(99), 0U);
  EXPECT_EQ(times_.end_of(199), 10U);
  EXPECT_EQ(times_.end_of(200), 20U);
  EXPECT_EQ(times_.end_of(300), kNever);
}

TEST_F(OutputTimesTest, KnowNothingOfAStreamThatHasHadNothing) {
  EXPECT_EQ(times_.run_at(0).first_ms, 0U);
  EXPECT_EQ(times_.begin_of(0), kNever);
  EXPECT_EQ(times_.end_of(0), kNever);
}

TEST_F(OutputTimesTest, TakeWhatCameInOneMomentForOne) {
  for (const std::uint64_t ms : {100, 100, 100, 101}) line_at(ms);
  EXPECT_EQ(times_.size(), 2U);
  EXPECT_EQ(times_.run_at(0).end, 30U);
}

TEST_F(OutputTimesTest, NeverGoBackWhereTheClockDoes) {
  for (const std::uint64_t ms : {100, 50, 70, 120}) line_at(ms);
  EXPECT_EQ(times_.run_at(15).first_ms, 100U);
  EXPECT_EQ(times_.run_at(25).first_ms, 100U);
  EXPECT_EQ(times_.run_at(35).first_ms, 120U);
}

TEST_F(OutputTimesTest, AreExactForWhatCameLatelyAndWithinAPartOfItsAgeBeforeThat) {
  constexpr std::uint64_t kEvery = 100;
  for (std::uint64_t ms = 0; ms <= 86'400'000; ms += kEvery) line_at(1 + ms);  // ten lines a second, for a day
  EXPECT_LE(times_.size(), OutputTimes::kMarks);
  for (std::size_t line = 0; line < came_.size(); ++line) {
    const std::uint64_t age = came_.back() - came_[line];
    ASSERT_LE(early_by(line), age / 32) << "line " << line << ", " << age << " ms old";
  }
  EXPECT_EQ(early_by(came_.size() - 2), 0U);
}

TEST_F(OutputTimesTest, StayBoundedForYearsOfOutputOfAnyPace) {
  std::uint64_t now = 1;
  for (std::uint64_t i = 0; i < 500'000; ++i)
    line_at(now += 1 + (i * 2654435761U >> 16U) % (i % 1000 == 0 ? 1U << 30U : 9));
  EXPECT_LE(times_.size(), OutputTimes::kMarks);
  EXPECT_EQ(early_by(came_.size() - 1), 0U);
  for (std::size_t line = 0; line < came_.size(); ++line) {
    const std::uint64_t begin = times_.begin_of(came_[line]);
    ASSERT_LE(begin, line * 10) << "nothing that came since is left out";
    ASSERT_GT(times_.end_of(came_[line]), line * 10) << "nor what came until then";
  }
}

TEST_F(OutputTimesTest, BeginAnewWhenTheyAreCleared) {
  line_at(100);
  times_.clear();
  ASSERT_EQ(times_.prepare(), 0);
  EXPECT_EQ(times_.size(), 0U);
  times_.note(0, 50);
  EXPECT_EQ(times_.run_at(0).first_ms, 50U);
}

}  // namespace
}  // namespace lmsb::guest
