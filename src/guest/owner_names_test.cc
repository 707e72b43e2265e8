#include "guest/owner_names.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

TEST(OwnerNames, AreFoundByNumber) {
  constexpr std::string_view kFile = "root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\n";
  EXPECT_EQ(find_owner_name(kFile, 0), "root");
  EXPECT_EQ(find_owner_name(kFile, 1000), "user");
  EXPECT_EQ(find_owner_name(kFile, 1), "");
  EXPECT_EQ(find_owner_name("games:x:60:", 60), "games");
}

TEST(OwnerNames, AreOfTheFirstLineThatHasTheNumber) { EXPECT_EQ(find_owner_name("a:x:5:\nb:x:5:\n", 5), "a"); }

TEST(OwnerNames, OfMalformedLinesThereAreNone) {
  for (const std::string& line :
       {std::string("a"), std::string("a:x"), std::string("a:x:"), std::string("a:x:5x:"), std::string("a:x:-5:"),
        std::string(":x:5:"), std::string("a b:x:5:"), std::string("a\x1b[31m:x:5:"), std::string("\xff:x:5:"),
        std::string(300, 'a') + ":x:5:", std::string("a:x:000000000000005:"), std::string("a:x:4294967301:")})
    EXPECT_EQ(find_owner_name(line, 5), "") << line;
  EXPECT_EQ(find_owner_name(std::string("\0\0:x:5:\nok:x:5:", 15), 5), "ok");
}

TEST(OwnerNames, ComeFromNoDirectoryAndNoMissingFile) {
  OwnerNames directory("/");
  EXPECT_EQ(directory.name_of(0), "");
  OwnerNames missing("/no/such/file");
  EXPECT_EQ(missing.name_of(0), "");
  OwnerNames device("/dev/zero");
  EXPECT_EQ(device.name_of(0), "");
}

}  // namespace
}  // namespace lmsb::guest
