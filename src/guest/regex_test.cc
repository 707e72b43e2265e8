#include "guest/regex.h"

#include <memory>
#include <regex.h>
#include <string>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

bool compiles(std::string_view pattern) { return std::make_unique<Regex>()->compile(pattern, LetterCase::exact); }

bool matches(std::string_view pattern, std::string_view line, LetterCase letter_case = LetterCase::exact) {
  const auto regex = std::make_unique<Regex>();
  EXPECT_TRUE(regex->compile(pattern, letter_case)) << pattern;
  return regex->is_in(line);
}

TEST(Regex, FindsAMatchAnywhere) {
  EXPECT_TRUE(matches("b", "abc"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_TRUE(matches("a*", "xyz"));
  EXPECT_FALSE(matches("a+", "xyz"));
  EXPECT_TRUE(matches("colou?r", "the color"));
  EXPECT_TRUE(matches("cat|dog", "hotdog"));
  EXPECT_TRUE(matches("(ab)+c", "xababc"));
  EXPECT_FALSE(matches("^(ab)+c$", "xababc"));
  EXPECT_TRUE(matches("(?:a|bc)*d", "bcabcd"));
}

TEST(Regex, CountsRepetitions) {
  EXPECT_TRUE(matches("^a{3}$", "aaa"));
  EXPECT_FALSE(matches("^a{3}$", "aa"));
  EXPECT_FALSE(matches("^a{3}$", "aaaa"));
  EXPECT_TRUE(matches("^a{2,}$", "aaaaa"));
  EXPECT_FALSE(matches("^a{2,}$", "a"));
  for (int n = 0; n < 7; ++n) {
    EXPECT_EQ(matches("^a{2,5}$", std::string(static_cast<std::size_t>(n), 'a')), n >= 2 && n <= 5) << n;
    EXPECT_EQ(matches("^a{0,3}$", std::string(static_cast<std::size_t>(n), 'a')), n <= 3) << n;
  }
  EXPECT_TRUE(matches("^x{0}$", ""));
  EXPECT_TRUE(matches("^(ab|c){2}$", "abc"));
}

TEST(Regex, KnowsClassesAndEdges) {
  EXPECT_TRUE(matches("^[a-f0-9]+$", "c0ffee"));
  EXPECT_FALSE(matches("^[^a-f]+$", "xay"));
  EXPECT_TRUE(matches("^[]x]+$", "]x"));
  EXPECT_TRUE(matches("^[[:alpha:]_]+$", "a_B"));
  EXPECT_TRUE(matches("^\\w+\\s\\d\\.$", "ab_1 2."));
  EXPECT_TRUE(matches("\\bfoo\\b", "a foo."));
  EXPECT_FALSE(matches("\\bfoo\\b", "afoo"));
  EXPECT_TRUE(matches("\\Boo", "foo"));
  EXPECT_TRUE(matches("[\\d-]+$", "1-2"));
  EXPECT_TRUE(matches("\\.", "a.b"));
  EXPECT_FALSE(matches("^\\.", "ab"));
}

TEST(Regex, IgnoresCaseWhenAsked) {
  EXPECT_TRUE(matches("HeLLo", "say hEllO", LetterCase::any));
  EXPECT_TRUE(matches("[a-c]+$", "ABC", LetterCase::any));
  EXPECT_FALSE(matches("^[^a]$", "A", LetterCase::any));
  EXPECT_FALSE(matches("hello", "HELLO"));
}

TEST(Regex, RefusesWhatItCannotDo) {
  for (const char* pattern : {"(", ")", "a)", "[a", "*a", "+", "a{2", "a{3,2}", "a{2000}", "\\1", "(a)\\1", "(?=a)",
                              "(?i)a", "\\", "[z-a]", "(?<n>a)"})
    EXPECT_FALSE(compiles(pattern)) << pattern;
  EXPECT_FALSE(compiles(std::string(5000, 'a')));
  EXPECT_FALSE(compiles("((((a{100}){100}){100}){100})"));
  EXPECT_FALSE(compiles(std::string(200, '(') + std::string(200, ')')));
}

TEST(Regex, IsNotSlowOnHostilePatterns) {
  const std::string line(100'000, 'a');
  EXPECT_FALSE(matches("(a*)*b", line));
  EXPECT_FALSE(matches("(a|a|aa)*$b", line));
  EXPECT_FALSE(matches("(x+x+)+y", std::string(100'000, 'x')));
}

// A judge of its own: the C library, on patterns that both understand.
TEST(Regex, AgreesWithTheCLibrary) {
  const std::string letters = "ab.*|()?+^$";
  std::uint32_t seed = 1;
  const auto random = [&seed](std::uint32_t below) { return (seed = seed * 1664525U + 1013904223U) / 65536U % below; };
  int compared = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string pattern;
    for (std::uint32_t n = random(7) + 1; n > 0; --n)
      pattern += letters[random(static_cast<std::uint32_t>(letters.size()))];
    // The C library has its own mind about anchors in the middle and about repeating what is empty.
    if (pattern.find_first_of("^$", 1) < pattern.size() - 1 || pattern.find("()") != std::string::npos) continue;
    // And to it `a+?` is not lazy, but perhaps nothing.
    const auto is_lazy = [&pattern](const char* sign) { return pattern.find(sign) != std::string::npos; };
    if (is_lazy("+?") || is_lazy("*?") || is_lazy("??")) continue;
    const auto ours = std::make_unique<Regex>();
    if (!ours->compile(pattern, LetterCase::exact)) continue;
    regex_t theirs;
    if (::regcomp(&theirs, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) continue;
    for (int k = 0; k < 5; ++k) {
      std::string line;
      for (std::uint32_t n = random(6); n > 0; --n) line += "ab"[random(2)];
      EXPECT_EQ(ours->is_in(line), ::regexec(&theirs, line.c_str(), 0, nullptr, 0) == 0) << pattern << " in " << line;
      ++compared;
    }
    ::regfree(&theirs);
  }
  EXPECT_GT(compared, 5'000);
}

}  // namespace
}  // namespace lmsb::guest
