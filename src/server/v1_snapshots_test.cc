#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kId = "snp_aaaaaaaaaaaaaaaaaaaa";
const std::string kOfSandbox = "s0000000000000000000";

struct SnapshotFixture : Fixture {
  FakeSnapshots& snapshots = control.fake_snapshots;

  http::Response list(std::map<std::string, std::string> query) {
    http::Request request = local_request("GET", "/v1/snapshots");
    request.query = std::move(query);
    return send(std::move(request));
  }
};

TEST(SnapshotRoutes, TakeOneAndSayWhereItIsAndHowLongTheProcessesStoodStill) {
  SnapshotFixture fixture;
  fixture.snapshots.snapshot.name = "first";
  const auto answer = fixture.send("POST", "/v1/sandboxes/box/snapshot", R"({"name":"first"})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.headers.find("Location"), "/v1/snapshots/" + kId);
  EXPECT_EQ(answer.body,
            R"({"id":"snp_aaaaaaaaaaaaaaaaaaaa","name":"first","sandbox_id":"s0000000000000000000","image":"base",)"
            R"("image_digest":"sha256:00","created_at":"2026-01-01T00:00:00Z","frozen_ms":1.500})");
  EXPECT_EQ(fixture.snapshots.named, "box");
  EXPECT_EQ(fixture.snapshots.name, "first");
}

TEST(SnapshotRoutes, TakeAndForkOnceForEachIdempotencyKey) {
  for (const char* what : {"snapshot", "fork"}) {
    SnapshotFixture fixture;
    auto request = local_request("POST", std::string("/v1/sandboxes/box/") + what, "{}");
    request.headers.set("Idempotency-Key", "once");
    const auto first = fixture.send(request);
    EXPECT_EQ(first.status, 201) << first.body;
    fixture.snapshots.named.clear();
    const auto second = fixture.send(request);
    EXPECT_EQ(second.body, first.body);
    EXPECT_EQ(second.headers.find("Idempotent-Replayed"), "true");
    EXPECT_EQ(fixture.snapshots.named, "") << "nobody was asked again";
    auto other = local_request("POST", std::string("/v1/sandboxes/another/") + what, "{}");
    other.headers.set("Idempotency-Key", "once");
    EXPECT_EQ(fixture.send(other).status, 409) << "the same key for another sandbox";
  }
}

TEST(SnapshotRoutes, ExportOneAsADownload) {
  SnapshotFixture fixture;
  const auto answer = fixture.send("GET", "/v1/snapshots/" + kId + "/export");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.find("Content-Type"), "application/vnd.lm-sandbox.snapshot+zstd");
  EXPECT_THAT(std::string(*answer.headers.find("Content-Disposition")),
              HasSubstr("attachment; filename=\"" + kId + ".lmsnap\""));
  ASSERT_TRUE(answer.source);
  EXPECT_EQ(*io::run_blocking(answer.source->next()), "file of " + kId);
}

TEST(SnapshotRoutes, ImportWhatIsSentWithANameAndALimit) {
  SnapshotFixture fixture;
  http::Request request = local_request("POST", "/v1/snapshots/import", "a file");
  request.query = {{"name", "moved"}, {"disk_bytes", "1048576"}};
  request.headers.set("Content-Type", "application/octet-stream");
  const auto answer = fixture.send(std::move(request));
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.headers.find("Location"), "/v1/snapshots/" + kId);
  EXPECT_EQ(fixture.snapshots.imported, "a file");
  EXPECT_EQ(fixture.snapshots.name, "moved");
  EXPECT_EQ(fixture.snapshots.disk_bytes, Bytes::MiB(1));
}

TEST(SnapshotRoutes, ImportRefusesOtherFieldsAndLimitsThatAreNone) {
  for (const char* field : {"label", "disk_bytes"}) {
    SnapshotFixture fixture;
    http::Request request = local_request("POST", "/v1/snapshots/import", "a file");
    request.query = {{field, "x"}};
    request.headers.set("Content-Type", "application/octet-stream");
    EXPECT_EQ(fixture.send(std::move(request)).status, 400) << field;
  }
}

