#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

struct KeyFixture : Fixture {
  FakeKeys& keys = control.fake_keys;
};

TEST(KeyRoutes, MakeOneAndShowItOnce) {
  KeyFixture fixture;
  const auto answer =
      fixture.send("POST", "/v1/keys",
                   R"({"name":"ci","scopes":["read","models"],"labels":{"team":"a"},"expires_in_s":60,"quota":)"
                   R"({"requests_per_minute":600,"sandboxes":5,"memory_bytes":1024,"cpus":2.5,"disk_bytes":2048}})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.headers.find("Location"), "/v1/keys/key_aaaaaaaaaaaaaaaaaaaa");
  EXPECT_EQ(answer.headers.find("Cache-Control"), "no-store");
  EXPECT_THAT(answer.body, HasSubstr(R"("key":"lmsb_secret")"));
  const control::CreateKey& made = fixture.keys.created;
  EXPECT_EQ(made.name, "ci");
  EXPECT_EQ(made.scopes, (std::vector<std::string>{"read", "models"}));
  EXPECT_EQ(made.labels.at("team"), "a");
  EXPECT_EQ(made.life, std::chrono::seconds(60));
  EXPECT_EQ(made.quota.requests_per_minute, 600U);
  EXPECT_EQ(made.quota.sandboxes, 5U);
  EXPECT_EQ(made.quota.memory, Bytes(1024));
  EXPECT_EQ(made.quota.cpu_millis, 2500U);
  EXPECT_EQ(made.quota.disk, Bytes(2048));
  EXPECT_EQ(fixture.keys.asker.name, "local:1000");
}

TEST(KeyRoutes, MakeOneWithAScopeThatIsSaidOrWithTheUsualOnes) {
  KeyFixture fixture;
  fixture.send("POST", "/v1/keys", "{}");
  EXPECT_EQ(fixture.keys.created.scopes, (std::vector<std::string>{"write", "models"}));
  fixture.send("POST", "/v1/keys", R"({"scopes":[]})");
  EXPECT_TRUE(fixture.keys.created.scopes.empty()) << "none is not the usual ones";
}

TEST(KeyRoutes, RememberNoKeyForAnIdempotencyKey) {
  KeyFixture fixture;
  auto request = local_request("POST", "/v1/keys", "{}");
  request.headers.set("Idempotency-Key", "once");
  EXPECT_FALSE(fixture.send(request).headers.find("Idempotent-Replayed"));
  EXPECT_FALSE(fixture.send(request).headers.find("Idempotent-Replayed"));
}

TEST(KeyRoutes, ListAllButTheKeysThemselves) {
  KeyFixture fixture;
  const auto answer = fixture.send("GET", "/v1/keys");
  EXPECT_EQ(answer.body,
            R"({"data":[{"id":"key_aaaaaaaaaaaaaaaaaaaa","name":"ci","scopes":["write"],"labels":{},"quota":)"
            R"({"requests_per_minute":null,"sandboxes":null,"memory_bytes":null,"cpus":null,"disk_bytes":null},)"
            R"("created_at":"2026-01-01T00:00:00Z","created_by":"local:0","expires_at":null,"used_at":null}],)"
            R"("next_cursor":null})");
  EXPECT_THAT(answer.body, Not(HasSubstr("lmsb_")));
}

TEST(KeyRoutes, RemoveOneAndPassRefusalsOn) {
  KeyFixture fixture;
  EXPECT_EQ(fixture.send("DELETE", "/v1/keys/ci").status, 204);
  EXPECT_EQ(fixture.keys.named, "ci");
  fixture.keys.error = Error(ErrorCode::not_found, "no key").with_slug("key_not_found");
  EXPECT_EQ(fixture.send("DELETE", "/v1/keys/ci").status, 404);
}

TEST(KeyRoutes, RefuseWhatIsMalformed) {
  KeyFixture fixture;
  for (const char* body :
       {R"({"scopes":"read"})", R"({"scopes":[1]})", R"({"expires_in_s":0})", R"({"expires_in_s":-1})",
        R"({"quota":{"sandboxes":0}})", R"({"quota":{"gpus":1}})", R"({"quota":{"cpus":-1}})", R"({"quota":5})",
        R"({"key":"lmsb_mine"})", R"({"id":"key_mine"})", R"({"admin":true})", "[]"})
    EXPECT_EQ(fixture.send("POST", "/v1/keys", body).status, 400) << body;
}

}  // namespace
}  // namespace lmsb::server
