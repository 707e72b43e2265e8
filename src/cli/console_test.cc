#include "cli/console.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

TEST(Table, AlignsColumnsByCodePointsAndLeavesNoBlanksAtTheEnd) {
  EXPECT_EQ(format_table({"ID", "NAME", "STATE"}, {{"a", "größe", "running"}, {"abc", "", ""}}),
            "ID   NAME   STATE\n"
            "a    größe  running\n"
            "abc\n");
}

TEST(Table, KeepsControlCharactersFromTheTerminal) {
  EXPECT_EQ(format_table({"NAME"}, {{"a\x1b[2Jb\n"}}), "NAME\na?[2Jb?\n");
}

TEST(Report, IsOneLineThatSaysWhatWhyAndWhatToDo) {
  RecordingConsole console;
  report(console, Error(ErrorCode::not_found, "no image \"x\"\nnone at all").with_hint("see lm-sandbox image ls"));
  EXPECT_EQ(console.err_text, "lm-sandbox: no image \"x\" none at all; see lm-sandbox image ls\n");
  EXPECT_EQ(console.out_text, "");
}

TEST(Colored, LeavesTextAloneWithoutATerminal) {
  const RecordingConsole console;
  EXPECT_EQ(colored(console, Color::red, "bad"), "bad");
}

TEST(Console, ShowsNoControlsOfEitherKindToATerminal) {
  EXPECT_EQ(printable("a\x1b[1m\xc2\x9b"
                      "b\xc3\xa9\n"),
            "a?[1m?b\xc3\xa9?");
  EXPECT_EQ(without_controls("a\x1b[1m\tb\n\xc2\x9b"
                             "c\x7f\xc2\xa0"),
            "a[1m\tb\nc\xc2\xa0");
  EXPECT_EQ(without_controls("\xc2"), "\xc2");
}

}  // namespace
}  // namespace lmsb::cli
