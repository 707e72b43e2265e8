#include "control/model_access.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

ModelAccess access_to(std::vector<std::string> names) {
  ModelAccess access;
  access.names = std::move(names);
  return access;
}

std::string slug_of(const ModelAccess& access) {
  const Status checked = check_form(access);
  return checked.ok() ? "" : std::string(checked.error().slug());
}

TEST(ModelAccess, IsAListOfNamesEachOnce) {
  EXPECT_EQ(slug_of({}), "");
  EXPECT_EQ(slug_of(access_to({"a", "b.Q4_0"})), "");
  EXPECT_EQ(slug_of(access_to({"a", "a"})), "invalid_models");
  for (const char* name : {"", "a b", "a\n"}) EXPECT_EQ(slug_of(access_to({name})), "invalid_models") << name;
  EXPECT_EQ(slug_of(access_to({std::string(129, 'a')})), "invalid_models");
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= ModelAccess::kMaxNames; ++i) many.push_back("m" + std::to_string(i));
  EXPECT_EQ(slug_of(access_to(many)), "invalid_models");
  many.pop_back();
  EXPECT_EQ(slug_of(access_to(many)), "");
}

TEST(ModelAccess, LimitsAreForWhoHasModels) {
  ModelAccess access;
  access.tokens = 1;
  EXPECT_EQ(slug_of(access), "invalid_models");
  access.names = {"a"};
  EXPECT_EQ(slug_of(access), "");
}

TEST(ModelAccess, ProgramsFindItByTheirVariables) {
  EXPECT_TRUE(model_variables({}).empty());
  const auto variables = model_variables(access_to({"a", "b"}));
  EXPECT_EQ(variables.at("OPENAI_BASE_URL"), "http://127.0.0.1:11434/v1");
  EXPECT_EQ(variables.at("ANTHROPIC_BASE_URL"), "http://127.0.0.1:11434");
  EXPECT_EQ(variables.at("OLLAMA_HOST"), "127.0.0.1:11434");
  EXPECT_EQ(variables.at("LM_SANDBOX_MODEL"), "a");
  EXPECT_EQ(variables.count("OPENAI_API_KEY") + variables.count("ANTHROPIC_API_KEY"), 2U);
}

TEST(ModelAccess, OutlivesTheDaemonWithWhatWasUsed) {
  ModelAccess access = access_to({"a", "b"});
  access.tokens = 1000;
  access.requests_per_minute = 5;
  const ModelUsage usage{7, 2, 300, 40};
  ModelAccess read;
  ModelUsage used;
  read_texts(texts_of(access, usage), read, used);
  EXPECT_EQ(read, access);
  EXPECT_EQ(used, usage);
}

TEST(ModelAccess, OfARowThatSaysWhatIsNotKnownIsNone) {
  ModelAccess read = access_to({"a"});
  ModelUsage used;
  for (const auto& texts : std::vector<std::map<std::string, std::string>>{
           {}, {{"names", "a"}, {"hours", "5"}}, {{"tokens", "5"}}, {{"names", "a a"}}}) {
    read_texts(texts, read, used);
    EXPECT_FALSE(read.is_something());
  }
}

}  // namespace
}  // namespace lmsb::control
