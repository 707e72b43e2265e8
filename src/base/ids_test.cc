#include "base/ids.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(SandboxId, IsADnsLabelOfTwentyCharacters) {
  for (int i = 0; i < 100; ++i) {
    const std::string id = SandboxId::create().str();
    EXPECT_TRUE(SandboxId::parse(id)) << id;
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos) << id;
    EXPECT_TRUE(id[0] >= 'a' && id[0] <= 'z') << id;
  }
}

TEST(SandboxId, IsNotGivenTwice) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(SandboxId::create().str());
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(SandboxId, IsRefusedInAnyOtherForm) {
  for (const char* text : {"", "abc", "0bcdefghij0123456789", "Abcdefghij0123456789", "abcdefghij01234567890",
                           "abcdefghij012345678_", "abcdefghij0123456 89"}) {
    EXPECT_FALSE(SandboxId::parse(text)) << text;
  }
}

TEST(PrefixedId, HasItsPrefix) {
  const std::string id = create_prefixed_id("prc_");
  EXPECT_EQ(id.rfind("prc_", 0), 0U);
  EXPECT_EQ(id.size(), 24U);
}

TEST(SandboxName, IsWhatDockerWouldTakeButNoId) {
  for (const char* name : {"a", "0", "my-box", "my_box.2", "A"}) EXPECT_TRUE(is_sandbox_name(name)) << name;
  EXPECT_TRUE(is_sandbox_name(std::string(63, 'a')));
  EXPECT_FALSE(is_sandbox_name(std::string(64, 'a')));
  for (const char* name : {"", "-a", ".a", "_a", "a b", "a/b", "\xC3\xA4"}) EXPECT_FALSE(is_sandbox_name(name)) << name;
  EXPECT_FALSE(is_sandbox_name(SandboxId::create().str()));
}

}  // namespace
}  // namespace lmsb
