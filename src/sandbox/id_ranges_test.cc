#include "sandbox/id_ranges.h"

#include <gmock/gmock.h>

namespace lmsb::sandbox {
namespace {

using ::testing::HasSubstr;

TEST(IdRanges, AreAboveWhatUseraddGives) {
  constexpr std::uint32_t kSubUidMax = 600100000;
  EXPECT_GT(kImageRangeBase, kSubUidMax);
  EXPECT_GT(kDaemonId, kSubUidMax);
  EXPECT_GT(kFirstBase, kSubUidMax);
  for (const std::uint32_t base : {kImageRangeBase, kDaemonId, kFirstBase, kLastBase}) EXPECT_EQ(base % kIdRange, 0U);
  EXPECT_LE(kLastBase + kIdRange - 1, 1879048191U) << "the end of systemd's container range";
}

TEST(IdRanges, ReadsAccountsAndSubordinateIds) {
  const auto accounts =
      parse_id_claims("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbad line\nu:x:700000:1::/:/bin/sh", IdFile::accounts);
  ASSERT_EQ(accounts.size(), 2U);
  EXPECT_EQ(accounts[1].first, 700000U);
  EXPECT_EQ(accounts[1].count, 1U);
  EXPECT_EQ(accounts[1].where, "/etc/passwd:3: u:x:700000:1::/:/bin/sh");
  const auto spans = parse_id_claims("/etc/subuid", "# comment\n\nu:100000:65536\nv:1:\n", IdFile::subordinate);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].first, 100000U);
  EXPECT_EQ(spans[0].count, 65536U);
}

TEST(IdRanges, PassesOverSpansThatWrapAround) {
  EXPECT_TRUE(parse_id_claims("/etc/subuid", "u:2:18446744073709551615\n", IdFile::subordinate).empty());
}

TEST(IdRanges, NamesTheLineThatTakesThem) {
  const std::string line = "bob:" + std::to_string(kImageRangeBase + 70000) + ":10";
  const auto claims = parse_id_claims("/etc/subuid", "al:100000:65536\n" + line + "\n", IdFile::subordinate);
  EXPECT_TRUE(require_unclaimed(claims, kImageRangeBase, "images").ok());
  const auto refused = require_unclaimed(claims, kDaemonId, "the daemon");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("/etc/subuid:2: " + line));
  EXPECT_FALSE(refused.error().hint().empty());
}

}  // namespace
}  // namespace lmsb::sandbox
