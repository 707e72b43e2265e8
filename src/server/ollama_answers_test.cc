#include "server/ollama_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "json/value.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

OllamaAnswer of_chat() {
  OllamaAnswer answer;
  answer.model = "tiny:latest";
  answer.is_chat = true;
  return answer;
}

OllamaAnswer of_generate() {
  OllamaAnswer answer;
  answer.model = "tiny";
  return answer;
}

constexpr const char* kEnd = R"("finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3},)"
                             R"("timings":{"prompt_ms":1.5,"predicted_ms":2}})";

// What comes of events, one after the other; times are left out.
std::string lines_of(OllamaAnswer answer, const std::vector<std::string>& events) {
  const auto form = ollama_form(std::move(answer));
  std::string lines;
  for (const std::string& event : events) {
    const auto passed = form->pass("data: " + event + "\n\n");
    lines += passed.octets;
    if (passed.is_last) return lines + "END";
  }
  return lines;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    all.push_back(text.substr(at, end - at));
  return all;
}

TEST(OllamaAnswer, IsAWholeOneOfOpenAis) {
  const auto answer = ollama_answer(
      of_chat(), std::string(R"({"choices":[{"message":{"content":"a","reasoning_content":"b"},)") + kEnd);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->starts_with(R"({"model":"tiny:latest","created_at":")")) << *answer;
  EXPECT_THAT(*answer, HasSubstr(R"("message":{"role":"assistant","content":"a","thinking":"b"},"done":true,)"
                                 R"("done_reason":"stop","total_duration":)"));
  EXPECT_THAT(*answer, HasSubstr(R"("prompt_eval_count":7,"prompt_eval_duration":1500000,"eval_count":3,)"
                                 R"("eval_duration":2000000})"));
}

TEST(OllamaAnswer, HasTheArgumentsOfACallAsAnObject) {
  const auto with = [](const std::string& arguments) {
    return ollama_answer(of_chat(),
                         R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"i","function":{"name":"f",)"
                         R"("arguments":")" +
                             arguments + R"("}}]},)" + kEnd);
  };
  EXPECT_THAT(*with(R"({\"x\":1})"),
              HasSubstr(R"("tool_calls":[{"id":"i","function":{"index":0,"name":"f","arguments":{"x":1}}}])"));
  for (const char* bad : {"{", "5"}) {
    ASSERT_FALSE(with(bad).ok());
    EXPECT_EQ(with(bad).error().slug(), "runner_failed");
  }
}

TEST(OllamaAnswer, IsAResponseWhereAPromptWasContinued) {
  EXPECT_THAT(*ollama_answer(of_generate(), std::string(R"({"choices":[{"message":{"content":"a"},)") + kEnd),
              HasSubstr(R"("response":"a","done":true)"));
  EXPECT_THAT(*ollama_answer(of_generate(), R"({"choices":[{"text":"b","finish_reason":"length"}]})"),
              HasSubstr(R"("response":"b","done":true,"done_reason":"length")"));
}

TEST(OllamaAnswer, IsNoneWithoutAChoice) {
  for (const char* whole : {"{}", "[]", "", R"({"choices":[]})"})
    EXPECT_FALSE(ollama_answer(of_chat(), whole).ok()) << whole;
}

TEST(OllamaLines, AreOneForEachEventThatSaysSomething) {
  const auto all = lines(lines_of(
      of_chat(), {R"({"choices":[{"delta":{"role":"assistant","content":null}}]})",
                  R"({"choices":[{"delta":{"reasoning_content":"t"}}]})", R"({"choices":[{"delta":{"content":"a"}}]})",
                  R"({"choices":[{"delta":{},"finish_reason":"length"}]})",
                  R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}})", "[DONE]",
                  R"({"choices":[{"delta":{"content":"behind the end"}}]})"}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_THAT(all[0], HasSubstr(R"("message":{"role":"assistant","content":"","thinking":"t"},"done":false})"));
  EXPECT_THAT(all[1], HasSubstr(R"("message":{"role":"assistant","content":"a"},"done":false})"));
  EXPECT_THAT(all[2], HasSubstr(R"("content":""},"done":true,"done_reason":"length","total_duration":)"));
  EXPECT_THAT(all[2], HasSubstr(R"("prompt_eval_count":7)"));
}

TEST(OllamaLines, TellACallWhenAllOfItIsThere) {
  const auto all = lines(lines_of(
      of_chat(),
      {R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{\"x\""}}]}}]})",
       R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]})", "[DONE]"}));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(all[0], HasSubstr(R"("tool_calls":[{"id":"i","function":{"index":0,"name":"f","arguments":{"x":1}}}]},)"
                                R"("done":false})"));
}

TEST(OllamaLines, EndWithAnErrorWhereACallMakesNoSense) {
  const std::string text = lines_of(
      of_chat(),
      {R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]}}]})", "[DONE]"});
  EXPECT_TRUE(text.starts_with(R"({"error":")")) << text;
  EXPECT_TRUE(text.ends_with("END")) << text;
}

TEST(OllamaLines, EndWithAnErrorWhereWordsWouldBeLeftOut) {
  const auto form = ollama_form(OllamaAnswer());
  EXPECT_FALSE(form->pass(": ping\n\n").is_last);
  const auto passed = form->pass("data: {\"choices\":[\n\n");
  EXPECT_TRUE(passed.is_last);
  EXPECT_THAT(passed.octets, HasSubstr("is no JSON"));
}

TEST(OllamaLines, KeepNoCallsWithoutBound) {
  const std::string piece = R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":")" +
                            std::string(300'000, 'x') + R"("}}]}}]})";
  EXPECT_TRUE(lines_of(of_chat(), {piece, piece, piece, piece}).starts_with(R"({"error":")"));
}

TEST(OllamaEmbeddings, AreThoseOfOpenAis) {
  const std::string whole = R"({"data":[{"embedding":[1,2]},{"embedding":[3]}],"usage":{"prompt_tokens":7}})";
  EXPECT_THAT(*ollama_embeddings_of(of_generate(), whole), HasSubstr(R"("embeddings":[[1,2],[3]],"total_duration":)"));
  EXPECT_THAT(*ollama_embeddings_of(of_generate(), whole), HasSubstr(R"("prompt_eval_count":7})"));
  EXPECT_EQ(*ollama_embedding_of(whole), R"({"embedding":[1,2]})");
  EXPECT_FALSE(ollama_embedding_of("{}").ok());
  EXPECT_FALSE(ollama_embedding_of(R"({"data":[{"embedding":"AAAA"}]})").ok());
}

TEST(OllamaLoaded, SaysThatNothingWasAsked) {
  EXPECT_THAT(ollama_nothing(of_generate(), "load"), HasSubstr(R"("response":"","done":true,"done_reason":"load"})"));
}

TEST(OllamaModels, AreToldWithWhatIsKnown) {
  control::ModelInfo model;
  model.id = "tiny";
  model.size_bytes = 5;
  EXPECT_THAT(ollama_tags({model}), HasSubstr(R"({"models":[{"name":"tiny","model":"tiny","modified_at":)"));
  EXPECT_EQ(ollama_ps({model}), R"({"models":[]})");
  model.loaded = true;
  EXPECT_THAT(ollama_ps({model}), HasSubstr(R"("size":5)"));
  EXPECT_THAT(ollama_show(model), HasSubstr(R"("capabilities":["completion"])"));
  EXPECT_THAT(ollama_show(model), Not(HasSubstr("null")));
}

}  // namespace
}  // namespace lmsb::server
