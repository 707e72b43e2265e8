#include "model/demonstration.h"

// The assembler puts the file into read-only data as it is: two megabytes as a literal (cmake/Embed.cmake is for texts)
// are slow to compile. LMSB_DEMONSTRATION_FILE: its path, from CMakeLists.txt.
asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".hidden lmsb_demonstration_begin\n"
    ".global lmsb_demonstration_begin\n"
    "lmsb_demonstration_begin:\n"
    ".incbin \"" LMSB_DEMONSTRATION_FILE
    "\"\n"
    ".hidden lmsb_demonstration_end\n"
    ".global lmsb_demonstration_end\n"
    "lmsb_demonstration_end:\n"
    ".popsection\n");

extern "C" const char lmsb_demonstration_begin[];  // NOLINT: the names that stand above
extern "C" const char lmsb_demonstration_end[];    // NOLINT

namespace lmsb::model {

std::string_view demonstration_file() {
  return {lmsb_demonstration_begin, static_cast<std::size_t>(lmsb_demonstration_end - lmsb_demonstration_begin)};
}

}  // namespace lmsb::model
