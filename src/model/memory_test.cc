#include "model/memory.h"

#include <gtest/gtest.h>

#include "model/demonstration.h"
#include "model/test_files.h"

namespace lmsb::model {
namespace {

// MiB with two digits, as llama-server says it.
double mib(Bytes bytes) { return static_cast<double>(bytes.count()) / (1024 * 1024); }

MemoryUse use_of(std::uint32_t context, CacheType cache = CacheType::f16, std::uint32_t slots = 2) {
  MemoryUse use;
  use.context = context;
  use.slots = slots;
  use.cache = cache;
  return use;
}

// The fixture of the system tests (tests/fixtures/make_tiny_gguf.py).
GgufFacts fixture() {
  GgufFacts facts;
  facts.weights = Bytes(461'568);
  facts.vocabulary = 259;
  facts.width = 64;
  facts.forward = 128;
  facts.layers.assign(2, GgufLayer{4, 4, false});
  facts.key_length = 16;
  facts.value_length = 16;
  return facts;
}

// What llama-server 0.7 with two slots says when it loads a model ("KV buffer size", "compute buffer size").
struct Reported {
  std::uint32_t context;
  double cache;
  double compute;
};

void expect_near(const GgufFacts& facts, const std::vector<Reported>& reports) {
  for (const Reported& reported : reports) {
    const MemoryEstimate estimate = estimate_memory(facts, use_of(reported.context));
    EXPECT_NEAR(mib(estimate.cache), reported.cache, 0.01) << reported.context;
    EXPECT_GE(mib(estimate.compute), reported.compute) << reported.context;
    EXPECT_LE(mib(estimate.compute), 1.5 * reported.compute + 2.5) << reported.context;
  }
}

TEST(Memory, IsWhatLlamaServerReportsForTheFixture) {
  expect_near(fixture(), {{256, 0.25, 0.70}, {4096, 2.00, 3.14}, {8192, 4.00, 5.14}, {32768, 16.00, 17.14}});
  EXPECT_NEAR(mib(estimate_memory(fixture(), use_of(4096)).weights), 0.44, 0.005);
}

TEST(Memory, IsWhatLlamaServerReportsForTheDemonstrationModel) {
  const TestDirectory directory;
  const auto facts = read_gguf(directory.file("model.gguf", std::string(demonstration_file())));
  ASSERT_TRUE(facts.ok());
  expect_near(*facts, {{256, 1.56, 2.32}, {4096, 12.50, 6.39}, {8192, 25.00, 8.39}, {32768, 100.00, 20.39}});
  EXPECT_NEAR(mib(estimate_memory(*facts, use_of(4096)).weights), 1.99, 0.01);
}

TEST(Memory, OfAUsualModelIsTheUsualFigure) {  // Llama 3 8B: 128 KiB of cache a token
  GgufFacts facts;
  facts.weights = Bytes::MiB(4685);
  facts.vocabulary = 128'256;
  facts.width = 4096;
  facts.forward = 14'336;
  facts.layers.assign(32, GgufLayer{32, 8, false});
  facts.key_length = facts.value_length = 128;
  const MemoryEstimate estimate = estimate_memory(facts, use_of(8192, CacheType::f16, 1));
  EXPECT_EQ(estimate.cache, Bytes::MiB(1024));
  EXPECT_NEAR(mib(estimate.compute), 258.5, 1);  // what older servers say, which keep all words for all of a batch
  EXPECT_EQ(estimate.total().count(),
            estimate.weights.count() + estimate.cache.count() + estimate.compute.count() + estimate.server.count());
}

TEST(Memory, OfACacheDependsOnWhatItsNumbersAreStoredIn) {
  const Bytes f16 = estimate_memory(fixture(), use_of(4096)).cache;
  EXPECT_EQ(estimate_memory(fixture(), use_of(4096, CacheType::q8_0)).cache, Bytes(f16.count() / 64 * 34));
  EXPECT_EQ(estimate_memory(fixture(), use_of(4096, CacheType::q4_0)).cache, Bytes(f16.count() / 64 * 18));
  GgufFacts odd = fixture();
  odd.key_length = odd.value_length = 10;  // 40 numbers in a row are two blocks
  EXPECT_EQ(estimate_memory(odd, use_of(256, CacheType::q8_0, 1)).cache, Bytes(256 * 2 * 2 * 2 * 34));
}

TEST(Memory, OfACacheIsThatOfWholeCellsForEachSlot) {
  EXPECT_EQ(estimate_memory(fixture(), use_of(100, CacheType::f16, 1)).cache, Bytes(256 * 512));
  EXPECT_EQ(estimate_memory(fixture(), use_of(100, CacheType::f16, 4)).cache, Bytes(4 * 256 * 512));
  EXPECT_EQ(estimate_memory(fixture(), use_of(0, CacheType::f16, 0)).cache, Bytes(0));
}

TEST(Memory, OfALayerWithAWindowEndsWithIt) {
  GgufFacts facts = fixture();
  facts.window = 1024;
  facts.layers[0].is_windowed = true;
  const std::uint64_t cell = 256;  // octets in a layer
  EXPECT_EQ(estimate_memory(facts, use_of(65'536, CacheType::f16, 1)).cache, Bytes((65'536 + 1536) * cell));
  EXPECT_EQ(estimate_memory(facts, use_of(512, CacheType::f16, 1)).cache, Bytes(2 * 512 * cell));
  facts.window_key_length = facts.window_value_length = 32;  // twice what other layers have
  EXPECT_EQ(estimate_memory(facts, use_of(65'536, CacheType::f16, 1)).cache, Bytes((65'536 + 2 * 1536) * cell));
}

TEST(Memory, OfALayerThatKeepsAStateIsTheSameForAnyContext) {
  GgufFacts facts = fixture();
  facts.layers[1].kv_heads = 0;
  facts.state_convolution = 4;
  facts.state_width = 128;
  facts.state_length = 16;
  facts.state_groups = 2;
  const std::uint64_t state = 4 * (3 * (128 + 2 * 2 * 16) + 16 * 128);
  EXPECT_EQ(estimate_memory(facts, use_of(4096)).cache, Bytes(4096 * 256 + 2 * state));
}

TEST(Memory, OfExpertsIsThatOfThoseWhichWorkAtOnce) {
  GgufFacts facts = fixture();
  facts.vocabulary = 0;
  facts.forward = 100;
  facts.expert_forward = 400;
  facts.experts = 64;
  facts.experts_used = 8;
  EXPECT_EQ(estimate_memory(facts, use_of(0)).compute, Bytes(512 * 4 * (8 * 64 + 3 * 3200)));
}

TEST(Memory, NeverWraps) {
  GgufFacts facts;
  facts.weights = Bytes(UINT64_MAX - 5);
  facts.layers.assign(4096, GgufLayer{1U << 16U, 1U << 16U, false});
  facts.key_length = facts.value_length = 1U << 16U;
  facts.vocabulary = facts.width = facts.forward = facts.expert_forward = facts.experts_used = UINT32_MAX;
  const MemoryEstimate estimate = estimate_memory(facts, use_of(UINT32_MAX, CacheType::f16, UINT32_MAX));
  EXPECT_EQ(estimate.total(), Bytes(UINT64_MAX));
  EXPECT_GE(estimate.cache, Bytes(std::uint64_t{1} << 60U));
}

}  // namespace
}  // namespace lmsb::model
