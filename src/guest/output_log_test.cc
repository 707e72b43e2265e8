#include "guest/output_log.h"

#include <csignal>
#include <string>
#include <sys/resource.h>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

constexpr std::uint64_t kMaxFile = 64U << 20U;

// Octets that say where they stand.
std::string octets(std::uint64_t offset, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((offset + i) * 2654435761U >> 24U);
  return text;
}

class OutputLogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(log_.prepare(kMaxFile), 0); }
  void append(std::size_t size) {
    const std::string text = octets(log_.end(), size);
    log_.append(text.data(), text.size());
  }
  // Everything from `offset` on, in reads of `step`; checks that it is what stood there. Returns what is lost.
  std::uint64_t read_all(std::uint64_t offset, std::size_t step) {
    std::string buffer(step, '\0');
    std::uint64_t lost = 0;
    for (std::uint64_t at = offset;;) {
      const std::uint64_t asked = at;
      const std::size_t n = log_.read(at, buffer.data(), step);
      lost += at - asked;
      if (n == 0) return lost;
      EXPECT_EQ(buffer.substr(0, n), octets(at, n)) << "at " << at;
      at += n;
    }
  }
  OutputLog log_;
};

TEST_F(OutputLogTest, GivesBackWhatWasAppendedFromAnyOffset) {
  append(10);
  append(1000);
  EXPECT_EQ(log_.end(), 1010U);
  EXPECT_EQ(read_all(0, 64), 0U);
  EXPECT_EQ(read_all(1009, 64), 0U);
}

TEST_F(OutputLogTest, HasNothingAtItsEndAndBeyond) {
  append(10);
  char c = 0;
  std::uint64_t offset = 10;
  EXPECT_EQ(log_.read(offset, &c, 1), 0U);
  offset = 1'000'000;
  EXPECT_EQ(log_.read(offset, &c, 1), 0U);
  EXPECT_EQ(offset, 1'000'000U);
}

TEST_F(OutputLogTest, KeepsWhatDoesNotFitIntoMemoryInAFile) {
  for (int i = 0; i < 40; ++i) append(65'521);  // a prime: no edge of the ring is met exactly
  EXPECT_EQ(read_all(0, 60'000), 0U);
  EXPECT_EQ(read_all(OutputLog::kRing - 1, 4096), 0U);
  append(3 * OutputLog::kRing + 17);  // more than the ring at once
  EXPECT_EQ(read_all(0, 65'536), 0U);
}

TEST_F(OutputLogTest, LosesTheMiddleWhenTheFileTakesNoMoreAndSaysWhere) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  for (int i = 0; i < 40; ++i) append(100'000);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, ignored);
  const std::uint64_t lost = read_all(0, 65'536);
  EXPECT_EQ(lost, 4'000'000U - (1U << 20U) - OutputLog::kRing);
  append(OutputLog::kRing);
  EXPECT_EQ(read_all(0, 65'536), lost + OutputLog::kRing) << "a hole stays a hole";
}

TEST_F(OutputLogTest, ForgetsWhatIsNotWantedAnyMoreAndHasRoomAgain) {
  for (int i = 0; i < 700; ++i) append(100'000);  // more than the file takes
  EXPECT_GT(read_all(0, 65'536), 0U);
  log_.discard(log_.end());
  const std::uint64_t middle = log_.end() - OutputLog::kRing;
  for (int i = 0; i < 40; ++i) append(100'000);
  EXPECT_EQ(read_all(middle, 65'536), 0U);
  EXPECT_EQ(read_all(0, 65'536), middle);
}

TEST_F(OutputLogTest, BeginsAnewWhenItIsCleared) {
  append(OutputLog::kRing * 2);
  log_.clear();
  ASSERT_EQ(log_.prepare(kMaxFile), 0);
  EXPECT_EQ(log_.end(), 0U);
  append(100);
  EXPECT_EQ(read_all(0, 7), 0U);
}

TEST_F(OutputLogTest, HasNoFileWhereNoneIsWanted) {
  log_.clear();
  ASSERT_EQ(log_.prepare(0), 0);
  append(OutputLog::kRing * 2);
  EXPECT_EQ(read_all(0, 65'536), OutputLog::kRing);
}

}  // namespace
}  // namespace lmsb::guest
