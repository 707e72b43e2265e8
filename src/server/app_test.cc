#include "server/app.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RunBash, AnswersTheOriginalsShapeAndOurFields) {
  Fixture f;
  f.control.one_shot_result.exec.outcome = control::Outcome::exited;
  f.control.one_shot_result.exec.exit_code = 3;
  f.control.one_shot_result.exec.out.data = "out\n";
  f.control.one_shot_result.exec.err.data = "err\n";
  f.control.one_shot_result.exec.sandbox_id = "s0000000000000000000";
  for (const char* path : {"/run-bash/", "/run-bash"}) {
    const auto response = f.send("POST", path, R"({"cmd":"echo out; echo err >&2; exit 3"})");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(
        response.body,
        R"({"output":"out\n","error":"err\n","exit_code":3,"sandbox_id":"s0000000000000000000","outcome":"exited",)"
        R"("truncated":{"stdout_bytes":0,"stderr_bytes":0,"spill_path":null}})");
  }
  EXPECT_EQ(std::get<std::string>(f.control.one_shot.command.cmd), "echo out; echo err >&2; exit 3");
  EXPECT_EQ(f.control.asker.name, "local:1000");
}

TEST(RunBash, RunsAnEmptyCommand) {
  Fixture f;
  EXPECT_EQ(f.send("POST", "/run-bash/", R"({"cmd":""})").status, 200);
  EXPECT_EQ(std::get<std::string>(f.control.one_shot.command.cmd), "");
}

TEST(RunBash, RunsInTheKeptSandboxThatTheSettingsNameAndMakesItOnce) {
  Fixture f(local_policy(), "shell");
  f.control.is_missing = true;
  f.control.one_shot_result.exec.out.data = "out\n";
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(f.send("POST", "/run-bash/", R"({"cmd":"x"})").body, HasSubstr(R"("output":"out\n")"));
  EXPECT_EQ(f.control.creations, 1);
  EXPECT_EQ(f.control.creation.name, "shell");
  EXPECT_EQ(f.control.named, "shell");
  EXPECT_EQ(std::get<std::string>(f.control.command.cmd), "x");
  EXPECT_EQ(f.control.asker.name, "run-bash");
  EXPECT_FALSE(f.control.asker.admin);
}

TEST(RunBash, MakesTheKeptSandboxAnewWhenItHasDied) {
  Fixture f(local_policy(), "shell");
  f.control.sandbox.state = control::SandboxState::failed;
  EXPECT_EQ(f.send("POST", "/run-bash/", R"({"cmd":"x"})").status, 200);
  EXPECT_EQ(f.control.removals, 1);
  EXPECT_EQ(f.control.creations, 1);
}

TEST(RunBash, TellsThatTheKeptSandboxIsWanting) {
  Fixture f(local_policy(), "shell");
  f.control.error = Error(ErrorCode::permission_denied, "above the policy");
  const auto response = f.send("POST", "/run-bash/", R"({"cmd":"x"})");
  EXPECT_EQ(response.status, 403);
  EXPECT_THAT(response.body, HasSubstr("above the policy"));
}

TEST(RunBash, AnswersErrorsAsFastApiDoes) {
  Fixture f;
  EXPECT_EQ(f.send("POST", "/run-bash/").status, 422);
  const auto get = f.send("GET", "/run-bash/");
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.body, R"({"detail":"Method Not Allowed"})");
  EXPECT_EQ(get.headers.find("Allow"), "POST");
  f.control.error = Error(ErrorCode::resource_exhausted, "the queue is full").with_hint("try again");
  const auto full = f.send("POST", "/run-bash/", R"({"cmd":"x"})");
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.body, R"x({"detail":"the queue is full (try again)"})x");
}

TEST(RunBash, WantsItsContentType) {
  Fixture f;
  auto request = local_request("POST", "/run-bash/", R"({"cmd":"x"})");
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  const auto response = f.send(request);
  EXPECT_EQ(response.status, 415);
  EXPECT_THAT(response.body, HasSubstr("add the header `Content-Type: application/json`"));
}

TEST(LlamaCpp, AnswersTheCompletion) {
  Fixture f;
  f.control.completion = {"It is...", "some", false};
  const auto response = f.send("POST", "/llama-cpp/", R"({"cmd":"What is AI?"})");
  EXPECT_EQ(response.body, R"({"output":"It is...","error":""})");
  EXPECT_EQ(f.control.prompt, "What is AI?");
}

TEST(LlamaCpp, NamesTheDemonstrationModelWhereItAnswers) {
  Fixture f;
  f.control.completion = {"I am...", "demonstration", true};
  EXPECT_EQ(f.send("POST", "/llama-cpp/", R"({"cmd":"x"})").body,
            R"({"output":"I am...","error":"","model":"demonstration"})");
}

