#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;

struct ModelLoading : testing::Test, Fixture {
  ModelLoading() {
    control.loaded_model.id = "tiny";
    control.loaded_model.loaded = true;
    control::RunnerInfo runner;
    runner.is_loaded = true;
    runner.requests = 2;
    runner.memory = Bytes(7);
    control.loaded_model.runners.push_back(runner);
  }
};

TEST_F(ModelLoading, ChangesNothingThatIsNotSaid) {
  for (const char* body : {"", "{}"}) {
    const auto answer = send("POST", "/v1/models/tiny/load", body);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(control.loading.name, "tiny");
    EXPECT_EQ(control.loading.is_pinned, std::nullopt);
    EXPECT_EQ(control.loading.keep_alive, std::nullopt);
    EXPECT_THAT(answer.body, HasSubstr(R"("runners":[{"state":"loaded","work":"answers","requests":2,"memory_bytes":7,)"
                                       R"("pinned":false,"ends_at":null}])"));
  }
}

TEST_F(ModelLoading, SaysHowLongItStays) {
  send("POST", "/v1/models/tiny/load", R"({"pin":true,"keep_alive_ms":5000})");
  EXPECT_EQ(control.loading.is_pinned, true);
  EXPECT_EQ(control.loading.keep_alive, std::chrono::seconds(5));
  send("POST", "/v1/models/tiny/load", R"({"pin":false,"keep_alive_ms":0})");
  EXPECT_EQ(control.loading.is_pinned, false);
  EXPECT_EQ(control.loading.keep_alive, control::kKeptWhileThereIsRoom);
  for (const char* body : {R"({"pin":"yes"})", R"({"keep_alive_ms":-1})", R"({"keep":1})", "[]"})
    EXPECT_EQ(send("POST", "/v1/models/tiny/load", body).status, 400) << body;
}

TEST_F(ModelLoading, EndsByUnload) {
  control.loaded_model.loaded = false;
  control.loaded_model.runners.clear();
  const auto answer = send("POST", "/v1/models/a%2Fb/unload");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(control.named, "a/b");
  EXPECT_THAT(answer.body, HasSubstr(R"("loaded":false)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("runners":[])"));
}

TEST_F(ModelLoading, OfOllamasKindEndsWithoutWordsToo) {
  const auto answer = send("POST", "/api/generate", R"({"model":"tiny:latest","keep_alive":0,"stream":false})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(control.named, "tiny");
  EXPECT_EQ(control.removals, 1);
  EXPECT_THAT(answer.body, HasSubstr(R"("done_reason":"unload")"));
}

}  // namespace
}  // namespace lmsb::server
