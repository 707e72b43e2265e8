#include "cli/verify.h"

#include <gtest/gtest.h>

#include "cli/fake_api_for_test.h"

namespace lmsb::cli {
namespace {

FakeApi good_daemon() {
  FakeApi api;
  api.answers["POST /run-bash/"] = {200, R"({"output":"user\n","error":""})"};
  api.answers["POST /ollama/"] = {200, R"({"choices":[{"message":{"role":"assistant","content":"I am."}}]})"};
  api.answers["POST /llama-cpp/"] = {200, R"({"output":"AI is","error":""})"};
  return api;
}

TEST(Verify, SendsTheOriginalsThreeRequestsToTheLetter) {
  FakeApi api = good_daemon();
  RecordingConsole console;
  EXPECT_EQ(verify(api, kVerifyAddress, false, console), 0);
  ASSERT_EQ(api.calls.size(), 3U);
  EXPECT_EQ(api.calls[0].body, R"({"cmd":"whoami"})");
  EXPECT_EQ(api.calls[1].body, R"({"cmd":"Introduce yourself."})");
  EXPECT_EQ(api.calls[2].body, R"({"cmd":"What is AI?"})");
  EXPECT_TRUE(console.out_text.starts_with(
      R"(curl -X POST "http://127.0.0.1:8000/run-bash/" -H "Content-Type: application/json" -d '{"cmd":"whoami"}')"
      "\n  {\"output\":\"user\\n\",\"error\":\"\"}\n  ok\n"))
      << console.out_text;
}

TEST(Verify, FailsWhenOneAnswerIsNotAsTheOriginals) {
  const std::pair<std::string, Answer> faults[] = {{"POST /run-bash/", {200, R"({"output":"","error":"x"})"}},
                                                   {"POST /ollama/", {502, R"({"detail":"upstream is down"})"}},
                                                   {"POST /ollama/", {200, R"({"choices":[]})"}},
                                                   {"POST /llama-cpp/", {200, "not json"}},
                                                   {"POST /llama-cpp/", {200, R"({"output":"x"})"}}};
  for (const auto& [route, answer] : faults) {
    FakeApi api = good_daemon();
    api.answers[route] = answer;
    RecordingConsole console;
    EXPECT_EQ(verify(api, kVerifyAddress, false, console), 1) << answer.body;
    EXPECT_NE(console.out_text.find("  failed: "), std::string::npos);
    EXPECT_EQ(api.calls.size(), 3U) << "the others are still tried";
  }
}

TEST(Verify, PrintsJsonForPrograms) {
  FakeApi api = good_daemon();
  api.answers.erase("POST /ollama/");
  RecordingConsole console;
  EXPECT_EQ(verify(api, kVerifyAddress, true, console), 1);
  const auto json = parse_json(console.out_text, "it");
  ASSERT_TRUE(json.ok());
  EXPECT_FALSE(flag_field(json->root(), "ok"));
  EXPECT_EQ(json->root().find("requests")->items().size(), 3U);
}

TEST(Verify, CutsLongAnswers) {
  FakeApi api = good_daemon();
  api.answers["POST /llama-cpp/"] = {200, R"({"output":")" + std::string(5000, 'x') + R"(","error":""})"};
  RecordingConsole console;
  EXPECT_EQ(verify(api, kVerifyAddress, false, console), 0);
  EXPECT_LT(console.out_text.size(), 1500U);
}

}  // namespace
}  // namespace lmsb::cli
