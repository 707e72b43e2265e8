#include "base/rel_path.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(RelPath, StaysBelowItsDirectory) {
  for (const char* text : {"a", "a/b", "a.b/..c", ".hidden", "a/...", "\xC3\xA4"})
    EXPECT_TRUE(RelPath::parse(text)) << text;
}

TEST(RelPath, RefusesEveryWayOut) {
  for (const char* text : {"", "/", "/a", "..", "../a", "a/..", "a/../b", ".", "./a", "a/.", "a//b", "a/", "//"}) {
    EXPECT_FALSE(RelPath::parse(text)) << text;
  }
  EXPECT_FALSE(RelPath::parse(std::string_view("a\0b", 3)));
}

TEST(RelPath, HasTheLengthsOfTheKernel) {
  EXPECT_TRUE(RelPath::parse(std::string(255, 'a')));
  EXPECT_FALSE(RelPath::parse(std::string(256, 'a')));
  std::string path;
  while (path.size() + 2 <= 4095) path += "a/";
  EXPECT_TRUE(RelPath::parse(path + "b"));
  EXPECT_FALSE(RelPath::parse(path + "bc"));
}

}  // namespace
}  // namespace lmsb
