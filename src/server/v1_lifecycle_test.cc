#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using control::AtLimit;
using std::chrono::milliseconds;

TEST(LifecycleRoutes, PauseAndResume) {
  Fixture fixture;
  const auto paused = fixture.send("POST", "/v1/sandboxes/box/pause", "{}");
  EXPECT_EQ(paused.status, 200);
  EXPECT_EQ(fixture.control.named, "box");
  EXPECT_NE(paused.body.find(R"("state":"paused")"), std::string::npos) << paused.body;
  const auto resumed = fixture.send("POST", "/v1/sandboxes/box/resume");
  EXPECT_NE(resumed.body.find(R"("state":"running")"), std::string::npos) << resumed.body;
}

TEST(LifecycleRoutes, StopWithTheGraceThatIsAskedFor) {
  Fixture fixture;
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes/box/stop").status, 200);
  EXPECT_EQ(fixture.control.stop_grace, control::kStopGrace);
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes/box/stop", "{}").status, 200);
  EXPECT_EQ(fixture.control.stop_grace, control::kStopGrace);
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes/box/stop", R"({"grace_ms":0})").status, 200);
  EXPECT_EQ(fixture.control.stop_grace, milliseconds(0));
  for (const char* body : {R"({"grace_ms":-1})", R"({"grace_ms":600001})", R"({"grace_ms":"5"})", R"({"grace":5})"})
    EXPECT_EQ(fixture.send("POST", "/v1/sandboxes/box/stop", body).status, 400) << body;
}

TEST(LifecycleRoutes, AnswerARefusalWithItsStatus) {
  Fixture fixture;
  fixture.control.error = Error(ErrorCode::failed_precondition, "paused").with_slug("sandbox_paused");
  EXPECT_EQ(fixture.send("POST", "/v1/sandboxes/box/pause").status, 409);
}

