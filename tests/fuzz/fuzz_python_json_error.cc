// What the original's 422 says of a body that is no JSON.
#include <algorithm>

#include "base/text.h"
#include "fuzz.h"
#include "json/value.h"
#include "server/python_json_error.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = lmsb::fuzz::text_of(data, size);
  if (!lmsb::is_utf8(text)) return 0;  // the caller has refused it already
  const auto error = lmsb::server::python_json_error(text);
  const auto is_first_octet = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
  const auto characters = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_first_octet));
  if (error) LMSB_ASSERT(error->position <= characters && !error->message.empty());
  lmsb::json::ParseFault fault;
  if (lmsb::json::Document::parse(text, fault)) LMSB_ASSERT(!error);  // Python takes all that is JSON
  return 0;
}
