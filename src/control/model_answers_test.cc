#include "control/model_answers.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

http::Response answer(int status, std::string body) { return http::Response::json(status, std::move(body)); }

std::string slug_of(int status, const std::string& body) {
  return std::string(whole_answer(answer(status, body)).error().slug());
}

TEST(ModelAnswers, AreGoodWhenTheyAreAnObject) {
  EXPECT_EQ(whole_answer(answer(200, R"({"choices":[]})")).value(), R"({"choices":[]})");
  for (const char* body : {"", "5", "{", "ok"}) EXPECT_EQ(slug_of(200, body), "runner_failed") << body;
  for (const int status : {100, 201, 204, 301, 999}) EXPECT_EQ(slug_of(status, "{}"), "runner_failed") << status;
}

TEST(ModelAnswers, HoldTheTextOfAChatOrOfACompletion) {
  const std::string chat = R"({"choices":[{"message":{"content":"yes"}}]})";
  EXPECT_EQ(completion_text(answer(200, chat), true).value(), "yes");
  EXPECT_EQ(completion_text(answer(200, R"({"content":"raw"})"), false).value(), "raw");
  EXPECT_EQ(completion_text(answer(200, R"({"content":"raw"})"), true).error().slug(), "runner_failed");
}

TEST(ModelAnswers, ThatRefuseTheRequestAreNotTheRunnersFault) {
  EXPECT_EQ(slug_of(400, R"({"error":{"message":"no"}})"), "prompt_refused");
  EXPECT_EQ(slug_of(500, R"({"error":{"message":"the template fails"}})"), "prompt_refused");
  EXPECT_EQ(slug_of(400, R"({"error":{"message":"Pooling type 'none' is not OAI compatible","type":"x"}})"),
            "model_unable");
  EXPECT_EQ(slug_of(400, R"({"error":{"message":"no","type":"exceed_context_size_error"}})"),
            "context_length_exceeded");
  EXPECT_EQ(slug_of(501, R"({"error":{"message":"no"}})"), "model_unable");
}

TEST(ModelAnswers, TellAModelThatMakesNoEmbeddingsFromARequestThatCannotBeDone) {
  const auto refused = [](int status, const std::string& words) {
    return is_no_embedder(refusal_of(status, R"({"error":{"message":")" + words + R"("}})"));
  };
  EXPECT_TRUE(refused(400, "Pooling type 'none' is not OAI compatible"));
  EXPECT_FALSE(refused(501, "This is not there"));
  EXPECT_FALSE(refused(400, "input is no text"));
}

TEST(ModelAnswers, ToSeveralPromptsAreNeitherGoodNorTheRunnersFault) {
  EXPECT_EQ(slug_of(200, R"([{"content":"a"},{"content":"b"}])"), "model_unable");
  EXPECT_EQ(completion_text(answer(200, "[]"), true).error().slug(), "runner_failed");
}

TEST(ModelAnswers, ThatSayNothingAre) {
  for (const int status : {400, 404, 500, 501, 503}) EXPECT_EQ(slug_of(status, "oops"), "runner_failed") << status;
  EXPECT_EQ(slug_of(503, R"({"error":{"message":"loading"}})"), "runner_failed");
}

TEST(ModelAnswers, TellWhatTheServerSaysButNotAllOfABook) {
  const Error refusal = refusal_of(400, R"({"error":{"message":")" + std::string(100'000, 'x') + R"("}})");
  EXPECT_TRUE(refusal.message().starts_with("the model refuses the request: xxx"));
  EXPECT_LT(refusal.message().size(), 3000U);
}

TEST(ModelAnswers, AnnounceEvents) {
  http::Headers headers;
  headers.set("Content-Type", "text/event-stream; charset=utf-8");
  EXPECT_TRUE(announces_events(200, headers));
  EXPECT_FALSE(announces_events(400, headers));
  headers.set("Content-Type", "application/json");
  EXPECT_FALSE(announces_events(200, headers));
}

}  // namespace
}  // namespace lmsb::control
