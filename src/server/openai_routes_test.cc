#include <deque>

#include <gtest/gtest.h>

#include "http/body.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

// Gives its pieces, and then ends as it is told.
class Pieces final : public http::BodyReader {
 public:
  explicit Pieces(std::deque<std::string> pieces, std::optional<Error> last = std::nullopt)
      : pieces_(std::move(pieces)), last_(std::move(last)) {}
  io::Task<std::string> read() override {
    if (pieces_.empty() && last_) co_return *last_;
    if (pieces_.empty()) co_return std::string();
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    co_return piece;
  }

 private:
  std::deque<std::string> pieces_;
  std::optional<Error> last_;
};

class OpenAiRoutes : public testing::Test {
 protected:
  void stream(std::deque<std::string> pieces, std::optional<Error> last = std::nullopt) {
    fixture_.control.model_answer.events = std::make_shared<Pieces>(std::move(pieces), std::move(last));
  }
  http::Response ask(const std::string& body) { return fixture_.send("POST", "/v1/chat/completions", body); }
  // The pieces of a streamed answer, in brackets.
  static std::string pieces_of(const http::Response& response) {
    std::string all;
    while (true) {
      const auto piece = io::run_blocking(response.source->next());
      if (!piece.ok()) return all + "!" + std::string(piece.error().slug());
      if (piece->empty()) return all;
      all += "[" + *piece + "]";
    }
  }
  Fixture fixture_;
};

TEST_F(OpenAiRoutes, PassTheRequestOnAsItIs) {
  fixture_.control.model_answer.whole = R"({"id":"x","choices":[]})";
  const std::string body = R"({"model":"tiny","messages":[],"seed":18446744073709551615})";
  const auto response = ask(body);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"id":"x","choices":[]})");
  EXPECT_EQ(fixture_.control.model_request.body, body);
  EXPECT_EQ(fixture_.control.model_request.model, "tiny");
  EXPECT_EQ(fixture_.control.model_request.path, "/v1/chat/completions");
  EXPECT_FALSE(fixture_.control.model_request.is_streamed);
}

TEST_F(OpenAiRoutes, TellWhetherSeveralAnswersAreAskedFor) {
  fixture_.control.model_answer.whole = "{}";
  const auto is_several = [this](const std::string& body) {
    EXPECT_EQ(ask(body).status, 200) << body;
    return fixture_.control.model_request.is_several;
  };
  for (const char* body : {R"({"prompt":"a"})", R"({"prompt":[1,2,3]})", R"({"n":1})", R"({"n":null})", "{}"})
    EXPECT_FALSE(is_several(body)) << body;
  for (const char* body : {R"({"prompt":["a","b"]})", R"({"prompt":["a"]})", R"({"prompt":[[1],[2]]})",
                           R"({"prompt":[1,"a"]})", R"({"prompt":"a","prompt":["a","b"]})", R"({"n":2})",
                           R"({"n":1.5})", R"({"n":"2"})", R"({"n_cmpl":2})", R"({"n":18446744073709551615})"})
    EXPECT_TRUE(is_several(body)) << body;
}

TEST_F(OpenAiRoutes, HaveEmbeddingsMadeAndNeverStreamed) {
  fixture_.control.model_answer.whole = "{}";
  const auto asked = [this](const std::string& body) {
    EXPECT_EQ(fixture_.send("POST", "/v1/embeddings", body).status, 200) << body;
    return fixture_.control.model_request;
  };
  const auto request = asked(R"({"input":"a","encoding_format":"base64","stream":true})");
  EXPECT_EQ(request.work, control::ModelWork::embedding);
  EXPECT_EQ(request.path, "/v1/embeddings");
  EXPECT_FALSE(request.is_streamed) << "there is no such stream, and a server answers in one piece";
  for (const char* body :
       {R"({"input":"a"})", R"({"input":["a"]})", R"({"input":[1,2]})", R"({"input":[[1,2]]})", "{}"})
    EXPECT_FALSE(asked(body).is_several) << body;
  for (const char* body : {R"({"input":["a","b"]})", R"({"input":[[1],[2]]})", R"({"content":["a","b"]})"})
    EXPECT_TRUE(asked(body).is_several) << body;
}