TEST(SnapshotRoutes, TakeOneWithoutAName) {
  for (const char* body : {"", "{}", R"({"name":null})"}) {
    SnapshotFixture fixture;
    const auto answer = fixture.send("POST", "/v1/sandboxes/box/snapshot", body);
    EXPECT_EQ(answer.status, 201) << body;
    EXPECT_THAT(answer.body, HasSubstr(R"("name":null)"));
    EXPECT_EQ(fixture.snapshots.name, "") << body;
  }
}

TEST(SnapshotRoutes, ForkOnceUnlessTold) {
  for (const auto& [body, count] : {std::pair("", 1U), {"{}", 1U}, {R"({"count":1})", 1U}, {R"({"count":64})", 64U}}) {
    SnapshotFixture fixture;
    const auto answer = fixture.send("POST", "/v1/sandboxes/box/fork", body);
    EXPECT_EQ(answer.status, 201) << body;
    EXPECT_EQ(fixture.snapshots.named, "box");
    EXPECT_EQ(fixture.snapshots.count, count) << body;
  }
}

TEST(SnapshotRoutes, AnswerEachForkAsASandbox) {
  SnapshotFixture fixture;
  const auto answer = fixture.send("POST", "/v1/sandboxes/box/fork", R"({"count":2})");
  EXPECT_TRUE(answer.body.starts_with(R"({"data":[{"id":"",)")) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr(R"(},{"id":"",)"));
  EXPECT_TRUE(answer.body.ends_with("}]}")) << answer.body;
}

