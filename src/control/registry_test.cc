#include "control/registry.h"

#include <utility>
#include <vector>

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

KeptSandbox named(const std::string& id, const std::string& name, const std::string& owner = "ann") {
  KeptSandbox sandbox;
  sandbox.info.id = id;
  sandbox.info.name = name;
  sandbox.owner = owner;
  return sandbox;
}

TEST(Registry, FindsByIdNameAndWhateverOnlyOneIdBeginsWith) {
  Registry registry;
  for (auto& [id, name] : std::vector<std::pair<std::string, std::string>>{
           {"ax00000000000000000a", "x"}, {"ay00000000000000000a", "b"}, {"bz00000000000000000a", ""}})
    ASSERT_TRUE(registry.add(named(id, name)).ok());
  ASSERT_TRUE(registry.add(named("cz00000000000000000a", "his", "bob")).ok());
  const Principal ann{"ann", false};
  const auto found = [&](const std::string& text) {
    const auto one = registry.find(ann, text);
    return one.ok() ? (*one)->info.id.substr(0, 2) : std::string(one.error().slug());
  };
  EXPECT_EQ(found("ax"), "ax");
  EXPECT_EQ(found("a"), "sandbox_ambiguous");
  EXPECT_EQ(found("b"), "ay") << "a name goes before what ids begin with";
  EXPECT_EQ(found("bz"), "bz");
  for (const char* none : {"", "c", "his", "cz00000000000000000a", "z"}) EXPECT_EQ(found(none), "sandbox_not_found");
}

// A name may look like an id that was given away, or like the beginning of one.
TEST(Registry, GivesTheDaemonWhatHasTheWholeIdAndNothingThatIsNamedAfterIt) {
  Registry registry;
  ASSERT_TRUE(registry.add(named("ax00000000000000000a", "bz00000000000000000a")).ok());
  EXPECT_TRUE(registry.get("ax00000000000000000a").ok());
  for (const char* none : {"bz00000000000000000a", "ax", ""})
    EXPECT_EQ(registry.get(none).error().slug(), "sandbox_not_found") << none;
}

}  // namespace
}  // namespace lmsb::control
