#include "control/idempotency.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

TEST(IdempotentAnswers, ReplaysTheAnswerToTheSameRequest) {
  IdempotentAnswers answers;
  {
    auto first = answers.begin({"a", "k", sha256("body")});
    ASSERT_TRUE(first.ok() && first->turn);
    first->turn->finish("answer");
  }
  const auto second = answers.begin({"a", "k", sha256("body")});
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->turn);
  EXPECT_EQ(second->replay, "answer");
  EXPECT_TRUE(answers.begin({"b", "k", sha256("body")})->turn) << "another principal's key is another key";
}

TEST(IdempotentAnswers, RefusesAKeyThatComesWithAnotherBodyOrTooEarly) {
  IdempotentAnswers answers;
  const auto running = answers.begin({"me", "k", sha256("body")});
  EXPECT_EQ(answers.begin({"me", "k", sha256("other")}).error().slug(), "idempotency_key_reused");
  EXPECT_EQ(answers.begin({"me", "k", sha256("body")}).error().slug(), "idempotency_key_in_use");
}

TEST(IdempotentAnswers, SaysWhatWasAnsweredToWhoHasNotReadHisRequestYet) {
  IdempotentAnswers answers;
  {
    auto first = answers.begin_unread({"me", "k", {}});
    ASSERT_TRUE(first.ok() && first->turn);
    EXPECT_EQ(answers.begin_unread({"me", "k", {}}).error().slug(), "idempotency_key_in_use");
    first->turn->finish("answer", sha256("body"));
  }
  const auto again = answers.begin_unread({"me", "k", {}});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->replay, "answer");
  EXPECT_EQ(again->request, sha256("body"));
  EXPECT_EQ(answers.begin({"me", "k", sha256("body")})->replay, "answer");
  EXPECT_EQ(answers.begin({"me", "k", sha256("other")}).error().slug(), "idempotency_key_reused");
}

TEST(IdempotentAnswers, FreesTheKeyOfARequestThatFailed) {
  IdempotentAnswers answers;
  { const auto failed = answers.begin({"me", "k", sha256("body")}); }
  EXPECT_EQ(answers.size(), 0U);
  EXPECT_TRUE(answers.begin({"me", "k", sha256("body")})->turn);
}

TEST(IdempotentAnswers, ForgetsTheOldestWhenFullAndAllAfterADay) {
  IdempotentAnswers answers(2);
  const IdempotentAnswers::Time now{};
  for (const char* key : {"a", "b", "c"}) {
    auto begun = answers.begin({"me", key, sha256("body")}, now);
    begun->turn->finish("answer");
  }
  EXPECT_EQ(answers.size(), 2U);
  EXPECT_TRUE(answers.begin({"me", "a", sha256("body")}, now)->turn);
  EXPECT_TRUE(answers.begin({"me", "c", sha256("body")}, now + std::chrono::hours(25))->turn);
}

TEST(IdempotentAnswers, ForgetsThoseOfWhoHasMostBeforeAnothers) {
  IdempotentAnswers answers(4);
  const auto answer = [&answers](const std::string& owner, const std::string& key) {
    auto begun = answers.begin({owner, key, sha256("body")});
    ASSERT_TRUE(begun.ok() && begun->turn) << owner << key;
    begun->turn->finish("answer");
  };
  answer("quiet", "first");
  for (int i = 0; i < 20; ++i) answer("loud", std::to_string(i));
  answer("third", "first");
  EXPECT_EQ(answers.size(), 4U);
  const std::vector<std::pair<std::string, std::string>> kept = {
      {"quiet", "first"}, {"third", "first"}, {"loud", "18"}, {"loud", "19"}};
  for (const auto& [owner, key] : kept) EXPECT_EQ(answers.begin({owner, key, sha256("body")})->replay, "answer") << key;
  EXPECT_TRUE(answers.begin({"loud", "17", sha256("body")})->turn);
}

TEST(IdempotentAnswers, RefusesMoreRunningRequestsThanItHolds) {
  IdempotentAnswers answers(1);
  const auto running = answers.begin({"me", "a", sha256("body")});
  EXPECT_EQ(answers.begin({"me", "b", sha256("body")}).error().code(), ErrorCode::resource_exhausted);
}

TEST(IdempotentAnswers, KnowsWhatAnEarlierDaemonAnswered) {
  const AnswerKey asked{"me", "k", sha256("body")};
  const AnswerKey old{"me", "old", sha256("body")};
  store::AnswerRow of_yesterday = row_of(old, "box", "answer");
  of_yesterday.made_at_ms -= 25LL * 3600 * 1000;
  IdempotentAnswers answers;
  std::vector<std::string> forgotten;
  answers.when_forgotten([&forgotten](const std::string&, const std::string& key) { forgotten.push_back(key); });
  answers.take_over({of_yesterday, row_of(asked, "box", "answer")});
  EXPECT_EQ(answers.begin(asked)->replay, "answer");
  EXPECT_EQ(answers.begin({"me", "k", sha256("other")}).error().slug(), "idempotency_key_reused");
  EXPECT_EQ(forgotten, (std::vector<std::string>{"old"}));
}

TEST(IdempotentAnswers, KeepsSoManyOctetsAndSaysWhatItForgets) {
  IdempotentAnswers answers;
  std::vector<std::string> forgotten;
  answers.when_forgotten([&forgotten](const std::string&, const std::string& key) { forgotten.push_back(key); });
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    auto begun = answers.begin({"me", key, sha256("body")});
    begun->turn->finish(std::string(10U << 20U, 'x'));
  }
  EXPECT_EQ(forgotten, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(answers.size(), 3U);
}

TEST(IdempotentAnswers, OfTooManyOctetsForgetsThoseOfWhoHasMostOfThem) {
  IdempotentAnswers answers;
  std::vector<std::string> forgotten;
  answers.when_forgotten([&forgotten](const std::string& owner, const std::string&) { forgotten.push_back(owner); });
  const auto answer = [&answers](const std::string& owner, const std::string& key, std::size_t size) {
    auto begun = answers.begin({owner, key, sha256("body")});
    begun->turn->finish(std::string(size, 'x'));
  };
  for (const char* key : {"a", "b", "c"}) answer("many", key, 1000);
  answer("long", "a", IdempotentAnswers::kMostText.count());
  EXPECT_EQ(forgotten, (std::vector<std::string>{"long"}));
}

}  // namespace
}  // namespace lmsb::control