TEST(LlamaCpp, Answers503WhenThereIsNoModel) {
  Fixture f;
  f.control.error = Error(ErrorCode::not_found, "there is no model").with_hint("lm-sandbox model pull FILE");
  const auto response = f.send("POST", "/llama-cpp/", R"({"cmd":"x"})");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, R"x({"detail":"there is no model (lm-sandbox model pull FILE)"})x");
}

TEST(Ollama, PassesTheUpstreamsJsonAndStatusThrough) {
  Fixture f;
  f.control.upstream = {200, R"({ "choices": [] })"};
  EXPECT_EQ(f.send("POST", "/ollama/", R"({"cmd":"x"})").body, R"({ "choices": [] })");
  f.control.upstream = {404, R"({"error":"no such model"})"};
  EXPECT_EQ(f.send("POST", "/ollama", R"({"cmd":"x"})").status, 404);
}

TEST(Ollama, Answers502WhenTheUpstreamIsAwayOrSpeaksHtml) {
  Fixture f;
  f.control.upstream = {200, "<html>hello</html>"};
  const auto html = f.send("POST", "/ollama/", R"({"cmd":"x"})");
  EXPECT_EQ(html.status, 502);
  EXPECT_THAT(html.body, HasSubstr("not JSON"));
  f.control.error = Error(ErrorCode::unavailable, "connect to 127.0.0.1:11434: Connection refused");
  EXPECT_EQ(f.send("POST", "/ollama/", R"({"cmd":"x"})").status, 502);
  f.control.error = Error(ErrorCode::failed_precondition, "no upstream is configured");
  EXPECT_EQ(f.send("POST", "/ollama/", R"({"cmd":"x"})").status, 503);
  f.control.error = Error(ErrorCode::deadline_exceeded, "the upstream took too long");
  EXPECT_EQ(f.send("POST", "/ollama/", R"({"cmd":"x"})").status, 504);
}

TEST(Run, ReadsEveryField) {
  Fixture f;
  const auto response = f.send("POST", "/v1/run", R"x({
    "cmd": ["python3", "a.py"], "shell": "/bin/sh", "env": {"A": "1"}, "cwd": "/tmp", "user": "user",
    "stdin": {"base64": "/w=="}, "timeout_ms": 2500, "image": "base",
    "limits": {"memory_bytes": 1048576, "cpus": 0.5, "processes": 7, "disk_bytes": 4096, "shm_bytes": 8192},
    "files": {"a.py": "print(1)", "/data/b": {"base64": "AP8="}}, "collect": ["out"],
    "mounts": [{"token": "00", "target": "/w", "read_only": true}], "name": "x", "labels": {"k": "v"}})x");
  ASSERT_EQ(response.status, 200) << response.body;
  const control::OneShot& asked = f.control.one_shot;
  EXPECT_EQ(std::get<control::Argv>(asked.command.cmd), (control::Argv{"python3", "a.py"}));
  EXPECT_EQ(asked.command.shell, "/bin/sh");
  EXPECT_EQ(asked.command.env.at("A"), "1");
  EXPECT_EQ(asked.command.cwd, "/tmp");
  EXPECT_EQ(asked.command.stdin_data, "\xFF");
  EXPECT_EQ(asked.command.timeout.count(), 2500);
  EXPECT_EQ(asked.image, "base");
  EXPECT_TRUE(asked.command.asks_for_timeout);
  EXPECT_EQ(asked.limits.memory, Bytes(1048576));
  EXPECT_EQ(asked.limits.cpu_millis, 500U);
  EXPECT_EQ(asked.limits.processes, 7U);
  EXPECT_EQ(asked.limits.shm, Bytes(8192));
  ASSERT_EQ(asked.files.size(), 2U);
  EXPECT_EQ(asked.files[1].data, std::string("\0\xFF", 2));
  EXPECT_EQ(asked.collect, std::vector<std::string>{"out"});
  ASSERT_EQ(asked.mounts.size(), 1U);
  EXPECT_TRUE(asked.mounts[0].read_only);
}

