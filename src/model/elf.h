#pragma once
// ELF facts: which shared libraries a program or library asks for, read from the file itself. The program is not run,
// and nothing in it decides how much memory is used: it may be anybody's. (The format: elf(5).)
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::model {

struct ElfFacts {
  std::string interpreter;          // the dynamic loader; "" = none
  std::vector<std::string> needed;  // as written: "libllama.so.0"
  std::string soname;               // what programs ask for a library by; "" = none
  std::string rpath;                // as written: directories with ':' between, "$ORIGIN" in them
  std::string runpath;
};

// Blocking. Nothing for a file that is no ELF file of this machine's kind (a script). Errors: not_found,
// permission_denied, invalid_argument with the slug "not_a_program" (ELF, but damaged or with more than 512 libraries).
Result<std::optional<ElfFacts>> read_elf(const std::string& path);

}  // namespace lmsb::model
