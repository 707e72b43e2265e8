#include "launcher/id_pool.h"

#include <filesystem>
#include <set>
#include <sys/stat.h>

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

}  // namespace
}  // namespace lmsb::launcher
