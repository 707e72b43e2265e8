#include "control/principal.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using Labels = std::map<std::string, std::string>;

Principal with_scopes(bool read, bool write, bool models, Labels labels = {}, bool admin = false) {
  auto grant = std::make_shared<Grant>();
  grant->may_read = read;
  grant->may_write = write;
  grant->may_models = models;
  grant->labels = std::move(labels);
  return Principal{"key:key_a", admin, std::move(grant)};
}

bool may(const Principal& who, Operation operation) { return check_may(who, operation).ok(); }

TEST(Principal, MayWhatItsScopesSayAndNoMore) {
  const Principal reader = with_scopes(true, false, false);
  EXPECT_TRUE(may(reader, Operation::read));
  EXPECT_FALSE(may(reader, Operation::write));
  EXPECT_FALSE(may(reader, Operation::models));
  EXPECT_FALSE(may(reader, Operation::admin));
  const Principal writer = with_scopes(false, true, false);
  EXPECT_TRUE(may(writer, Operation::read)) << "who runs commands sees what they say";
  EXPECT_TRUE(may(writer, Operation::write));
  EXPECT_FALSE(may(writer, Operation::models));
  const Principal asker = with_scopes(false, false, true);
  EXPECT_TRUE(may(asker, Operation::models));
  EXPECT_FALSE(may(asker, Operation::read));
  EXPECT_EQ(check_may(asker, Operation::read).error().slug(), "scope_missing");
  EXPECT_EQ(check_may(asker, Operation::admin).error().slug(), "permission_denied");
}

TEST(Principal, OfThisMachineMayAllButWhatIsEverybodys) {
  const Principal user{"local:1000", false};
  EXPECT_TRUE(may(user, Operation::write));
  EXPECT_TRUE(may(user, Operation::models));
  EXPECT_FALSE(may(user, Operation::admin));
  EXPECT_TRUE(may({"local:0", true}, Operation::admin));
}

TEST(Principal, SeesItsOwnAndAnAdministratorEverybodys) {
  const Principal user = with_scopes(true, true, false);
  EXPECT_TRUE(user.sees("key:key_a"));
  EXPECT_FALSE(user.sees("key:key_ab"));
  EXPECT_FALSE(user.sees("key:key_"));
  EXPECT_FALSE(user.sees(""));
  EXPECT_TRUE((Principal{"local:0", true}).sees("key:key_a"));
}

TEST(Principal, ByLabelsSeesWhatHasAllOfThem) {
  const Labels both = {{"team", "a"}, {"stage", "test"}};
  const Principal user = with_scopes(true, true, false, both);
  EXPECT_TRUE(user.sees("key:key_a", both));
  EXPECT_TRUE(user.sees("key:key_a", {{"team", "a"}, {"stage", "test"}, {"more", ""}}));
  EXPECT_FALSE(user.sees("key:key_a", {{"team", "a"}}));
  EXPECT_FALSE(user.sees("key:key_a", {{"team", "a"}, {"stage", "tes"}}));
  EXPECT_FALSE(user.sees("key:key_a", {{"Team", "a"}, {"stage", "test"}}));
  EXPECT_FALSE(user.sees("key:key_a", {}));
  EXPECT_FALSE(user.sees("key:key_b", both)) << "labels let nobody see what is another's";
}

// An administrator of a part sees that part, whoever's it is, and is none of what has no labels.
TEST(Principal, ByLabelsIsAnAdministratorOfThatPartAlone) {
  const Principal head = with_scopes(true, true, true, {{"team", "a"}}, true);
  EXPECT_TRUE(head.sees("key:key_b", {{"team", "a"}}));
  EXPECT_FALSE(head.sees("key:key_b", {{"team", "b"}}));
  EXPECT_FALSE(head.sees("key:key_a", {{"team", "b"}}));
  EXPECT_FALSE(head.sees("key:key_b"));
  EXPECT_TRUE(head.sees("key:key_a"));
  EXPECT_FALSE(may(head, Operation::admin));
  EXPECT_TRUE(may(head, Operation::write));
}

TEST(OwnLabels, AreGivenToWhatIsMade) {
  const Principal user = with_scopes(true, true, false, {{"team", "a"}});
  Labels labels = {{"x", "1"}};
  ASSERT_TRUE(add_own_labels(user, labels).ok());
  EXPECT_EQ(labels, (Labels{{"team", "a"}, {"x", "1"}}));
  ASSERT_TRUE(add_own_labels(user, labels).ok()) << "who gives it itself may";
  labels["team"] = "b";
  EXPECT_EQ(add_own_labels(user, labels).error().slug(), "label_fixed");
  Labels none;
  ASSERT_TRUE(add_own_labels({"local:1000", false}, none).ok());
  EXPECT_TRUE(none.empty());
}

TEST(OwnLabels, CannotBeChangedNorTakenAway) {
  const Principal user = with_scopes(true, true, false, {{"team", "a"}});
  EXPECT_TRUE(check_label_changes(user, {{"x", "1"}, {"y", std::nullopt}, {"team", "a"}}).ok());
  EXPECT_EQ(check_label_changes(user, {{"team", "b"}}).error().slug(), "label_fixed");
  EXPECT_EQ(check_label_changes(user, {{"team", std::nullopt}}).error().slug(), "label_fixed");
}

}  // namespace
}  // namespace lmsb::control
