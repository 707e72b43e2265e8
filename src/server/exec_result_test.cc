#include "server/exec_result.h"

#include <gtest/gtest.h>

#include "json/value.h"

namespace lmsb::server {
namespace {

control::Output cut(std::string head, const std::string& tail, std::uint64_t missing) {
  control::Output output;
  output.cut_at = head.size();
  output.data = std::move(head) + tail;
  output.truncated_bytes = missing;
  return output;
}

std::string fields(control::ExecResult result) {
  json::Writer out;
  out.begin_object();
  write_exec_fields(out, std::move(result));
  out.end_object();
  return std::move(out).str();
}

TEST(ShowOutput, LeavesWholeOutputAlone) {
  control::Output output;
  output.data = "a\xFFz";
  const ShownOutput shown = show_output(output);
  EXPECT_EQ(shown.bytes, "a\xFFz");
  EXPECT_EQ(shown.missing_bytes, 0U);
}

TEST(ShowOutput, JoinsHeadAndTailByALineThatCountsWhatIsMissing) {
  const ShownOutput shown = show_output(cut("head", "tail", 12345));
  EXPECT_EQ(shown.bytes, "head\n[... 12345 bytes missing ...]\ntail");
  EXPECT_EQ(shown.missing_bytes, 12345U);
}

TEST(ShowOutput, NeverShowsHalfACharacterAtTheCut) {
  // The euro sign has three octets; the cut leaves two before it and two of another after it.
  const ShownOutput shown = show_output(cut("a\xE2\x82", "\x82\xACz", 10));
  EXPECT_EQ(shown.bytes, "a\n[... 14 bytes missing ...]\nz");
  EXPECT_EQ(show_output(cut("a\xE2\x82\xAC", "\xE2\x82\xACz", 1)).bytes,
            "a\xE2\x82\xAC\n[... 1 bytes missing ...]\n\xE2\x82\xACz");
}

TEST(ShowOutput, SurvivesACutAtEitherEnd) {
  EXPECT_EQ(show_output(cut("", "tail", 1)).bytes, "\n[... 1 bytes missing ...]\ntail");
  EXPECT_EQ(show_output(cut("head", "", 1)).bytes, "head\n[... 1 bytes missing ...]\n");
  EXPECT_EQ(show_output(cut("\x80\x80", "\x80", 1)).bytes, "\x80\x80\n[... 2 bytes missing ...]\n");
}

TEST(ExecFields, ShowEveryFieldOfTheContract) {
  control::ExecResult result;
  result.outcome = control::Outcome::signaled;
  result.exit_code = 137;
  result.signal = "SIGKILL";
  result.out.data = "out\n";
  result.err = cut("e", "r", 7);
  result.usage.wall_ms = 1.5;
  result.usage.max_processes = 3;
  result.sandbox_id = "s0000000000000000000";
  result.process_id = "prc_a";
  result.image_digest = "sha256:ab";
  result.hint = "no network here";
  EXPECT_EQ(fields(result),
            R"({"outcome":"signaled","exit_code":137,"signal":"SIGKILL","timed_out":false,"oom_killed":false,)"
            R"("stdout":"out\n","stderr":"e\n[... 7 bytes missing ...]\nr",)"
            R"("truncated":{"stdout_bytes":0,"stderr_bytes":7,"spill_path":null},)"
            R"("usage":{"queue_ms":0,"wall_ms":2,"cpu_user_ms":null,"cpu_system_ms":null,)"
            R"("max_memory_bytes":null,"max_processes":3},)"
            R"("sandbox_id":"s0000000000000000000","process_id":"prc_a","image_digest":"sha256:ab",)"
            R"("hint":"no network here","background_left":false})");
}

TEST(ExecFields, AreNullWhereThereIsNothingToSay) {
  const std::string text = fields({});
  EXPECT_NE(text.find(R"("outcome":"lost","exit_code":null,"signal":null)"), std::string::npos);
  EXPECT_NE(text.find(R"("hint":null)"), std::string::npos);
  EXPECT_NE(text.find(R"("process_id":null)"), std::string::npos);
}

TEST(ExecFields, NameTheTimeLimitAndTheMemoryLimit) {
  control::ExecResult result;
  result.outcome = control::Outcome::timed_out;
  EXPECT_NE(fields(result).find(R"("timed_out":true,"oom_killed":false)"), std::string::npos);
  result.outcome = control::Outcome::oom_killed;
  result.oom_killed = true;
  EXPECT_NE(fields(result).find(R"("timed_out":false,"oom_killed":true)"), std::string::npos);
}

TEST(ExecFields, AddBase64OnlyForOctetsThatAreNoText) {
  control::ExecResult result;
  result.out.data = "a\xFF";
  result.err.data = "plain";
  const std::string text = fields(result);
  EXPECT_NE(text.find("\"stdout\":\"a\xEF\xBF\xBD\""), std::string::npos);
  EXPECT_NE(text.find(R"("stdout_base64":"Yf8=")"), std::string::npos);
  EXPECT_EQ(text.find("stderr_base64"), std::string::npos);
}

}  // namespace
}  // namespace lmsb::server
