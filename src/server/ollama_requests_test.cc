#include "server/ollama_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

using control::ModelWork;
using testing::HasSubstr;

std::string body_of(const Result<OllamaRequest>& request) {
  EXPECT_TRUE(request.ok());
  return request.ok() ? request->asks.body : "";
}

TEST(OllamaChat, IsOneOfOpenAis) {
  const auto request = ollama_chat(
      R"({"model":"tiny:latest","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}],"stream":false})");
  EXPECT_EQ(body_of(request),
            R"({"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}],"stream":false})");
  EXPECT_EQ(request->name, "tiny:latest");
  EXPECT_EQ(request->asks.model, "tiny");
  EXPECT_EQ(request->asks.path, "/v1/chat/completions");
  EXPECT_FALSE(request->asks.is_streamed);
}

TEST(OllamaChat, IsStreamedWhereNothingIsSaidOfThat) {
  const auto request = ollama_chat(R"({"model":"tiny","messages":[{"role":"user","content":"a"}]})");
  EXPECT_THAT(body_of(request), HasSubstr(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_TRUE(request->asks.is_streamed);
}

TEST(OllamaChat, TellsWhichCallAResultIsOf) {
  const auto call = [](const std::string& name) {
    return R"({"function":{"name":")" + name + R"(","arguments":{"x":1}}})";
  };
  const auto request =
      ollama_chat(R"({"messages":[{"role":"assistant","content":"","tool_calls":[)" + call("a") + "," + call("b") +
                  R"(]},{"role":"tool","tool_name":"b","content":"B"},)"
                  R"({"role":"tool","content":"A"},{"role":"tool","tool_call_id":"z","content":"Z"}]})");
  const std::string body = body_of(request);
  EXPECT_THAT(body, HasSubstr(R"({"id":"call_0","type":"function","function":{"name":"a","arguments":"{\"x\":1}"}})"));
  EXPECT_THAT(body, HasSubstr(R"("content":"B","tool_call_id":"call_1")"));
  EXPECT_THAT(body, HasSubstr(R"("content":"A","tool_call_id":"call_0")"));
  EXPECT_THAT(body, HasSubstr(R"("content":"Z","tool_call_id":"z")"));
}

TEST(OllamaChat, LeavesArgumentsAsTheyAreThatAreTextAlready) {
  const auto request = ollama_chat(
      R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"a","arguments":"{\"x\":1}"}}]}]})");
  EXPECT_THAT(body_of(request), HasSubstr(R"("arguments":"{\"x\":1}"})"));
}

TEST(OllamaChat, TakesAResultForNoOtherCallThanItSays) {
  const auto request = ollama_chat(
      R"({"messages":[{"role":"assistant","tool_calls":[{"id":"a"}]},{"role":"tool","tool_call_id":"z","content":""},)"
      R"({"role":"tool","content":""}]})");
  EXPECT_THAT(body_of(request), HasSubstr(R"("tool_call_id":"z"},{"role":"tool","content":"","tool_call_id":"a"})"));
}

// Else the search for each of many results among as many calls would hold everybody up.
TEST(OllamaChat, HasNoMoreCallsThatWaitThanHelp) {
  const auto with = [](int number) {
    std::string calls = "{}";
    for (int i = 1; i < number; ++i) calls += ",{}";
    return ollama_chat(R"({"messages":[{"role":"assistant","tool_calls":[)" + calls + "]}]}");
  };
  EXPECT_TRUE(with(256).ok());
  EXPECT_FALSE(with(257).ok());
}

TEST(OllamaChat, LeavesNothingOutOfAQuestionThatItDoesNotUnderstand) {
  for (const char* message :
       {R"("text")", R"({"role":"user","content":["a"]})", R"({"role":1,"content":"a"})",
        R"({"role":"user","content":"a","images":"aGk="})", R"({"role":"user","content":"a","images":[1]})",
        R"({"role":"assistant","tool_calls":{"function":{}}})"})
    EXPECT_FALSE(ollama_chat(std::string(R"({"messages":[)") + message + "]}").ok()) << message;
  EXPECT_TRUE(ollama_chat(R"({"messages":[{"role":"assistant","content":null}]})").ok());
}

