#include "base/utf8.h"

namespace lmsb {
namespace {

unsigned char at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

}  // namespace

// By table 3-7 of the Unicode standard.
Utf8Sequence read_utf8_sequence(std::string_view s, std::size_t i) {
  const unsigned char lead = at(s, i);
  if (lead < 0x80) return {1, true};
  std::size_t need = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    need = 1;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    need = 2;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    need = 3;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false};
  }
  for (std::size_t k = 1; k <= need; ++k) {
    if (i + k >= s.size() || at(s, i + k) < low || at(s, i + k) > high) return {k, false};
    low = 0x80;
    high = 0xBF;
  }
  return {need + 1, true};
}

bool is_utf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const Utf8Sequence sequence = read_utf8_sequence(bytes, i);
    if (!sequence.well_formed) return false;
    i += sequence.length;
  }
  return true;
}

}  // namespace lmsb
