#include "base/log.h"

#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/text.h"

namespace lmsb {
namespace {

// What one event writes, without the time before it.
std::string line_of(LogFormat format, std::initializer_list<LogField> fields, LogLevel level = LogLevel::info) {
  testing::internal::CaptureStderr();
  Logger logger(LogLevel::info, format);
  logger.log(level, "sandbox.created", fields);
  return testing::internal::GetCapturedStderr();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(LogField, KeepsNumbersAndTruthsApartFromText) {
  EXPECT_TRUE(LogField("k", "1").is_text());
  EXPECT_FALSE(LogField("k", 1).is_text());
  EXPECT_EQ(LogField("k", std::numeric_limits<std::int64_t>::min()).value(), "-9223372036854775808");
  EXPECT_EQ(LogField("k", std::numeric_limits<std::uint64_t>::max()).value(), "18446744073709551615");
  EXPECT_EQ(LogField("k", 1.5).value(), "1.500");
  EXPECT_EQ(LogField("k", true).value(), "true");
}

TEST(Logger, WritesOneLineAnEvent) {
  const std::string line = line_of(LogFormat::text, {{"id", "abc"}, {"ms", 3}});
  EXPECT_TRUE(has(line, " info sandbox.created id=abc ms=3\n")) << line;
}

TEST(Logger, LetsNoValueBreakTheLine) {
  const std::string line = line_of(LogFormat::text, {{"cmd", "a\nfake.event k=v \"q\""}});
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  EXPECT_TRUE(has(line, "cmd=\"a\\x0afake.event k=v \\x22q\\x22\"")) << line;
}

// A log is read on a terminal: what others have chosen must not move its cursor, nor set its title.
TEST(Logger, LetsNoValueSteerATerminal) {
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    const std::string line = line_of(format, {{"path", "/\x1b[2J"},
                                              {"c1",
                                               "\xc2\x9b"
                                               "2J"},
                                              {"del", "\x7f"},
                                              {"e", "é"}});
    EXPECT_EQ(line.find_first_of("\x1b\x7f"), std::string::npos) << line;
    EXPECT_EQ(line.find('\x9b'), std::string::npos) << line;
    EXPECT_TRUE(has(line, "é")) << line;
  }
  EXPECT_TRUE(has(line_of(LogFormat::text, {{"c1",
                                             "\xc2\x9b"
                                             "2J"}}),
                  R"(c1="\x9b2J")"));
  EXPECT_TRUE(has(line_of(LogFormat::json, {{"c1",
                                             "\xc2\x9b"
                                             "2J"}}),
                  R"("c1":"\u009b2J")"));
}

TEST(Logger, WritesJsonWithTypedValues) {
  const std::string line = line_of(LogFormat::json, {{"cmd", "a\n\\"}, {"ms", 3}, {"ok", true}});
  EXPECT_TRUE(has(line, R"("event":"sandbox.created","cmd":"a\u000a\u005c","ms":3,"ok":true})")) << line;
}

TEST(Logger, CutsLongValuesAndMendsOctets) {
  const std::string line = line_of(LogFormat::json, {{"cmd", std::string(10'000, 'x')}, {"bad", "\xFF"}});
  EXPECT_LT(line.size(), 1000U);
  EXPECT_TRUE(is_utf8(line));
}

TEST(Logger, IsSilentBelowItsLevel) {
  EXPECT_EQ(line_of(LogFormat::text, {}, LogLevel::debug), "");
  EXPECT_FALSE(Logger(LogLevel::warning, LogFormat::text).enabled(LogLevel::info));
}

}  // namespace
}  // namespace lmsb
