#pragma once
// TensorTypes: how the numbers of a model's tensors are stored, and what files of them are called. (What the numbers
// mean is said by ggml.h and llama.h; the sizes are those of its libraries, 0.27.)
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lmsb::model {

struct TensorType {
  std::string_view name;     // "Q4_K"
  std::uint32_t block = 0;   // numbers that are stored together
  std::uint32_t octets = 0;  // of a block
};

constexpr std::size_t kTensorTypes = 43;

// By the number that a tensor has. nullptr: not known here: newer than this, no longer in use, or somebody's own.
const TensorType* find_tensor_type(std::uint32_t number);

// What a file of such tensors is called: a mixture has a name of its own.
struct FileType {
  std::string_view name;   // "Q4_K_M"
  std::uint32_t main = 0;  // number of the tensor type that it is named for
};

// By the number that `general.file_type` has. nullptr: as above.
const FileType* find_file_type(std::uint32_t number);

}  // namespace lmsb::model
