#include "control/quotas.h"

#include <gmock/gmock.h>

#include "control/sandbox_network.h"
#include "control/test_handle.h"

namespace lmsb::control {
namespace {

using testing::HasSubstr;

constexpr const char* kOwner = "key:key_a";
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

Limits limits_of(Bytes memory, std::uint32_t cpu_millis, Bytes disk) {
  Limits limits;
  limits.memory = memory;
  limits.cpu_millis = cpu_millis;
  limits.disk = disk;
  return limits;
}

const Limits kOne = limits_of(Bytes::GiB(1), 1000, Bytes::GiB(1));

class QuotasTest : public testing::Test {
 protected:
  QuotasTest() {
    quota_.sandboxes = 3;
    quota_.memory = Bytes::GiB(2);
    quota_.cpu_millis = 2000;
    quota_.disk = Bytes::GiB(4);
    quotas_.emplace(parts());
  }
  Quotas::Parts parts() {
    return {registry_, [this](const std::string& owner) { return owner == "local:0" ? nullptr : &quota_; },
            [this](const std::string& owner) { return owner == kOwner ? other_disk_ : 0; }};
  }
  KeptSandbox sandbox(const std::string& id, const Limits& limits, bool runs) {
    KeptSandbox one;
    one.info.id = id;
    one.owner = kOwner;
    one.info.limits = limits;
    if (runs) one.handle = silent_handle(loop_, guest_);
    return one;
  }
  void add(const std::string& id, const Limits& limits, bool runs) {
    ASSERT_TRUE(registry_.add(sandbox(id, limits, runs)).ok());
  }
  Quotas::Held take(const Holding& more) {
    auto held = quotas_->take(kOwner, more);
    EXPECT_TRUE(held.ok());
    return held.ok() ? *std::move(held) : nullptr;
  }
  bool may_have(const Holding& more) { return quotas_->check(kOwner, more).ok(); }

