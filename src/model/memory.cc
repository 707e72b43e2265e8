#include "model/memory.h"

#include <algorithm>

namespace lmsb::model {
namespace {

constexpr std::uint64_t kBatch = 512;  // tokens that are computed at once
constexpr std::uint64_t kCells = 256;  // of which a slot has a multiple

std::uint64_t add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

std::uint64_t in_cells(std::uint64_t tokens) { return (tokens + kCells - 1) / kCells * kCells; }

// Octets of so many numbers in a row.
std::uint64_t row_of(CacheType type, std::uint64_t numbers) {
  const std::uint64_t blocks = (numbers + 31) / 32;
  switch (type) {
    case CacheType::f16: return 2 * numbers;
    case CacheType::q8_0: return 34 * blocks;
    case CacheType::q4_0: return 18 * blocks;
  }
  return 4 * numbers;
}

std::uint64_t cache_of(const GgufFacts& facts, const GgufLayer& layer, std::uint64_t cells, CacheType type) {
  const bool is_windowed = layer.is_windowed;
  const std::uint64_t key = is_windowed && facts.window_key_length > 0 ? facts.window_key_length : facts.key_length;
  const std::uint64_t value =
      is_windowed && facts.window_value_length > 0 ? facts.window_value_length : facts.value_length;
  if (is_windowed) cells = std::min(cells, in_cells(facts.window + kBatch));
  const std::uint64_t row = row_of(type, layer.kv_heads * key) + row_of(type, layer.kv_heads * value);
  return multiply(cells, row);
}

// Of a layer that has no keys and values.
std::uint64_t state_of(const GgufFacts& facts) {
  const std::uint64_t kept = facts.state_convolution > 0 ? facts.state_convolution - 1 : 0;
  const std::uint64_t groups = multiply(2 * std::uint64_t{facts.state_groups}, facts.state_length);
  const std::uint64_t numbers =
      add(multiply(kept, add(facts.state_width, groups)), multiply(facts.state_length, facts.state_width));
  return multiply(4, numbers);
}

std::uint64_t compute_of(const GgufFacts& facts, std::uint64_t cells) {
  const std::uint64_t expert = facts.expert_forward > 0 ? facts.expert_forward : facts.forward;
  const std::uint64_t forward = std::max<std::uint64_t>(facts.forward, multiply(expert, facts.experts_used));
  const std::uint64_t layer = add(8 * std::uint64_t{facts.width}, multiply(3, forward));
  const std::uint64_t widest = std::max<std::uint64_t>(facts.vocabulary, layer);
  return multiply(kBatch, add(2 * cells, multiply(4, widest)));
}

}  // namespace

Bytes MemoryEstimate::total() const {
  return Bytes(add(add(weights.count(), cache.count()), add(compute.count(), server.count())));
}

MemoryEstimate estimate_memory(const GgufFacts& facts, const MemoryUse& use) {
  const std::uint64_t slots = std::max<std::uint32_t>(use.slots, 1);
  const std::uint64_t cells = in_cells((use.context + slots - 1) / slots);
  std::uint64_t cache = 0;
  for (const GgufLayer& layer : facts.layers)
    cache = add(cache, layer.kv_heads > 0 ? cache_of(facts, layer, cells, use.cache) : state_of(facts));
  MemoryEstimate estimate;
  estimate.weights = facts.weights;
  estimate.cache = Bytes(multiply(cache, slots));
  estimate.compute = Bytes(compute_of(facts, cells));
  estimate.server = Bytes(Bytes::MiB(32).count() + 512 * std::uint64_t{facts.vocabulary});
  return estimate;
}

}  // namespace lmsb::model
