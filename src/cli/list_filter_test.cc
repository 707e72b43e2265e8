#include "cli/list_filter.h"

#include <gtest/gtest.h>

#include "cli/api.h"

namespace lmsb::cli {
namespace {

constexpr const char* kSandbox =
    R"({"id":"abc","name":"my-box","image":"base","state":"stopped","labels":{"team":"a","empty":""}})";

bool fits(const std::vector<std::string>& filters) {
  const auto sandbox = parse_json(kSandbox, "a sandbox");
  ListFilter filter;
  for (const std::string& text : filters) EXPECT_TRUE(filter.add(text).ok()) << text;
  return filter.fits(sandbox->root());
}

TEST(ListFilter, KnowsEachKeyAndDockersNamesOfIt) {
  for (const char* text : {"id=ab", "name=box", "label=team", "label=team=a", "label=empty=", "status=stopped",
                           "state=stopped", "status=exited", "image=base", "ancestor=base"})
    EXPECT_TRUE(fits({text})) << text;
  for (const char* text : {"id=bc", "name=other", "label=no", "label=team=b", "status=running", "image=bas"})
    EXPECT_FALSE(fits({text})) << text;
}

TEST(ListFilter, WantsAnyOfTheValuesOfAKeyAndAllKeysAndLabels) {
  EXPECT_TRUE(fits({}));
  EXPECT_TRUE(fits({"status=running", "status=stopped", "name=my"}));
  EXPECT_FALSE(fits({"status=running", "name=my"}));
  EXPECT_FALSE(fits({"label=team", "label=no"}));
}

TEST(ListFilter, RefusesWhatItDoesNotKnowAndSaysWhatItDoes) {
  for (const char* text : {"", "name", "name=", "label=", "health=good", "=x"}) {
    ListFilter filter;
    const Status added = filter.add(text);
    ASSERT_FALSE(added.ok()) << text;
    EXPECT_EQ(added.error().hint(), "write id=, name=, label=, status= or image=");
  }
  ListFilter filter;
  const Status added = filter.add("status=nope");
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().message(), "--filter: \"nope\" is no state of a sandbox");
}

}  // namespace
}  // namespace lmsb::cli
