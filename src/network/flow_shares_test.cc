#include "network/flow_shares.h"

#include <vector>

#include <gtest/gtest.h>

#include "network/gate.h"

namespace lmsb::network {
namespace {

constexpr std::size_t kAll = guest_protocol::kGateMemory - Gate::kOwnMemory;
constexpr std::size_t kFlows = 256;  // the most that a configuration allows

// Of each of so many, none of which ends.
std::vector<std::size_t> taken(FlowShares& shares, std::size_t flows) {
  std::vector<std::size_t> all;
  while (all.size() < flows) {
    const auto share = shares.take(flows - all.size() - 1);
    if (!share) break;
    all.push_back(*share);
  }
  return all;
}

TEST(FlowShares, AreThereForAllThatMayComeAndNeverMoreThanThereIs) {
  for (const std::size_t flows : {std::size_t{1}, std::size_t{2}, kFlows}) {
    FlowShares shares(kAll);
    const auto all = taken(shares, flows);
    EXPECT_EQ(all.size(), flows);
    std::size_t sum = 0;
    for (const std::size_t share : all) sum += share;
    EXPECT_LE(sum, kAll);
    EXPECT_GE(all.back(), FlowShares::kLeast);
  }
}

TEST(FlowShares, GiveTheFirstOnesAllThatALongWayNeeds) {
  FlowShares shares(kAll);
  const auto all = taken(shares, kFlows);
  EXPECT_EQ(FlowShares::server_buffer(all.front()), FlowShares::kMostBuffer);
  EXPECT_GE(FlowShares::server_buffer(all[10]), FlowShares::kMostBuffer / 4);
  EXPECT_GE(FlowShares::server_buffer(all.back()), FlowShares::kLeastBuffer);
}

TEST(FlowShares, AreGivenAgainWhenAFlowHasEnded) {
  FlowShares shares(kAll);
  for (int i = 0; i < 1000; ++i) {
    const auto share = shares.take(kFlows - 1);
    ASSERT_TRUE(share);
    EXPECT_EQ(*share, FlowShares::kMost);
    shares.give_back(*share);
  }
}

TEST(FlowShares, AreRefusedWhereTheLeastDoesNotFit) {
  FlowShares shares(3 * FlowShares::kLeast);
  EXPECT_EQ(taken(shares, 1000).size(), 3U);
  EXPECT_FALSE(shares.take(0));
  shares.give_back(FlowShares::kLeast);
  EXPECT_TRUE(shares.take(0));
}

}  // namespace
}  // namespace lmsb::network
