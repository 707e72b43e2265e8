#include "control/registry.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

// Who waits for his turn may have become one who does not see the sandbox any more.
TEST(Registry, LooksAgainAtWhoSeesASandboxWhenHeComesBack) {
  Registry registry;
  KeptSandbox sandbox;
  sandbox.info.id = "s0000000000000000000";
  sandbox.info.labels = {{"team", "a"}};
  sandbox.owner = "key:key_a";
  const std::string id = sandbox.info.id;
  ASSERT_TRUE(registry.add(std::move(sandbox)).ok());
  auto grant = std::make_shared<Grant>();
  grant->labels = {{"team", "a"}};
  const Principal who{"key:key_a", false, std::move(grant)};
  EXPECT_EQ(registry.come_back(who, id).error().slug(), "sandbox_stopped");
  registry.all().at(id).info.labels = {{"team", "b"}};
  EXPECT_EQ(registry.come_back(who, id).error().slug(), "sandbox_not_found");
  EXPECT_TRUE(registry.take(id).has_value());
  EXPECT_EQ(registry.come_back(who, id).error().slug(), "sandbox_lost");
}

}  // namespace
}  // namespace lmsb::control
