#pragma once
// GGUF facts: what the daemon needs to know of a model file before a runner loads it. A bounded reader: the file is
// hostile input, nothing in it decides how much memory is used. (The format: ggml's docs/gguf.md.)
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::model {

struct GgufFacts {
  std::uint32_t version = 0;
  std::string name;          // general.name; "" = none
  std::string architecture;  // general.architecture
  bool has_chat_template = false;
  Bytes size;  // of the file
};

// Blocking; reads at most the first 64 MiB. Errors: not_found, invalid_argument with slug "not_a_model" (not GGUF, or
// cut off within its header).
Result<GgufFacts> read_gguf(const std::string& path);

}  // namespace lmsb::model
