#include <gtest/gtest.h>

#include "http/body.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

class AnthropicRoutes : public testing::Test {
 protected:
  http::Response ask(const std::string& body, const std::string& path = "/v1/messages") {
    return fixture_.send("POST", path, body);
  }
  // All that is streamed where the model's server says `events`.
  std::string stream(std::string events) {
    fixture_.control.model_answer.events = http::reader_of(std::move(events));
    const auto response = ask(R"({"messages":[],"stream":true})");
    EXPECT_EQ(response.headers.find("Content-Type"), "text/event-stream");
    std::string all;
    while (true) {
      const auto piece = io::run_blocking(response.source->next());
      if (!piece.ok() || piece->empty()) return all;
      all += *piece;
    }
  }
  static std::string event(const std::string& type, const std::string& more) {
    return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + more + "}\n\n";
  }
  Fixture fixture_;
};

TEST_F(AnthropicRoutes, PassTheRequestOnAsItIs) {
  fixture_.control.model_answer.whole = "{}";
  const std::string body = R"({"model":"tiny","max_tokens":5,"messages":[],"metadata":{"user_id":"x"}})";
  EXPECT_EQ(ask(body).status, 200);
  const auto& request = fixture_.control.model_request;
  EXPECT_EQ(request.body, body);
  EXPECT_EQ(request.model, "tiny");
  EXPECT_EQ(request.path, "/v1/messages");
  EXPECT_EQ(request.work, control::ModelWork::answer);
}

TEST_F(AnthropicRoutes, CountTokens) {
  fixture_.control.model_answer.whole = R"({"input_tokens":10})";
  const auto response = ask(R"({"messages":[],"stream":true})", "/v1/messages/count_tokens");
  EXPECT_EQ(response.body, R"({"input_tokens":10})");
  EXPECT_EQ(fixture_.control.model_request.work, control::ModelWork::counting);
  EXPECT_FALSE(fixture_.control.model_request.is_streamed);
}

TEST_F(AnthropicRoutes, TakeWhatStandsInAQuery) {
  fixture_.control.model_answer.whole = "{}";
  auto request = local_request("POST", "/v1/messages", "{}");
  request.query = {{"beta", "true"}};
  EXPECT_EQ(io::run_blocking(fixture_.app.serve()(request)).status, 200);
}

TEST_F(AnthropicRoutes, AddToAMessageWhatClientsNeed) {
  fixture_.control.model_answer.whole =
      R"({"id":"chatcmpl-x","content":[],"stop_reason":"end_turn","stop_sequence":"ab","usage":{"input_tokens":1,"output_tokens":2}})";
  EXPECT_EQ(
      ask("{}").body,
      R"({"id":"msg_x","content":[],"stop_reason":"stop_sequence","stop_sequence":"ab",)"
      R"("usage":{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0}})");
}

TEST_F(AnthropicRoutes, LeaveAMessageAsItIsThatHasAllAlready) {
  const std::string whole =
      R"({"id":"msg_x","content":[{"text":"a"}],"stop_reason":"tool_use","stop_sequence":null,"usage":)"
      R"({"input_tokens":1,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":4}})";
  fixture_.control.model_answer.whole = whole;
  EXPECT_EQ(ask("{}").body, whole);
}

TEST_F(AnthropicRoutes, AddToTheEventsOfAMessageWhatClientsNeed) {
  EXPECT_EQ(
      stream(event("message_start",
                   R"(,"message":{"id":"chatcmpl-x","usage":{"cache_read_input_tokens":9,"input_tokens":1}})") +
             event("content_block_start", R"(,"index":0,"content_block":{"type":"thinking","thinking":""})") +
             event("content_block_start", R"(,"index":1,"content_block":{"type":"tool_use","id":"a","name":"b"})") +
             event("content_block_delta", R"(,"delta":{"type":"text_delta","text":"a"})") + ": a comment\n\n" +
             event("message_delta",
                   R"(,"delta":{"stop_reason":"end_turn","stop_sequence":"ab"},"usage":{"output_tokens":6})") +
             event("message_stop", "") + event("behind_the_end", "")),
      event("message_start", R"(,"message":{"id":"msg_x","usage":{"cache_read_input_tokens":9,"input_tokens":1,)"
                             R"("cache_creation_input_tokens":0}})") +
          event("content_block_start",
                R"(,"index":0,"content_block":{"type":"thinking","thinking":"","signature":""})") +
          event("content_block_start",
                R"(,"index":1,"content_block":{"type":"tool_use","id":"a","name":"b","input":{}})") +
          event("content_block_delta", R"(,"delta":{"type":"text_delta","text":"a"})") + ": a comment\n\n" +
          event("message_delta",
                R"(,"delta":{"stop_reason":"stop_sequence","stop_sequence":"ab"},"usage":{"output_tokens":6,)"
                R"("input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":9})") +
          event("message_stop", ""));
}

TEST_F(AnthropicRoutes, EndAStreamThatBreaksOffWithAnErrorThatClientsThrow) {
  const std::string begin = event("message_start", "");
  EXPECT_EQ(
      stream(begin + "event: content_bl"),
      begin +
          "event: error\n"
          R"(data: {"type":"error","error":{"type":"api_error","message":"the model runner's answer has broken off)"
          " (send the request again)\",\"code\":\"runner_failed\"}}\n\n");
}

TEST_F(AnthropicRoutes, TellOfAnErrorInAStreamInItsWords) {
  const std::string error = R"({"code":400,"message":"too long","type":"exceed_context_size_error"})";
  for (const std::string& said : {error, R"({"type":"error","error":)" + error + "}"}) {
    const std::string words = stream("event: error\ndata: " + said + "\n\n" + event("more", ""));
    EXPECT_TRUE(
        words.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\""))
        << words;
    EXPECT_NE(words.find("\"code\":\"context_length_exceeded\""), std::string::npos) << words;
    EXPECT_EQ(words.find("more\""), std::string::npos) << words;
  }
}

TEST_F(AnthropicRoutes, RefuseInItsWords) {
  for (const char* body : {"", "[]", R"({"model":1})", R"({"stream":"yes"})"}) {
    const auto response = ask(body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_TRUE(response.body.starts_with(R"({"type":"error","error":{"type":"invalid_request_error")"))
        << response.body;
  }
  fixture_.control.error = Error(ErrorCode::not_found, "no model x").with_slug("model_not_found");
  EXPECT_EQ(ask("{}").status, 404);
  EXPECT_EQ(fixture_.send("GET", "/v1/messages").status, 405);
  EXPECT_TRUE(fixture_.send("GET", "/v1/messages/batches").body.starts_with(R"({"type":"error")"));
}

}  // namespace
}  // namespace lmsb::server
