#include "server/routes.h"

#include <set>

#include <gtest/gtest.h>

#include "json/value.h"
#include "server/embedded.h"
#include "server/ops_routes.h"
#include "server/test_support.h"
#include "server/usual_hints.h"

namespace lmsb::server {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

json::Document document() {
  json::ParseFault fault;
  auto parsed = json::Document::parse(kOpenApiJson, fault);
  EXPECT_TRUE(parsed) << fault.message;
  return *std::move(parsed);
}

std::set<std::string> documented() {
  std::set<std::string> operations;
  const json::Document parsed = document();
  for (const auto& [path, item] : parsed.root().find("paths")->members()) {
    for (const auto& [key, value] : item.members()) {
      if (key != "parameters") operations.insert(upper(key) + " " + std::string(path));
    }
  }
  return operations;
}

// As the document writes it, which has no word for a rest.
std::string documented_path(std::string pattern) {
  if (pattern.ends_with("...}")) pattern.replace(pattern.size() - 4, 4, "}");
  return pattern;
}

std::set<std::string> served() {
  const Fixture fixture;
  std::set<std::string> operations;
  for (const RouteRow& row : fixture.app.routes().rows()) {
    if (!row.is_alias) operations.insert(row.method + " " + documented_path(row.pattern));
  }
  return operations;
}

TEST(RoutesAndDocument, AgreeInBothDirections) { EXPECT_EQ(documented(), served()); }

TEST(RoutesAndDocument, CallTheSamePathsPublic) {
  const Fixture fixture;
  const json::Document parsed = document();
  for (const RouteRow& row : fixture.app.routes().rows()) {
    if (row.is_alias) continue;
    std::string method = row.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto security =
        parsed.root().find("paths")->find(documented_path(row.pattern))->find(method)->find("security");
    EXPECT_EQ(security.has_value(), row.is_public) << row.pattern;
  }
}

// Whoever comes with a key may have made as many requests as it may.
TEST(RoutesAndDocument, SayWhereAKeyMayHaveToWait) {
  const Fixture fixture;
  const json::Document parsed = document();
  for (const RouteRow& row : fixture.app.routes().rows()) {
    if (row.is_alias || row.is_public) continue;
    std::string method = row.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto responses =
        parsed.root().find("paths")->find(documented_path(row.pattern))->find(method)->find("responses");
    EXPECT_TRUE(responses->find("429").has_value()) << row.method << " " << row.pattern;
  }
}

TEST(RoutesAndDocument, SayTheSameOfWhatTakesAnIdempotencyKey) {
  const Fixture fixture;
  const json::Document parsed = document();
  std::size_t taking = 0;
  for (const RouteRow& row : fixture.app.routes().rows()) {
    if (row.method != "POST" || row.is_alias) continue;
    const auto operation = parsed.root().find("paths")->find(documented_path(row.pattern))->find("post");
    bool is_said = false;
    if (const auto parameters = operation->find("parameters"))
      for (const auto& one : parameters->items())
        is_said =
            is_said || (one.find("$ref") && one.find("$ref")->string() == "#/components/parameters/IdempotencyKey");
    EXPECT_EQ(is_said, row.takes_key) << row.pattern;
    if (!row.takes_key) continue;
    ++taking;
    const auto headers = operation->find("responses")->find("201")->find("headers");
    EXPECT_TRUE(headers && headers->find("Idempotent-Replayed")) << row.pattern;
  }
  EXPECT_EQ(taking, 5U);
}

// Every path of ours that a hint names, as it stands there.
TEST(UsualHints, NamePathsThatThereAre) {
  const Fixture fixture;
  std::set<std::string> patterns;
  for (const RouteRow& row : fixture.app.routes().rows()) patterns.insert(row.pattern);
  for (const UsualHint& usual : usual_hints()) {
    for (std::size_t at = usual.hint.find("/v1/"); at != std::string_view::npos; at = usual.hint.find("/v1/", at + 1)) {
      const std::string path(usual.hint.substr(at, usual.hint.find_first_of(" ,;:", at) - at));
      EXPECT_TRUE(patterns.contains(path)) << usual.code << ": " << path;
    }
  }
}

TEST(RoutesAndDocument, SayThatAnotherHostMayBeRefused) {
  const Fixture fixture;
  const json::Document parsed = document();
  for (const auto& [path, item] : parsed.root().find("paths")->members())
    for (const auto& [method, operation] : item.members())
      if (method != "parameters")
        EXPECT_TRUE(operation.find("responses")->find("421").has_value()) << method << " " << path;
}

TEST(RouteTable, ServesAPathWithAndWithoutItsLastSlash) {
  RouteTable table;
  table.add_with_and_without_slash("POST", "/a/", {});
  EXPECT_EQ(table.match("POST", "/a/").index, 0U);
  EXPECT_EQ(table.match("POST", "/a").index, 1U);
  EXPECT_TRUE(table.match("POST", "/a").row->is_alias);
}

TEST(RouteTable, SaysWhatAPathAllows) {
  RouteTable table;
  table.add("POST", "/a/{id}", {});
  EXPECT_EQ(table.match("POST", "/a/7").params.at("id"), "7");
  EXPECT_EQ(table.match("PUT", "/a/7").allowed_methods, std::vector<std::string>{"POST"});
  EXPECT_EQ(table.match("PUT", "/b").row, nullptr);
}

TEST(RouteTable, KnowsWhichBodiesAreReadAsTheyCome) {
  RouteTable table;
  table.add("PUT", "/a/{id}/list", {});
  table.add_streamed("PUT", "/a/{id}/{path}", Bytes(7), {});
  table.add_streamed("POST", "/b", Bytes(8), {});
  EXPECT_EQ(table.streamed_body("PUT", "/a/1/x"), Bytes(7));
  EXPECT_EQ(table.streamed_body("POST", "/b"), Bytes(8));
  EXPECT_EQ(table.streamed_body("POST", "/a/1/x"), std::nullopt);
  EXPECT_EQ(table.streamed_body("PUT", "/a/1/list"), std::nullopt) << "another row fits better";
  for (const char* path : {"", "/", "/a", "/a/1", "/a/1/", "/a//x", "/a/1/x/", "/a/1/x/y", "/b", "*"}) {
    EXPECT_EQ(table.streamed_body("PUT", path), std::nullopt) << path;
  }
}

TEST(DocsPage, AllowsItsOwnScriptAndStyleByHashAndNothingElse) {
  // The digest of "x" is published widely; the hashes are what browsers compare.
  EXPECT_EQ(policy_of_page("<style>x</style><script>x</script>"),
            "default-src 'none'; connect-src 'self'; script-src 'sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='; "
            "style-src 'sha256-LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE='; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}

TEST(DocsPage, LoadsNothingFromElsewhere) {
  EXPECT_EQ(kDocsHtml.find("http://"), std::string_view::npos);
  EXPECT_EQ(kDocsHtml.find("https://"), std::string_view::npos);
  EXPECT_EQ(kDocsHtml.find(" src="), std::string_view::npos);
  EXPECT_EQ(kDocsHtml.find(" style="), std::string_view::npos);
  EXPECT_EQ(kDocsHtml.find("innerHTML"), std::string_view::npos);
}

TEST(UsualHints, SendNobodyToWhatDoesNotSayIt) {
  EXPECT_EQ(usual_hint("limit_out_of_bounds"), "choose a value within the bounds that the message says");
}

}  // namespace
}  // namespace lmsb::server
