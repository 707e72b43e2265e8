#include "model/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/test_files.h"

namespace lmsb::model {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 62U;

class ReadGguf : public testing::Test {
 protected:
  Result<GgufFacts> read(const std::string& content) { return read_gguf(directory_.file("model.gguf", content)); }
  void expect_refused(const std::string& content, const std::string& why) {
    const auto facts = read(content);
    ASSERT_FALSE(facts.ok());
    EXPECT_EQ(facts.error().slug(), "not_a_model");
    EXPECT_THAT(facts.error().message(), HasSubstr(why));
    EXPECT_NE(facts.error().hint(), "");
  }
  // An array's head: of values of `type`, `count` of them.
  static std::string array(std::uint32_t type, std::uint64_t count) { return octets(type) + octets(count); }

  TestDirectory directory_;
  TinyGguf model_;
};

TEST_F(ReadGguf, FindsTheFactsAmongOtherValues) {
  model_.add("general.alignment", 4, octets(std::uint32_t{32}));
  model_.add_text("general.architecture", "llama");
  model_.add("tokenizer.ggml.tokens", 9, array(8, 2) + TinyGguf::text("a") + TinyGguf::text(std::string(300, 'b')));
  model_.add("tokenizer.ggml.scores", 9, array(6, 3) + std::string(12, '\0'));
  model_.add_text("general.name", "tiny");
  model_.add_text("tokenizer.chat_template", std::string(100'000, 't'));
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->version, 3U);
  EXPECT_EQ(facts->name, "tiny");
  EXPECT_EQ(facts->architecture, "llama");
  EXPECT_TRUE(facts->has_chat_template);
  EXPECT_EQ(facts->size, Bytes(model_.bytes().size()));
}

TEST_F(ReadGguf, ReadsTheSameWhereverABlockEnds) {
  for (const std::size_t fill : {16'300UL, 16'350UL, 16'384UL, 32'768UL}) {
    TinyGguf model;
    model.add_text("filler", std::string(fill, 'x'));
    for (int i = 0; i < 20; ++i) model.add_text("general.name", "name" + std::to_string(i));
    EXPECT_EQ(read(model.bytes())->name, "name19") << fill;
  }
}

TEST_F(ReadGguf, RefusesWhatDoesNotBeginLikeAModel) {
  expect_refused("", "does not begin with GGUF");
  expect_refused("hello", "does not begin with GGUF");
  model_.magic = "GGML";
  expect_refused(model_.bytes(), "does not begin with GGUF");
}

TEST_F(ReadGguf, RefusesVersionsItDoesNotKnow) {
  for (const std::uint32_t version : {0U, 1U, 4U, 0x03000000U}) {
    model_.version = version;
    expect_refused(model_.bytes(), "unknown version");
  }
}

TEST_F(ReadGguf, RefusesAHeaderThatIsCutAnywhere) {
  model_.add_text("general.name", "tiny");
  model_.add("tokenizer.ggml.tokens", 9, array(8, 1) + TinyGguf::text("a"));
  const std::string whole = model_.bytes();
  for (std::size_t size = 4; size < whole.size(); ++size) EXPECT_FALSE(read(whole.substr(0, size)).ok()) << size;
}

TEST_F(ReadGguf, RefusesCountsThatNoFileCanHold) {
  model_.declared_more = kHuge;
  expect_refused(model_.bytes(), "damaged");
  for (const std::uint32_t type : {0U, 8U, 10U}) {
    TinyGguf model;
    model.add("list", 9, array(type, kHuge));
    expect_refused(model.bytes(), "damaged or cut off");
  }
  TinyGguf text;
  text.add("general.name", 8, octets(kHuge));
  expect_refused(text.bytes(), "damaged or cut off");
}

TEST_F(ReadGguf, RefusesArraysOfArraysAndUnknownTypes) {
  model_.add("nested", 9, array(9, 1) + array(4, 0));
  expect_refused(model_.bytes(), "damaged or cut off");
  TinyGguf unknown;
  unknown.add("odd", 13, "");
  expect_refused(unknown.bytes(), "damaged or cut off");
}

TEST_F(ReadGguf, SaysOfWhatIsNoFileWhatItIs) {
  EXPECT_EQ(read_gguf(directory_.path() + "/none").error().code(), ErrorCode::not_found);
  const auto facts = read_gguf(directory_.path());
  ASSERT_FALSE(facts.ok());
  EXPECT_THAT(facts.error().message(), HasSubstr("no regular file"));
}

}  // namespace
}  // namespace lmsb::model
