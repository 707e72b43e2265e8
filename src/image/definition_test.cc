#include "image/definition.h"

#include <gmock/gmock.h>

namespace lmsb::image {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::vector<std::string> command_of(std::string_view name, std::string_view keyring = "") {
  return mmdebstrap_command(*find_definition(name), {"sid", {{"http://mirror.example/debian", "sid"}}}, keyring);
}

TEST(Definition, KnowsTheBuiltInImages) {
  EXPECT_NE(find_definition("base"), nullptr);
  EXPECT_NE(find_definition("llama"), nullptr);
  EXPECT_EQ(find_definition("host"), nullptr);
  EXPECT_EQ(definition_names(), "base, llama");
}

TEST(Definition, WritesATarStreamToStandardOutput) {
  const auto command = command_of("llama");
  EXPECT_EQ(command.front(), "/usr/bin/mmdebstrap");
  EXPECT_THAT(command, Contains("--format=tar"));
  ASSERT_GE(command.size(), 3U);
  EXPECT_EQ(command[command.size() - 3], "sid");
  EXPECT_EQ(command[command.size() - 2], "-");
  EXPECT_EQ(command.back(), "deb http://mirror.example/debian sid main");
}

TEST(Definition, AllowsAReleaseFileThatIsPastItsDate) {
  EXPECT_THAT(command_of("llama"), Contains("--aptopt=Acquire::Check-Valid-Until \"false\""));
}

TEST(Definition, NamesTheKeyringWhereThereIsOne) {
  EXPECT_EQ(command_of("llama", "/k.gpg").back(), "deb [signed-by=/k.gpg] http://mirror.example/debian sid main");
}

TEST(Definition, DoesNotGiveTheMachinesNameAndResolverAway) {
  EXPECT_THAT(command_of("base"), Contains(HasSubstr("resolv.conf")));
}

}  // namespace
}  // namespace lmsb::image