  boost::asio::io_context loop_;
  Logger log_{LogLevel::error, LogFormat::text};
  UniqueFd guest_;
  Registry registry_;
  Quota quota_;
  std::uint64_t other_disk_ = 0;
  std::optional<Quotas> quotas_;
};

TEST_F(QuotasTest, CountWhatRunsWhatIsKeptAndOtherDisk) {
  add("s1", kOne, true);
  add("s2", kOne, false);
  other_disk_ = kGiB;
  EXPECT_TRUE(may_have({1, kGiB, 1000, kGiB}));
  EXPECT_FALSE(may_have({2, 0, 0, 0}));
  EXPECT_FALSE(may_have({0, kGiB + 1, 0, 0})) << "what is stopped has no memory";
  EXPECT_FALSE(may_have({0, 0, 1001, 0}));
  EXPECT_FALSE(may_have({0, 0, 0, kGiB + 1})) << "but a disk";
}

TEST_F(QuotasTest, SayWhatAKeyMayHave) {
  EXPECT_EQ(quotas_->check(kOwner, {4, 0, 0, 0}).error().slug(), "quota_exceeded");
  EXPECT_EQ(quotas_->check(kOwner, {4, 0, 0, 0}).error().code(), ErrorCode::resource_exhausted);
  EXPECT_THAT(quotas_->check(kOwner, {4, 0, 0, 0}).error().message(), HasSubstr("3 sandboxes"));
  EXPECT_THAT(quotas_->check(kOwner, {0, 3 * kGiB, 0, 0}).error().message(), HasSubstr("2g of memory"));
  EXPECT_THAT(quotas_->check(kOwner, {0, 0, 3000, 0}).error().message(), HasSubstr("2000 thousandths of a CPU"));
  EXPECT_THAT(quotas_->check(kOwner, {0, 0, 0, 5 * kGiB}).error().message(), HasSubstr("4g of disk"));
}

TEST_F(QuotasTest, CountWhatIsOnItsWayUntilItIsDropped) {
  auto one = take({1, kGiB, 1000, kGiB});
  auto two = take({1, kGiB, 1000, kGiB});
  EXPECT_FALSE(may_have({0, 1, 0, 0}));
  one.reset();
  EXPECT_TRUE(may_have({0, kGiB, 1000, 0}));
  EXPECT_FALSE(may_have({0, kGiB + 1, 0, 0}));
  two.reset();
  EXPECT_TRUE(may_have({3, 2 * kGiB, 2000, 4 * kGiB}));
}

// Changes that grow nothing hold nothing, as many as there are, and whichever ends first.
TEST_F(QuotasTest, MayHoldNothingManyTimes) {
  auto one = take({});
  auto two = take({});
  auto something = take({1, 0, 0, 0});
  one.reset();
  two.reset();
  EXPECT_FALSE(may_have({3, 0, 0, 0}));
  auto three = take({});
  something.reset();
  three.reset();
  EXPECT_TRUE(may_have({3, 0, 0, 0}));
}

TEST_F(QuotasTest, TakeNothingOfWhatIsRefused) {
  EXPECT_FALSE(quotas_->take(kOwner, {1, 3 * kGiB, 0, 0}).ok());
  EXPECT_TRUE(may_have({3, 2 * kGiB, 0, 0}));
}

TEST_F(QuotasTest, MayGoBeforeWhatIsHeld) {
  const auto held = take({1, 0, 0, 0});
  quotas_.reset();
}

TEST_F(QuotasTest, AreEachOwnersOwn) {
  const auto held = take({3, 0, 0, 0});
  EXPECT_TRUE(quotas_->check("key:key_b", {3, 0, 0, 0}).ok());
  EXPECT_EQ(*quotas_->take("local:0", {1000, 0, 0, 0}), nullptr) << "of who has none nothing is held";
}

// An administrator may have lowered it, or an earlier daemon had another.
TEST_F(QuotasTest, RefuseNothingThatIsNotAskedFor) {
  add("s1", limits_of(Bytes::GiB(9), 9000, Bytes::GiB(1)), true);
  EXPECT_TRUE(may_have({1, 0, 0, kGiB}));
  EXPECT_FALSE(may_have({0, 1, 0, 0}));
  quota_ = Quota();
  EXPECT_TRUE(may_have({1, 1, 1, 1})) << "none of a kind is no bound";
}

TEST_F(QuotasTest, OfOtherLimitsCountsWhatIsMoreOfWhatCounts) {
  const Limits more = limits_of(Bytes::GiB(3), 1500, Bytes::GiB(2));
  const KeptSandbox runs = sandbox("s1", kOne, true);
  EXPECT_EQ(growth(runs, more).memory, 2 * kGiB);
  EXPECT_EQ(growth(runs, more).cpu_millis, 500U);
  EXPECT_EQ(growth(runs, more).disk, kGiB);
  EXPECT_EQ(growth(runs, more).sandboxes, 0U);
  const KeptSandbox stopped = sandbox("s2", kOne, false);
  EXPECT_EQ(growth(stopped, more).memory, 0U);
  EXPECT_EQ(growth(stopped, more).cpu_millis, 0U);
  EXPECT_EQ(growth(stopped, more).disk, kGiB);
  EXPECT_EQ(growth(sandbox("s3", more, true), kOne).memory, 0U) << "less gives nothing back before it is so";
}

TEST_F(QuotasTest, OfOneThatBeginsCountItAsKeptAndAsRunning) {
  const Holding one = begun(kOne, false);
  EXPECT_EQ(one.sandboxes, 1U);
  EXPECT_EQ(one.memory, kGiB);
  EXPECT_EQ(one.cpu_millis, 1000U);
  EXPECT_EQ(one.disk, kGiB);
  EXPECT_EQ(disk_of(kOne).disk, kGiB);
  EXPECT_EQ(disk_of(kOne).sandboxes, 0U);
}

TEST_F(QuotasTest, CountTheGateOfOneThatHasANetworkWhileItLives) {
  EXPECT_EQ(running(kOne, true).memory, kGiB + gate().memory);
  EXPECT_EQ(begun(kOne, true).memory, kGiB + gate().memory);
  EXPECT_EQ(gate().memory, guest_protocol::kGateMemory);
  const network::Egress open{network::Mode::open, {}};
  KeptSandbox one = sandbox("s1", kOne, true);
  EXPECT_EQ(holding_of(one).memory, kGiB);
  one.handle->network =
      std::make_shared<SandboxNetwork>(loop_, "s1", one.handle->channel(), open, SandboxNetwork::Parts(), log_);
  EXPECT_EQ(holding_of(one).memory, kGiB + gate().memory);
  EXPECT_EQ(growth(one, limits_of(Bytes::GiB(2), 1000, Bytes::GiB(1))).memory, kGiB) << "it has its gate already";
  ASSERT_TRUE(registry_.add(std::move(one)).ok());
  EXPECT_FALSE(may_have({0, kGiB, 0, 0}));
  EXPECT_TRUE(may_have({0, kGiB - gate().memory, 0, 0}));
  KeptSandbox stopped = sandbox("s2", kOne, false);
  stopped.info.egress = open;
  EXPECT_EQ(holding_of(stopped).memory, 0U);
  const auto starts = quotas_->take_running(stopped);
  ASSERT_FALSE(starts.ok()) << "with a gate it is too much";
  stopped.info.egress = {};
  stopped.info.limits.memory = Bytes(kGiB - gate().memory);
  EXPECT_TRUE(quotas_->take_running(stopped).ok());
}

TEST_F(QuotasTest, CountWhatIsAboutToGoUnasked) {
  const auto going = quotas_->hold(kOwner, {5, 9 * kGiB, 0, kGiB});
  EXPECT_FALSE(may_have({0, 1, 0, 0}));
  EXPECT_FALSE(may_have({1, 0, 0, 0}));
  EXPECT_TRUE(may_have({0, 0, 0, 3 * kGiB}));
  EXPECT_FALSE(may_have({0, 0, 0, 3 * kGiB + 1}));
  EXPECT_EQ(quotas_->hold("local:0", {1, 0, 0, 0}), nullptr);
}

TEST_F(QuotasTest, CountOneOfWhichSomebodySaysThatItRunsOnce) {
  add("s1", kOne, true);
  KeptSandbox& one = registry_.all().at("s1");
  auto stops = *quotas_->take_running(one);
  EXPECT_TRUE(may_have({0, kGiB, 0, 0})) << "it counts once";
  const auto handle = std::exchange(one.handle, nullptr);
  EXPECT_FALSE(may_have({0, kGiB + 1, 0, 0})) << "what it had is not given back yet";
  EXPECT_EQ(growth(one, limits_of(Bytes::GiB(3), 1000, Bytes::GiB(1))).memory, 2 * kGiB);
  const auto other = take({0, kGiB, 0, 0});
  auto starts = *quotas_->take_running(one);
  stops.reset();
  EXPECT_FALSE(may_have({0, 1, 0, 0})) << "nor is it while somebody starts it again";
  starts.reset();
  EXPECT_TRUE(may_have({0, kGiB, 0, 0}));
  const auto another = take({0, kGiB, 0, 0});
  EXPECT_EQ(quotas_->take_running(one).error().slug(), "quota_exceeded");
}

}  // namespace
}  // namespace lmsb::control
