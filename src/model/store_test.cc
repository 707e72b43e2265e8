#include "model/store.h"

#include <array>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "model/demonstration.h"
#include "model/test_files.h"

namespace lmsb::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string model_named(const std::string& name) {
  TinyGguf model;
  model.add_text("general.name", name);
  return model.bytes();
}

class ModelStore : public testing::Test {
 protected:
  ModelStore() : store_(directory_.path()) { std::filesystem::create_directory(directory_.path() + "/models"); }

  // What lies in the store's directory, hidden things too.
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path() + "/models"))
      names.push_back(entry.path().filename().string());
    return names;
  }

  TestDirectory directory_;
  Store store_;
};

TEST(ModelNames, ComeFromTheLastPartOfAPathOrUrl) {
  EXPECT_EQ(name_from_source("/srv/models/tiny.gguf"), "tiny");
  EXPECT_EQ(name_from_source("https://host/a/b-Q4_K.gguf?download=1#x"), "b-Q4_K");
  EXPECT_EQ(name_from_source("/srv/what a name?.gguf"), "what-a-name-");
  EXPECT_EQ(name_from_source("/" + std::string(300, 'n')).size(), 128U);
}

TEST(ModelNames, AreNothingThatCouldBeAPathOrHidden) {
  for (const char* good : {"tiny", "A.b-c_1", "7b"}) EXPECT_TRUE(is_model_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".hidden", "-x", "_x", "a/b", "a b", "a\n"})
    EXPECT_FALSE(is_model_name(bad)) << bad;
  EXPECT_FALSE(is_model_name(std::string(129, 'a')));
}

TEST_F(ModelStore, FindsAndListsWhatWasPulled) {
  EXPECT_THAT(store_.list(), IsEmpty());
  const auto pulled = store_.pull(directory_.file("b.gguf", model_named("second")), "b");
  ASSERT_TRUE(pulled.ok()) << pulled.error().message();
  ASSERT_TRUE(store_.pull(directory_.file("a.gguf", model_named("first")), "a").ok());
  ASSERT_EQ(store_.list().size(), 2U);
  EXPECT_EQ(store_.list()[0].name, "a");
  EXPECT_EQ(store_.find("b")->facts.name, "second");
  EXPECT_EQ(store_.find("b")->directory, directory_.path() + "/models/b");
}

TEST_F(ModelStore, SaysThatAModelIsNotThere) {
  for (const char* name : {"none", "../models", ""}) EXPECT_EQ(store_.find(name).error().slug(), "model_not_found");
}

