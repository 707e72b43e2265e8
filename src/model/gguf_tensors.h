#pragma once
// GgufTensors: what a GGUF file's header says of its tensors, summed up: nothing is kept of each. Private to gguf.cc.
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"
#include "model/gguf_cursor.h"
#include "model/tensor_types.h"

namespace lmsb::model {

class GgufTensors {
 public:
  // `alignment`: a power of two. The cursor stands at the first tensor.
  GgufTensors(GgufCursor& cursor, std::uint64_t alignment) : cursor_(cursor), alignment_(alignment) {}

  // False where it is cut off, or says what cannot be: then fault() says what.
  bool read_one();
  // Of all that have been read: whether a file of that size has them whole.
  bool fit(std::uint64_t file_size);
  const std::string& fault() const { return fault_; }

  std::uint64_t numbers() const { return numbers_; }
  // What they take, no more than stands behind the header; and all of that where a type of theirs is not known.
  Bytes weights(std::uint64_t file_size) const;
  // What a file of these is called that says to be of `file_type`.
  std::string quantisation(std::optional<std::uint32_t> file_type) const;

 private:
  struct Tensor {
    std::string name;
    std::uint64_t row = 1;  // numbers of it
    std::uint64_t numbers = 1;
    std::uint32_t type = 0;
    std::uint64_t offset = 0;  // from where tensors begin
    std::uint64_t size = 0;    // 0 where its type is not known
    std::uint64_t end = 0;
  };
  using Tally = std::array<std::uint64_t, kTensorTypes>;

  bool read_shape(Tensor& tensor);
  bool measure(Tensor& tensor);
  bool count(const Tensor& tensor);
  bool refuse(const Tensor& tensor, const std::string& why);
  std::uint64_t begin() const;  // of all, behind the header

  GgufCursor& cursor_;
  std::uint64_t alignment_;
  std::string fault_;
  std::uint64_t numbers_ = 0;
  std::uint64_t size_ = 0;
  Tensor last_;  // the one that ends last
  bool is_all_known_ = true;
  // Numbers in each type: of the layers' matrices, and of all.
  Tally in_layers_{};
  Tally in_all_{};
};

}  // namespace lmsb::model
