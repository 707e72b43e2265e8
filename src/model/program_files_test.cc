#include "model/program_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_files.h"

namespace lmsb::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string program_with(const std::vector<std::string>& needed, const std::string& runpath = "") {
  TinyElf elf;
  elf.needed = needed;
  elf.runpath = runpath;
  return elf.bytes();
}

// `usr` of the directory stands for the machine's, which is shown anyway.
LoaderPlaces places_in(const TestDirectory& directory) {
  LoaderPlaces places;
  places.standard = {directory.path() + "/usr/lib"};
  places.shown = {directory.path() + "/usr"};
  return places;
}

TEST(ProgramFiles, OfAProgramAmongWhatIsShownAreNone) {
  const TestDirectory directory;
  directory.file("usr/lib/libc.so", program_with({}));
  const std::string program = directory.file("usr/bin/server", program_with({"libc.so"}));
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok()) << files.error().message();
  EXPECT_EQ(files->program, program);
  EXPECT_THAT(files->directories, IsEmpty());
  EXPECT_THAT(files->search, IsEmpty());
}

TEST(ProgramFiles, AreItsFolderAndThoseItPointsTo) {
  const TestDirectory directory;
  const std::string program = directory.file("llama/bin/server", program_with({"liba.so"}, "$ORIGIN/../lib"));
  directory.file("llama/lib/liba.so", program_with({"libb.so"}, directory.path() + "/other"));
  directory.file("other/libb.so", program_with({}));
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok()) << files.error().message();
  EXPECT_THAT(files->directories, UnorderedElementsAre(directory.path() + "/llama/bin", directory.path() + "/llama/lib",
                                                       directory.path() + "/other"));
  EXPECT_THAT(files->search, IsEmpty());  // the files themselves say where to look
}

TEST(ProgramFiles, IncludeALibraryFolderThatNothingPointsTo) {
  const TestDirectory directory;
  const std::string program = directory.file("llama/bin/server", program_with({"liba.so"}));
  directory.file("llama/lib/liba.so", program_with({}));
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(files->search, ElementsAre(directory.path() + "/llama/lib"));
}

TEST(ProgramFiles, FollowLinksToWhereTheFilesAre) {
  const TestDirectory directory;
  directory.file("build/bin/server", program_with({"liba.so"}, "$ORIGIN"));
  directory.file("store/liba.so.1", program_with({}));
  std::filesystem::create_symlink(directory.path() + "/store/liba.so.1", directory.path() + "/build/bin/liba.so");
  std::filesystem::create_symlink(directory.path() + "/build/bin/server", directory.path() + "/server");
  const auto files = find_program_files(directory.path() + "/server", places_in(directory));
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->program, directory.path() + "/build/bin/server");
  EXPECT_THAT(files->directories, UnorderedElementsAre(directory.path() + "/build/bin", directory.path() + "/store"));
}

TEST(ProgramFiles, IncludeWhatItsPluginsAskFor) {
  const TestDirectory directory;
  const std::string program = directory.file("llama/server", program_with({}));
  directory.file("llama/libggml-gpu.so", program_with({"libgpu.so"}, directory.path() + "/gpu"));
  directory.file("gpu/libgpu.so", program_with({}));
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(files->directories, UnorderedElementsAre(directory.path() + "/llama", directory.path() + "/gpu"));
}

TEST(ProgramFiles, OfAScriptAreItsFolder) {
  const TestDirectory directory;
  const std::string program = directory.file("llama/server", "#!/bin/sh\n");
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(files->directories, ElementsAre(directory.path() + "/llama"));
}

TEST(ProgramFiles, NameNoFolderThatLiesInAnother) {
  const TestDirectory directory;
  const std::string program = directory.file("llama/server", program_with({"liba.so"}, "$ORIGIN/lib"));
  directory.file("llama/lib/liba.so", program_with({}));
  const auto files = find_program_files(program, places_in(directory));
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(files->directories, ElementsAre(directory.path() + "/llama"));
}

TEST(ProgramFiles, AreRefusedWhenASandboxCannotShowThem) {
  const TestDirectory directory;
  const auto in_etc = find_program_files("/etc/passwd", places_in(directory));
  ASSERT_FALSE(in_etc.ok());
  EXPECT_EQ(in_etc.error().slug(), "program_not_showable");
  EXPECT_THAT(in_etc.error().hint(), HasSubstr("/opt"));
  std::string runpath;
  std::vector<std::string> needed;
  for (int i = 0; i < 8; ++i) {
    const std::string name = std::to_string(i);
    needed.push_back("lib" + name + ".so");
    runpath += directory.path() + "/d" + name + ":";
    directory.file("d" + name + "/" + needed.back(), program_with({}));
  }
  const auto many =
      find_program_files(directory.file("llama/server", program_with(needed, runpath)), places_in(directory));
  ASSERT_FALSE(many.ok());
  EXPECT_THAT(many.error().message(), HasSubstr("more than 7 folders"));
}

TEST(ProgramFiles, OfAProgramThatIsNotThereAreAnError) {
  EXPECT_EQ(find_program_files("/no/such/server", {}).error().code(), ErrorCode::not_found);
}

TEST(LoaderPlaces, OfThisMachineIncludeItsOwnLibraries) {
  const LoaderPlaces places = loader_places_of_machine();
  EXPECT_THAT(places.standard, testing::Contains("/usr/lib"));
  const auto files = find_program_files("/usr/bin/env", places);
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(files->directories, IsEmpty());
}

}  // namespace
}  // namespace lmsb::model
