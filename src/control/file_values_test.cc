#include "control/file_values.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using Kind = FileCondition::Kind;

FileInfo file() {
  FileInfo info;
  info.inode = 0x1f;
  info.size = 2;
  info.changed = {3, 4};
  info.seen_at = 3;
  return info;
}

FileCondition condition(Kind kind, std::vector<std::string> tags) {
  FileCondition made;
  made.kind = kind;
  made.tags = std::move(tags);
  return made;
}

TEST(FileConditions, AreMetByTheFileThatATagIsOfWeakOrStrong) {
  FileInfo info = file();
  const std::string weak = etag_of(info);
  EXPECT_EQ(weak, "W/\"1f-2-3.4-3\"");
  info.seen_at = 100;
  EXPECT_EQ(etag_of(info), "\"1f-2-3.4\"");
  EXPECT_TRUE(meets(condition(Kind::is_one_of, {"\"x\"", weak}), info)) << "time alone makes no other file of it";
  EXPECT_FALSE(meets(condition(Kind::is_none_of, {weak}), info));
  info.changed.nanoseconds = 5;
  EXPECT_FALSE(meets(condition(Kind::is_one_of, {weak}), info));
  EXPECT_TRUE(meets(condition(Kind::is_none_of, {weak}), info));
  EXPECT_TRUE(meets(FileCondition(), info));
}

TEST(FileConditions, GoToTheGuestWithoutWhatIsNoTagOfOurs) {
  EXPECT_EQ(condition_word(FileCondition()), "-");
  EXPECT_EQ(condition_word(condition(Kind::is_one_of, {"W/\"1f-2-3.4-3\"", "\"a,b\"", "\"\"", "\"1-2-3.4\""})),
            "=1f-2-3.4,1-2-3.4,");
  FileCondition any = condition(Kind::is_none_of, {});
  any.is_any = true;
  EXPECT_EQ(condition_word(any), "!*");
}

}  // namespace
}  // namespace lmsb::control
