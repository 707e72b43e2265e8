#include "guest/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

bool path_matches(std::string_view pattern, std::string_view path) {
  const Glob glob(pattern);
  if (!glob.is_valid()) return false;
  Glob::State state = glob.start();
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    state = glob.next(state, name);
  }
  return glob.matches(state);
}

TEST(Glob, MatchesNamesByStarsQuestionMarksAndBrackets) {
  EXPECT_TRUE(name_matches("*.py", "a.py"));
  EXPECT_TRUE(name_matches("*.py", ".py"));
  EXPECT_FALSE(name_matches("*.py", "a.pyc"));
  EXPECT_TRUE(name_matches("a?c", "abc"));
  EXPECT_FALSE(name_matches("a?c", "ac"));
  EXPECT_TRUE(name_matches("[a-c]x[!0-9]", "bxy"));
  EXPECT_FALSE(name_matches("[a-c]x[!0-9]", "bx1"));
  EXPECT_TRUE(name_matches("[]]", "]"));
  EXPECT_TRUE(name_matches("[a-]", "-"));
  EXPECT_TRUE(name_matches("a[b", "a[b"));
  EXPECT_TRUE(name_matches("\\*", "*"));
  EXPECT_FALSE(name_matches("\\*", "a"));
  EXPECT_TRUE(name_matches("*", "line\nbreak"));
  EXPECT_TRUE(name_matches("*a*b*c*", "xxaxxbxxc"));
  EXPECT_FALSE(name_matches("*a*b*c*", "xxaxxcxxb"));
  EXPECT_TRUE(name_matches("", ""));
}

TEST(Glob, IsNotSlowOnManyStars) {
  const std::string name(4000, 'a');
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_FALSE(name_matches(pattern + "b", name));
}

TEST(Glob, DoubleStarIsAnyNumberOfDirectories) {
  EXPECT_TRUE(path_matches("**/*.py", "a.py"));
  EXPECT_TRUE(path_matches("**/*.py", "x/y/a.py"));
  EXPECT_TRUE(path_matches("src/**/test_*", "src/test_a"));
  EXPECT_TRUE(path_matches("src/**/test_*", "src/a/b/test_a"));
  EXPECT_FALSE(path_matches("src/**/test_*", "lib/test_a"));
  EXPECT_TRUE(path_matches("**", "a/b"));
  EXPECT_TRUE(path_matches("a/**/**/b", "a/b"));
  EXPECT_FALSE(path_matches("*", "a/b"));
  EXPECT_FALSE(path_matches("a*b", "ax/yb"));
}

TEST(Glob, KnowsWhereNothingCanMatch) {
  const Glob glob("src/*.cc");
  EXPECT_FALSE(glob.goes_on(glob.next(glob.start(), "docs")));
  const Glob::State inside = glob.next(glob.start(), "src");
  EXPECT_TRUE(glob.goes_on(inside));
  EXPECT_FALSE(glob.matches(inside));
  EXPECT_FALSE(glob.goes_on(glob.next(inside, "a.cc")));
}

TEST(Glob, RefusesWhatIsNoPattern) {
  EXPECT_FALSE(Glob("").is_valid());
  EXPECT_FALSE(Glob("a/../b").is_valid());
  std::string deep = "a";
  for (int i = 0; i < 62; ++i) deep += "/a";
  EXPECT_FALSE(Glob(deep).is_valid());
  EXPECT_TRUE(Glob(deep.substr(2)).is_valid());
}

}  // namespace
}  // namespace lmsb::guest
