#include "cli/conversation.h"

#include <gtest/gtest.h>

#include "cli/fake_api_for_test.h"

namespace lmsb::cli {
namespace {

class ConversationTest : public testing::Test {
 protected:
  Result<std::string> ask(const std::string& question, std::string events, int status = 200) {
    api_.answers["POST /v1/chat/completions"] = {status, std::move(events)};
    return conversation_.ask(api_, question, [this](const Conversation::Part& part) -> Status {
      (part.is_thought ? thoughts_ : text_) += part.text;
      if (text_ != "enough") return {};
      return Error(ErrorCode::cancelled, "interrupted");
    });
  }
  // What was sent with the last question.
  std::string sent() const { return api_.calls.back().body; }

  FakeApi api_;
  Conversation conversation_{"tiny", "Be brief."};
  std::string text_;
  std::string thoughts_;
};

constexpr const char* kYes =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n"
    ": a comment\n\n"
    "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"Ye\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"s.\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{}}\n\n"
    "data: [DONE]\n\n";

TEST_F(ConversationTest, AsksAndHearsTheAnswerBitByBit) {
  const auto ended = ask("Is it?", kYes);
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(*ended, "stop");
  EXPECT_EQ(text_, "Yes.");
  EXPECT_EQ(thoughts_, "hm");
  EXPECT_EQ(sent(), R"({"model":"tiny","stream":true,"messages":[{"role":"system","content":"Be brief."},)"
                    R"({"role":"user","content":"Is it?"}]})");
}

TEST_F(ConversationTest, RemembersWhatWasSaidButNotWhatWasThought) {
  ASSERT_TRUE(ask("Is it?", kYes).ok());
  ASSERT_TRUE(ask("Sure?", kYes).ok());
  EXPECT_NE(sent().find(R"({"role":"user","content":"Is it?"},{"role":"assistant","content":"Yes."},)"
                        R"({"role":"user","content":"Sure?"}])"),
            std::string::npos)
      << sent();
  conversation_.forget();
  ASSERT_TRUE(ask("New?", kYes).ok());
  EXPECT_EQ(sent().find("Sure?"), std::string::npos);
}

TEST_F(ConversationTest, ForgetsAQuestionThatHasNoAnswer) {
  EXPECT_EQ(ask("x", R"({"error":{"code":"model_not_found","message":"no model"}})", 404).error().slug(),
            "model_not_found");
  EXPECT_EQ(ask("x", "data: {\"error\":{\"code\":\"runner_died\",\"message\":\"it ended\"}}\n\n").error().slug(),
            "runner_died");
  EXPECT_EQ(ask("x", "data: {\"choices\":[{\"delta\":{\"content\":\"Y\"}}]}\n\n").error().slug(), "runner_died");
  EXPECT_EQ(ask("x", "data: what?\n\n").ok(), false);
  EXPECT_EQ(conversation_.size(), 0U);
}

TEST_F(ConversationTest, KeepsWhatCameOfAnAnswerThatWasInterrupted) {
  const auto ended = ask("x", "data: {\"choices\":[{\"delta\":{\"content\":\"enough\"}}]}\n\n");
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(*ended, "interrupted");
  EXPECT_EQ(conversation_.size(), 2U);
}

TEST_F(ConversationTest, AsksForTheWholeAnswerAndRemembersNothingOfIt) {
  api_.answers["POST /v1/chat/completions"] = {200, R"({"object":"chat.completion"})"};
  const auto answer = conversation_.ask_whole(api_, "Is it?");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(text_field(answer->root(), "object"), "chat.completion");
  EXPECT_NE(sent().find(R"("stream":false)"), std::string::npos);
  EXPECT_EQ(conversation_.size(), 0U);
  api_.answers["POST /v1/chat/completions"] = {404, R"({"error":{"code":"model_not_found","message":"m"}})"};
  EXPECT_EQ(conversation_.ask_whole(api_, "Is it?").error().slug(), "model_not_found");
}

}  // namespace
}  // namespace lmsb::cli
