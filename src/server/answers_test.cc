#include "server/answers.h"

#include <array>
#include <map>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

struct Row {
  ErrorCode code;
  int status;
  bool retryable;
};

constexpr std::array kEveryCode{
    Row{ErrorCode::invalid_argument, 400, false},  Row{ErrorCode::not_found, 404, false},
    Row{ErrorCode::already_exists, 409, false},    Row{ErrorCode::failed_precondition, 409, false},
    Row{ErrorCode::permission_denied, 403, false}, Row{ErrorCode::unauthenticated, 401, false},
    Row{ErrorCode::resource_exhausted, 429, true}, Row{ErrorCode::deadline_exceeded, 504, true},
    Row{ErrorCode::cancelled, 499, true},          Row{ErrorCode::unavailable, 503, true},
    Row{ErrorCode::unsupported, 501, false},       Row{ErrorCode::internal, 500, false},
};

TEST(Answers, MapEveryErrorCodeToOneStatus) {
  for (const Row& row : kEveryCode) {
    EXPECT_EQ(http_status(row.code), row.status) << to_string(row.code);
    EXPECT_EQ(is_retryable(row.code), row.retryable) << to_string(row.code);
    EXPECT_EQ(error_answer(Dialect::v1, Error(row.code, "x")).status, row.status);
    EXPECT_EQ(error_answer(Dialect::seed, Error(row.code, "x")).status, row.status);
  }
}

TEST(Answers, TellWhoeverWaitsWhileTheDaemonEndsToComeAgain) {
  const Error error = Error(ErrorCode::cancelled, "the daemon ends").with_slug("daemon_ends");
  const http::Response answer = error_answer(Dialect::v1, error);
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.headers.find("Retry-After"));
}

TEST(Answers, ShowAnErrorWithItsCauseAndWhatToDo) {
  const Error error = Error(ErrorCode::not_found, "there is no sandbox a")
                          .with_context("exec in a")
                          .with_slug("sandbox_not_found")
                          .with_hint("lm-sandbox ls");
  EXPECT_EQ(error_answer(Dialect::v1, error).body,
            R"({"error":{"code":"sandbox_not_found","message":"exec in a: there is no sandbox a",)"
            R"("cause":"there is no sandbox a","hint":"lm-sandbox ls","retryable":false}})");
  EXPECT_EQ(error_answer(Dialect::seed, error).body,
            R"x({"detail":"exec in a: there is no sandbox a (lm-sandbox ls)"})x");
}

TEST(Answers, AreNullWhereAnErrorSaysNoMore) {
  const Error error = Error(ErrorCode::failed_precondition, "so it is: 1").with_slug("nobody_can_do_anything");
  EXPECT_EQ(error_answer(Dialect::v1, error).body,
            R"({"error":{"code":"nobody_can_do_anything","message":"so it is: 1","cause":null,"hint":null,)"
            R"("retryable":false}})")
      << "a colon in a message makes no cause of what follows";
}

TEST(Answers, SayTheUsualThingWhereAnErrorSaysNotWhatToDo) {
  const Error error = Error(ErrorCode::already_exists, "a volume named a exists").with_slug("name_taken");
  EXPECT_EQ(hint_of(error), "choose another name, or remove what has this one");
  EXPECT_EQ(hint_of(Error(error).with_hint("rename it")), "rename it");
  EXPECT_NE(error_answer(Dialect::v1, error).body.find("choose another name"), std::string::npos);
}

TEST(Answers, ToWhatNoRouteSawAreForThoseWhoKnowDetailAndThoseWhoKnowCodes) {
  const Error error = Error(ErrorCode::invalid_argument, "too large").with_slug("request_too_large").with_hint("less");
  EXPECT_EQ(refusal_answer("/healthz", 413, error).body,
            R"x({"detail":"too large (less)","error":{"code":"request_too_large","message":"too large","cause":null,)x"
            R"x("hint":"less","retryable":false}})x");
  EXPECT_TRUE(refusal_answer("/v1/run", 413, error).body.starts_with(R"({"error":{)"));
  EXPECT_EQ(refusal_answer("/run-bash", 413, error).body, R"x({"detail":"too large (less)"})x") << "as the original";
}

