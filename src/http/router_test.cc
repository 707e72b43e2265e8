#include "http/router.h"

#include <gtest/gtest.h>

namespace lmsb::http {
namespace {

Handler nobody() { return Handler(); }

class RouterTest : public testing::Test {
 protected:
  void SetUp() override {
    router.add("GET", "/v1/sandboxes", nobody());
    router.add("POST", "/v1/sandboxes", nobody());
    router.add("GET", "/v1/sandboxes/{id}", nobody());
    router.add("DELETE", "/v1/sandboxes/{id}", nobody());
    router.add("POST", "/v1/sandboxes/{id}/exec", nobody());
    router.add("GET", "/v1/sandboxes/all", nobody());
    router.add("POST", "/run-bash/", nobody());
  }
  std::string pattern(std::string_view method, std::string_view path) {
    const auto match = router.match(method, path);
    return match.route == nullptr ? "" : match.route->method + " " + match.route->pattern;
  }
  Router router;
};

TEST_F(RouterTest, ChoosesByMethodAndPath) {
  EXPECT_EQ(pattern("GET", "/v1/sandboxes"), "GET /v1/sandboxes");
  EXPECT_EQ(pattern("POST", "/v1/sandboxes"), "POST /v1/sandboxes");
  EXPECT_EQ(pattern("GET", "/v2"), "");
}

TEST_F(RouterTest, TakesNamedSegments) {
  const auto match = router.match("POST", "/v1/sandboxes/abc/exec");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.params.at("id"), "abc");
}

TEST_F(RouterTest, DecodesEachSegmentByItself) {
  const auto match = router.match("POST", "/v1/sandboxes/a%2Fb%252f/exec");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.params.at("id"), "a/b%2f");
  EXPECT_EQ(pattern("GET", "/v1/sand%62oxes"), "GET /v1/sandboxes");
  EXPECT_EQ(pattern("GET", "/v1%2Fsandboxes"), "");
  EXPECT_EQ(pattern("GET", "/v1/sandboxes/a%2"), "");
}

TEST_F(RouterTest, PrefersALiteralSegmentToAName) {
  EXPECT_EQ(pattern("GET", "/v1/sandboxes/all"), "GET /v1/sandboxes/all");
  EXPECT_EQ(pattern("GET", "/v1/sandboxes/any"), "GET /v1/sandboxes/{id}");
}

TEST_F(RouterTest, LetsNoNameBeEmpty) { EXPECT_EQ(pattern("GET", "/v1/sandboxes/"), ""); }

TEST_F(RouterTest, MindsTheLastSlash) {
  EXPECT_EQ(pattern("POST", "/run-bash/"), "POST /run-bash/");
  EXPECT_EQ(pattern("POST", "/run-bash"), "");
}

TEST_F(RouterTest, SaysWhichMethodsAPathHas) {
  const auto match = router.match("PUT", "/v1/sandboxes/abc");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allowed_methods, std::vector<std::string>({"GET", "DELETE", "HEAD"}));
  EXPECT_TRUE(router.match("PUT", "/nowhere").allowed_methods.empty());
}

TEST_F(RouterTest, AnswersHeadByGet) {
  EXPECT_EQ(pattern("HEAD", "/v1/sandboxes/abc"), "GET /v1/sandboxes/{id}");
  EXPECT_EQ(pattern("HEAD", "/run-bash/"), "");
}

TEST_F(RouterTest, FindsNothingForWhatIsNotAPath) {
  EXPECT_EQ(pattern("GET", ""), "");
  EXPECT_EQ(pattern("OPTIONS", "*"), "");
}

TEST(RouterRest, TakesAllThatIsLeft) {
  Router router;
  router.add("GET", "/x/{id}/{path...}", nobody());
  router.add("GET", "/x/{id}/one", nobody());
  router.add("GET", "/x/{id}/{name}", nobody());
  const auto rest = [&router](std::string_view path) {
    const auto match = router.match("GET", path);
    return match.route == nullptr
               ? "none"
               : match.route->pattern + " " + (match.params.contains("path") ? match.params.at("path") : "");
  };
  EXPECT_EQ(rest("/x/7/a/b//c/"), "/x/{id}/{path...} a/b//c/");
  EXPECT_EQ(rest("/x/7/"), "/x/{id}/{path...} ");
  EXPECT_EQ(rest("/x/7/one"), "/x/{id}/one ");
  EXPECT_EQ(rest("/x/7/two"), "/x/{id}/{name} ");
  EXPECT_EQ(rest("/x/7"), "none");
  EXPECT_EQ(rest("/x//one/two"), "none");
}

}  // namespace
}  // namespace lmsb::http