TEST(SnapshotRoutes, RollBackToTheOneThatIsNamed) {
  SnapshotFixture fixture;
  const auto answer = fixture.send("POST", "/v1/sandboxes/box/rollback", R"({"snapshot":")" + kId + R"("})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr(R"("state":)"));
  EXPECT_EQ(fixture.snapshots.named, "box");
  EXPECT_EQ(fixture.snapshots.name, kId);
}

TEST(SnapshotRoutes, RefuseBodiesThatAreWrongAndAskNothing) {
  SnapshotFixture fixture;
  for (const auto& [what, body] : std::vector<std::pair<std::string, std::string>>{{"snapshot", R"({"name":7})"},
                                                                                   {"snapshot", R"({"names":"a"})"},
                                                                                   {"snapshot", "[]"},
                                                                                   {"snapshot", "{"},
                                                                                   {"fork", R"({"count":0})"},
                                                                                   {"fork", R"({"count":65})"},
                                                                                   {"fork", R"({"count":-1})"},
                                                                                   {"fork", R"({"count":1.5})"},
                                                                                   {"fork", R"({"count":"2"})"},
                                                                                   {"fork", R"({"number":2})"},
                                                                                   {"rollback", ""},
                                                                                   {"rollback", "{}"},
                                                                                   {"rollback", R"({"snapshot":""})"},
                                                                                   {"rollback", R"({"snapshot":7})"},
                                                                                   {"rollback", R"({"to":"snp_x"})"}}) {
    const auto answer = fixture.send("POST", "/v1/sandboxes/box/" + what, body);
    EXPECT_EQ(answer.status, 400) << what << " " << body;
  }
  EXPECT_EQ(fixture.snapshots.named, "");
}

TEST(SnapshotRoutes, AnswerARefusalWithItsStatus) {
  const auto error = [](ErrorCode code, std::string slug) { return Error(code, "no").with_slug(std::move(slug)); };
  for (const auto& [refusal, status] : {std::pair(error(ErrorCode::not_found, "sandbox_not_found"), 404),
                                        {error(ErrorCode::failed_precondition, "disk_not_kept"), 409},
                                        {error(ErrorCode::resource_exhausted, "too_many_snapshots"), 429},
                                        {error(ErrorCode::invalid_argument, "snapshot_of_another"), 400}}) {
    SnapshotFixture fixture;
    fixture.snapshots.error = refusal;
    const std::string rollback = R"({"snapshot":")" + kId + R"("})";
    for (const auto& [method, path, body] : std::vector<std::tuple<std::string, std::string, std::string>>{
             {"POST", "/v1/sandboxes/box/snapshot", ""},
             {"POST", "/v1/sandboxes/box/fork", ""},
             {"POST", "/v1/sandboxes/box/rollback", rollback},
             {"GET", "/v1/snapshots/" + kId, ""},
             {"DELETE", "/v1/snapshots/" + kId, ""}}) {
      const auto answer = fixture.send(method, path, body);
      EXPECT_EQ(answer.status, status) << method << " " << path;
      EXPECT_THAT(answer.body, HasSubstr("\"code\":\"" + std::string(refusal.slug()) + "\"")) << method << " " << path;
      EXPECT_FALSE(answer.headers.find("Location"));
    }
  }
}

TEST(SnapshotRoutes, DescribeOneWithoutWhatIsNotKnownAnyMore) {
  SnapshotFixture fixture;
  fixture.snapshots.snapshot.frozen = std::nullopt;
  const auto answer = fixture.send("GET", "/v1/snapshots/" + kId);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("id":"snp_aaaaaaaaaaaaaaaaaaaa","name":null,)"));
  EXPECT_THAT(answer.body, Not(HasSubstr("frozen_ms")));
}

TEST(SnapshotRoutes, RemoveOne) {
  SnapshotFixture fixture;
  const auto answer = fixture.send("DELETE", "/v1/snapshots/" + kId);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(fixture.snapshots.named, kId);
}

TEST(SnapshotRoutes, ListThemInPages) {
  SnapshotFixture fixture;
  const auto all = fixture.list({});
  EXPECT_EQ(all.status, 200);
  EXPECT_TRUE(all.body.starts_with(R"({"data":[{"id":"snp_aaaaaaaaaaaaaaaaaaaa",)")) << all.body;
  EXPECT_TRUE(all.body.ends_with(R"(],"next_cursor":null})")) << all.body;
  const auto first = fixture.list({{"limit", "1"}});
  EXPECT_TRUE(first.body.ends_with(R"(],"next_cursor":"more"})")) << first.body;
}

TEST(SnapshotRoutes, ListThoseOfASandboxByItsName) {
  SnapshotFixture fixture;
  fixture.control.sandbox.id = kOfSandbox;
  EXPECT_THAT(fixture.list({{"sandbox", "box"}}).body, HasSubstr(kId));
  EXPECT_EQ(fixture.control.named, "box");
  fixture.control.sandbox.id = "s1111111111111111111";
  EXPECT_EQ(fixture.list({{"sandbox", "box"}}).body, R"({"data":[],"next_cursor":null})");
}

TEST(SnapshotRoutes, ListThoseOfASandboxThatIsGoneByItsId) {
  SnapshotFixture fixture;
  fixture.control.is_missing = true;
  EXPECT_THAT(fixture.list({{"sandbox", kOfSandbox}}).body, HasSubstr(kId));
  const auto unknown = fixture.list({{"sandbox", "box"}});
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("sandbox_not_found"));
}

TEST(SnapshotRoutes, SayThatANameIsOfMoreThanOneSandbox) {
  SnapshotFixture fixture;
  fixture.control.error = Error(ErrorCode::failed_precondition, "two begin so").with_slug("sandbox_ambiguous");
  const auto answer = fixture.list({{"sandbox", "b"}});
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr("sandbox_ambiguous"));
}

TEST(SnapshotRoutes, RefuseQueriesTheyDoNotKnow) {
  SnapshotFixture fixture;
  for (const auto& query : std::vector<std::map<std::string, std::string>>{
           {{"limit", "0"}}, {{"limit", "1001"}}, {{"limit", "x"}}, {{"limit", ""}}, {{"state", "running"}}})
    EXPECT_EQ(fixture.list(query).status, 400) << query.begin()->first << "=" << query.begin()->second;
  EXPECT_EQ(fixture.list({{"limit", "1000"}}).status, 200);
}

TEST(SnapshotRoutes, ACreationNamesTheOneThatItBeginsAs) {
  SnapshotFixture fixture;
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes", R"({"snapshot":")" + kId + R"("})").status, 201);
  EXPECT_EQ(fixture.control.creation.snapshot, kId);
}

}  // namespace
}  // namespace lmsb::server
