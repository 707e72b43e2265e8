#pragma once
// Text at the border of the program: bytes that may not be UTF-8, base64, short forms for messages.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/utf8.h"  // is_utf8

namespace lmsb {

// `bytes` with every ill-formed sequence replaced by U+FFFD, as the Unicode standard recommends (section 3.9,
// "maximal subpart"), so that what Python and browsers decode is the same.
std::string to_utf8(std::string_view bytes);

// How many octets at the end of `bytes` begin a character whose rest is missing.
std::size_t incomplete_utf8_end(std::string_view bytes);

// Without blanks and tabs at its ends.
std::string_view trim(std::string_view text);

// RFC 4648 section 4, with padding.
std::string base64_encode(std::string_view bytes);
// Nothing when `text` is not base64 with correct padding.
std::optional<std::string> base64_decode(std::string_view text);

// How many octets the control character has that stands at `i` of UTF-8 text: 1 (also of DEL), 2 (U+0080 to U+009F,
// which terminals obey, too), or 0, it is none.
std::size_t control_size(std::string_view text, std::size_t i);

// `text` for a message: quoted, control characters escaped, cut to `max` bytes with "...".
std::string quoted(std::string_view text, std::size_t max = 80);

}  // namespace lmsb