TEST(Run, AsksForNothingThatIsLeftOut) {
  Fixture f;
  ASSERT_EQ(f.send("POST", "/v1/run", R"({"cmd":"x","limits":{"processes":9}})").status, 200);
  const control::LimitChanges& asked = f.control.one_shot.limits;
  EXPECT_EQ(asked.processes, 9U);
  EXPECT_FALSE(asked.memory || asked.cpu_millis || asked.disk);
  EXPECT_EQ(f.control.one_shot.command.timeout.count(), 120'000);
  EXPECT_FALSE(f.control.one_shot.command.asks_for_timeout);
}

TEST(Run, ReturnsFilesAsTextWhereTheyAreText) {
  Fixture f;
  f.control.one_shot_result.collected.files = {{"a", "text"}, {"b", "\xFF"}};
  f.control.one_shot_result.collected.left_out.emplace(
      "c", Error(ErrorCode::not_found, "it is not there").with_slug("file_not_found"));
  EXPECT_THAT(f.send("POST", "/v1/run", R"({"cmd":"x"})").body,
              HasSubstr(R"("files":{"a":"text","b":{"base64":"/w=="}},)"
                        R"("left_out":{"c":{"code":"file_not_found","message":"it is not there"}}})"));
}

TEST(Run, PrintsThePlanOfADryRun) {
  Fixture f;
  EXPECT_EQ(f.send("POST", "/v1/run", R"({"cmd":"x","dry_run":true})").body, R"({"plan":"the plan\n"})");
  EXPECT_EQ(f.control.asker.name, "");
}

TEST(Run, NamesEverythingThatIsWrongAtOnce) {
  Fixture f;
  const auto response =
      f.send("POST", "/v1/run", R"({"cmd":5,"timeout_ms":0,"env":{"A":1},"files":{"a":3,"":"x","b":{"base64":"?"}},
    "limits":{"memroy_bytes":1,"cpus":-1},"mounts":[{"target":"/x"}],"extra":1})");
  EXPECT_EQ(response.status, 400);
  for (const char* path : {"cmd", "timeout_ms", "env.A", "files.a", "files.b.base64", "limits.memroy_bytes",
                           "limits.cpus", "mounts[0].token", "extra"}) {
    EXPECT_THAT(response.body, HasSubstr(std::string(R"("path":")") + path + "\"")) << path;
  }
  EXPECT_THAT(response.body, HasSubstr(R"("code":"invalid_request")"));
  EXPECT_EQ(f.control.asker.name, "") << "nothing may have run";
}

TEST(Run, RefusesWhatIsNoCommand) {
  Fixture f;
  for (const char* cmd : {"null", "[]", "[1]", "{}", "true"}) {
    EXPECT_EQ(f.send("POST", "/v1/run", R"({"cmd":)" + std::string(cmd) + "}").status, 400) << cmd;
  }
}

TEST(V1, SaysWhyABodyIsNoJsonObject) {
  Fixture f;
  EXPECT_THAT(f.send("POST", "/v1/run").body,
              HasSubstr(R"("code":"invalid_json","message":"the request has no body")"));
  EXPECT_THAT(f.send("POST", "/v1/run", "nope").body, HasSubstr(R"("code":"invalid_json")"));
  EXPECT_THAT(f.send("POST", "/v1/run", "[]").body, HasSubstr(R"("code":"invalid_request")"));
}

TEST(Sandboxes, CreateGivesTheWholeObject) {
  Fixture f;
  f.control.sandbox.id = "s0000000000000000000";
  f.control.sandbox.image = "host";
  f.control.sandbox.state = control::SandboxState::running;
  f.control.sandbox.created_at = "2026-01-01T00:00:00Z";
  f.control.sandbox.labels = {{"k", "v"}};
  f.control.sandbox.isolation = {"seccomp"};
  const auto response = f.send("POST", "/v1/sandboxes", "{}");
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.headers.find("Location"), "/v1/sandboxes/s0000000000000000000");
  EXPECT_EQ(
      response.body,
      R"({"id":"s0000000000000000000","name":null,"image":"host","image_digest":"","runtime":"native","state":"running",)"
      R"("created_at":"2026-01-01T00:00:00Z","expires_at":null,)"
      R"("timeout_ms":0,"idle_ms":0,"on_timeout":"delete","on_idle":"pause","labels":{"k":"v"},)"
      R"("limits":{"memory_bytes":1073741824,"cpus":1.000,"processes":256,"disk_bytes":1073741824,"shm_bytes":67108864},)"
      R"("volumes":[],"egress":{"mode":"none","allow":[]},"models":[],)"
      R"("model_limits":{"tokens":null,"requests_per_minute":null},"devices":[],"profile":"user","keeps_disk":false,)"
      R"("isolation":["seccomp"]})");
  EXPECT_FALSE(f.control.creation.limits.is_something());
}

