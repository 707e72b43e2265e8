#include "model/gguf.h"

#include <cerrno>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/demonstration.h"
#include "model/gguf_cursor.h"
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

  // A model of two layers, without tensors.
  void add_shape(const std::string& architecture = "llama") {
    model_.add_text("general.architecture", architecture);
    model_.add_u32(architecture + ".context_length", 8192);
    model_.add_u32(architecture + ".embedding_length", 64);
    model_.add_u32(architecture + ".block_count", 2);
    model_.add_u32(architecture + ".attention.head_count", 4);
  }
  std::string quantisation(std::uint32_t said) {
    model_.add_u32("general.file_type", said);
    const auto facts = read(model_.bytes());
    return facts.ok() ? facts->quantisation : facts.error().message();
  }

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

// A disk that fails is no damaged model: nobody is to remove it for that.
TEST_F(ReadGguf, TellsAReadThatFailedFromAFileThatEnds) {
  std::uint32_t number = 0;
  GgufCursor unreadable(-1, 100);
  EXPECT_FALSE(unreadable.read(number));
  EXPECT_EQ(unreadable.error(), EBADF);
  GgufCursor at_its_end(-1, 0);
  EXPECT_FALSE(at_its_end.read(number));
  EXPECT_EQ(at_its_end.error(), 0);
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

TEST_F(ReadGguf, KnowsTheDemonstrationModel) {
  const auto facts = read(std::string(demonstration_file()));
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->kind, FileKind::model);
  EXPECT_EQ(facts->architecture, "llama");
  EXPECT_EQ(facts->context, 4096U);
  EXPECT_EQ(facts->width, 160U);
  EXPECT_EQ(facts->vocabulary, 946U);
  EXPECT_EQ(facts->forward, 480U);
  EXPECT_EQ(facts->layers.size(), 5U);
  EXPECT_EQ(facts->layers[4].kv_heads, 5U);
  EXPECT_EQ(facts->key_length, 32U);
  EXPECT_EQ(facts->parameters, 1'968'480U);
  EXPECT_EQ(facts->quantisation, "Q8_0");
  EXPECT_GT(facts->weights, Bytes(2'000'000));
  EXPECT_LT(facts->weights, facts->size);
  EXPECT_EQ(facts->tokenizer, "gpt2");
  EXPECT_NE(facts->chat_template, "");
}

TEST_F(ReadGguf, ReadsTheShapeWhateverTheNumbersAreStoredIn) {
  model_.add("llama.attention.key_length", 0, "\x50");
  model_.add("llama.expert_count", 3, octets(std::int16_t{8}));
  model_.add("llama.expert_used_count", 10, octets(std::uint64_t{2}));
  model_.add("llama.attention.value_length", 11, octets(std::int64_t{96}));
  model_.add("llama.vocab_size", 6, octets(1.5F));  // not a whole number: as if it were not there
  add_shape();                                      // the name of the architecture comes behind some of what it begins
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->context, 8192U);
  EXPECT_EQ(facts->width, 64U);
  EXPECT_EQ(facts->key_length, 80U);
  EXPECT_EQ(facts->value_length, 96U);
  EXPECT_EQ(facts->experts, 8U);
  EXPECT_EQ(facts->experts_used, 2U);
  EXPECT_EQ(facts->vocabulary, 0U);
}

TEST_F(ReadGguf, TakesTheLengthOfAHeadFromTheWidthWhereItIsNotSaid) {
  add_shape();
  const auto facts = read(model_.bytes());
  EXPECT_EQ(facts->key_length, 16U);
  EXPECT_EQ(facts->value_length, 16U);
  EXPECT_EQ(facts->layers[1].kv_heads, 4U);  // as many as heads
}

TEST_F(ReadGguf, ReadsHeadsLayerByLayer) {
  model_.add_text("general.architecture", "deci");
  model_.add_u32s("deci.attention.head_count", {8, 0, 8});
  model_.add_u32s("deci.attention.head_count_kv", {2, 0});
  model_.add_u32s("deci.feed_forward_length", {10, 30, 20});
  model_.add_u32("deci.block_count", 3);
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  ASSERT_EQ(facts->layers.size(), 3U);
  EXPECT_EQ(facts->layers[0].heads, 8U);
  EXPECT_EQ(facts->layers[0].kv_heads, 2U);
  EXPECT_EQ(facts->layers[1].kv_heads, 0U);
  EXPECT_EQ(facts->layers[2].kv_heads, 2U);  // the list is too short: no less than the largest
  EXPECT_EQ(facts->forward, 30U);
}

