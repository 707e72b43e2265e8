#include "model/gguf_tensors.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace lmsb::model {
namespace {

constexpr std::uint64_t kMaxName = 256;
constexpr std::uint32_t kMaxDimensions = 4;

// Embeddings are often of another type than the rest, and weigh much in small models; norms are never of it.
bool is_matrix_of_layer(std::string_view name) {
  return name.starts_with("blk.") && name.ends_with(".weight") && name.find("norm") == std::string_view::npos;
}

}  // namespace

bool GgufTensors::read_one() {
  Tensor tensor;
  if (!cursor_.text(tensor.name, kMaxName) || !read_shape(tensor)) return false;
  if (!cursor_.read(tensor.type) || !cursor_.read(tensor.offset)) return false;
  if (tensor.offset % alignment_ != 0) return refuse(tensor, "begins at no boundary");
  if (!measure(tensor) || !count(tensor)) return false;
  if (tensor.end >= last_.end) last_ = std::move(tensor);
  return true;
}

bool GgufTensors::read_shape(Tensor& tensor) {
  std::uint32_t dimensions = 0;
  if (!cursor_.read(dimensions)) return false;
  if (dimensions > kMaxDimensions) return refuse(tensor, "has more than four dimensions");
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    std::uint64_t size = 0;
    if (!cursor_.read(size)) return false;
    if (i == 0) tensor.row = size;
    if (__builtin_mul_overflow(tensor.numbers, size, &tensor.numbers)) return refuse(tensor, "is larger than can be");
  }
  return true;
}

bool GgufTensors::measure(Tensor& tensor) {
  const TensorType* const type = find_tensor_type(tensor.type);
  if (type == nullptr) {
    is_all_known_ = false;
    tensor.end = tensor.offset;
    return true;
  }
  if (tensor.row % type->block != 0)
    return refuse(tensor, "has rows that cannot be of type " + std::string(type->name));
  if (__builtin_mul_overflow(tensor.numbers / type->block, std::uint64_t{type->octets}, &tensor.size) ||
      __builtin_add_overflow(tensor.offset, tensor.size, &tensor.end))
    return refuse(tensor, "is larger than can be");
  return true;
}

bool GgufTensors::count(const Tensor& tensor) {
  if (__builtin_add_overflow(numbers_, tensor.numbers, &numbers_) || __builtin_add_overflow(size_, tensor.size, &size_))
    return refuse(tensor, "and those before it are larger than can be");
  if (tensor.type >= kTensorTypes) return true;
  in_all_[tensor.type] += tensor.numbers;
  if (is_matrix_of_layer(tensor.name)) in_layers_[tensor.type] += tensor.numbers;
  return true;
}

bool GgufTensors::refuse(const Tensor& tensor, const std::string& why) {
  fault_ = "its tensor " + quoted(tensor.name) + " " + why;
  return false;
}

std::uint64_t GgufTensors::begin() const { return (cursor_.at() + alignment_ - 1) & ~(alignment_ - 1); }

bool GgufTensors::fit(std::uint64_t file_size) {
  if (numbers_ == 0) return true;
  std::uint64_t end = 0;
  if (__builtin_add_overflow(begin(), last_.end, &end)) return refuse(last_, "is larger than can be");
  if (end <= file_size) return true;
  fault_ = "it is cut off: its tensor " + quoted(last_.name) + " ends at octet " + std::to_string(end) +
           ", and the file has " + std::to_string(file_size);
  return false;
}

Bytes GgufTensors::weights(std::uint64_t file_size) const {
  const std::uint64_t there = file_size - std::min(file_size, begin());
  return Bytes(is_all_known_ ? std::min(size_, there) : there);
}

std::string GgufTensors::quantisation(std::optional<std::uint32_t> file_type) const {
  const bool has_layers = std::any_of(in_layers_.begin(), in_layers_.end(), [](std::uint64_t n) { return n > 0; });
  const Tally& tally = has_layers ? in_layers_ : in_all_;
  const auto most = std::max_element(tally.begin(), tally.end());
  const FileType* const said = file_type ? find_file_type(*file_type) : nullptr;
  if (said != nullptr && (tally[said->main] > 0 || *most == 0)) return std::string(said->name);
  const TensorType* const type =
      *most == 0 ? nullptr : find_tensor_type(static_cast<std::uint32_t>(most - tally.begin()));
  return type == nullptr ? "" : std::string(type->name);
}

}  // namespace lmsb::model
