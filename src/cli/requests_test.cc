#include "cli/requests.h"

#include <gtest/gtest.h>

#include "cli/api.h"

namespace lmsb::cli {
namespace {

int shown(const char* result, RecordingConsole& console) {
  const auto document = parse_json(result, "the test's JSON");
  return show_result(document->root(), console);
}

TEST(RunBody, NamesOnlyWhatWasSaid) {
  RunCommand command;
  command.process.command = {"ls", "-l"};
  EXPECT_EQ(run_body(command, {}), R"({"cmd":["ls","-l"]})");
}

TEST(RunBody, CarriesEveryFlag) {
  RunCommand command;
  command.sandbox = {"box", "base", {}, {{"k", "v"}}, Bytes::MiB(512), Bytes::GiB(1), 1500, 64};
  command.process = {{"cat"}, "/w", "user", true, std::chrono::milliseconds(30'000)};
  command.dry_run = true;
  EXPECT_EQ(
      run_body(command, {{{"A", "1"}}, "in", {{"tok", "/x", true}}}),
      R"({"image":"base","name":"box","labels":{"k":"v"},)"
      R"("limits":{"memory_bytes":536870912,"cpus":1.500,"processes":64,"disk_bytes":1073741824},"mounts":[{"token":"tok","target":"/x","read_only":true}],)"
      R"("cmd":["cat"],"cwd":"/w","user":"user","stdin":"in","timeout_ms":30000,"env":{"A":"1"},"dry_run":true})");
}

TEST(CreateBody, CarriesWhereItsCommandsStart) {
  CreateCommand command;
  EXPECT_EQ(create_body(command, {}), "{}");
  command.sandbox.name = "box";
  command.cwd = "/w";
  command.user = "user";
  EXPECT_EQ(create_body(command, {}), R"({"name":"box","cwd":"/w","user":"user"})");
}

TEST(ExecBody, SendsOctetsThatAreNoTextAsBase64) {
  ProcessFlags process;
  process.command = {"cat"};
  EXPECT_EQ(exec_body(process, {{}, "\xff\x01", {}}), R"({"cmd":["cat"],"stdin":{"base64":"/wE="}})");
}

TEST(ShowResult, PrintsTheCommandsOwnOctetsAndStatus) {
  RecordingConsole console;
  const int status = shown(R"({"outcome":"exited","exit_code":3,"stdout":"a\n","stderr":"b",
                                          "truncated":{"stdout_bytes":0,"stderr_bytes":0,"spill_path":null},"hint":null})",
                           console);
  EXPECT_EQ(status, 3);
  EXPECT_EQ(console.out_text, "a\n");
  EXPECT_EQ(console.err_text, "b");
}

TEST(ShowResult, TakesTheOctetsFromBase64WhereTheTextLostSome) {
  RecordingConsole console;
  shown(R"({"outcome":"exited","exit_code":0,"stdout":"\ufffd","stdout_base64":"/wA=","stderr":""})", console);
  EXPECT_EQ(console.out_text, std::string("\xff\0", 2));
}

TEST(ShowResult, SaysHowACommandEndedThatDidNotEndItself) {
  const std::pair<const char*, int> cases[] = {
      {R"({"outcome":"timed_out","exit_code":137})", 124},  {R"({"outcome":"cpu_timed_out","exit_code":152})", 124},
      {R"({"outcome":"oom_killed","exit_code":137})", 137}, {R"({"outcome":"disk_full","exit_code":1})", 1},
      {R"({"outcome":"lost","exit_code":null})", 125},      {R"({"outcome":"cancelled","exit_code":137})", 125}};
  for (const auto& [text, status] : cases) {
    RecordingConsole console;
    EXPECT_EQ(shown(text, console), status) << text;
    EXPECT_TRUE(console.err_text.starts_with("lm-sandbox: ")) << text;
  }
  RecordingConsole console;
  EXPECT_EQ(shown(R"({"outcome":"signaled","exit_code":139,"signal":"SIGSEGV"})", console), 139);
  EXPECT_EQ(console.err_text, "");
}

TEST(ShowResult, CountsWhatIsMissing) {
  RecordingConsole console;
  shown(
      R"({"outcome":"exited","exit_code":0,"stdout":"ht","truncated":{"stdout_bytes":7,"stderr_bytes":0,"spill_path":null},
                       "hint":"no network here"})",
      console);
  EXPECT_EQ(console.err_text,
            "lm-sandbox: 7 bytes of stdout are left out in the middle\n"
            "lm-sandbox: no network here\n");
}

TEST(ShowResult, TakesAnAnswerWithoutAVerdictForOurFailure) {
  RecordingConsole console;
  EXPECT_EQ(shown("{}", console), 125);
}

}  // namespace
}  // namespace lmsb::cli