TEST_F(ReadGguf, KnowsWhichLayersLookThroughAWindow) {
  const auto windows = [this](const std::string& architecture, const std::function<void(TinyGguf&)>& more) {
    TinyGguf model;
    model.add_text("general.architecture", architecture);
    model.add_u32(architecture + ".block_count", 6);
    model.add_u32(architecture + ".attention.sliding_window", 512);
    more(model);
    const auto facts = read(model.bytes());
    std::string drawn;
    for (const GgufLayer& layer : facts->layers) drawn += layer.is_windowed ? 'w' : '-';
    return drawn;
  };
  const auto nothing = [](TinyGguf&) {};
  EXPECT_EQ(windows("gemma3", nothing), "wwwww-");
  EXPECT_EQ(windows("gpt-oss", nothing), "w-w-w-");
  EXPECT_EQ(windows("llama", nothing), "------");  // a window that llama.cpp does not use
  EXPECT_EQ(windows("a", [](TinyGguf& m) { m.add_u32("a.attention.sliding_window_pattern", 3); }), "ww-ww-");
  EXPECT_EQ(windows("a", [](TinyGguf& m) { m.add_u32("a.attention.sliding_window_pattern", 0); }), "wwwwww");
  EXPECT_EQ(windows("a",
                    [](TinyGguf& m) {
                      m.add("a.attention.sliding_window_pattern", 9, array(7, 3) + std::string("\1\0\0", 3));
                    }),
            "w--w--");
}

TEST_F(ReadGguf, AddsUpTensors) {
  add_shape();
  model_.add_tensor("token_embd.weight", {64, 10}, 0, 0);             // 2560 octets
  model_.add_tensor("blk.0.attn_q.weight", {64, 64}, 8, 2560);        // 4352
  model_.add_tensor("blk.0.attn_norm.weight", {64}, 0, 2560 + 4352);  // 256
  model_.data = 2560 + 4352 + 256;
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->tensors, 3U);
  EXPECT_EQ(facts->parameters, 640U + 4096 + 64);
  EXPECT_EQ(facts->weights, Bytes(model_.data));
  EXPECT_EQ(facts->quantisation, "Q8_0");  // of the layers' matrices
}

TEST_F(ReadGguf, HasATypeThatItDoesNotKnowTakeAllThereIs) {
  add_shape();
  model_.add_tensor("a", {64, 10}, 0, 0);
  model_.add_tensor("b", {1000, 1000}, 77, 2560);
  model_.data = 5000;
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->weights, Bytes(5000));
  EXPECT_EQ(facts->parameters, 1'000'640U);
  model_.data = 2559;  // where it begins there is nothing any more
  expect_refused(model_.bytes(), "it is cut off");
}

TEST_F(ReadGguf, CountsWhatTwoTensorsShareNoMoreThanOnce) {
  model_.add_tensor("a", {8}, 0, 0);
  model_.add_tensor("b", {8}, 0, 0);
  model_.data = 32;
  EXPECT_EQ(read(model_.bytes())->weights, Bytes(32));
}

TEST_F(ReadGguf, CallsAFileWhatItSaysIfItHasSomethingOfThat) {
  model_.add_tensor("blk.0.ffn_up.weight", {256}, 12, 0);
  model_.add_tensor("blk.0.ffn_down.weight", {1024}, 14, 160);
  model_.data = 1000;
  EXPECT_EQ(quantisation(15), "Q4_K_M");
  EXPECT_EQ(quantisation(1), "Q6_K");   // it says F16, and has none
  EXPECT_EQ(quantisation(99), "Q6_K");  // not known
  EXPECT_EQ(quantisation(1024), "Q6_K");
  TinyGguf none;
  none.add_u32("general.file_type", 7);
  EXPECT_EQ(read(none.bytes())->quantisation, "Q8_0");  // a part without tensors
}

TEST_F(ReadGguf, SaysWhatIsMissingOfATruncatedFile) {
  add_shape();
  model_.add_tensor("blk.0.ffn_up.weight", {64, 64}, 0, 0);
  model_.add_tensor("output.weight", {64, 64}, 0, 16384);
  model_.data = 32768;
  const std::string whole = model_.bytes();
  EXPECT_TRUE(read(whole).ok());
  expect_refused(whole.substr(0, whole.size() - 1), "it is cut off: its tensor \"output.weight\" ends at octet " +
                                                        std::to_string(whole.size()) + ", and the file has " +
                                                        std::to_string(whole.size() - 1));
  for (std::size_t size = 4; size < whole.size(); size += size < 600 ? 1 : 997)
    EXPECT_FALSE(read(whole.substr(0, size)).ok()) << size;
}

