#include "cli/format_template.h"

#include <gtest/gtest.h>

#include "cli/api.h"

namespace lmsb::cli {
namespace {

constexpr const char* kItems = R"({"data":[
  {"id":"a1","name":"box","state":"running","created_at":"t1","labels":{"k":"v"},"limits":{"memory_bytes":10737418240}},
  {"id":"b2","name":null,"state":"stopped","created_at":"t2","labels":{},"limits":{"memory_bytes":5}}]})";

Result<std::string> formatted(std::string_view text) {
  const auto document = parse_json(kItems, "items");
  LMSB_TRY(const auto format, FormatTemplate::parse(text));
  return format.format(document->root().find("data")->items());
}

std::string error_of_format(std::string_view text) {
  const auto result = formatted(text);
  EXPECT_FALSE(result.ok()) << text;
  return result.ok() ? "" : result.error().message();
}

TEST(FormatTemplate, PutsFieldsIntoALineOfEachItem) {
  EXPECT_EQ(*formatted("{{.id}}={{ .state }}!"), "a1=running!\nb2=stopped!\n");
  EXPECT_EQ(*formatted("{{.limits.memory_bytes}}"), "10737418240\n5\n");
  EXPECT_EQ(*formatted("[{{.name}}]"), "[box]\n[]\n");
}

TEST(FormatTemplate, TakesDockersNamesToo) {
  EXPECT_EQ(*formatted("{{.ID}} {{.Names}} {{.Status}} {{.State.Status}} {{.CreatedAt}}"),
            "a1 box running running t1\nb2  stopped stopped t2\n");
}

TEST(FormatTemplate, WritesJson) {
  EXPECT_EQ(*formatted("{{json .labels}}"), "{\"k\":\"v\"}\n{}\n");
  EXPECT_TRUE(formatted("json")->starts_with(R"({"id":"a1",)"));
  EXPECT_EQ(*formatted("json"), *formatted("{{json .}}"));
}

TEST(FormatTemplate, MakesTables) {
  EXPECT_EQ(*formatted("table {{.ID}}\\t{{.State}}"), "ID  STATE\na1  running\nb2  stopped\n");
}

TEST(FormatTemplate, SaysWhatItDoesNotKnowAndWhatThereIs) {
  EXPECT_EQ(error_of_format("{{.nothing}}"),
            "--format: there is no field nothing; there are: id, name, state, created_at, labels, limits");
  EXPECT_EQ(error_of_format("{{.limits.nothing}}"), "--format: there is no field nothing; there are: memory_bytes");
  for (const char* text : {"{{range .}}{{end}}", "{{.id", "{{}}", "{{id}}", "{{.a..b}}", "", "table"})
    EXPECT_TRUE(error_of_format(text).starts_with("--format: ")) << text;
}

TEST(FormatTemplate, LetsNoControlCharacterThrough) {
  const auto document = parse_json(R"([{"name":"a\u001b[2Jb"}])", "items");
  EXPECT_EQ(*FormatTemplate::parse("{{.name}}")->format(document->root().items()), "a?[2Jb\n");
}

}  // namespace
}  // namespace lmsb::cli
