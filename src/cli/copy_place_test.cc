#include "cli/copy_place.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

CopyPlace place(const std::string& text) { return *parse_copy_place(text); }

TEST(CopyPlace, IsOfASandboxWhenANameStandsBeforeAColon) {
  EXPECT_EQ(place("box:/tmp/a").sandbox, "box");
  EXPECT_EQ(place("box:/tmp/a").path, "/tmp/a");
  EXPECT_EQ(place("box:a:b").path, "a:b");
}

TEST(CopyPlace, IsOfThisMachineOtherwise) {
  for (const std::string text : {"a", "/a:b", "./a:b", "dir/a:b", ":a", "-"}) {
    EXPECT_EQ(place(text).sandbox, "") << text;
    EXPECT_EQ(place(text).path, text);
  }
  EXPECT_TRUE(place("-").is_stream());
  EXPECT_FALSE(place("box:-").is_stream());
}

TEST(CopyPlace, NeedsAPath) { EXPECT_FALSE(parse_copy_place("box:").ok()); }

TEST(CopiedPath, KeepsItsNameInADirectory) {
  EXPECT_EQ(copied_path(place("x/a.txt"), place("box:/tmp"), true), "/tmp/a.txt");
  EXPECT_EQ(copied_path(place("x/a.txt"), place("box:/tmp/"), false), "/tmp/a.txt");
  EXPECT_EQ(copied_path(place("box:dir/"), place("here"), true), "here/dir");
}

TEST(CopiedPath, TakesTheNewNameWhereThereIsNoDirectory) {
  EXPECT_EQ(copied_path(place("x/a.txt"), place("box:/tmp/b.txt"), false), "/tmp/b.txt");
}

TEST(CopiedPath, IsTheDirectoryItselfForTheContentOfAnother) {
  EXPECT_EQ(copied_path(place("x/."), place("box:/tmp"), true), "/tmp");
  EXPECT_EQ(copied_path(place("."), place("box:/tmp"), true), "/tmp");
  EXPECT_EQ(copied_path(place("-"), place("box:/tmp"), true), "/tmp");
  EXPECT_EQ(copied_path(place("box:/"), place("here"), true), "here");
}

TEST(KeptName, IsTheLastOneUnlessOnlyTheContentIsMeant) {
  EXPECT_EQ(kept_name(place("box:/tmp/dir/")), "dir");
  for (const char* text : {"box:/", "box:/tmp/.", "box:.", "-"}) EXPECT_EQ(kept_name(place(text)), "") << text;
}

TEST(PathQuery, CarriesEveryOctet) {
  EXPECT_EQ(path_query("a b/c"), "path=a%20b%2Fc");
  EXPECT_EQ(path_query("\xff"), "path_base64=%2Fw%3D%3D");
}

}  // namespace
}  // namespace lmsb::cli
