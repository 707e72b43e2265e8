#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;

const std::string kId = "vol_aaaaaaaaaaaaaaaaaaaa";

struct VolumeFixture : Fixture {
  FakeVolumes& volumes = control.fake_volumes;
};

TEST(VolumeRoutes, MakeOneAndSayWhereItIs) {
  VolumeFixture fixture;
  const auto answer =
      fixture.send("POST", "/v1/volumes", R"({"name":"data","size_bytes":1073741824,"labels":{"team":"a"}})");
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.headers.find("Location"), "/v1/volumes/" + kId);
  EXPECT_EQ(answer.body, R"({"id":"vol_aaaaaaaaaaaaaaaaaaaa","name":"data","state":"ready",)"
                         R"("created_at":"2026-01-01T00:00:00Z","size_bytes":1073741824,"labels":{},"used_by":[]})");
  EXPECT_EQ(fixture.volumes.created.name, "data");
  EXPECT_EQ(fixture.volumes.created.size, Bytes::GiB(1));
  EXPECT_EQ(fixture.volumes.created.labels.at("team"), "a");
}

TEST(VolumeRoutes, MakeOneOnceForEachIdempotencyKey) {
  VolumeFixture fixture;
  auto request = local_request("POST", "/v1/volumes", R"({"name":"data"})");
  request.headers.set("Idempotency-Key", "once");
  const auto first = fixture.send(request);
  EXPECT_EQ(first.status, 201) << first.body;
  fixture.volumes.created.name.clear();
  EXPECT_EQ(fixture.send(request).body, first.body);
  EXPECT_EQ(fixture.volumes.created.name, "") << "nobody was asked again";
}

TEST(VolumeRoutes, TellOfOneWhatItHoldsAndWhoHasIt) {
  VolumeFixture fixture;
  fixture.volumes.volume.used_by = {"s0000000000000000000"};
  const auto answer = fixture.send("GET", "/v1/volumes/data");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("held_bytes":4096)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("used_by":["s0000000000000000000"])"));
  EXPECT_EQ(fixture.volumes.named, kId);
}

TEST(VolumeRoutes, AskNothingOfOneThatIsLost) {
  VolumeFixture fixture;
  fixture.volumes.volume.is_lost = true;
  const auto answer = fixture.send("GET", "/v1/volumes/data");
  EXPECT_THAT(answer.body, HasSubstr(R"("state":"lost")"));
  EXPECT_EQ(fixture.volumes.named, "");
}

TEST(VolumeRoutes, ListWithFiltersAndACursor) {
  VolumeFixture fixture;
  http::Request request = local_request("GET", "/v1/volumes");
  request.query = {{"limit", "1"}};
  const auto page = fixture.send(request);
  EXPECT_THAT(page.body, HasSubstr(kId));
  EXPECT_THAT(page.body, HasSubstr(R"("next_cursor":"more")"));
  request.query = {{"label", "team=b"}};
  EXPECT_EQ(fixture.send(request).body, R"({"data":[],"next_cursor":null})");
  for (const auto& query : std::vector<std::pair<std::string, std::string>>{
           {"limit", "0"}, {"limit", "x"}, {"label", "=x"}, {"what", "x"}}) {
    request.query = {query};
    EXPECT_EQ(fixture.send(request).status, 400);
  }
}

TEST(VolumeRoutes, ChangeSizeAndLabels) {
  VolumeFixture fixture;
  const auto answer =
      fixture.send("PATCH", "/v1/volumes/data", R"({"size_bytes":4096,"labels":{"team":null,"for":"tests"}})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(fixture.volumes.changes.size, Bytes(4096));
  EXPECT_EQ(fixture.volumes.changes.labels.at("team"), std::nullopt);
  EXPECT_EQ(fixture.volumes.changes.labels.at("for"), "tests");
}

TEST(VolumeRoutes, RemoveOneAndPassRefusalsOn) {
  VolumeFixture fixture;
  EXPECT_EQ(fixture.send("DELETE", "/v1/volumes/data").status, 204);
  EXPECT_EQ(fixture.volumes.named, "data");
  fixture.volumes.error = Error(ErrorCode::failed_precondition, "in use").with_slug("volume_in_use");
  const auto refused = fixture.send("DELETE", "/v1/volumes/data");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("volume_in_use"));
}

TEST(VolumeRoutes, RefuseWhatIsMalformed) {
  VolumeFixture fixture;
  for (const char* body : {R"({"size_bytes":0})", R"({"size_bytes":"1g"})", R"({"name":1})", R"({"other":1})", "[]"})
    EXPECT_EQ(fixture.send("POST", "/v1/volumes", body).status, 400) << body;
}

TEST(VolumeRoutes, SandboxesNameTheirs) {
  VolumeFixture fixture;
  fixture.send("POST", "/v1/sandboxes",
               R"({"volumes":[{"volume":"data","target":"/data"},{"volume":"in","target":"/in","read_only":true}]})");
  const auto& asked = fixture.control.creation.volumes;
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].volume, "data");
  EXPECT_EQ(asked[0].target, "/data");
  EXPECT_FALSE(asked[0].read_only);
  EXPECT_TRUE(asked[1].read_only);
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes", R"({"volumes":[{"volume":"data"}]})").status, 400);
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes", R"({"volumes":{"data":"/data"}})").status, 400);
}

}  // namespace
}  // namespace lmsb::server
