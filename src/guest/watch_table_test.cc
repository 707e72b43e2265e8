#include "guest/watch_table.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

constexpr int kNone = WatchTable::kNone;

class WatchTableTest : public testing::Test {
 protected:
  WatchTableTest() : table_(std::make_unique<WatchTable>()) {
    top_ = table_->add(1, kNone, "");
    a_ = table_->add(2, top_, "a");
    b_ = table_->add(3, a_, "b");
  }
  std::string path_of(int place) {
    os::PathBuffer path("/root");
    return table_->append_path(place, path) ? std::string(path.text()) : "none";
  }

  std::unique_ptr<WatchTable> table_;
  int top_ = kNone;
  int a_ = kNone;
  int b_ = kNone;
};

TEST_F(WatchTableTest, KnowsTheirPaths) {
  EXPECT_EQ(path_of(top_), "/root");
  EXPECT_EQ(path_of(b_), "/root/a/b");
  EXPECT_EQ(table_->find(3), b_);
  EXPECT_EQ(table_->find(4), kNone);
  EXPECT_EQ(table_->child(a_, "b"), b_);
  EXPECT_EQ(table_->child(top_, "b"), kNone);
}

TEST_F(WatchTableTest, ForgetsATreeAtOnce) {
  table_->remove_tree(a_);
  EXPECT_EQ(table_->size(), 1U);
  EXPECT_EQ(table_->find(2), kNone);
  EXPECT_EQ(table_->find(3), kNone);
  EXPECT_EQ(table_->find(1), top_);
}

TEST_F(WatchTableTest, HasNoPathBelowWhatHasGone) {
  table_->remove(a_);
  EXPECT_EQ(path_of(b_), "none");
}

TEST_F(WatchTableTest, UsesPlacesAgainAndHasABound) {
  for (int i = 4; i <= WatchTable::kMax; ++i) ASSERT_NE(table_->add(i, top_, "x"), kNone);
  EXPECT_EQ(table_->add(100'000, top_, "x"), kNone);
  table_->remove(b_);
  EXPECT_EQ(table_->add(100'000, top_, "new"), b_);
}

TEST_F(WatchTableTest, TakesNoNameThatNoneCanBe) { EXPECT_EQ(table_->add(9, top_, std::string(256, 'n')), kNone); }

}  // namespace
}  // namespace lmsb::guest
