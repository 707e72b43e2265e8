#pragma once
// UTF-8, looked at without making anything of it: the guest is linked with this. Pure.
#include <cstddef>
#include <string_view>

namespace lmsb {

struct Utf8Sequence {
  std::size_t length;  // of the whole well-formed sequence, or of its maximal ill-formed part
  bool well_formed;
};

// The sequence that starts at `i`, which is in `s`.
Utf8Sequence read_utf8_sequence(std::string_view s, std::size_t i);

bool is_utf8(std::string_view bytes);

}  // namespace lmsb