TEST_F(OpenAiRoutes, CountTheTokensOfAResponsesInput) {
  fixture_.control.model_answer.whole = R"({"input_tokens":10})";
  const auto response = fixture_.send("POST", "/v1/responses/input_tokens", R"({"input":"x","stream":true})");
  EXPECT_EQ(response.body, R"({"input_tokens":10})");
  EXPECT_EQ(fixture_.control.model_request.work, control::ModelWork::counting);
  EXPECT_FALSE(fixture_.control.model_request.is_streamed);
}

TEST_F(OpenAiRoutes, AddToTheEventsOfAResponseWhatClientsNeed) {
  const std::string words =
      "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n"
      "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"m\"}}\n\n"
      "event: response.output_text.delta\n"
      "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"delta\":\"a\"}\n\n"
      "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"f\"}}\n\n"
      ": a comment\n\n"
      "event: response.completed\n"
      "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"output\":[1]}}\n\n"
      "data: behind the end\n\n";
  stream({words});
  EXPECT_EQ(pieces_of(fixture_.send("POST", "/v1/responses", R"({"input":"x","stream":true})")),
            "[event: response.created\n"
            R"(data: {"type":"response.created","response":{"id":"r","output":[]},"sequence_number":0})"
            "\n\nevent: response.output_item.added\n"
            R"(data: {"type":"response.output_item.added","item":{"id":"m"},"sequence_number":1,"output_index":0})"
            "\n\nevent: response.output_text.delta\n"
            R"(data: {"type":"response.output_text.delta","item_id":"m","delta":"a",)"
            R"("sequence_number":2,"output_index":0,"content_index":0})"
            "\n\nevent: response.output_item.added\n"
            R"(data: {"type":"response.output_item.added","item":{"id":"f"},"sequence_number":3,"output_index":1})"
            "\n\n: a comment\n\nevent: response.completed\n"
            R"(data: {"type":"response.completed","response":{"id":"r","output":[1]},"sequence_number":4})"
            "\n\n]");
}

TEST_F(OpenAiRoutes, LeaveAResponsesEventAsItIsThatHasAllAlready) {
  const std::string event =
      "event: x\ndata: "
      "{\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"sequence_number\":7,\"output_index\":3,"
      "\"content_index\":2}\n\n";
  stream({event}, Error(ErrorCode::unavailable, "it ended").with_slug("runner_died"));
  const auto pieces = pieces_of(fixture_.send("POST", "/v1/responses", R"({"input":"x","stream":true})"));
  EXPECT_TRUE(pieces.starts_with("[" + event + "][data: {\"error\":{")) << pieces;
}

TEST_F(OpenAiRoutes, KeepThePlaceOfAnAnswerUntilItHasBeenSent) {
  const auto place = std::make_shared<int>();
  fixture_.control.model_answer.whole = R"({"id":"x"})";
  fixture_.control.model_answer.place = place;
  auto response = ask("{}");
  fixture_.control.model_answer = {};
  ASSERT_TRUE(response.source);
  EXPECT_EQ(response.source_size, 10U);
  EXPECT_EQ(response.headers.find("Content-Type"), "application/json");
  EXPECT_EQ(pieces_of(response), R"([{"id":"x"}])");
  EXPECT_EQ(place.use_count(), 2);
  response.source.reset();
  EXPECT_EQ(place.use_count(), 1);
}

TEST_F(OpenAiRoutes, TakeTheDefaultModelWhereNoneIsNamed) {
  fixture_.control.model_answer.whole = "{}";
  EXPECT_EQ(ask(R"({"messages":[]})").status, 200);
  EXPECT_EQ(fixture_.control.model_request.model, "");
}

TEST_F(OpenAiRoutes, StreamWholeEvents) {
  stream({"data: 1\n\nda", "ta: 2\n", "\ndata: 3\n\ndata: [DONE]\n\ndata: behind the end\n\n"});
  const auto response = ask(R"({"messages":[],"stream":true})");
  ASSERT_TRUE(response.source);
  EXPECT_TRUE(fixture_.control.model_request.is_streamed);
  EXPECT_EQ(response.headers.find("Content-Type"), "text/event-stream");
  EXPECT_EQ(pieces_of(response), "[data: 1\n\n][data: 2\n\ndata: 3\n\ndata: [DONE]\n\n]");
}

