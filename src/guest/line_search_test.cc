#include "guest/line_search.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

struct Lines final : LineSplitter::Reader {
  bool line(std::uint64_t number, std::string_view text) override {
    EXPECT_EQ(number, all.size() + 1);
    all.emplace_back(text);
    return all.size() < most;
  }
  std::vector<std::string> all;
  std::size_t most = 1000;
};

std::vector<std::string> split(const std::string& text, std::size_t piece) {
  std::string room(LineSplitter::kMaxLine, '\0');
  Lines lines;
  LineSplitter splitter(room.data(), lines);
  for (std::size_t at = 0; at < text.size(); at += piece)
    EXPECT_TRUE(splitter.take(std::string_view(text).substr(at, piece)));
  EXPECT_TRUE(splitter.end());
  return lines.all;
}

TEST(LineSplitter, IsTheSameForPiecesOfAnySize) {
  const std::string text = "one\n\ntwo three\nlast without a break";
  const std::vector<std::string> want = {"one", "", "two three", "last without a break"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(split(text, piece), want) << piece;
  EXPECT_EQ(split("a\n", 1), std::vector<std::string>{"a"});
  EXPECT_TRUE(split("", 1).empty());
}

TEST(LineSplitter, KeepsTheBeginningOfALineThatIsTooLong) {
  const auto lines = split(std::string(LineSplitter::kMaxLine + 100, 'x') + "\nnext\n", 64 * 1024);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].size(), LineSplitter::kMaxLine);
  EXPECT_EQ(lines[1], "next");
}

TEST(LineSplitter, StopsWhenNoMoreIsWanted) {
  std::string room(LineSplitter::kMaxLine, '\0');
  Lines lines;
  lines.most = 2;
  LineSplitter splitter(room.data(), lines);
  EXPECT_FALSE(splitter.take("a\nb\nc\n"));
  EXPECT_EQ(lines.all.size(), 2U);
}

struct Text final : Replacer::Sink {
  bool write(std::string_view octets) override {
    all += octets;
    return true;
  }
  std::string all;
};

std::string replace(const std::string& text, std::string_view old_text, std::string_view new_text, std::size_t piece,
                    std::uint64_t& count) {
  std::string room(2 * Replacer::kMaxText, '\0');
  Text out;
  Replacer replacer(old_text, new_text, room.data(), out);
  for (std::size_t at = 0; at < text.size(); at += piece)
    EXPECT_TRUE(replacer.take(std::string_view(text).substr(at, piece)));
  EXPECT_TRUE(replacer.end());
  count = replacer.replacements();
  return out.all;
}

TEST(Replacer, FindsWhatLiesAcrossPieces) {
  const std::string text = "aXYZbXYXYZc XY";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    std::uint64_t count = 0;
    EXPECT_EQ(replace(text, "XYZ", "-", piece, count), "a-bXY-c XY") << piece;
    EXPECT_EQ(count, 2U);
  }
}

TEST(Replacer, DoesNotReplaceWhatItWrote) {
  std::uint64_t count = 0;
  EXPECT_EQ(replace("aaa", "a", "aa", 1, count), "aaaaaa");
  EXPECT_EQ(replace("abab", "ab", "", 3, count), "");
  EXPECT_EQ(count, 2U);
}

TEST(FindText, IgnoresCaseWhenAsked) {
  EXPECT_EQ(find_text("say HELLO", "hello", LetterCase::any), 4U);
  EXPECT_EQ(find_text("say HELLO", "hello", LetterCase::exact), std::string_view::npos);
  EXPECT_EQ(find_text("", "a", LetterCase::any), std::string_view::npos);
}

}  // namespace
}  // namespace lmsb::guest
