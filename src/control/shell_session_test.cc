#include "control/shell_session.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

// What a bash that reads its commands from a file says.
std::string bash_says(const std::string& script) {
  const std::string path = testing::TempDir() + "/lmsb-session-" + std::to_string(::getpid());
  std::ofstream(path) << script;
  const std::string command = "/bin/bash --noprofile --norc " + path + " 2>&1";
  // NOLINTNEXTLINE(cert-env33-c): a shell is what is asked
  std::FILE* const bash = ::popen(command.c_str(), "r");  // NOLINT(text): the same
  std::string said;
  for (int c = std::fgetc(bash); c != EOF; c = std::fgetc(bash)) said += static_cast<char>(c);
  ::pclose(bash);
  ::unlink(path.c_str());
  return said;
}

TEST(CatchUp, EndsABashThatWasNeverGivenItsScript) {
  EXPECT_EQ(bash_says(std::string(kCatchUp) + "echo alive\n"), "");
  EXPECT_EQ(bash_says("__lm_end() { :; }\n" + std::string(kCatchUp) + "echo alive\n"), "alive\n");
}

TEST(CatchUp, EndsALineThatWasCutAtAnyOctet) {
  const std::string line = session_line("a\\b c", "end_1");
  const std::string functions = "__lm_take() { echo $#; }\n__lm_end() { :; }\n";
  for (std::size_t size = sizeof "__lm_take"; size < line.size(); ++size) {
    const std::string said = bash_says(functions + line.substr(0, size) + std::string(kCatchUp) + "echo alive\n");
    EXPECT_TRUE(said.ends_with("\nalive\n")) << line.substr(0, size) << " gives " << said;
  }
}

TEST(SessionLine, CarriesWhatMeansNothingToTheShellAsItIsAndEverythingElseAsOctets) {
  EXPECT_EQ(session_line("make -C a/b:c_1.2,%+@", "end_1"),
            "__lm_take end_1 make\\\\x20-C\\\\x20a/b:c_1.2,%+@ end_1\n");
  EXPECT_EQ(session_line("\"$A\"|{~=*}\\", "end_1"),
            "__lm_take end_1 \\\\x22\\\\x24A\\\\x22\\\\x7c\\\\x7b\\\\x7e\\\\x3d\\\\x2a\\\\x7d\\\\x5c end_1\n");
  EXPECT_EQ(session_line("é\n", "end_1"), "__lm_take end_1 \\\\xc3\\\\xa9\\\\x0a end_1\n");
}

TEST(TrackedCommand, NotesItsStatusBehindIt) {
  EXPECT_EQ(tracked_command("false"), "false\n\n__lm_status=$?");
  EXPECT_EQ(tracked_command("ls # comment"), "ls # comment\n\n__lm_status=$?");
}

TEST(TrackedCommand, IsLeftAloneWhereItsEndWouldTakeInWhatFollows) {
  for (const char* command : {"cat <<X\nopen", "ls |", "true &&\n", "false || ", "sleep 1 &", "echo \\"})
    EXPECT_EQ(tracked_command(command), command);
}

TEST(MergedCommand, IsOneWordForEvalWhateverItHolds) {
  EXPECT_EQ(merged_command("ls"), "eval -- 'ls' 2>&1");
  EXPECT_EQ(merged_command("echo 'a b'; }"), "eval -- 'echo '\\''a b'\\''; }' 2>&1");
}

TEST(MarkFinder, EndsAtItsMarkAndNamesTheNumber) {
  MarkFinder finder("end_1");
  EXPECT_EQ(finder.take("out\n\nend_1 42\nnext"), "out\n");
  ASSERT_TRUE(finder.is_found());
  EXPECT_EQ(finder.number(), 42);
  EXPECT_EQ(finder.used(), std::string_view("out\n\nend_1 42\n").size());
  EXPECT_EQ(finder.take("more"), "");
}

TEST(MarkFinder, FindsAMarkThatComesOctetByOctet) {
  const std::string all = "some output\n\nend_1 7\nrest";
  MarkFinder finder("end_1");
  std::string output;
  std::size_t taken = 0;
  for (; taken < all.size() && !finder.is_found(); ++taken) output += finder.take(all.substr(taken, 1));
  EXPECT_EQ(output, "some output\n");
  EXPECT_EQ(finder.number(), 7);
  EXPECT_EQ(finder.used(), taken);
}

TEST(MarkFinder, IsNotTakenInByAnotherMark) {
  MarkFinder finder("end_1");
  std::string output = finder.take("\nend_2 1\n\nend_12 3\n");
  EXPECT_FALSE(finder.is_found());
  output += finder.rest();
  EXPECT_EQ(output, "\nend_2 1\n\nend_12 3\n");
}

TEST(MarkFinder, IsNotTakenInByAMarkThatDoesNotEndAsOne) {
  for (const std::string near : {"\nend_1 1234\n", "\nend_1 \n", "\nend_1 1x\n", "\nend_1 -1\n"}) {
    MarkFinder finder("end_1");
    std::string output = finder.take(near);
    EXPECT_FALSE(finder.is_found());
    output += finder.take("\nend_1 5\n");
    EXPECT_TRUE(finder.is_found());
    EXPECT_EQ(output, near);
    EXPECT_EQ(finder.number(), 5);
  }
}

TEST(MarkFinder, HoldsNoMoreBackThanAMarkIsLong) {
  MarkFinder finder("end_1");
  const std::string line(1000, 'x');
  std::string output = finder.take("\nend_1 1");
  for (int i = 0; i < 100; ++i) output += finder.take(line);
  EXPECT_GT(output.size(), 100 * line.size() - 10);
}

TEST(MarkFinder, GivesBackTheBeginningOfAMarkThatNeverCame) {
  MarkFinder finder("end_1");
  std::string output = finder.take("text\nend_");
  output += finder.rest();
  EXPECT_EQ(output, "text\nend_");
}

TEST(MarkFinder, KeepsOutputWithoutALineBreakAtItsEnd) {
  MarkFinder finder("end_1");
  EXPECT_EQ(finder.take("no line break\nend_1 0\n"), "no line break");
}

}  // namespace
}  // namespace lmsb::control
