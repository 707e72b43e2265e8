#pragma once
// ModelDetails: all that is known of a local model, and what memory it takes to serve it.
#include <cstdint>
#include <string>
#include <vector>

#include "model/memory.h"

namespace lmsb::control {

// To serve it with so much context.
struct ModelMemory {
  std::uint32_t context = 0;       // tokens of all requests together
  model::MemoryEstimate estimate;  // with the cache that runners have: f16
  Bytes q8_0_cache;                // and what it would be as these
  Bytes q4_0_cache;
};

struct ModelDetails {
  std::string id;
  bool loaded = false;
  bool is_demonstration = false;
  model::GgufFacts facts;
  std::vector<ModelMemory> memory;  // of a few contexts; none where the file does not say enough
};

// For 4096, 8192 and all the tokens that it was made for. None of what is no whole model, or does not say its shape.
std::vector<ModelMemory> memory_of(const model::GgufFacts& facts);

}  // namespace lmsb::control