TEST(Answers, SayWhenToComeBackAndHowToSignIn) {
  EXPECT_TRUE(error_answer(Dialect::v1, Error(ErrorCode::resource_exhausted, "x")).headers.find("Retry-After"));
  EXPECT_TRUE(error_answer(Dialect::seed, Error(ErrorCode::unavailable, "x")).headers.find("Retry-After"));
  for (const Dialect dialect : {Dialect::v1, Dialect::openai, Dialect::anthropic, Dialect::ollama, Dialect::seed}) {
    const Error error = Error(ErrorCode::resource_exhausted, "x").with_wait(std::chrono::seconds(42));
    EXPECT_EQ(error_answer(dialect, error).headers.find("Retry-After"), "42");
  }
  EXPECT_TRUE(error_answer(Dialect::v1, Error(ErrorCode::unauthenticated, "x")).headers.find("WWW-Authenticate"));
}

TEST(Answers, AreInTheWordsOfTheApiThatIsSpoken) {
  const Error error = Error(ErrorCode::not_found, "no model").with_slug("model_not_found").with_hint("pull it");
  const auto body = [&error](Dialect dialect) { return error_answer(dialect, error).body; };
  EXPECT_EQ(body(Dialect::anthropic),
            R"x({"type":"error","error":{"type":"not_found_error","message":"no model (pull it)",)x"
            R"x("code":"model_not_found"}})x");
  EXPECT_EQ(body(Dialect::ollama), R"x({"error":"no model (pull it)"})x");
  for (const auto& [status, type] : std::map<int, std::string>{{400, "invalid_request_error"},
                                                               {401, "authentication_error"},
                                                               {403, "permission_error"},
                                                               {409, "conflict_error"},
                                                               {413, "request_too_large"},
                                                               {429, "rate_limit_error"},
                                                               {501, "api_error"},
                                                               {504, "timeout_error"}})
    EXPECT_NE(error_answer(Dialect::anthropic, status, error).body.find('"' + type + '"'), std::string::npos) << status;
}

TEST(Answers, SayToClientsThatSendAgainWhereThatIsInVain) {
  const Error error(ErrorCode::failed_precondition, "x");
  for (const Dialect dialect : {Dialect::openai, Dialect::anthropic})
    EXPECT_EQ(error_answer(dialect, error).headers.find("x-should-retry"), "false");
  EXPECT_FALSE(error_answer(Dialect::v1, error).headers.find("x-should-retry"));
}

TEST(Answers, ListFaultsWithTheirPaths) {
  json::Faults faults;
  faults.push_back({"missing", {"cmd"}, "Field required", "{}"});
  faults.push_back({"string_type", {"files", "a"}, "must be text", "1"});
  const auto response = invalid_answer(faults);
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find(R"("code":"invalid_request")"), std::string::npos);
  EXPECT_NE(response.body.find(
                R"("fields":[{"path":"cmd","message":"Field required"},{"path":"files.a","message":"must be text"}])"),
            std::string::npos);
}

TEST(Answers, ListNoMoreFaultsThanHelp) {
  json::Faults faults(10'000, json::Fault{"missing", {"cmd"}, "Field required", "{}"});
  EXPECT_LT(invalid_answer(faults).body.size(), 10'000U);
}

TEST(Answers, UseOurShapeUnderV1AndFastApisElsewhere) {
  EXPECT_EQ(dialect_of("/v1"), Dialect::v1);
  EXPECT_EQ(dialect_of("/v1/x"), Dialect::v1);
  EXPECT_EQ(dialect_of("/api/chat"), Dialect::ollama);
  EXPECT_EQ(dialect_of("/v1/messages"), Dialect::anthropic);
  EXPECT_EQ(dialect_of("/v1/messages/count_tokens"), Dialect::anthropic);
  EXPECT_EQ(dialect_of("/v1/responses/x"), Dialect::openai);
  EXPECT_EQ(dialect_of("/v1/chat/completions"), Dialect::openai);
  EXPECT_EQ(dialect_of("/v1/completions"), Dialect::openai);
  EXPECT_EQ(dialect_of("/v10"), Dialect::seed);
  EXPECT_EQ(dialect_of("/run-bash/"), Dialect::seed);
}

}  // namespace
}  // namespace lmsb::server