TEST_F(ReadGguf, RefusesTensorsThatCannotBe) {
  const auto refused = [this](const std::vector<std::uint64_t>& sizes, std::uint32_t type, std::uint64_t offset,
                              const std::string& why) {
    TinyGguf model;
    model.add_tensor("x", sizes, type, offset);
    model.data = 64;
    expect_refused(model.bytes(), why);
  };
  refused({kHuge, 8}, 0, 0, "larger than can be");
  refused({kHuge}, 0, 0, "larger than can be");
  refused({16}, 0, ~std::uint64_t{31}, "larger than can be");
  refused({8}, 0, ~std::uint64_t{63}, "larger than can be");  // its end wraps around only behind the header
  refused({16}, 0, 8, "begins at no boundary");
  refused({100}, 12, 0, "rows that cannot be of type Q4_K");
  refused({}, 2, 0, "rows that cannot be of type Q4_0");
  refused({1, 1, 1, 1, 1}, 0, 0, "more than four dimensions");
  refused({17}, 0, 0, "it is cut off");
  TinyGguf many;
  many.add_tensor("x", {kHuge - 1}, 24, 0);
  for (int i = 0; i < 4; ++i) many.add_tensor("y", {kHuge}, 24, 0);
  expect_refused(many.bytes(), "larger than can be");
}

TEST_F(ReadGguf, RefusesNumbersThatNoModelHas) {
  const auto refused = [this](const std::string& key, std::uint32_t type, const std::string& value) {
    TinyGguf model;
    model.add_text("general.architecture", "llama");
    model.add(key, type, value);
    expect_refused(model.bytes(), "no model has such a number for \"" + key + "\"");
  };
  const std::string most = octets(UINT32_MAX);
  for (const char* key : {"block_count", "context_length", "embedding_length", "attention.key_length",
                          "attention.head_count", "attention.head_count_kv", "expert_count", "ssm.state_size"})
    refused(std::string("llama.") + key, 4, most);
  refused("llama.block_count", 5, octets(std::int32_t{-1}));
  refused("llama.attention.head_count", 9, array(4, 4097) + std::string(4097 * 4, '\0'));
  for (const std::uint32_t alignment : {0U, 3U, 48U, 1U << 30U}) refused("general.alignment", 4, octets(alignment));
  refused("split.count", 4, most);
}

TEST_F(ReadGguf, HeedsTheAlignment) {
  model_.add_u32("general.alignment", 4096);
  model_.add_tensor("x", {64}, 0, 4096);
  model_.alignment = 4096;
  model_.data = 4096 + 256;
  EXPECT_EQ(read(model_.bytes())->weights, Bytes(256));
}

TEST_F(ReadGguf, TellsModelsFromWhatStandsBesideThem) {
  const auto kind = [this](const std::string& architecture, const std::string& type) {
    TinyGguf model;
    model.add_text("general.architecture", architecture);
    if (!type.empty()) model.add_text("general.type", type);
    return to_string(read(model.bytes())->kind);
  };
  EXPECT_EQ(kind("llama", ""), "model");
  EXPECT_EQ(kind("llama", "model"), "model");
  EXPECT_EQ(kind("clip", ""), "projector");
  EXPECT_EQ(kind("clip", "mmproj"), "projector");
  EXPECT_EQ(kind("llama", "adapter"), "adapter");
  EXPECT_EQ(kind("llama", "imatrix"), "other");
}

TEST_F(ReadGguf, KnowsThePartsOfASplitModel) {
  model_.add("split.no", 2, octets(std::uint16_t{1}));
  model_.add("split.count", 2, octets(std::uint16_t{3}));
  model_.add("split.tensors.count", 5, octets(std::int32_t{200'000}));
  const auto facts = read(model_.bytes());
  ASSERT_TRUE(facts.ok()) << facts.error().message();
  EXPECT_EQ(facts->part, 1U);
  EXPECT_EQ(facts->parts, 3U);
}

TEST_F(ReadGguf, KeepsTextsOnlyWhereTheyAreShortAndFitToBeShown) {
  model_.add_text("general.name", "a\x1b[31m\xff\nb");
  model_.add_text("general.license", std::string(257, 'x'));
  model_.add_text("general.size_label", "8B");
  model_.add_text("tokenizer.chat_template", "{{ x }}\n\xff");
  auto facts = read(model_.bytes());
  EXPECT_EQ(facts->name, "a[31m\uFFFDb");
  EXPECT_EQ(facts->license, "");
  EXPECT_EQ(facts->size_label, "8B");
  EXPECT_EQ(facts->chat_template, "{{ x }}\n\uFFFD");
  model_.add_text("tokenizer.chat_template", std::string(64 * 1024 + 1, 't'));
  facts = read(model_.bytes());
  EXPECT_TRUE(facts->has_chat_template);
  EXPECT_EQ(facts->chat_template, "");
}

TEST_F(ReadGguf, SaysOfWhatIsNoFileWhatItIs) {
  EXPECT_EQ(read_gguf(directory_.path() + "/none").error().code(), ErrorCode::not_found);
  const auto facts = read_gguf(directory_.path());
  ASSERT_FALSE(facts.ok());
  EXPECT_THAT(facts.error().message(), HasSubstr("no regular file"));
}

}  // namespace
}  // namespace lmsb::model
