#include "control/held_names.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

TEST(HeldNames, AreEachOwnersOwnForAsLongAsTheyAreHeld) {
  HeldNames names;
  auto held = names.hold("local:1", "first");
  EXPECT_TRUE(names.has("local:1", "first"));
  EXPECT_FALSE(names.has("local:2", "first"));
  EXPECT_FALSE(names.has("local:1", "second"));
  held.reset();
  EXPECT_FALSE(names.has("local:1", "first"));
}

TEST(HeldNames, AreHeldUntilTheLastOfThoseGoesWhoHoldThem) {
  HeldNames names;
  auto first = names.hold("local:1", "first");
  auto again = names.hold("local:1", "first");
  first.reset();
  EXPECT_TRUE(names.has("local:1", "first"));
  again.reset();
  EXPECT_FALSE(names.has("local:1", "first"));
}

TEST(HeldNames, NoNameIsNobodys) {
  HeldNames names;
  EXPECT_EQ(names.hold("local:1", ""), nullptr);
  EXPECT_FALSE(names.has("local:1", ""));
}

TEST(HeldNames, MayGoBeforeTheNamesThatTheyGave) {
  HeldNames::Held held;
  {
    HeldNames names;
    held = names.hold("local:1", "first");
  }
  EXPECT_NE(held, nullptr);
}

}  // namespace
}  // namespace lmsb::control
