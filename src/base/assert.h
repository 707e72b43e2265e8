#pragma once
// LMSB_ASSERT: a bug is not an error. Always on; names the place on stderr and aborts.

namespace lmsb {
// Writes one line with write(2) only (safe after fork) and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}  // namespace lmsb

#define LMSB_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::lmsb::assertion_failed(#expression, __FILE__, __LINE__))
