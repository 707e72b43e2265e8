#include "launcher/id_pool.h"

#include <set>

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

TEST(IdPool, NeverLeasesARangeTwiceAtOnce) {
  IdPool pool({});
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(*pool.lease()).second);
}

TEST(IdPool, SkipsRangesThatOthersUse) {
  IdPool pool({{kFirstBase + 70000, 1}});
  EXPECT_EQ(pool.lease(), kFirstBase);
  EXPECT_EQ(pool.lease(), kFirstBase + 2 * kIdRange);
}

TEST(IdPool, LetsAReleasedRangeRestBeforeItIsUsedAgain) {
  IdPool pool({});
  const auto base = pool.lease();
  pool.release(*base);
  for (int i = 0; i < 60; ++i) EXPECT_NE(pool.lease(), base);
}

TEST(IdPool, RunsOutInsteadOfSharing) {
  IdPool pool({});
  std::size_t count = 0;
  while (pool.lease()) ++count;
  EXPECT_EQ(count, (kLastBase - kFirstBase) / kIdRange + 1);
  pool.release(kFirstBase);
  EXPECT_EQ(pool.lease(), kFirstBase);
}

TEST(IdPool, ReadsPasswdAndSubidLines) {
  EXPECT_EQ(parse_passwd("root:x:0:0::/root:/bin/sh\nbad line\nu:x:700000:1::/:/bin/sh\n").size(), 2U);
  const auto spans = parse_subid("u:100000:65536\n");
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].first, 100000U);
  EXPECT_EQ(spans[0].count, 65536U);
}

}  // namespace
}  // namespace lmsb::launcher
