// Text at the border of the program: base64 of files and stdin, octets that may not be UTF-8.
#include <algorithm>

#include "base/text.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = lmsb::fuzz::text_of(data, size);
  if (const auto decoded = lmsb::base64_decode(text))  // spare bits at the end may differ
    LMSB_ASSERT(lmsb::base64_encode(*decoded).size() == text.size() && decoded->size() <= text.size() / 4 * 3);
  LMSB_ASSERT(lmsb::base64_decode(lmsb::base64_encode(text)) == text);
  const std::string repaired = lmsb::to_utf8(text);
  LMSB_ASSERT(lmsb::is_utf8(repaired) && (!lmsb::is_utf8(text) || repaired == text));
  const std::string shown = lmsb::quoted(text);
  LMSB_ASSERT(std::none_of(shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }));
  return 0;
}