TEST(Sandboxes, CreateFillsWhatIsLeftOutOfLimitsWithItsOwnDefaults) {
  Fixture f;
  for (const char* name : {"name", "image", "snapshot"})
    EXPECT_EQ(f.send("POST", "/v1/sandboxes", std::string(R"({")") + name + R"(":""})").status, 400) << name;
  f.send("POST", "/v1/sandboxes", R"({"limits":{"cpus":2},"name":"n","labels":{"k":"v"}})");
  EXPECT_EQ(f.control.creation.limits.cpu_millis, 2000U);
  EXPECT_FALSE(f.control.creation.limits.processes);
  EXPECT_EQ(f.control.creation.name, "n");
}

TEST(Sandboxes, CreateTakesWhereItsCommandsStart) {
  Fixture f;
  EXPECT_EQ(f.send("POST", "/v1/sandboxes", R"({"cwd":"/tmp","user":"user"})").status, 201);
  EXPECT_EQ(f.control.creation.cwd, "/tmp");
  EXPECT_EQ(f.control.creation.user, "user");
}

TEST(Sandboxes, CreateTakesTheRuntimeAndTheEgressThatThereAre) {
  Fixture f;
  for (const char* body :
       {R"({"runtime":"native"})", R"({"egress":{"mode":"none"}})", R"({"egress":{"mode":"none","allow":[]}})",
        R"({"egress":{}})", R"({"egress":{"mode":"open"}})", R"({"egress":{"allow":["*.example.com:443"]}})"}) {
    EXPECT_EQ(f.send("POST", "/v1/sandboxes", body).status, 201) << body;
  }
  EXPECT_EQ(f.send("POST", "/v1/run", R"({"cmd":"x","runtime":"native","egress":{"mode":"none"}})").status, 200);
}

TEST(Sandboxes, CreateSaysNotYetToThoseThatWillBe) {
  Fixture f;
  for (const auto& [body, path] : std::map<std::string, std::string>{{R"({"runtime":"oci"})", "runtime"}}) {
    const auto response = f.send("POST", "/v1/sandboxes", body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_THAT(response.body, HasSubstr(R"("path":")" + path + R"(","message":"not yet: )"));
  }
  EXPECT_EQ(f.control.creations, 0);
}

TEST(Exec, TakesLimitsOfEachProcess) {
  Fixture f;
  const std::string path = "/v1/sandboxes/abc/exec";
  const auto done = f.send(
      "POST", path, R"({"cmd":"x","limits":{"cpu_ms":1001,"memory_bytes":1024,"file_bytes":7,"open_files":64}})");
  EXPECT_EQ(done.status, 200) << done.body;
  const control::CommandLimits& limits = f.control.command.limits;
  EXPECT_EQ(limits.cpu, std::chrono::seconds(2)) << "rounded up";
  EXPECT_EQ(limits.memory, Bytes(1024));
  EXPECT_EQ(limits.file, Bytes(7));
  EXPECT_EQ(limits.open_files, 64U);
  for (const char* bad : {R"({"cpus":1})", R"({"cpu_ms":0})", R"({"open_files":3})", "[]"})
    EXPECT_EQ(f.send("POST", path, R"({"cmd":"x","limits":)" + std::string(bad) + "}").status, 400) << bad;
  EXPECT_EQ(f.send("POST", path, R"({"cmd":"x","session":"s","limits":{"cpu_ms":1}})").status, 400);
  EXPECT_EQ(f.send("POST", path, R"({"cmd":"x","detach":false,"pty":null})").status, 200);
}

TEST(Sandboxes, CreateHonoursAnIdempotencyKey) {
  Fixture f;
  f.control.sandbox.id = "s0000000000000000000";
  auto request = local_request("POST", "/v1/sandboxes", "{}");
  request.headers.set("Idempotency-Key", "once");
  const auto first = f.send(request);
  const auto second = f.send(request);
  EXPECT_EQ(f.control.creations, 1);
  EXPECT_EQ(first.body, second.body);
  EXPECT_EQ(second.status, 201);
  EXPECT_EQ(second.headers.find("Idempotent-Replayed"), "true");
  request.body = R"({"name":"x"})";
  EXPECT_EQ(f.send(request).status, 409);
}

TEST(Sandboxes, CreateTriesAgainAfterAnError) {
  Fixture f;
  auto request = local_request("POST", "/v1/sandboxes", "{}");
  request.headers.set("Idempotency-Key", "once");
  f.control.error = Error(ErrorCode::unavailable, "away");
  EXPECT_EQ(f.send(request).status, 503);
  f.control.error.reset();
  EXPECT_EQ(f.send(request).status, 201);
}

const std::string kCursor = "2026-01-31T23:59:59.123Z/aaaaaaaaaaaaaaaaaaaa";

TEST(Sandboxes, ListFiltersAndPages) {
  Fixture f;
  auto request = local_request("GET", "/v1/sandboxes");
  request.query = {{"state", "running"}, {"label", "a=1,b=2=3"}, {"limit", "5"}, {"cursor", kCursor}};
  const auto response = f.send(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr(R"("next_cursor":"more"})"));
  EXPECT_EQ(f.control.listed_state, control::SandboxState::running);
  EXPECT_EQ(f.control.listed_labels, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2=3"}}));
  EXPECT_EQ(f.control.listed_limit, 5U);
  EXPECT_EQ(f.control.named, kCursor);
}

TEST(Sandboxes, ListRefusesWhatItDoesNotKnow) {
  Fixture f;
  using Query = std::map<std::string, std::string>;
  for (const Query& query :
       {Query{{"state", "x"}}, Query{{"limit", "0"}}, Query{{"limit", "1001"}}, Query{{"limit", "1x"}},
        Query{{"label", "a"}}, Query{{"label", "=1"}}, Query{{"label", ""}}, Query{{"label", "a=1,,b=2"}},
        Query{{"label", "a=1,a=2"}}, Query{{"cursor", "c"}}, Query{{"cursor", kCursor + "/"}}, Query{{"sort", "x"}}}) {
    auto request = local_request("GET", "/v1/sandboxes");
    request.query = query;
    const auto refused = f.send(request);
    EXPECT_EQ(refused.status, 400) << query.begin()->first << query.begin()->second;
    EXPECT_THAT(refused.body, HasSubstr(R"("code":"invalid_request")"));
  }
}

TEST(Queries, AreRefusedWhereNothingIsReadOfThem) {
  Fixture f;
  for (const char* path : {"/v1/sandboxes/abc", "/v1/sandboxes/abc/stats", "/v1/images", "/v1/info"}) {
    auto request = local_request("GET", path);
    request.query = {{"verbose", "1"}};
    const auto refused = f.send(request);
    EXPECT_EQ(refused.status, 400) << path;
    EXPECT_THAT(refused.body, HasSubstr("this path takes none"));
  }
  auto original = local_request("POST", "/run-bash/", R"({"cmd":"whoami"})");
  original.query = {{"verbose", "1"}};
  EXPECT_EQ(f.send(original).status, 200) << "clients of other APIs send what those know";
}

TEST(Queries, NameEachFieldOnce) {
  Fixture f;
  auto request = local_request("GET", "/v1/sandboxes");
  request.target = "/v1/sandboxes?label=a=1&l%61bel=b=2";
  request.query = {{"label", "b=2"}};
  const auto refused = f.send(request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("there twice"));
  request.target = "/v1/sandboxes?label=a=1,b=2&limit=5";
  EXPECT_EQ(f.send(request).status, 200);
}

TEST(Queries, FindLabelsWithWhateverIsInThem) {
  Fixture f;
  const auto listed = [&f](std::string label) {
    auto request = local_request("GET", "/v1/sandboxes");
    request.query = {{"label", std::move(label)}};
    f.control.listed_labels.clear();
    return f.send(request).status == 200 ? f.control.listed_labels : std::map<std::string, std::string>{};
  };
  using Labels = std::map<std::string, std::string>;
  EXPECT_EQ(listed("a=1,b=2"), (Labels{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(listed(R"(a=x\,y,b=)"), (Labels{{"a", "x,y"}, {"b", ""}}));
  EXPECT_EQ(listed(R"(k\=\,=c:\\d=e)"), (Labels{{"k=,", "c:\\d=e"}}));
  for (const char* wrong : {"a", "=1", "a=1,b", "a=1,a=2", "", "a=1\\", "a\\", "a,b=1"})
    EXPECT_TRUE(listed(wrong).empty()) << wrong;
}

TEST(Queries, RefuseWhatIsNoIdOfAnEventAndTheCursorOfAnotherList) {
  Fixture f;
  const auto status = [&f](std::string path, const char* name, std::string value) {
    auto request = local_request("GET", std::move(path));
    request.query = {{name, std::move(value)}};
    return f.send(request).status;
  };
  EXPECT_EQ(status("/v1/events", "after", "0"), 200);
  for (const char* wrong : {"abc", "", "-1", "1 ", "99999999999999999999999"})
    EXPECT_EQ(status("/v1/events", "after", wrong), 400) << wrong;
  const std::string time = "2026-01-01T00:00:00.000Z/";
  const std::string id = "a0000000000000000000";
  const std::map<std::string, std::string> lists = {
      {"/v1/sandboxes", ""}, {"/v1/snapshots", "snp_"}, {"/v1/volumes", "vol_"}};
  for (const auto& [path, prefix] : lists)
    for (const auto& [other, its] : lists)
      EXPECT_EQ(status(path, "cursor", time + its + id), its == prefix ? 200 : 400) << path << " " << its;
}

TEST(Queries, AKeyOfIdempotencyIsNotPassedOver) {
  Fixture f;
  auto request = local_request("POST", "/v1/run", R"({"cmd":"true"})");
  request.headers.set("Idempotency-Key", "key");
  const auto refused = f.send(request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("idempotency_key_not_taken"));
  auto original = local_request("POST", "/run-bash/", R"({"cmd":"true"})");
  original.headers.set("Idempotency-Key", "key");
  EXPECT_EQ(f.send(original).status, 200) << "clients of other APIs send what those know";
}

TEST(Sandboxes, GetExecAndDeleteNameTheirSandbox) {
  Fixture f;
  EXPECT_EQ(f.send("GET", "/v1/sandboxes/abc").status, 200);
  EXPECT_EQ(f.control.named, "abc");
  EXPECT_EQ(f.send("POST", "/v1/sandboxes/def/exec", R"({"cmd":"x","stdin":"in"})").status, 200);
  EXPECT_EQ(f.control.named, "def");
  EXPECT_EQ(f.control.command.stdin_data, "in");
  const auto gone = f.send("DELETE", "/v1/sandboxes/ghi");
  EXPECT_EQ(gone.status, 204);
  EXPECT_EQ(gone.body, "");
  EXPECT_EQ(f.control.named, "ghi");
}

TEST(Sandboxes, MissingOnesAreOurError) {
  Fixture f;
  f.control.error = Error(ErrorCode::not_found, "there is no sandbox abc").with_slug("sandbox_not_found");
  for (const char* method : {"GET", "DELETE"}) {
    const auto response = f.send(method, "/v1/sandboxes/abc");
    EXPECT_EQ(response.status, 404);
    EXPECT_THAT(response.body, HasSubstr(R"("code":"sandbox_not_found")"));
  }
}

TEST(Images, AreListed) {
  Fixture f;
  EXPECT_EQ(
      f.send("GET", "/v1/images").body,
      R"({"data":[{"name":"host","digest":"sha256:00","size_bytes":7,"created_at":"2026-01-01T00:00:00Z","default":true}],"next_cursor":null})");
  f.control.image_made_at = "";
  EXPECT_THAT(f.send("GET", "/v1/images").body, HasSubstr(R"("created_at":null)"));
}

TEST(Models, AreListedInOpenAisShapeWithoutTheirPaths) {
  Fixture f;
  EXPECT_EQ(
      f.send("GET", "/v1/models").body,
      R"({"object":"list","data":[{"id":"tiny","object":"model","created":0,"owned_by":"lm-sandbox","type":"model","display_name":"tiny","created_at":"1970-01-01T00:00:00Z","size_bytes":5,"default":true,"loaded":false,"demonstration":false,"runners":[]}],"has_more":false,"first_id":"tiny","last_id":"tiny"})");
}

TEST(Models, AreListedInPagesWhereThatIsAskedFor) {
  Fixture f;
  const auto ask = [&f](const std::map<std::string, std::string>& query) {
    auto request = local_request("GET", "/v1/models");
    request.query = query;
    return io::run_blocking(f.app.serve()(request));
  };
  EXPECT_THAT(ask({{"limit", "1"}, {"beta", "true"}}).body, HasSubstr(R"("first_id":"tiny","last_id":"tiny")"));
  for (const char* field : {"after_id", "before_id"}) {
    const auto none = ask({{field, "tiny"}, {"limit", "1"}});
    EXPECT_EQ(none.body, R"({"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null})") << field;
    EXPECT_EQ(ask({{field, "other"}}).status, 400);
  }
  EXPECT_EQ(ask({{"limit", "x"}}).status, 400);
  EXPECT_EQ(ask({{"nonsense", "1"}}).status, 400);
}

TEST(Models, ArePulledFromASource) {
  Fixture f;
  EXPECT_EQ(f.send("POST", "/v1/models/pull", R"({"source":"/m.gguf","name":"m"})").status, 201);
  EXPECT_EQ(f.control.named, "/m.gguf");
  EXPECT_EQ(f.send("POST", "/v1/models/pull", R"({})").status, 400);
}

std::string whole_body(const http::Response& response) {
  std::string whole;
  while (true) {
    const auto piece = io::run_blocking(response.source->next());
    if (!piece.ok() || piece->empty()) return whole;
    whole += *piece;
  }
}

TEST(Models, APullTellsHowFarItIsToWhoWantsThat) {
  Fixture f;
  f.control.pull_news.resize(2);
  f.control.pull_news[1].step = control::PullStep::bringing;
  f.control.pull_news[1].done = 5;
  f.control.pull_news[1].whole = 10;
  http::Request request = local_request("POST", "/v1/models/pull", R"({"source":"hf:a/b","token":"hf_x"})");
  request.headers.set("Accept", "application/x-ndjson");
  const std::string body = whole_body(f.send(request));
  EXPECT_TRUE(body.starts_with(R"({"type":"progress","step":"looking","completed_bytes":0,"total_bytes":null})"
                               "\n"
                               R"({"type":"progress","step":"downloading","completed_bytes":5,"total_bytes":10})"
                               "\n"
                               R"({"type":"model","model":{"id":"made")"))
      << body;
  EXPECT_EQ(f.control.pull_token, "hf_x");
}

TEST(Models, APullThatFailsSaysSoInItsLastEvent) {
  Fixture f;
  f.control.pull_failure = Error(ErrorCode::not_found, "no such model").with_slug("model_not_there");
  http::Request request = local_request("POST", "/v1/models/pull", R"({"source":"hf:a/b"})");
  request.headers.set("Accept", "application/x-ndjson");
  const std::string body = whole_body(f.send(request));
  EXPECT_TRUE(body.starts_with(R"({"type":"error","error":{"code":"model_not_there","message":"no such model",)"))
      << body;
  EXPECT_EQ(f.send("POST", "/v1/models/pull", R"({"source":"hf:a/b"})").status, 404);
  f.control.pull_failure = Error::from_errno(ENOSPC, "write").with_slug("model_no_room");
  EXPECT_EQ(f.send("POST", "/v1/models/pull", R"({"source":"hf:a/b"})").status, 507);
}

TEST(Models, AreShownWithAllThatIsKnownOfThem) {
  Fixture f;
  f.control.model_details.id = "tiny";
  EXPECT_EQ(f.send("GET", "/v1/models/tiny/details").body,
            R"({"id":"tiny","loaded":false,"demonstration":false,"kind":"model","name":null,"architecture":null,)"
            R"("parameters":null,"size_label":null,"quantisation":null,"license":null,"tokenizer":null,)"
            R"("has_chat_template":false,"chat_template":null,"context_length":null,"embedding_length":null,)"
            R"("feed_forward_length":null,"vocabulary":null,"layers":0,"heads":[],"kv_heads":[],"key_length":null,)"
            R"("value_length":null,"sliding_window":null,"windowed_layers":0,"experts":0,"experts_used":0,)"
            R"("format_version":0,"size_bytes":0,"weights_bytes":0,"tensors":0,"part":null,"memory":[]})");
  EXPECT_EQ(f.control.named, "tiny");
  model::GgufFacts& facts = f.control.model_details.facts;
  facts.layers = {{8, 2, true}, {8, 1, false}};
  facts.part = 1;
  facts.parts = 3;
  control::ModelMemory row;
  row.context = 4096;
  row.estimate = {Bytes(1), Bytes(20), Bytes(300), Bytes(4000)};
  row.q8_0_cache = Bytes(10);
  f.control.model_details.memory = {row};
  const std::string body = f.send("GET", "/v1/models/tiny/details").body;
  EXPECT_THAT(body, HasSubstr(R"("layers":2,"heads":[8,8],"kv_heads":[2,1],)"));
  EXPECT_THAT(body, HasSubstr(R"("windowed_layers":1,)"));
  EXPECT_THAT(body, HasSubstr(R"("part":{"number":2,"of":3},)"));
  EXPECT_THAT(body,
              HasSubstr(R"("memory":[{"context":4096,"weights_bytes":1,"cache_bytes":{"f16":20,"q8_0":10,"q4_0":0},)"
                        R"("compute_bytes":300,"server_bytes":4000,"total_bytes":4321}])"));
}

TEST(Models, AreRemovedInOpenAisShape) {
  Fixture f;
  const auto removed = f.send("DELETE", "/v1/models/tiny");
  EXPECT_EQ(removed.status, 200);
  EXPECT_EQ(removed.body, R"({"id":"tiny","object":"model","deleted":true})");
  EXPECT_EQ(f.control.named, "tiny");
  f.control.error = Error(ErrorCode::not_found, "no model").with_slug("model_not_found");
  EXPECT_EQ(f.send("DELETE", "/v1/models/tiny").status, 404);
}

TEST(Ops, TellHealthAndReadiness) {
  Fixture f;
  EXPECT_EQ(f.send("GET", "/healthz").body, R"({"status":"ok"})");
  EXPECT_EQ(f.send("GET", "/readyz").body, R"({"ready":true,"checks":{"launcher":true}})");
  f.control.ready = false;
  EXPECT_EQ(f.send("GET", "/readyz").status, 503);
  EXPECT_EQ(f.send("GET", "/healthz").status, 200);
  EXPECT_THAT(f.send("GET", "/v1/info").body, HasSubstr(R"("version":"1.2.3","ready":false)"));
  EXPECT_EQ(f.send("GET", "/metrics").status, 200);
  const auto refused = f.send("GET", "/v1/sandboxes");
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"not_ready")"));
  EXPECT_TRUE(refused.headers.find("Retry-After"));
  EXPECT_THAT(f.send("POST", "/run-bash/", R"({"cmd":"x"})").body, HasSubstr(R"({"detail":"the daemon is starting)"));
}

TEST(Ops, CountRequestsByRouteAndStatus) {
  Fixture f;
  f.send("POST", "/run-bash/", R"({"cmd":"x"})");
  f.send("POST", "/run-bash/");
  f.send("GET", "/no/such/path");
  const std::string text = f.send("GET", "/metrics").body;
  EXPECT_THAT(text, HasSubstr(R"(lmsb_http_requests_total{method="POST",route="/run-bash/",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(lmsb_http_requests_total{method="POST",route="/run-bash/",status="422"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(lmsb_http_requests_total{method="any",route="none",status="404"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(lmsb_http_request_seconds_count{method="POST",route="/run-bash/"} 2)"));
}

TEST(Ops, CountOurOwnFaults) {
  Fixture f;
  f.control.error = Error(ErrorCode::internal, "a bug");
  EXPECT_EQ(f.send("POST", "/v1/run", R"({"cmd":"x"})").status, 500);
  EXPECT_THAT(f.send("GET", "/metrics").body, HasSubstr("lmsb_bugs_total 1"));
}

TEST(Ops, ServeTheDocumentAndItsPage) {
  Fixture f;
  EXPECT_THAT(f.send("GET", "/openapi.json").body, HasSubstr(R"("openapi":"3.1.0")"));
  const auto page = f.send("GET", "/docs");
  EXPECT_EQ(page.headers.find("Content-Type"), "text/html; charset=utf-8");
  EXPECT_THAT(std::string(*page.headers.find("Content-Security-Policy")), Not(HasSubstr("unsafe")));
  EXPECT_THAT(f.send("GET", "/").body, HasSubstr("/docs"));
}

TEST(App, AnswersUnknownPathsAndMethodsInTheShapeOfTheirDialect) {
  Fixture f;
  EXPECT_EQ(f.send("GET", "/nothing").body, R"({"detail":"Not Found"})");
  EXPECT_EQ(f.send("GET", "/nothing").status, 404);
  EXPECT_THAT(f.send("GET", "/v1/nothing").body, HasSubstr(R"("code":"path_not_found")"));
  const auto wrong = f.send("PATCH", "/v1/sandboxes");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.find("Allow"), "POST, GET, HEAD");
  EXPECT_THAT(wrong.body, HasSubstr(R"("code":"method_not_allowed")"));
}

TEST(App, LetsNobodyInWithoutAKeyBeyondLoopbackButForHealth) {
  Fixture f;
  for (const RouteRow& row : f.app.routes().rows()) {
    for (const char* method : {"GET", "POST", "HEAD", "OPTIONS", "TRACE", "DELETE"}) {
      auto request = local_request(method, row.pattern);
      request.peer = http::Peer();
      const auto response = f.send(request);
      const bool is_open = row.is_public && (row.method == method || std::string_view(method) == "HEAD");
      EXPECT_EQ(response.status == 401, !is_open) << method << " " << row.pattern << " " << response.status;
    }
  }
  EXPECT_EQ(f.control.asker.name, "");
}

TEST(App, RefusesForeignHostsAndOriginsOnEveryRouteBeforeAnythingHappens) {
  Fixture f;
  for (const RouteRow& row : f.app.routes().rows()) {
    auto request = local_request(row.method, row.pattern, R"({"cmd":"x"})");
    request.headers.set("Host", "evil.com");
    EXPECT_EQ(f.send(request).status, 421) << row.pattern;
    request = local_request(row.method, row.pattern, R"({"cmd":"x"})");
    request.headers.set("Origin", "http://evil.com");
    const auto response = f.send(request);
    EXPECT_EQ(response.status, 403) << row.pattern;
    EXPECT_FALSE(response.headers.find("Access-Control-Allow-Origin"));
  }
  EXPECT_EQ(f.control.asker.name, "");
  EXPECT_EQ(f.control.creations, 0);
}

TEST(App, AnswersThePreflightOfListedOriginsOnly) {
  DoorPolicy policy = local_policy();
  policy.allow_origins = {"https://console.lan"};
  Fixture f(policy);
  auto request = local_request("OPTIONS", "/v1/run");
  request.headers.set("Access-Control-Request-Method", "POST");
  request.headers.set("Origin", "https://console.lan");
  const auto response = f.send(request);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.find("Access-Control-Allow-Origin"), "https://console.lan");
  request.headers.set("Origin", "https://evil.com");
  EXPECT_EQ(f.send(request).status, 403);
  request.headers.set("Origin", "http://127.0.0.1:8000");
  EXPECT_EQ(f.send(request).status, 405);
}

TEST(App, TakesANewPolicyForTheNextRequest) {
  Fixture f;
  DoorPolicy closed = local_policy();
  closed.auth_required = true;
  f.app.set_doors(closed);
  const auto response = f.send("POST", "/run-bash/", R"({"cmd":"x"})");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.find("WWW-Authenticate"), "Bearer");
  EXPECT_THAT(response.body, HasSubstr(R"({"detail":"this request needs an API key)"));
}

TEST(App, WordsWhatTheServerRefusesAsThePathIsSpokenTo) {
  EXPECT_THAT(
      App::refuse("", 400, "no Host").body,
      HasSubstr(R"({"detail":"no Host","error":{"code":"malformed_request","message":"no Host","cause":null,)"));
  EXPECT_EQ(App::refuse("/run-bash/", 413, "too large").body, R"({"detail":"too large"})");
  const auto ours = App::refuse("/v1/run", 413, "too large");
  EXPECT_EQ(ours.status, 413);
  EXPECT_THAT(ours.body, HasSubstr(R"({"error":{"code":"request_too_large","message":"too large")"));
  EXPECT_THAT(ours.body, HasSubstr(R"("retryable":false)"));
  const auto late = App::refuse("/v1/chat/completions", 408, "too late");
  EXPECT_EQ(late.status, 408);
  EXPECT_THAT(late.body, HasSubstr(R"("code":"request_timeout")"));
  EXPECT_THAT(late.body, HasSubstr(R"("param":null)"));
}

TEST(App, ForbidsBrowsersToGuessContentTypes) {
  Fixture f;
  EXPECT_EQ(f.send("GET", "/").headers.find("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(f.send("GET", "/nothing").headers.find("X-Content-Type-Options"), "nosniff");
}

}  // namespace
}  // namespace lmsb::server
