#include "control/connection_shares.h"

#include <vector>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

// 64 for all, 16 for one.
class ConnectionSharesTest : public testing::Test {
 protected:
  using Place = std::unique_ptr<ConnectionShares::Place>;
  void enter(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      told_.push_back(std::make_unique<std::uint32_t>(0));
      places_.push_back(shares_->enter([told = told_.back().get()](std::uint32_t share) { *told = share; }));
    }
  }
  std::uint32_t told(std::size_t which) const { return *told_[which]; }

  std::shared_ptr<ConnectionShares> shares_ = std::make_shared<ConnectionShares>(64, 16);
  std::vector<std::unique_ptr<std::uint32_t>> told_;
  std::vector<Place> places_;
};

TEST_F(ConnectionSharesTest, AreTheMostOfOneAsLongAsThereAreFew) {
  enter(4);
  for (const Place& place : places_) EXPECT_EQ(place->share(), 16U);
  EXPECT_EQ(shares_->held(), 64U);
  EXPECT_EQ(told(0), 0U) << "what it begins with nobody is told";
}

TEST_F(ConnectionSharesTest, BecomeSmallerForAllWhenThereAreMore) {
  enter(5);
  for (const Place& place : places_) EXPECT_EQ(place->share(), 8U);
  EXPECT_EQ(told(0), 8U);
  enter(95);
  for (const Place& place : places_) EXPECT_LE(place->share(), 1U);
  EXPECT_EQ(shares_->held(), 64U) << "some have none";
}

TEST_F(ConnectionSharesTest, LeaveToOneWhatItHasAndToOthersTheRest) {
  enter(4);
  for (const Place& place : places_) place->has(16);
  enter(1);
  EXPECT_EQ(places_[0]->share(), 8U);
  EXPECT_EQ(places_[4]->share(), 0U) << "all are in use";
  EXPECT_EQ(shares_->held(), 64U);
  places_[0]->has(10);
  EXPECT_EQ(places_[4]->share(), 6U);
  places_[1]->has(0);
  EXPECT_EQ(places_[4]->share(), 8U);
  EXPECT_EQ(told(4), 8U);
  EXPECT_LE(shares_->held(), 64U);
}

TEST_F(ConnectionSharesTest, AreNotTakenFromOthersByAGateThatLies) {
  enter(2);
  places_[0]->has(4'000'000'000);
  enter(2);
  for (const Place& place : places_) EXPECT_EQ(place->share(), 16U);
}

TEST_F(ConnectionSharesTest, GrowWhenThereAreFewAgainAndNotEachTimeOneGoes) {
  enter(8);
  EXPECT_EQ(places_[0]->share(), 8U);
  places_.resize(4);
  EXPECT_EQ(places_[0]->share(), 8U) << "one more would change it again";
  places_.resize(3);
  EXPECT_EQ(places_[0]->share(), 16U);
  EXPECT_EQ(shares_->held(), 48U);
  enter(20);
  places_.resize(1);
  EXPECT_EQ(places_[0]->share(), 16U);
  places_.clear();
  EXPECT_EQ(shares_->held(), 0U);
}

// Whatever they do: with what they may, and what they have, the sum is kept.
TEST_F(ConnectionSharesTest, NeverAddUpToMoreThanThereIs) {
  std::uint32_t random = 1;
  for (int step = 0; step < 5000; ++step) {
    random = random * 1103515245U + 12345U;
    const std::uint32_t which = random >> 16U;
    if (places_.empty() || which % 5 == 0) {
      enter(1);
    } else if (which % 5 == 1 || places_.size() > 90) {
      places_.erase(places_.begin() + static_cast<std::ptrdiff_t>(which % places_.size()));
    } else {
      const Place& one = places_[which % places_.size()];
      one->has(one->share() == 0 ? 0 : which % (one->share() + 1));
    }
    std::uint64_t sum = 0;
    for (const Place& place : places_) sum += place->share();
    ASSERT_LE(sum, 64U);
    ASSERT_LE(shares_->held(), 64U);
  }
}

}  // namespace
}  // namespace lmsb::control
