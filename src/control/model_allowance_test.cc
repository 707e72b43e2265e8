#include "control/model_allowance.h"

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using Clock = ModelAllowance::Clock;

class Allowances : public testing::Test {
 protected:
  std::shared_ptr<ModelAllowance> make(std::uint64_t tokens, std::uint32_t requests, ModelUsage used = {}) {
    ModelAccess access;
    access.names = {"first", "second"};
    access.tokens = tokens;
    access.requests_per_minute = requests;
    return std::make_shared<ModelAllowance>(loop_, access, used);
  }
  // "" where it may.
  std::string begin(const std::shared_ptr<ModelAllowance>& of, std::chrono::milliseconds later = {}) {
    auto place = io::run_on(loop_, ModelAllowance::begin(of, start_ + later));
    return place.ok() ? "" : std::string(place.error().slug());
  }
  boost::asio::io_context loop_{1};
  const Clock::time_point start_ = Clock::now() + std::chrono::seconds(1);
};

TEST_F(Allowances, NameTheModelThatIsMeantOrSayWhichThereAre) {
  const auto allowance = make(0, 0);
  EXPECT_EQ(*allowance->choose(""), "first");
  EXPECT_EQ(*allowance->choose("second"), "second");
  const auto other = allowance->choose("gpt-4o");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().slug(), "model_not_found");
  EXPECT_EQ(other.error().hint(), "it has first, second");
  EXPECT_EQ(allowance->usage().refused, 1U);
}

TEST_F(Allowances, AreOverWhenTheTokensAre) {
  const auto allowance = make(100, 0);
  EXPECT_EQ(begin(allowance), "");
  allowance->count(60, 39);
  EXPECT_EQ(begin(allowance), "");
  allowance->count(0, 1);
  EXPECT_EQ(begin(allowance), "model_tokens_used");
  EXPECT_EQ(allowance->usage(), (ModelUsage{2, 1, 60, 40}));
}

TEST_F(Allowances, GoOnWithWhatHadBeenUsedBefore) {
  EXPECT_EQ(begin(make(100, 0, {3, 0, 50, 50})), "model_tokens_used");
  EXPECT_EQ(begin(make(101, 0, {3, 0, 50, 50})), "");
}

TEST_F(Allowances, ComeBackWithinTheMinute) {
  const auto allowance = make(0, 2);
  EXPECT_EQ(begin(allowance), "");
  EXPECT_EQ(begin(allowance), "");
  EXPECT_EQ(begin(allowance), "model_rate_limited");
  EXPECT_EQ(begin(allowance, std::chrono::seconds(29)), "model_rate_limited");
  EXPECT_EQ(begin(allowance, std::chrono::seconds(30)), "");
  EXPECT_EQ(begin(allowance, std::chrono::seconds(31)), "model_rate_limited");
  const auto refused = io::run_on(loop_, ModelAllowance::begin(allowance, start_ + std::chrono::seconds(31)));
  EXPECT_EQ(refused.error().wait(), std::chrono::seconds(29));
}

io::Always<void> begin_and_keep(std::shared_ptr<ModelAllowance> of, std::vector<ModelAllowance::Place>* kept) {
  auto place = co_await ModelAllowance::begin(of);
  if (place.ok()) kept->push_back(*std::move(place));
}

TEST_F(Allowances, LetSoManyAskAtOnceAndTheOthersInTheirTurn) {
  const auto allowance = make(0, 0);
  std::vector<ModelAllowance::Place> kept;
  for (std::uint32_t i = 0; i < ModelAllowance::kAtOnce + 2; ++i) io::spawn(loop_, begin_and_keep(allowance, &kept));
  loop_.poll();
  EXPECT_EQ(kept.size(), ModelAllowance::kAtOnce);
  kept.pop_back();
  loop_.poll();
  EXPECT_EQ(kept.size(), ModelAllowance::kAtOnce) << "one has taken the place";
  EXPECT_EQ(allowance->usage().requests, ModelAllowance::kAtOnce + 1);
}

// Who waited while others used up what there was is told so.
TEST_F(Allowances, OfWhoWaitedAreLookedAtAgain) {
  const auto allowance = make(100, 0);
  std::vector<ModelAllowance::Place> kept;
  for (std::uint32_t i = 0; i < ModelAllowance::kAtOnce + 1; ++i) io::spawn(loop_, begin_and_keep(allowance, &kept));
  loop_.poll();
  allowance->count(100, 0);
  kept.pop_back();
  loop_.poll();
  EXPECT_EQ(kept.size(), ModelAllowance::kAtOnce - 1);
  EXPECT_EQ(allowance->usage().refused, 1U);
}

TEST_F(Allowances, TellOfManyChangesOnce) {
  const auto allowance = make(0, 0);
  int told = 0;
  allowance->on_change([&told] { ++told; });
  for (int i = 0; i < 100; ++i) allowance->count(1, 1);
  EXPECT_EQ(told, 0) << "not from within the call";
  loop_.run();
  EXPECT_EQ(told, 1);
}

TEST_F(Allowances, TellNobodyOfWhatWasRefused) {
  const auto allowance = make(1, 0, {0, 0, 1, 0});
  int told = 0;
  allowance->on_change([&told] { ++told; });
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(allowance->choose("x").ok());
    EXPECT_EQ(begin(allowance), "model_tokens_used");
  }
  loop_.restart();
  loop_.run();
  EXPECT_EQ(told, 0);
  EXPECT_EQ(allowance->usage().refused, 200U);
}

// The minute is of the daemon's life.
TEST_F(Allowances, BeginTheirMinuteWithTheDaemon) {
  const auto allowance = make(0, 2, {50, 0, 7, 7});
  EXPECT_EQ(begin(allowance), "");
  EXPECT_EQ(begin(allowance), "");
  EXPECT_EQ(begin(allowance), "model_rate_limited");
}

}  // namespace
}  // namespace lmsb::control
