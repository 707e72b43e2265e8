#include "cli/man_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_line.h"
#include "cli/roff.h"

namespace lmsb::cli {
namespace {

using ::testing::HasSubstr;

// As a shell reads a line with blanks and single quotes.
Words words_of(std::string_view line) {
  Words words{""};
  bool is_quoted = false;
  for (const char c : line) {
    if (c == '\'') {
      is_quoted = !is_quoted;
    } else if (c == ' ' && !is_quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

TEST(ManPage, ItsExamplesAreCommandLines) {
  for (const Example& example : examples()) {
    Words words = words_of(example.line);
    EXPECT_EQ(words.front(), "lm-sandbox");
    words.erase(words.begin());
    const auto command = parse_command_line(words);
    EXPECT_TRUE(command.ok()) << example.line << ": " << command.error().message();
  }
}

TEST(ManPage, ThereIsOneForTheProgramEachCommandAndTheSettings) {
  const auto pages = all_pages();
  EXPECT_EQ(pages.front().name, "lm-sandbox");
  EXPECT_EQ(pages.back().section, 5);
  for (const Page& page : pages) {
    EXPECT_TRUE(page_text(page).starts_with(".TH LM-SANDBOX")) << page.name;
    EXPECT_FALSE(page.summary.empty()) << page.name;
  }
}

TEST(ManPage, SaysWithWhatTheCommandEnds) {
  EXPECT_THAT(page_text({"lm-sandbox-exec", 1, "exec", "x"}), HasSubstr("\\fB124\\fR"));
  EXPECT_THAT(page_text({"lm-sandbox-rm", 1, "rm", "x"}), HasSubstr("It was called wrongly."));
}

TEST(Roff, NoTextCommandsTheReader) {
  Roff roff("x", 1);
  roff.section("A \"b\"").paragraph(".so /etc/passwd\n'x\n\\fB -y");
  EXPECT_EQ(std::move(roff).str(), ".TH X 1 \"\" \"lm\\-sandbox " LMSB_VERSION
                                   "\" \"lm\\-sandbox manual\"\n"
                                   ".SH \"A \\(dqb\\(dq\"\n\\&.so /etc/passwd\n.br\n\\&'x\n.br\n\\efB \\-y\n");
}

}  // namespace
}  // namespace lmsb::cli
