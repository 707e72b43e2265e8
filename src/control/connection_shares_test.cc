#include "control/connection_shares.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

// 64 for all, 16 for one.
class ConnectionSharesTest : public testing::Test {
 protected:
  using Place = std::unique_ptr<ConnectionShares::Place>;
  void enter(std::size_t count, const std::string& owner = "local:1") {
    for (std::size_t i = 0; i < count; ++i) {
      told_.push_back(std::make_unique<std::uint32_t>(0));
      places_.push_back(shares_->enter(owner, [told = told_.back().get()](std::uint32_t share) { *told = share; }));
    }
  }
  std::uint32_t share(std::size_t which) const { return places_[which]->share(); }
  std::uint32_t told(std::size_t which) const { return *told_[which]; }

  std::shared_ptr<ConnectionShares> shares_ = std::make_shared<ConnectionShares>(64, 16);
  std::vector<std::unique_ptr<std::uint32_t>> told_;
  std::vector<Place> places_;
};

TEST_F(ConnectionSharesTest, AreTheMostOfOneAsLongAsThereAreFew) {
  enter(1);
  enter(1, "local:2");
  enter(1, "local:3");
  for (const Place& place : places_) EXPECT_EQ(place->share(), 16U);
  EXPECT_EQ(shares_->held(), 48U);
  EXPECT_EQ(told(0), 0U) << "what it begins with nobody is told";
}

TEST_F(ConnectionSharesTest, BecomeSmallerForAnOwnersWhenHeHasMore) {
  enter(3);
  for (const Place& place : places_) EXPECT_EQ(place->share(), 8U);
  EXPECT_EQ(told(0), 8U);
  enter(97);
  for (const Place& place : places_) EXPECT_LE(place->share(), 1U);
  EXPECT_EQ(shares_->held(), 32U) << "some have none, and a half is there for others";
  enter(1, "local:2");
  EXPECT_EQ(share(100), 16U) << "who has few has the most";
  EXPECT_EQ(share(0), 1U);
}

TEST_F(ConnectionSharesTest, AreAThirdForEachOfTwoOwnersWithMany) {
  enter(4);
  EXPECT_EQ(share(0), 8U);
  enter(4, "local:2");
  for (const Place& place : places_) EXPECT_EQ(place->share(), 4U) << "21 for each, and for who comes next";
  EXPECT_EQ(shares_->held(), 32U);
}

TEST_F(ConnectionSharesTest, LeaveToOneWhatItHasAndToOthersTheRest) {
  enter(2);
  for (const Place& place : places_) place->has(16);
  enter(1);
  EXPECT_EQ(share(0), 8U);
  EXPECT_EQ(share(2), 0U) << "all of this owner's are in use";
  EXPECT_EQ(shares_->held(), 32U);
  places_[0]->has(10);
  EXPECT_EQ(share(2), 6U);
  places_[1]->has(0);
  EXPECT_EQ(share(2), 8U);
  EXPECT_EQ(told(2), 8U);
  EXPECT_LE(shares_->held(), 64U);
}

TEST_F(ConnectionSharesTest, AreLeftForEveryOtherOwnerByOneWhoLetsNothingGo) {
  enter(2);
  for (const Place& place : places_) place->has(16);
  enter(62);
  EXPECT_EQ(shares_->held(), 32U);
  enter(1, "local:2");
  EXPECT_EQ(share(64), 16U);
  places_[64]->has(16);
  enter(1, "local:3");
  EXPECT_EQ(share(65), 8U) << "half of what is left";
  enter(1, "local:4");
  EXPECT_EQ(share(66), 4U);
  enter(8, "local:2");
  EXPECT_LE(shares_->held(), 62U) << "who has as much as is left gets no more";
  places_[0]->has(0);
  places_[1]->has(0);
  EXPECT_GE(share(65), 8U);
  EXPECT_EQ(share(66), 8U);
  EXPECT_EQ(told(66), 8U);
}

TEST_F(ConnectionSharesTest, AreNotTakenFromOthersByAGateThatLies) {
  enter(1);
  places_[0]->has(4'000'000'000);
  EXPECT_EQ(shares_->held(), 16U);
  enter(3);
  EXPECT_EQ(share(0), 8U);
  EXPECT_EQ(shares_->held(), 32U) << "it had 16, and may have them still";
  places_[0]->has(3);
  places_[0]->has(4'000'000'000);
  EXPECT_EQ(shares_->held(), 32U);
  EXPECT_EQ(share(3), 8U) << "8 are its share: it cannot have more again";
}

TEST_F(ConnectionSharesTest, GrowWhenThereAreFewAgainAndNotEachTimeOneGoes) {
  enter(4);
  EXPECT_EQ(share(0), 8U);
  places_.resize(2);
  EXPECT_EQ(share(0), 8U) << "one more would change it again";
  places_.resize(1);
  EXPECT_EQ(share(0), 16U);
  EXPECT_EQ(shares_->held(), 16U);
  enter(20);
  places_.resize(1);
  EXPECT_EQ(share(0), 16U);
  places_.clear();
  EXPECT_EQ(shares_->held(), 0U);
}

// Whatever they do: with what they may, and what they have and keep, the sum is kept.
TEST_F(ConnectionSharesTest, NeverAddUpToMoreThanThereIs) {
  std::uint32_t random = 1;
  std::vector<std::uint32_t> had;
  for (int step = 0; step < 5000; ++step) {
    random = random * 1103515245U + 12345U;
    const std::uint32_t which = random >> 16U;
    if (places_.empty() || which % 5 == 0) {
      enter(1, "local:" + std::to_string(which % 7));
      had.push_back(0);
    } else if (which % 5 == 1 || places_.size() > 90) {
      places_.erase(places_.begin() + static_cast<std::ptrdiff_t>(which % places_.size()));
      had.erase(had.begin() + static_cast<std::ptrdiff_t>(which % had.size()));
    } else {
      const std::size_t one = which % places_.size();
      had[one] = which % (std::max(share(one), had[one]) + 1);
      places_[one]->has(had[one]);
    }
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < places_.size(); ++i) sum += std::max(share(i), had[i]);
    ASSERT_EQ(shares_->held(), sum);
    ASSERT_LE(sum, 64U);
  }
}

}  // namespace
}  // namespace lmsb::control
