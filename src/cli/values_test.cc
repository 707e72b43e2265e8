#include "cli/values.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

const Lookup kNoVariables = [](const std::string&) { return std::nullopt; };
const Lookup kHomeOnly = [](const std::string& key) {
  return key == "HOME" ? std::optional<std::string>("/home/me") : std::nullopt;
};

TEST(Duration, ReadsSecondsAndUnits) {
  EXPECT_EQ(*parse_duration("90"), milliseconds(90'000));
  EXPECT_EQ(*parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(*parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(*parse_duration("1m500ms"), milliseconds(60'500));
}

TEST(Duration, RefusesWhatHasNoMeaningOrNoEnd) {
  for (const char* bad : {"", "0", "-1", "5x", "m", "1h30", "25h", "2d", "99999999999999999999", "0s", " 1s", "1.5h"}) {
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
  }
}

TEST(Cpus, AreThousandths) {
  EXPECT_EQ(*parse_cpus("1"), 1000U);
  EXPECT_EQ(*parse_cpus("0.5"), 500U);
  EXPECT_EQ(*parse_cpus("2.125"), 2125U);
  for (const char* bad : {"", "0", "0.0", "-1", "1.", "1.2345", "many", "1e3", "5000"})
    EXPECT_FALSE(parse_cpus(bad).ok()) << bad;
}

TEST(Count, HasBounds) {
  EXPECT_EQ(*parse_count("64"), 64U);
  for (const char* bad : {"", "0", "-1", "1.5", "4194305", "9x"}) EXPECT_FALSE(parse_count(bad).ok()) << bad;
}

TEST(Ulimit, IsNamedAsTheApiHasIt) {
  using Limit = std::pair<std::string, std::uint64_t>;
  EXPECT_EQ(*parse_ulimit("cpu=2"), Limit("cpu_ms", 2000));
  EXPECT_EQ(*parse_ulimit("as=1m"), Limit("memory_bytes", 1 << 20));
  EXPECT_EQ(*parse_ulimit("fsize=512k"), Limit("file_bytes", 512 << 10));
  EXPECT_EQ(*parse_ulimit("nofile=64"), Limit("open_files", 64));
  for (const char* bad : {"", "cpu", "cpu=", "cpu=0", "cpu=1.5", "stack=1m", "=1", "as=x"})
    EXPECT_FALSE(parse_ulimit(bad).ok()) << bad;
}

TEST(MountFlag, HasSourceTargetAndMode) {
  EXPECT_EQ(*parse_mount_flag("/srv/in:/in:ro"), (MountFlag{"/srv/in", "/in", true}));
  EXPECT_EQ(*parse_mount_flag("./data:/workspace"), (MountFlag{"./data", "/workspace", false}));
  EXPECT_EQ(*parse_mount_flag(".:/w:rw"), (MountFlag{".", "/w", false}));
  EXPECT_EQ(*parse_mount_flag("/with:colon:/w"), (MountFlag{"/with:colon", "/w", false}));
}

TEST(MountFlag, RefusesOtherForms) {
  for (const char* bad : {"", "/a", ":/b", "/a:", "/a:b", "/a:/b:zz"}) EXPECT_FALSE(parse_mount_flag(bad).ok()) << bad;
}

TEST(MountFlag, WithoutASlashIsOfAVolume) {
  const auto flag = parse_mount_flag("data:/workspace:ro");
  ASSERT_TRUE(flag.ok());
  EXPECT_EQ(*flag, (MountFlag{"data", "/workspace", true}));
  EXPECT_TRUE(flag->is_volume());
  for (const char* directory : {"./data:/w", ".:/w", "..:/w", "/data:/w", "a/b:/w"})
    EXPECT_FALSE(parse_mount_flag(directory)->is_volume()) << directory;
}

TEST(Variables, TakeAValueOrTheCallersOwn) {
  Variables variables;
  ASSERT_TRUE(add_variable(variables, "A=1=2", kNoVariables).ok());
  ASSERT_TRUE(add_variable(variables, "EMPTY=", kNoVariables).ok());
  ASSERT_TRUE(add_variable(variables, "HOME", kHomeOnly).ok());
  ASSERT_TRUE(add_variable(variables, "UNSET", kHomeOnly).ok());
  EXPECT_EQ(variables, (Variables{{"A", "1=2"}, {"EMPTY", ""}, {"HOME", "/home/me"}}));
  EXPECT_FALSE(add_variable(variables, "=x", kNoVariables).ok());
}

TEST(Variables, OfAFileSkipCommentsAndEmptyLines) {
  Variables variables;
  ASSERT_TRUE(add_variables_of_file(variables, "# note\n\nA=1\r\n  B=2 \nHOME\nC=#3", kHomeOnly).ok());
  EXPECT_EQ(variables, (Variables{{"A", "1"}, {"B", "2 "}, {"HOME", "/home/me"}, {"C", "#3"}}));
}

TEST(UrlSegment, EscapesAllButUnreservedCharacters) {
  EXPECT_EQ(url_segment("my-box_1.x~"), "my-box_1.x~");
  EXPECT_EQ(url_segment("../a b%\xff"), "..%2Fa%20b%25%FF");
}

}  // namespace
}  // namespace lmsb::cli
