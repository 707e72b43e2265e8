#include "server/seed_body.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

constexpr std::size_t kMax = 1000;

http::Response refusal(std::string_view body, std::size_t max = kMax) {
  auto result = read_cmd(body, max);
  auto* response = std::get_if<http::Response>(&result);
  return response != nullptr ? *response : http::Response::text(200, "accepted");
}

std::string accepted(std::string_view body) {
  auto result = read_cmd(body, kMax);
  auto* text = std::get_if<std::string>(&result);
  return text != nullptr ? *text : "refused: " + std::get<http::Response>(result).body;
}

// The bodies below were recorded from FastAPI with pydantic 2.
TEST(SeedBody, AnswersAnEmptyBodyAsFastApiDoes) {
  constexpr std::string_view kMissing =
      R"({"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]})";
  EXPECT_EQ(refusal("").status, 422);
  EXPECT_EQ(refusal("").body, kMissing);
  EXPECT_EQ(refusal("null").body, kMissing);
}

TEST(SeedBody, AnswersTextThatIsNoJsonAsFastApiDoes) {
  EXPECT_EQ(refusal("nope").status, 422);
  EXPECT_EQ(refusal("nope").body,
            R"({"detail":[{"type":"json_invalid","loc":["body",0],"msg":"JSON decode error","input":{},)"
            R"("ctx":{"error":"Expecting value"}}]})");
  EXPECT_EQ(refusal(R"({"cmd":"a",})").body,
            R"({"detail":[{"type":"json_invalid","loc":["body",11],"msg":"JSON decode error","input":{},)"
            R"("ctx":{"error":"Expecting property name enclosed in double quotes"}}]})");
}

TEST(SeedBody, AnswersABodyThatIsNoObjectAsPydanticDoes) {
  const std::string begin = R"({"detail":[{"type":"model_attributes_type","loc":["body"],)"
                            R"("msg":"Input should be a valid dictionary or object to extract fields from","input":)";
  for (const std::string body : {R"(["a"])", R"("x")", "5", "true", "[]"}) {
    EXPECT_EQ(refusal(body).status, 422);
    EXPECT_EQ(refusal(body).body, begin + body + "}]}");
  }
}

TEST(SeedBody, AnswersAMissingCmdAsPydanticDoes) {
  EXPECT_EQ(refusal("{}").body,
            R"({"detail":[{"type":"missing","loc":["body","cmd"],"msg":"Field required","input":{}}]})");
  EXPECT_EQ(
      refusal(R"({"x":1,"a":[null]})").body,
      R"({"detail":[{"type":"missing","loc":["body","cmd"],"msg":"Field required","input":{"x":1,"a":[null]}}]})");
}

TEST(SeedBody, AnswersACmdOfAnotherTypeAsPydanticDoes) {
  for (const std::string input : {R"(["a"])", "null", "5", "{}", "false"}) {
    EXPECT_EQ(refusal(R"({"cmd":)" + input + "}").status, 422);
    EXPECT_EQ(
        refusal(R"({"cmd":)" + input + "}").body,
        R"({"detail":[{"type":"string_type","loc":["body","cmd"],"msg":"Input should be a valid string","input":)" +
            input + "}]}");
  }
}

TEST(SeedBody, AnswersANulInTheShapeOfAValueError) {
  EXPECT_EQ(refusal(R"({"cmd":"a\u0000b"})").status, 422);
  EXPECT_EQ(
      refusal(R"({"cmd":"a\u0000b"})").body,
      R"({"detail":[{"type":"value_error","loc":["body","cmd"],"msg":"Value error, cmd must not contain a NUL character",)"
      R"("input":"a\u0000b","ctx":{"error":{}}}]})");
}

TEST(SeedBody, AnswersATooLongCmdInTheShapeOfAValueErrorThatSaysTheBound) {
  const auto response = refusal(R"({"cmd":"abc"})", 2);
  EXPECT_EQ(response.status, 422);
  EXPECT_NE(
      response.body.find(
          R"("type":"value_error","loc":["body","cmd"],"msg":"Value error, cmd has 3 bytes, which is more than 2)"),
      std::string::npos);
}

TEST(SeedBody, TakesTheLongestCmdAndNotOneByteMore) {
  const std::string longest(kMaxShellCommand, 'x');
  EXPECT_EQ(refusal(R"({"cmd":")" + longest + R"("})", kMaxShellCommand).status, 200);
  EXPECT_EQ(refusal(R"({"cmd":")" + longest + R"(x"})", kMaxShellCommand).status, 422);
}

TEST(SeedBody, DoesNotEchoMegabytes) {
  const std::string big(10'000'000, 'x');
  EXPECT_LT(refusal(R"({"cmd":")" + big + R"("})").body.size(), 10'000U);
  EXPECT_LT(refusal(R"({"other":")" + big + R"("})").body.size(), 10'000U);
  EXPECT_LT(refusal(R"([")" + big + R"("])").body.size(), 10'000U);
}

TEST(SeedBody, AnswersInvalidUtf8AsFastApiDoes) {
  EXPECT_EQ(refusal("{\"cmd\":\"\xFF\"}").status, 400);
  EXPECT_EQ(refusal("{\"cmd\":\"\xFF\"}").body, R"({"detail":"There was an error parsing the body"})");
  EXPECT_EQ(refusal(std::string(100'000, '[')).status, 400);
}

TEST(SeedBody, TakesAnyStringAndPassesOverOtherFields) {
  EXPECT_EQ(accepted(R"({"cmd":"whoami"})"), "whoami");
  EXPECT_EQ(accepted(R"({"cmd":""})"), "");
  EXPECT_EQ(accepted(R"({"x":1,"cmd":"a","y":[]})"), "a");
  EXPECT_EQ(accepted("\xEF\xBB\xBF{\"cmd\":\"\xC3\xA9\"}"), "\xC3\xA9");
}

}  // namespace
}  // namespace lmsb::server
