#pragma once
// image.json: an Image as text, and back. Unknown keys are refused: a newer file may mean something by them. So is an
// image whose files belong to another range of ids (`id_base`) than this version's.
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/store.h"

namespace lmsb::image {

constexpr std::size_t kImageJsonMax = 64 * 1024;  // bytes

// One key a line, so that a person can read it. `rootfs` is not stored: it follows from where the file lies.
std::string format_image(const Image& image);

// Errors name the key. Checks every field: what it returns obeys store.h.
Result<Image> parse_image(std::string_view text);

}  // namespace lmsb::image
