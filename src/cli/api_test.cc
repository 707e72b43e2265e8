#include "cli/api.h"

#include <gtest/gtest.h>

#include "cli/fake_api_for_test.h"

namespace lmsb::cli {
namespace {

TEST(ErrorOf, ReadsOurOwnShape) {
  const Error error = error_of(
      {404,
       R"({"error":{"code":"image_not_found","message":"no image \"x\"","cause":"","hint":"lm-sandbox image ls","retryable":false}})"});
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_EQ(error.slug(), "image_not_found");
  EXPECT_EQ(error.message(), "no image \"x\"");
  EXPECT_EQ(error.hint(), "lm-sandbox image ls");
}

TEST(ErrorOf, AddsTheCauseOnlyIfTheMessageLacksIt) {
  EXPECT_EQ(error_of({500, R"({"error":{"message":"start it","cause":"no memory"}})"}).message(),
            "start it: no memory");
  EXPECT_EQ(error_of({500, R"({"error":{"message":"start it: no memory","cause":"no memory"}})"}).message(),
            "start it: no memory");
}

TEST(ErrorOf, ReadsFastApisDetail) { EXPECT_EQ(error_of({503, R"({"detail":"no model"})"}).message(), "no model"); }

TEST(ErrorOf, ShowsWhatIsNoneOfThese) {
  EXPECT_EQ(error_of({502, "<html>Bad\nGateway"}).message(), "the daemon answered 502: \"<html>Bad\\x0aGateway\"");
  EXPECT_EQ(error_of({500, R"({"error":"boom"})"}).code(), ErrorCode::internal);
}

TEST(CallJson, SaysWhoeverAnswersThereMayBeAnother) {
  FakeApi api;
  api.answers["GET /v1/info"] = {200, "<html>"};
  const auto result = call_json(api, Call("GET", "/v1/info"));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message(), "the answer to GET /v1/info is not JSON: \"<html>\"");
}

TEST(Pretty, IndentsAndReadsBack) {
  const auto value = parse_json(R"({"a":[1,2.5,"x\n",{}],"b":[],"c":{"d":null}})", "it");
  ASSERT_TRUE(value.ok());
  const std::string text = pretty(value->root());
  EXPECT_EQ(text,
            "{\n"
            "  \"a\": [\n"
            "    1,\n"
            "    2.5,\n"
            "    \"x\\n\",\n"
            "    {}\n"
            "  ],\n"
            "  \"b\": [],\n"
            "  \"c\": {\n"
            "    \"d\": null\n"
            "  }\n"
            "}\n");
  EXPECT_EQ(pretty_text(text), text);
  EXPECT_EQ(pretty_text("not JSON"), "not JSON");
}

TEST(Fields, OfAWrongTypeAreAsThoughTheyWereNotThere) {
  const auto value = parse_json(R"({"s":1,"n":"x","f":"true"})", "it");
  EXPECT_EQ(text_field(value->root(), "s"), "");
  EXPECT_EQ(number_field(value->root(), "n"), std::nullopt);
  EXPECT_FALSE(flag_field(value->root(), "f"));
  const auto list = parse_json("[]", "it");
  EXPECT_EQ(text_field(list->root(), "s"), "");
}

TEST(Compact, IsOneLineWithNumbersAsTheyAreRead) {
  const auto document =
      parse_json(R"({"a": [1, 2.5, 2.0, 10737418240], "b": {"c": null, "d": "x\ny"}, "e": [], "f": {}})", "x");
  EXPECT_EQ(compact(document->root()), R"({"a":[1,2.5,2,10737418240],"b":{"c":null,"d":"x\ny"},"e":[],"f":{}})");
}

}  // namespace
}  // namespace lmsb::cli