TEST_F(OpenAiRoutes, EndAStreamThatBreaksOffWithAnErrorThatClientsThrow) {
  stream({"data: 1\n\ndata: {\"half"}, Error(ErrorCode::unavailable, "it ended").with_slug("runner_died"));
  EXPECT_EQ(pieces_of(ask(R"({"messages":[],"stream":true})")),
            "[data: 1\n\n]"
            R"([data: {"error":{"message":"it ended","type":"server_error","param":null,"code":"runner_died"}})"
            "\n\n]");
}

TEST_F(OpenAiRoutes, SayNothingToAClientThatHasGone) {
  stream({"data: 1\n\n"}, Error(ErrorCode::cancelled, "gone"));
  EXPECT_EQ(pieces_of(ask(R"({"messages":[],"stream":true})")), "[data: 1\n\n]!cancelled");
}

TEST_F(OpenAiRoutes, EndAStreamWithoutItsEndWithAnError) {
  stream({"data: 1\n\ndata: {\"half"});
  const std::string pieces = pieces_of(ask(R"({"messages":[],"stream":true})"));
  EXPECT_TRUE(pieces.starts_with("[data: 1\n\n][data: {\"error\":")) << pieces;
  EXPECT_NE(pieces.find("\"code\":\"runner_failed\""), std::string::npos) << pieces;
}

TEST_F(OpenAiRoutes, TellOfAnErrorInAStreamInOpenAisShape) {
  const std::string error = R"({"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}})";
  for (const std::string& event :
       {"data: " + error,
        std::string(R"(error: {"code":400,"message":"too long","type":"exceed_context_size_error"})")}) {
    stream({"data: 1\n\n" + event + "\n\ndata: more\n\n"});
    const std::string pieces = pieces_of(ask(R"({"messages":[],"stream":true})"));
    EXPECT_TRUE(pieces.starts_with("[data: 1\n\ndata: {\"error\":{\"message\":\"the model refuses")) << pieces;
    EXPECT_NE(pieces.find("\"code\":\"context_length_exceeded\""), std::string::npos) << pieces;
    EXPECT_EQ(pieces.find("more"), std::string::npos);
  }
}

TEST_F(OpenAiRoutes, KeepNoEventThatDoesNotEnd) {
  stream(std::deque<std::string>(40, std::string(65536, 'x')));
  const std::string pieces = pieces_of(ask(R"({"messages":[],"stream":true})"));
  EXPECT_TRUE(pieces.starts_with("[data: {\"error\":")) << pieces.substr(0, 100);
  EXPECT_LT(pieces.size(), 1000U);
}

TEST_F(OpenAiRoutes, SayWhetherItIsWorthToSendARequestAgain) {
  fixture_.control.error = Error(ErrorCode::failed_precondition, "it cannot be loaded").with_slug("model_not_loadable");
  EXPECT_EQ(ask("{}").headers.find("x-should-retry"), "false");
  fixture_.control.error = Error(ErrorCode::unavailable, "it ended").with_slug("runner_died");
  EXPECT_FALSE(ask("{}").headers.find("x-should-retry"));
}

TEST_F(OpenAiRoutes, RefuseInOpenAisShapeWhatIsNoRequest) {
  for (const char* body : {"", "[]", "{", R"({"model":1})", R"({"stream":"yes"})"}) {
    const auto response = ask(body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_NE(response.body.find(R"("type":"invalid_request_error","param":null)"), std::string::npos) << response.body;
  }
  fixture_.control.error = Error(ErrorCode::not_found, "no model x").with_slug("model_not_found");
  const auto missing = ask(R"({"model":"x"})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_NE(missing.body.find(R"("code":"model_not_found")"), std::string::npos);
}

TEST_F(OpenAiRoutes, TellOfOneModel) {
  EXPECT_EQ(fixture_.send("GET", "/v1/models/tiny").status, 200);
  EXPECT_EQ(fixture_.send("GET", "/v1/models/other").status, 404);
}

}  // namespace
}  // namespace lmsb::server
