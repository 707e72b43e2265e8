#include "control/model_details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/machine.h"
#include "control/runner.h"

namespace lmsb::control {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Llama 3 8B.
model::GgufFacts facts_of(std::uint32_t context) {
  model::GgufFacts facts;
  facts.size = facts.weights = Bytes::MiB(64);
  facts.context = context;
  facts.vocabulary = 128'256;
  facts.width = 4096;
  facts.forward = 14'336;
  facts.layers.assign(32, model::GgufLayer{32, 8, false});
  facts.key_length = facts.value_length = 128;
  return facts;
}

std::vector<std::uint32_t> contexts_of(const model::GgufFacts& facts) {
  std::vector<std::uint32_t> contexts;
  for (const ModelMemory& row : memory_of(facts)) contexts.push_back(row.context);
  return contexts;
}

TEST(ModelMemory, IsSaidForUsualContextsAndForAllOfIt) {
  EXPECT_THAT(contexts_of(facts_of(131'072)), ElementsAre(4096, 8192, 131'072));
  EXPECT_THAT(contexts_of(facts_of(8192)), ElementsAre(4096, 8192));
  EXPECT_THAT(contexts_of(facts_of(2048)), ElementsAre(2048));
  EXPECT_THAT(contexts_of(facts_of(0)), ElementsAre(4096, 8192));
}

TEST(ModelMemory, NamesTheCacheAsEachType) {
  const ModelMemory row = memory_of(facts_of(4096)).front();
  EXPECT_EQ(row.estimate.cache, Bytes::MiB(512));
  EXPECT_EQ(row.q8_0_cache, Bytes::MiB(272));
  EXPECT_EQ(row.q4_0_cache, Bytes::MiB(144));
}

TEST(ModelMemory, IsNotSaidOfWhatIsNoWholeModel) {
  model::GgufFacts shapeless = facts_of(4096);
  shapeless.layers.clear();
  model::GgufFacts part = facts_of(4096);
  part.parts = 2;
  model::GgufFacts projector = facts_of(4096);
  projector.kind = model::FileKind::projector;
  for (const auto& facts : {shapeless, part, projector}) EXPECT_THAT(memory_of(facts), IsEmpty());
}

TEST(RunnerLimits, HaveRoomForTheContextThatIsAskedFor) {
  model::Model model;
  model.facts = facts_of(131'072);
  const auto memory = [&model](std::uint32_t context) { return Runner::limits_for(model, context).memory; };
  const auto at_most_all = [](Bytes bytes) { return std::min(bytes, machine_memory()); };
  EXPECT_EQ(memory(4096), at_most_all(Bytes::MiB(2 * 64 + 2048)));
  EXPECT_EQ(memory(131'072),
            at_most_all(Bytes(Bytes::MiB(64).count() + memory_of(model.facts)[2].estimate.total().count())));
  model.facts.weights = Bytes(UINT64_MAX);  // whatever a file says
  EXPECT_EQ(memory(4096), machine_memory());
}

}  // namespace
}  // namespace lmsb::control
