#pragma once
// GGUF facts: what there is to know of a model file before a runner loads it. A bounded reader: the file is hostile
// input, nothing in it decides how much memory is used, and no number of it is believed that cannot be true.
// (The format: ggml's docs/gguf.md.)
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::model {

enum class FileKind : std::uint8_t {
  model,      // of a language
  projector,  // what a model sees or hears with, beside it ("mmproj")
  adapter,    // changes to a model (LoRA)
  other
};
std::string_view to_string(FileKind kind);

// Of attention. What a file says once for all layers stands in each.
struct GgufLayer {
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;  // 0 = it keeps no keys and values
  bool is_windowed = false;    // it looks back no further than `window`
};

// A number that the file does not say is 0, a text "". Texts are UTF-8 without control characters, of at most 256
// octets in the file; a longer one is as if it were not there.
struct GgufFacts {
  std::uint32_t version = 0;  // of the format
  Bytes size;                 // of the file
  FileKind kind = FileKind::model;
  std::string name;
  std::string architecture;
  std::string size_label;  // "8B"
  std::string license;     // "apache-2.0"
  std::string tokenizer;   // "gpt2"
  // "Q4_K_M": as the file says, or the type of most weights where they are not of what it says.
  std::string quantisation;
  bool has_chat_template = false;
  std::string chat_template;  // "" also where it is longer than 64 KiB in the file

  std::uint64_t tensors = 0;     // in this file, as all below are
  std::uint64_t parameters = 0;  // numbers in them
  Bytes weights;            // what they take; where a type of theirs is not known, all that stands behind the header
  std::uint32_t part = 0;   // of a model in several files: which of them this is, from 0
  std::uint32_t parts = 0;  // and how many there are; 0 and 1: it is whole

  std::uint32_t context = 0;  // tokens that it was made for
  std::uint32_t vocabulary = 0;
  std::uint32_t width = 0;    // "embedding_length"
  std::uint32_t forward = 0;  // "feed_forward_length", the largest of a layer
  std::vector<GgufLayer> layers;
  std::uint32_t key_length = 0;  // numbers of a head
  std::uint32_t value_length = 0;
  std::uint32_t window = 0;  // tokens; 0 = none that is known of
  std::uint32_t window_key_length = 0;
  std::uint32_t window_value_length = 0;
  std::uint32_t experts = 0;
  std::uint32_t experts_used = 0;    // for a token
  std::uint32_t expert_forward = 0;  // as `forward`, of an expert
  // Of layers that keep a state instead of keys and values (ssm.*).
  std::uint32_t state_convolution = 0;
  std::uint32_t state_width = 0;
  std::uint32_t state_length = 0;
  std::uint32_t state_groups = 0;
};

// Blocking; reads the header, at most 64 MiB. Errors: not_found, invalid_argument with slug "not_a_model": not GGUF,
// cut off (in its header, or before the end of its tensors), or saying what cannot be.
Result<GgufFacts> read_gguf(const std::string& path);

}  // namespace lmsb::model
