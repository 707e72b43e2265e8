#include "control/model_details.h"

#include <set>

#include "control/llama_server.h"

namespace lmsb::control {
namespace {

Bytes cache_as(const model::GgufFacts& facts, model::MemoryUse use, model::CacheType type) {
  use.cache = type;
  return model::estimate_memory(facts, use).cache;
}

}  // namespace

std::vector<ModelMemory> memory_of(const model::GgufFacts& facts) {
  if (facts.kind != model::FileKind::model || facts.layers.empty() || facts.parts > 1) return {};
  std::set<std::uint32_t> contexts;
  for (const std::uint32_t context : {4096U, 8192U})
    if (facts.context == 0 || context < facts.context) contexts.insert(context);
  if (facts.context > 0) contexts.insert(facts.context);
  std::vector<ModelMemory> memory;
  for (const std::uint32_t context : contexts) {
    model::MemoryUse use;
    use.context = context;
    use.slots = kModelSlots;
    ModelMemory row;
    row.context = context;
    row.estimate = model::estimate_memory(facts, use);
    row.q8_0_cache = cache_as(facts, use, model::CacheType::q8_0);
    row.q4_0_cache = cache_as(facts, use, model::CacheType::q4_0);
    memory.push_back(row);
  }
  return memory;
}

}  // namespace lmsb::control
