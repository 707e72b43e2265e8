// Patterns and texts of glob and grep: matched inside the sandbox, in bounded time and memory.
#include <algorithm>
#include <memory>

#include "fuzz.h"
#include "guest/glob.h"
#include "guest/owner_names.h"
#include "guest/regex.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lmsb::guest;
  lmsb::fuzz::Input input(data, std::min<std::size_t>(size, 2000));
  const std::string_view pattern = input.take(input.octet());
  const std::string_view text = input.rest();
  static const auto regex = std::make_unique<Regex>();
  if (regex->compile(pattern, LetterCase::any)) {
    const bool found = regex->is_in(text);
    LMSB_ASSERT(regex->is_in(text) == found);
  }
  const Glob glob(pattern);
  if (glob.is_valid()) (void)glob.next(glob.start(), text);
  (void)name_matches(pattern, text);
  LMSB_ASSERT(find_owner_name(text, 1000).size() <= 255);
  return 0;
}
