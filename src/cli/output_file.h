#pragma once
// output_file: where a command writes what it was asked to bring.
#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>

#include "base/result.h"

namespace lmsb::cli {

// Whose the name of a file is: what stands at one that the user has not written himself may have come with an earlier
// copy, and lead to anywhere.
enum class Name : std::uint8_t { of_user, made };

// Has `fill` write to the file at `to`, which appears whole, with `mode`, or not at all. A pipe or a device that the
// user has named stays and is written to; anything else is replaced. Blocks. Errors: those of `fill`; invalid_argument
// of a directory.
Status write_file(const std::string& to, Name name, mode_t mode, const std::function<Status(int fd)>& fill);

}  // namespace lmsb::cli