TEST(OllamaChat, HasItsImagesBesideItsText) {
  const auto request = ollama_chat(R"({"messages":[{"role":"user","content":"a","images":["/9j/x"]}]})");
  EXPECT_THAT(body_of(request), HasSubstr(R"("content":[{"type":"text","text":"a"},{"type":"image_url","image_url":)"
                                          R"({"url":"data:image/jpeg;base64,/9j/x"}}])"));
}

TEST(OllamaChat, TellsATemplateWhetherToThink) {
  const auto think = [](const std::string& value) {
    return body_of(ollama_chat(R"({"messages":[{"role":"user","content":"a"}],"think":)" + value + "}"));
  };
  EXPECT_THAT(think("false"), HasSubstr(R"("chat_template_kwargs":{"enable_thinking":false})"));
  EXPECT_THAT(think("\"low\""), HasSubstr(R"({"enable_thinking":true,"reasoning_effort":"low"})"));
  EXPECT_FALSE(ollama_chat(R"({"messages":[{"role":"user","content":"a"}],"think":5})").ok());
}

TEST(OllamaOptions, AreThoseOfSamplingInTheServersWords) {
  const auto request = ollama_generate(
      R"({"prompt":"a","options":{"num_predict":5,"num_keep":2,"top_k":40,"stop":["x"],"seed":1,"num_ctx":8192}})");
  EXPECT_THAT(body_of(request),
              HasSubstr(R"("max_tokens":5,"n_keep":2,"top_k":40,"stop":["x"],"seed":1,"stream":true)"));
  EXPECT_THAT(body_of(ollama_generate(R"({"prompt":"a","options":{"num_predict":-1}})")),
              testing::Not(HasSubstr("max_tokens")))
      << "that is for ever, which is what a request means that says nothing";
  const auto unknown = ollama_generate(R"({"prompt":"a","options":{"nonsense":1}})");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message(), HasSubstr("nonsense"));
}

TEST(OllamaFormat, IsJsonOrASchema) {
  const auto format = [](const std::string& value) {
    return ollama_generate(R"({"prompt":"a","format":)" + value + "}");
  };
  EXPECT_THAT(body_of(format("\"json\"")), HasSubstr(R"("response_format":{"type":"json_object"})"));
  EXPECT_THAT(body_of(format(R"({"type":"object"})")),
              HasSubstr(R"({"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}})"));
  EXPECT_THAT(body_of(format("\"\"")), testing::Not(HasSubstr("response_format")));
  EXPECT_FALSE(format("\"xml\"").ok());
}

TEST(OllamaGenerate, IsAConversationOfOneMessage) {
  const auto request = ollama_generate(R"({"model":"tiny","prompt":"a","system":"b","stream":false})");
  EXPECT_EQ(body_of(request),
            R"({"messages":[{"role":"system","content":"b"},{"role":"user","content":"a"}],"stream":false})");
}

TEST(OllamaGenerate, IsATextToContinueWhereItIsRaw) {
  const auto request = ollama_generate(R"({"prompt":"a","raw":true,"stream":false})");
  EXPECT_EQ(body_of(request), R"({"prompt":"a","stream":false})");
  EXPECT_EQ(request->asks.path, "/v1/completions");
  EXPECT_FALSE(ollama_generate(R"({"prompt":"a","raw":true,"system":"b"})").ok());
}

TEST(OllamaGenerate, RefusesWhatCannotBeDone) {
  for (const char* field : {R"("suffix":"b")", R"("template":"b")", R"("context":[1])", R"("logprobs":true)"})
    EXPECT_FALSE(ollama_generate(std::string(R"({"prompt":"a",)") + field + "}").ok()) << field;
  EXPECT_TRUE(ollama_generate(R"({"prompt":"a","suffix":"","template":"","context":[],"logprobs":false})").ok());
}

