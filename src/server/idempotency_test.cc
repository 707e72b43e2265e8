#include "server/idempotency.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

TEST(IdempotentAnswers, ReplaysTheAnswerToTheSameRequest) {
  IdempotentAnswers answers;
  {
    auto first = answers.begin("a\nk", sha256("body"));
    ASSERT_TRUE(first.ok() && first->turn);
    first->turn->finish("answer");
  }
  const auto second = answers.begin("a\nk", sha256("body"));
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->turn);
  EXPECT_EQ(second->replay, "answer");
  EXPECT_TRUE(answers.begin("b\nk", sha256("body"))->turn) << "another principal's key is another key";
}

TEST(IdempotentAnswers, RefusesAKeyThatComesWithAnotherBodyOrTooEarly) {
  IdempotentAnswers answers;
  const auto running = answers.begin("k", sha256("body"));
  EXPECT_EQ(answers.begin("k", sha256("other")).error().slug(), "idempotency_key_reused");
  EXPECT_EQ(answers.begin("k", sha256("body")).error().slug(), "idempotency_key_in_use");
}

TEST(IdempotentAnswers, FreesTheKeyOfARequestThatFailed) {
  IdempotentAnswers answers;
  { const auto failed = answers.begin("k", sha256("body")); }
  EXPECT_EQ(answers.size(), 0U);
  EXPECT_TRUE(answers.begin("k", sha256("body"))->turn);
}

TEST(IdempotentAnswers, ForgetsTheOldestWhenFullAndAllAfterADay) {
  IdempotentAnswers answers(2);
  const IdempotentAnswers::Time now{};
  for (const char* key : {"a", "b", "c"}) {
    auto begun = answers.begin(key, sha256("body"), now);
    begun->turn->finish("answer");
  }
  EXPECT_EQ(answers.size(), 2U);
  EXPECT_TRUE(answers.begin("a", sha256("body"), now)->turn);
  EXPECT_TRUE(answers.begin("c", sha256("body"), now + std::chrono::hours(25))->turn);
}

TEST(IdempotentAnswers, RefusesMoreRunningRequestsThanItHolds) {
  IdempotentAnswers answers(1);
  const auto running = answers.begin("a", sha256("body"));
  EXPECT_EQ(answers.begin("b", sha256("body")).error().code(), ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace lmsb::server
