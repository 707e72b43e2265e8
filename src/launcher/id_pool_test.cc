#include "launcher/id_pool.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

// A file of locks of its own for each test.
class IdPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/lmsb-ids-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  IdPool make(std::vector<IdClaim> taken = {}, std::uint32_t first = kFirstBase) const {
    auto locks = open_id_locks(directory_ + "/locks");
    EXPECT_TRUE(locks.ok());
    return {std::move(taken), *std::move(locks), first};
  }

  std::string directory_;
};

TEST_F(IdPoolTest, NeverLeasesARangeTwiceAtOnce) {
  IdPool pool = make();
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(*pool.lease()).second);
}

TEST_F(IdPoolTest, SkipsRangesThatOthersUse) {
  IdPool pool = make({{kFirstBase + 70000, 1, ""}});
  EXPECT_EQ(pool.lease(), kFirstBase);
  EXPECT_EQ(pool.lease(), kFirstBase + 2 * kIdRange);
}

TEST_F(IdPoolTest, LetsAReleasedRangeRestBeforeItIsUsedAgain) {
  IdPool pool = make();
  const auto base = pool.lease();
  pool.release(*base);
  for (int i = 0; i < 60; ++i) EXPECT_NE(pool.lease(), base);
}

TEST_F(IdPoolTest, RunsOutInsteadOfSharing) {
  IdPool pool = make({}, kFirstBase + 5 * kIdRange);  // it goes around
  std::set<std::uint32_t> seen;
  while (const auto base = pool.lease()) seen.insert(*base);
  EXPECT_EQ(seen.size(), (kLastBase - kFirstBase) / kIdRange + 1);
  pool.release(kFirstBase);
  EXPECT_EQ(pool.lease(), kFirstBase);
}

TEST_F(IdPoolTest, SharesNoRangeWithAnotherDaemonsPool) {
  IdPool one = make();
  IdPool other = make();
  EXPECT_EQ(one.lease(), kFirstBase);
  EXPECT_EQ(other.lease(), kFirstBase + kIdRange);
  one.release(kFirstBase);
  EXPECT_EQ(other.lease(), kFirstBase + 2 * kIdRange) << "it rests, and is still the other's";
}

TEST_F(IdPoolTest, LeavesItsRangesToOthersWhenItEnds) {
  { EXPECT_EQ(make().lease(), kFirstBase); }
  EXPECT_EQ(make().lease(), kFirstBase);
}

TEST_F(IdPoolTest, GivesBackWhatAPeakHasLeft) {
  IdPool pool = make();
  std::vector<std::uint32_t> peak;
  for (int i = 0; i < 2000; ++i) peak.push_back(*pool.lease());
  IdPool other = make();
  EXPECT_EQ(other.lease(), kFirstBase + 2000 * kIdRange);
  for (const std::uint32_t base : peak) pool.release(base);
  EXPECT_EQ(make().lease(), peak.front());
}

TEST_F(IdPoolTest, TrustsNoFileThatOthersCanLock) {
  const std::string path = directory_ + "/locks";
  { EXPECT_TRUE(open_id_locks(path).ok()); }
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_FALSE(open_id_locks(path).ok());
}

TEST_F(IdPoolTest, LeavesTheRangeOfASandboxThatStaysToWhoTakesItUp) {
  {
    IdPool ended = make();
    EXPECT_EQ(ended.lease(), kFirstBase);
    EXPECT_TRUE(ended.let_stay(kFirstBase, ::getpid()).ok());
  }
  IdPool other = make();
  EXPECT_EQ(other.lease(), kFirstBase + kIdRange);
  IdPool heir = make();
  EXPECT_FALSE(heir.take_up(kFirstBase + kIdRange)) << "it is the other's";
  EXPECT_TRUE(heir.take_up(kFirstBase));
  EXPECT_FALSE(heir.take_up(kFirstBase)) << "it has it";
  EXPECT_FALSE(other.take_up(kFirstBase));
  heir.release(kFirstBase);
  { const IdPool gone = std::move(heir); }
  EXPECT_EQ(make().lease(), kFirstBase);
}

TEST_F(IdPoolTest, LeasesTheRangeOfASandboxThatStayedOnceItsGuestIsGone) {
  const pid_t guest = ::fork();
  if (guest == 0) {
    ::pause();
    ::_exit(0);
  }
  {
    IdPool ended = make();
    EXPECT_EQ(ended.lease(), kFirstBase);
    EXPECT_TRUE(ended.let_stay(kFirstBase, guest).ok());
  }
  EXPECT_EQ(make().lease(), kFirstBase + kIdRange);
  ::kill(guest, SIGKILL);
  ::waitpid(guest, nullptr, 0);
  IdPool later = make();
  for (const std::uint32_t nonsense : {0U, 1U, ~0U}) EXPECT_FALSE(later.take_up(nonsense));
  EXPECT_EQ(later.lease(), kFirstBase);
}

// As after a boot that left the file: the guest's number and start time are now another process's.
TEST_F(IdPoolTest, LeasesTheRangeOfASandboxOfAnotherBoot) {
  constexpr std::streamoff kBootOfAMark = kFirstBase / kIdRange * 32 + 16;
  {
    IdPool ended = make();
    EXPECT_EQ(ended.lease(), kFirstBase);
    EXPECT_TRUE(ended.let_stay(kFirstBase, ::getpid()).ok());
  }
  EXPECT_EQ(make().lease(), kFirstBase + kIdRange);
  std::fstream file(directory_ + "/locks", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(kBootOfAMark);
  EXPECT_TRUE(file.write("00000000-0000-00", 16).flush().good());
  EXPECT_EQ(make().lease(), kFirstBase);
}

}  // namespace
}  // namespace lmsb::launcher