TEST(OllamaRequests, OfNothingOnlyLoadTheModel) {
  for (const auto& request : {ollama_generate(R"({"model":"tiny","keep_alive":"5m"})"),
                              ollama_chat(R"({"model":"tiny","messages":[]})"), ollama_chat(R"({"model":"tiny"})")}) {
    ASSERT_TRUE(request.ok());
    EXPECT_TRUE(request->only_loads);
    EXPECT_EQ(request->asks.work, ModelWork::counting);
    EXPECT_EQ(request->asks.path, "/tokenize");
    EXPECT_EQ(request->asks.model, "tiny");
  }
}

TEST(OllamaRequests, OfNothingThatKeepNoModelLetItGo) {
  for (const auto& request :
       {ollama_generate(R"({"model":"tiny","keep_alive":0})"), ollama_chat(R"({"model":"tiny","keep_alive":"0s"})")}) {
    ASSERT_TRUE(request.ok());
    EXPECT_TRUE(request->only_unloads);
    EXPECT_FALSE(request->only_loads);
  }
}

TEST(OllamaRequests, SayHowLongTheModelStays) {
  EXPECT_EQ(ollama_generate(R"({"prompt":"a"})")->asks.keep_alive, std::nullopt);
  EXPECT_EQ(ollama_generate(R"({"prompt":"a","keep_alive":null})")->asks.keep_alive, std::nullopt);
  EXPECT_EQ(ollama_generate(R"({"prompt":"a","keep_alive":"5m"})")->asks.keep_alive, std::chrono::minutes(5));
  EXPECT_EQ(ollama_embed(R"({"input":"a","keep_alive":7})")->asks.keep_alive, std::chrono::seconds(7));
  EXPECT_EQ(ollama_chat(R"({"messages":[{"role":"user","content":"a"}],"keep_alive":-1})")->asks.keep_alive,
            control::kKeptWhileThereIsRoom);
  const auto other = ollama_chat(R"({"messages":[{"role":"user","content":"a"}],"keep_alive":"soon"})");
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message(), HasSubstr("keep_alive"));
}

TEST(OllamaEmbed, IsOneOfOpenAis) {
  const auto request = ollama_embed(R"({"model":"tiny","input":["a","b"],"truncate":true})");
  EXPECT_EQ(body_of(request), R"({"input":["a","b"],"encoding_format":"float"})");
  EXPECT_EQ(request->asks.work, ModelWork::embedding);
  EXPECT_TRUE(request->asks.is_several);
  EXPECT_FALSE(ollama_embed(R"({"model":"tiny","input":["a"]})")->asks.is_several);
  EXPECT_EQ(body_of(ollama_embeddings(R"({"model":"tiny","prompt":"a"})")),
            R"({"input":"a","encoding_format":"float"})");
  EXPECT_FALSE(ollama_embed(R"({"model":"tiny"})").ok());
  EXPECT_FALSE(ollama_embed(R"({"input":"a","dimensions":3})").ok());
}

TEST(OllamaRequests, ThatAreNoneAreRefused) {
  for (const char* body : {"", "[]", "{", R"({"model":5})", R"({"messages":"x"})", R"({"options":5,"messages":[{}]})",
                           R"({"stream":"x","messages":[{}]})"})
    EXPECT_FALSE(ollama_chat(body).ok()) << body;
}

TEST(OllamaModel, IsNamedInOneOfTwoWays) {
  EXPECT_EQ(*ollama_model(R"({"model":"tiny:latest"})"), "tiny");
  EXPECT_EQ(*ollama_model(R"({"name":"tiny"})"), "tiny");
  EXPECT_FALSE(ollama_model("{}").ok());
}

}  // namespace
}  // namespace lmsb::server
