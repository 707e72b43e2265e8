#include "base/assert.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace lmsb {

void assertion_failed(const char* expression, const char* file, int line) {
  char text[512];
  const int size = std::snprintf(text, sizeof text, "lm-sandbox: bug: %s at %s:%d\n", expression, file, line);
  if (size > 0)
    (void)!::write(STDERR_FILENO, text, static_cast<std::size_t>(size) < sizeof text ? size : sizeof text - 1);
  std::abort();
}

}  // namespace lmsb
