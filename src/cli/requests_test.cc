#include "cli/requests.h"

#include <gtest/gtest.h>

#include "cli/api.h"

namespace lmsb::cli {
namespace {

TEST(RunBody, NamesOnlyWhatWasSaid) {
  RunCommand command;
  command.process.command = {"ls", "-l"};
  EXPECT_EQ(run_body(command, {}), R"({"cmd":["ls","-l"]})");
}

TEST(RunBody, CarriesEveryFlag) {
  RunCommand command;
  command.sandbox.name = "box";
  command.sandbox.image = "base";
  command.sandbox.labels = {{"k", "v"}};
  command.sandbox.limits = {Bytes::MiB(512), Bytes::GiB(1), 1500, 64, Bytes::MiB(32)};
  command.process.command = {"cat"};
  command.process.cwd = "/w";
  command.process.user = "user";
  command.process.interactive = true;
  command.process.timeout = std::chrono::milliseconds(30'000);
  command.dry_run = true;
  EXPECT_EQ(
      run_body(command, {{{"A", "1"}}, "in", {{"tok", "/x", true}}, {{"data", "/d", false}}}),
      R"({"image":"base",)"
      R"("limits":{"memory_bytes":536870912,"cpus":1.500,"processes":64,"disk_bytes":1073741824,"shm_bytes":33554432},"mounts":[{"token":"tok","target":"/x","read_only":true}],)"
      R"("volumes":[{"volume":"data","target":"/d","read_only":false}],)"
      R"("cmd":["cat"],"cwd":"/w","user":"user","stdin":"in","timeout_ms":30000,"env":{"A":"1"},"dry_run":true})");
}

TEST(KeyBody, CarriesWhatWasSaid) {
  KeyCreateCommand command;
  EXPECT_EQ(key_body(command), R"({"quota":{}})");
  command.name = "ci";
  command.scopes = {"read"};
  command.labels = {{"team", "a"}};
  command.life = std::chrono::hours(1);
  command.requests_per_minute = 60;
  command.cpu_millis = 1500;
  command.memory = Bytes::GiB(1);
  EXPECT_EQ(key_body(command), R"({"name":"ci","scopes":["read"],"labels":{"team":"a"},"expires_in_s":3600,)"
                               R"("quota":{"requests_per_minute":60,"memory_bytes":1073741824,"cpus":1.500}})");
}

TEST(VolumeBody, CarriesWhatWasSaid) {
  VolumeCreateCommand command;
  EXPECT_EQ(volume_body(command), "{}");
  command.name = "data";
  command.size = Bytes::GiB(1);
  command.labels = {{"a", "1"}};
  EXPECT_EQ(volume_body(command), R"({"name":"data","size_bytes":1073741824,"labels":{"a":"1"}})");
  VolumeUpdateCommand change;
  change.size = Bytes::MiB(1);
  change.gone_labels = {"a"};
  EXPECT_EQ(volume_update_body(change), R"({"size_bytes":1048576,"labels":{"a":null}})");
}

TEST(CreateBody, CarriesWhereItsCommandsStart) {
  CreateCommand command;
  EXPECT_EQ(create_body(command, {}), R"({"idle_ms":0})");
  command.sandbox.name = "box";
  command.cwd = "/w";
  command.user = "user";
  EXPECT_EQ(create_body(command, {}), R"({"name":"box","idle_ms":0,"cwd":"/w","user":"user"})");
}

TEST(CreateBody, CarriesTheModelsThatItIsToHave) {
  CreateCommand command;
  command.sandbox.models = {"tiny", "other"};
  EXPECT_EQ(create_body(command, {}), R"({"models":["tiny","other"],"idle_ms":0})");
  command.sandbox.model_tokens = 1000;
  command.sandbox.model_requests = 60;
  EXPECT_EQ(create_body(command, {}), R"({"models":["tiny","other"],)"
                                      R"("model_limits":{"tokens":1000,"requests_per_minute":60},"idle_ms":0})");
}

TEST(CreateBody, CarriesTheLimitsOfALife) {
  CreateCommand command;
  command.life.timeout = std::chrono::hours(1);
  command.life.idle = std::chrono::minutes(5);
  command.life.on_timeout = "pause";
  EXPECT_EQ(create_body(command, {}), R"({"timeout_ms":3600000,"idle_ms":300000,"on_timeout":"pause"})");
}

TEST(UpdateBody, SaysOnlyWhatChanges) {
  UpdateCommand command;
  EXPECT_EQ(update_body(command), "{}");
  command.labels = {{"a", "1"}};
  command.gone_labels = {"b"};
  command.life.idle = std::chrono::milliseconds(0);
  EXPECT_EQ(update_body(command), R"({"idle_ms":0,"labels":{"a":"1","b":null}})");
  UpdateCommand limits;
  limits.limits.memory = Bytes::MiB(64);
  limits.limits.cpu_millis = 500;
  EXPECT_EQ(update_body(limits), R"({"limits":{"memory_bytes":67108864,"cpus":0.500}})");
}

TEST(ExecBody, SendsOctetsThatAreNoTextAsBase64) {
  ExecCommand command;
  command.process.command = {"cat"};
  EXPECT_EQ(exec_body(command, {{}, "\xff\x01", {}, {}}), R"({"cmd":["cat"],"stdin":{"base64":"/wE="}})");
  command.detach = true;
  EXPECT_EQ(exec_body(command, {}), R"({"cmd":["cat"],"detach":true})");
}

TEST(ExecBody, AsksForOneStreamInEveryWayOfRunning) {
  ExecCommand command;
  command.process.command = {"cat"};
  command.process.merge_stderr = true;
  EXPECT_EQ(exec_body(command, {}), R"({"cmd":["cat"],"merge_stderr":true})");
  command.session = "s";
  EXPECT_EQ(exec_body(command, {}), R"({"merge_stderr":true,"cmd":"cat","session":"s"})");
  RunCommand run;
  run.process = command.process;
  EXPECT_EQ(run_body(run, {}), R"({"cmd":["cat"],"merge_stderr":true})");
}

TEST(TheEnd, IsExplainedWhereTheExitStatusDoesNotTell) {
  const std::pair<const char*, int> cases[] = {
      {R"({"outcome":"timed_out","exit_code":137})", 124},  {R"({"outcome":"cpu_timed_out","exit_code":152})", 124},
      {R"({"outcome":"oom_killed","exit_code":137})", 137}, {R"({"outcome":"disk_full","exit_code":1})", 1},
      {R"({"outcome":"lost","exit_code":null})", 125},      {R"({"outcome":"cancelled","exit_code":137})", 125}};
  for (const auto& [text, status] : cases) {
    RecordingConsole console;
    const auto document = parse_json(text, "the test's JSON");
    note_end(document->root(), console);
    EXPECT_EQ(exit_status_of(document->root()), status) << text;
    EXPECT_TRUE(console.err_text.starts_with("lm-sandbox: ")) << text;
  }
}

TEST(TheEnd, NeedsNoWordsWhereTheExitStatusTells) {
  RecordingConsole console;
  const auto document = parse_json(R"({"outcome":"signaled","exit_code":139,"signal":"SIGSEGV"})", "");
  note_end(document->root(), console);
  EXPECT_EQ(exit_status_of(document->root()), 139);
  EXPECT_EQ(console.err_text, "");
}

TEST(TheEnd, IsOurFailureWithoutAVerdict) { EXPECT_EQ(exit_status_of(parse_json("{}", "")->root()), 125); }

}  // namespace
}  // namespace lmsb::cli
