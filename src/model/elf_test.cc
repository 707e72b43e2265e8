#include "model/elf.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_files.h"

namespace lmsb::model {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::StartsWith;

TEST(ReadElf, FindsWhatARealProgramAsksFor) {
  const auto facts = read_elf("/proc/self/exe");
  ASSERT_TRUE(facts.ok() && facts->has_value());
  EXPECT_THAT((*facts)->interpreter, StartsWith("/lib64/ld-linux"));
  EXPECT_THAT((*facts)->needed, Contains("libc.so.6"));
}

TEST(ReadElf, FindsLibrariesAndBothKindsOfPaths) {
  const TestDirectory directory;
  TinyElf elf;
  elf.interpreter = "/lib64/ld.so";
  elf.needed = {"liba.so", "libb.so.1"};
  elf.rpath = "/old";
  elf.runpath = "$ORIGIN/../lib:/opt/x";
  const auto facts = read_elf(directory.file("program", elf.bytes()));
  ASSERT_TRUE(facts.ok() && facts->has_value());
  EXPECT_EQ((*facts)->interpreter, "/lib64/ld.so");
  EXPECT_THAT((*facts)->needed, ElementsAre("liba.so", "libb.so.1"));
  EXPECT_EQ((*facts)->rpath, "/old");
  EXPECT_EQ((*facts)->runpath, "$ORIGIN/../lib:/opt/x");
}

TEST(ReadElf, SaysNothingOfScriptsAndDirectories) {
  const TestDirectory directory;
  for (const std::string& path :
       {directory.file("script", "#!/bin/sh\nexit 0\n"), directory.file("empty", ""), directory.path()}) {
    const auto facts = read_elf(path);
    ASSERT_TRUE(facts.ok()) << path;
    EXPECT_FALSE(facts->has_value()) << path;
  }
}

TEST(ReadElf, SaysThatAFileIsNotThere) { EXPECT_EQ(read_elf("/no/such/file").error().code(), ErrorCode::not_found); }

TEST(ReadElf, RefusesAFileThatIsCutAnywhere) {
  const TestDirectory directory;
  TinyElf elf;
  elf.needed = {"liba.so"};
  const std::string whole = elf.bytes();
  for (std::size_t size = 64; size < whole.size(); ++size) {
    const auto facts = read_elf(directory.file("cut", whole.substr(0, size)));
    ASSERT_FALSE(facts.ok()) << size;
    EXPECT_EQ(facts.error().slug(), "not_a_program");
  }
}

TEST(ReadElf, RefusesMoreLibrariesThanAnybodyNeeds) {
  const TestDirectory directory;
  TinyElf elf;
  elf.needed.assign(513, "liba.so");
  EXPECT_FALSE(read_elf(directory.file("many", elf.bytes())).ok());
}

}  // namespace
}  // namespace lmsb::model