TEST(LifecycleRoutes, ChangeLabelsAndLimitsOfALife) {
  Fixture fixture;
  const auto answer = fixture.send("PATCH", "/v1/sandboxes/box",
                                   R"({"labels":{"a":"1","b":null},"timeout_ms":5000,"idle_ms":0,"on_idle":"delete"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto& changed = fixture.control.changed;
  EXPECT_EQ(changed.labels.at("a"), "1");
  EXPECT_EQ(changed.labels.at("b"), std::nullopt);
  EXPECT_EQ(changed.life.timeout, milliseconds(5000));
  EXPECT_EQ(changed.life.idle, milliseconds(0));
  EXPECT_EQ(changed.life.at_idle, AtLimit::remove);
  EXPECT_FALSE(changed.life.at_timeout);
}

TEST(LifecycleRoutes, ChangeTheLimitsThatAreNamed) {
  Fixture fixture;
  const auto answer = fixture.send("PATCH", "/v1/sandboxes/box", R"({"limits":{"memory_bytes":67108864,"cpus":0.5}})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto& limits = fixture.control.changed.limits;
  EXPECT_EQ(limits.memory, Bytes::MiB(64));
  EXPECT_EQ(limits.cpu_millis, 500U);
  EXPECT_FALSE(limits.processes);
  EXPECT_FALSE(limits.disk);
}

TEST(LifecycleRoutes, SayWhatIsWrongWithAChange) {
  Fixture fixture;
  for (const char* body :
       {R"({"labels":[]})", R"({"labels":{"a":1}})", R"({"timeout_ms":-1})", R"({"on_idle":"sleep"})",
        R"({"limits":{"cpus":-2}})", R"({"limits":{"swap":2}})", R"({"name":"new"})"}) {
    const auto answer = fixture.send("PATCH", "/v1/sandboxes/box", body);
    EXPECT_EQ(answer.status, 400) << body;
  }
}

TEST(LifecycleRoutes, ACreationCarriesTheLimitsOfALife) {
  Fixture fixture;
  fixture.send("POST", "/v1/sandboxes", R"({"timeout_ms":60000,"on_timeout":"pause"})");
  EXPECT_EQ(fixture.control.creation.life.timeout, milliseconds(60'000));
  EXPECT_EQ(fixture.control.creation.life.at_timeout, AtLimit::pause);
  EXPECT_FALSE(fixture.control.creation.life.idle);
}

TEST(LifecycleRoutes, SayWhatASandboxUses) {
  Fixture fixture;
  fixture.control.sandbox_stats.sandbox_id = "s1";
  fixture.control.sandbox_stats.name = "box";
  fixture.control.sandbox_stats.usage = control::SandboxUsage{10, 20, 3, 4500, 1};
  fixture.control.sandbox_stats.network = control::NetworkUsage{5, 6, 7, 8};
  const auto answer = fixture.send("GET", "/v1/sandboxes/box/stats");
  EXPECT_TRUE(answer.body.starts_with(R"({"sandbox_id":"s1","name":"box","state":"running","memory_bytes":10,)"
                                      R"("max_memory_bytes":20,"processes":3,)"
                                      R"("cpu_ms":4,"oom_kills":1,"network":{"received_bytes":5,"received_packets":6,)"
                                      R"("sent_bytes":7,"sent_packets":8},"models":null,"disk_bytes":null,"limits":{)"))
      << answer.body;
  fixture.control.sandbox_stats.models = control::ModelUsage{1, 2, 30, 40};
  EXPECT_NE(fixture.send("GET", "/v1/sandboxes/box/stats")
                .body.find(R"("models":{"requests":1,"refused":2,"prompt_tokens":30,"completion_tokens":40},)"),
            std::string::npos);
  fixture.control.sandbox_stats.disk_bytes = 77;
  EXPECT_NE(fixture.send("GET", "/v1/sandboxes/box/stats").body.find(R"("disk_bytes":77,)"), std::string::npos);
}

TEST(LifecycleRoutes, SayNothingOfWhatASandboxUsesThatDoesNotRun) {
  Fixture fixture;
  fixture.control.sandbox_stats.sandbox_id = "s1";
  fixture.control.sandbox_stats.state = control::SandboxState::stopped;
  fixture.control.sandbox_stats.disk_bytes = 77;
  const auto answer = fixture.send("GET", "/v1/sandboxes/box/stats");
  EXPECT_TRUE(answer.body.starts_with(
      R"({"sandbox_id":"s1","name":null,"state":"stopped","memory_bytes":null,"max_memory_bytes":null,)"
      R"("processes":null,"cpu_ms":null,"oom_kills":null,"network":{"received_bytes":null,"received_packets":null,)"
      R"("sent_bytes":null,"sent_packets":null},"models":null,"disk_bytes":77,)"))
      << answer.body;
}

TEST(EventRoutes, TellWhatHappensLineByLine) {
  Fixture fixture;
  fixture.control.event.type = "sandbox.removed";
  fixture.control.event.number = 1010;
  fixture.control.event.sandbox = "box";
  fixture.control.event.by = "idle";
  http::Request request = local_request("GET", "/v1/events");
  request.query = {{"after", "1005"}, {"sandbox", "box"}};
  request.headers.set("Accept", "application/x-ndjson");
  auto response = fixture.send(std::move(request));
  ASSERT_TRUE(response.source);
  EXPECT_TRUE(response.is_endless);
  std::string told;
  while (told.find("removed") == std::string::npos) {
    auto piece = io::run_blocking(response.source->next());
    ASSERT_TRUE(piece.ok());
    told += *piece;
  }
  EXPECT_EQ(told,
            R"({"type":"armed","id":"1007","restarted":true})"
            "\n"
            R"({"type":"lost","missed":2})"
            "\n"
            R"({"type":"sandbox.removed","id":"1010","time":"","sandbox_id":"box","name":null,"by":"idle","missed":2})"
            "\n");
  EXPECT_EQ(fixture.control.followed.after, "1005");
  EXPECT_FALSE(fixture.control.followed.processes);
  EXPECT_EQ(fixture.control.named, "box");
}

// Whatever `body` has until it shows `last`.
std::string told_until(http::Response& response, const std::string& last) {
  std::string told;
  while (told.find(last) == std::string::npos) {
    auto piece = io::run_blocking(response.source->next());
    if (!piece.ok()) break;
    told += *piece;
  }
  return told;
}

TEST(EventRoutes, SayWhatIsLostBeforeAnythingHappens) {
  Fixture fixture;
  fixture.control.events_lost.emplace();
  fixture.control.event.type = "snapshot.created";
  fixture.control.event.number = 1010;
  fixture.control.event.subject = "snp_a";
  http::Request request = local_request("GET", "/v1/events");
  auto response = fixture.send(std::move(request));
  const std::string told = told_until(response, "created");
  EXPECT_NE(told.find("event: lost\ndata: {\"type\":\"lost\",\"missed\":null}\n\nevent: snapshot.created\nid: 1010\n"),
            std::string::npos)
      << told;
  EXPECT_NE(told.find(R"("sandbox_id":null,"snapshot_id":"snp_a","name":null)"), std::string::npos) << told;
}

TEST(EventRoutes, TellOfCommandsWhoAsksForThemAndGiveThemNoIds) {
  Fixture fixture;
  fixture.control.event.type = "process.ended";
  fixture.control.event.sandbox = "box";
  fixture.control.event.outcome = "exited";
  fixture.control.event.exit_code = 3;
  http::Request request = local_request("GET", "/v1/events");
  request.query = {{"processes", "true"}};
  auto response = fixture.send(std::move(request));
  EXPECT_TRUE(fixture.control.followed.processes);
  const std::string told = told_until(response, "ended");
  EXPECT_NE(told.find("event: process.ended\ndata: "), std::string::npos) << told;
  EXPECT_NE(told.find(R"("sandbox_id":"box","process_id":null,"name":null,"by":null,"outcome":"exited","exit_code":3)"),
            std::string::npos)
      << told;
}

TEST(EventRoutes, GoOnWhereABrowserLeftOff) {
  Fixture fixture;
  http::Request request = local_request("GET", "/v1/events");
  request.headers.set("Last-Event-ID", "1041");
  fixture.send(std::move(request));
  EXPECT_EQ(fixture.control.followed.after, "1041");
}

TEST(EventRoutes, RefuseFieldsTheyDoNotKnow) {
  Fixture fixture;
  http::Request request = local_request("GET", "/v1/events");
  request.query = {{"since", "x"}};
  EXPECT_EQ(fixture.send(std::move(request)).status, 400);
}

}  // namespace
}  // namespace lmsb::server
