#pragma once
// output_file: where a command writes what it was asked to bring.
#include <functional>
#include <string>
#include <sys/types.h>

#include "base/result.h"

namespace lmsb::cli {

// Has `fill` write to the file at `to`, which appears whole, with `mode`, or not at all. What is there and is no file
// (a pipe, a device) stays and is written to. Blocks. Errors: those of `fill`; invalid_argument of a directory.
Status write_file(const std::string& to, mode_t mode, const std::function<Status(int fd)>& fill);

}  // namespace lmsb::cli
