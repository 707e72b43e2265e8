#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/body.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;

class OllamaRoutes : public testing::Test {
 protected:
  http::Response post(const std::string& path, const std::string& body) { return fixture_.send("POST", path, body); }
  Fixture fixture_;
};

TEST_F(OllamaRoutes, TellWhatThereIs) {
  EXPECT_EQ(fixture_.send("GET", "/api/version").body, R"({"version":"0.33.0"})");
  EXPECT_THAT(fixture_.send("GET", "/api/tags").body, HasSubstr(R"("name":"tiny")"));
  EXPECT_EQ(fixture_.send("GET", "/api/ps").body, R"({"models":[]})");
  EXPECT_THAT(post("/api/show", R"({"model":"tiny:latest"})").body, HasSubstr(R"("capabilities")"));
  const auto missing = post("/api/show", R"({"name":"other"})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.body, HasSubstr(R"({"error":"model \"other\" not found)"));
}

TEST_F(OllamaRoutes, AnswerWholeOrInLines) {
  fixture_.control.model_answer.whole = R"({"choices":[{"message":{"content":"a"}}]})";
  const auto whole = post("/api/chat", R"({"model":"tiny","messages":[{"role":"user","content":"x"}],"stream":false})");
  EXPECT_EQ(whole.headers.find("Content-Type"), "application/json");
  EXPECT_THAT(whole.body, HasSubstr(R"("content":"a"},"done":true)"));
  fixture_.control.model_answer.events =
      http::reader_of("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n");
  const auto streamed = post("/api/generate", R"({"model":"tiny","prompt":"x"})");
  EXPECT_EQ(streamed.headers.find("Content-Type"), "application/x-ndjson");
  ASSERT_TRUE(streamed.source);
  EXPECT_THAT(*io::run_blocking(streamed.source->next()), HasSubstr(R"("response":"a","done":false})"));
}

TEST_F(OllamaRoutes, EndLinesThatBreakOffWithAnError) {
  fixture_.control.model_answer.events = http::reader_of("data: {\"choices\"");
  const auto streamed = post("/api/generate", R"({"model":"tiny","prompt":"x"})");
  EXPECT_EQ(*io::run_blocking(streamed.source->next()),
            "{\"error\":\"the model runner's answer has broken off (send the request again)\"}\n");
}

TEST_F(OllamaRoutes, LoadAModelForWhoHasNothingToAsk) {
  fixture_.control.model_answer.whole = R"({"tokens":[]})";
  const auto line = post("/api/generate", R"({"model":"tiny"})");
  EXPECT_EQ(line.headers.find("Content-Type"), "application/x-ndjson");
  EXPECT_TRUE(line.body.ends_with("\"done_reason\":\"load\"}\n")) << line.body;
  EXPECT_FALSE(fixture_.control.model_request.is_streamed);
  EXPECT_EQ(fixture_.control.model_request.path, "/tokenize");
  fixture_.control.model_answer.whole = R"({"tokens":[]})";
  EXPECT_TRUE(post("/api/chat", R"({"model":"tiny","stream":false})").body.ends_with("\"load\"}"));
}

TEST_F(OllamaRoutes, MakeEmbeddings) {
  fixture_.control.model_answer.whole = R"({"data":[{"embedding":[1,2]}]})";
  EXPECT_THAT(post("/api/embed", R"({"model":"tiny","input":"x"})").body, HasSubstr(R"("embeddings":[[1,2]])"));
  fixture_.control.model_answer.whole = R"({"data":[{"embedding":[1,2]}]})";
  EXPECT_EQ(post("/api/embeddings", R"({"model":"tiny","prompt":"x"})").body, R"({"embedding":[1,2]})");
  EXPECT_EQ(fixture_.control.model_request.work, control::ModelWork::embedding);
}

TEST_F(OllamaRoutes, RefuseInItsWords) {
  EXPECT_TRUE(post("/api/chat", "{").body.starts_with(R"({"error":"the body is not JSON)"));
  EXPECT_EQ(post("/api/push", R"({"name":"x"})").status, 404);
  EXPECT_TRUE(post("/api/push", R"({"name":"x"})").body.starts_with(R"({"error":")"));
  fixture_.control.error = Error(ErrorCode::not_found, "no model").with_slug("model_not_found");
  const auto missing = post("/api/chat", R"({"model":"x","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_TRUE(missing.body.starts_with(R"({"error":"no model)")) << missing.body;
}

}  // namespace
}  // namespace lmsb::server
