#pragma once
// Memory: what a model will need of it when llama-server serves it, from the facts of its file alone. Pure.
//
//   weights   the tensors, as they stand in the file
//   cache     for each layer: cells * heads that have keys and values * (length of a key + length of a value), as
//   numbers
//             of the cache's type; f16 two octets, q8_0 34 for 32 numbers, q4_0 18 for 32. Cells are the context, for
//             each slot a multiple of 256; a layer with a window has no more a slot than the window and a batch. A
//             layer that keeps a state has that, once a slot, in numbers of four octets.
//   compute   batch * (2 * cells of a slot + 4 * the widest step), where that is the vocabulary, or 8 widths and 3 of
//             what goes forward
//   server    32 MiB, and 512 octets for each word of the vocabulary
//
// How far off: weights and cache are what llama-server 0.7 reports, compute is up to one half above it (tiny models:
// more). The sum is too high for models that share keys and values between layers or compress them (MLA), and for
// windows that are not known of. It is too low for what is not counted: a projector, a second copy of weights that a
// processor wants in another order (at most as much again), and what a GPU's driver takes.
#include <cstdint>

#include "base/units.h"
#include "model/gguf.h"

namespace lmsb::model {

enum class CacheType : std::uint8_t { f16, q8_0, q4_0 };

// How it is served.
struct MemoryUse {
  std::uint32_t context = 4096;  // tokens, of all slots together
  std::uint32_t slots = 1;       // answers at once
  CacheType cache = CacheType::f16;
};

struct MemoryEstimate {
  Bytes weights;
  Bytes cache;
  Bytes compute;
  Bytes server;
  Bytes total() const;
};

// Whatever the facts are, no sum wraps: it ends at the largest number.
MemoryEstimate estimate_memory(const GgufFacts& facts, const MemoryUse& use);

}  // namespace lmsb::model