TEST_F(ModelStore, PutsANewerFileInThePlaceOfAnOlderOne) {
  ASSERT_TRUE(store_.pull(directory_.file("x.gguf", model_named("old")), "m").ok());
  const UniqueFd in_use(::open((directory_.path() + "/models/m").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(store_.pull(directory_.file("x.gguf", model_named("new")), "m").ok());
  EXPECT_EQ(store_.find("m")->facts.name, "new");
  EXPECT_THAT(entries(), ElementsAre("m"));
}

TEST_F(ModelStore, KeepsTheOlderModelWhenTheNewFileIsNone) {
  ASSERT_TRUE(store_.pull(directory_.file("x.gguf", model_named("old")), "m").ok());
  EXPECT_EQ(store_.pull(directory_.file("x.gguf", "hello"), "m").error().slug(), "not_a_model");
  EXPECT_EQ(store_.find("m")->facts.name, "old");
  EXPECT_THAT(entries(), ElementsAre("m"));
}

TEST_F(ModelStore, RefusesSourcesAndNamesThatWillNotDo) {
  EXPECT_EQ(store_.pull("/no/such/file", "m").error().code(), ErrorCode::not_found);
  EXPECT_EQ(store_.pull("/dev/null", "m").error().slug(), "not_a_model");
  EXPECT_EQ(store_.pull(directory_.file("x.gguf", model_named("x")), ".m").error().slug(), "invalid_name");
  EXPECT_THAT(entries(), IsEmpty());
}

TEST_F(ModelStore, TakesAnOpenFileFromItsBeginningWhereverItStands) {
  const UniqueFd file(::open(directory_.file("x.gguf", model_named("open")).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::lseek(file.get(), 5, SEEK_SET), 5);
  ASSERT_TRUE(store_.pull_open(file.get(), "/home/x.gguf", "m").ok());
  EXPECT_EQ(store_.find("m")->facts.name, "open");
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 5);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const UniqueFd read(pipe[0]);
  const UniqueFd write(pipe[1]);
  EXPECT_THAT(store_.pull_open(read.get(), "/a/fifo", "n").error().message(), HasSubstr("/a/fifo is no regular file"));
}

TEST_F(ModelStore, SweepsWhatKilledPullsHaveLeftAndNothingElse) {
  ASSERT_TRUE(store_.pull(directory_.file("x.gguf", model_named("kept")), "m").ok());
  directory_.file("models/.pull-dead/model.gguf", "half of i");
  directory_.file("models/.pull-busy/model.gguf", "half of i");
  const UniqueFd busy(::open((directory_.path() + "/models/.pull-busy").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(busy.get(), LOCK_EX), 0);  // as a pull of another daemon holds it
  EXPECT_EQ(store_.sweep(), 1U);
  EXPECT_THAT(entries(), testing::UnorderedElementsAre("m", ".pull-busy"));
  EXPECT_EQ(store_.list().size(), 1U);
}

TEST_F(ModelStore, HasTheDemonstrationModelHiddenFromItsOwn) {
  const auto model = store_.demonstration();
  ASSERT_TRUE(model.ok()) << model.error().message();
  EXPECT_TRUE(model->is_demonstration);
  EXPECT_EQ(model->name, "demonstration");
  EXPECT_EQ(model->facts.architecture, "llama");
  EXPECT_TRUE(model->facts.has_chat_template);
  EXPECT_EQ(model->facts.size.count(), demonstration_file().size());
  EXPECT_THAT(store_.names(), IsEmpty());
  EXPECT_THAT(store_.list(), IsEmpty());
  EXPECT_FALSE(store_.find("demonstration").ok());
}

TEST_F(ModelStore, NamesWhatCannotBeReadAndDoesNotListIt) {
  directory_.file("models/broken/model.gguf", "no model");
  directory_.file("models/nothing/other", "no model");
  EXPECT_THAT(store_.names(), ElementsAre("broken"));
  EXPECT_THAT(store_.list(), IsEmpty());
}

TEST_F(ModelStore, WritesTheDemonstrationModelOnceAndAgainWhenItIsAnother) {
  const auto model = store_.demonstration();
  ASSERT_TRUE(model.ok());
  const std::string file = model->directory + "/model.gguf";
  const auto first = std::filesystem::last_write_time(file);
  ASSERT_TRUE(store_.demonstration().ok());
  EXPECT_EQ(std::filesystem::last_write_time(file), first);
  std::filesystem::resize_file(file, 1000);
  ASSERT_TRUE(store_.demonstration().ok());
  EXPECT_EQ(std::filesystem::file_size(file), demonstration_file().size());
  EXPECT_THAT(entries(), ElementsAre(".demonstration"));
}

TEST_F(ModelStore, RemovesAModelWhetherItCanBeReadOrNot) {
  ASSERT_TRUE(store_.pull(directory_.file("a.gguf", model_named("a")), "a").ok());
  ASSERT_TRUE(store_.pull(directory_.file("b.gguf", model_named("b")), "b").ok());
  directory_.file("models/damaged/model.gguf", "no model");
  EXPECT_TRUE(store_.remove("a").ok());
  EXPECT_TRUE(store_.remove("damaged").ok());
  EXPECT_THAT(entries(), ElementsAre("b"));
}

TEST_F(ModelStore, RemovesNothingElse) {
  ASSERT_TRUE(store_.demonstration().ok());
  directory_.file("models/directory/other", "x");
  for (const char* name : {"none", "directory", ".demonstration", "..", ""}) {
    const Status removed = store_.remove(name);
    ASSERT_FALSE(removed.ok()) << name;
    EXPECT_EQ(removed.error().slug(), "model_not_found") << name;
  }
  EXPECT_EQ(entries().size(), 2U);
}

}  // namespace
}  // namespace lmsb::model
