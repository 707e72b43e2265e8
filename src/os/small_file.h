#pragma once
// small_file: whole files within a bound: of /proc and /sys, settings, what a user names.
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace lmsb::os {

// At most 256 KiB of `path`; nothing when it cannot be opened or read.
std::optional<std::string> read_small_file(const std::string& path);

// All of `path`; an Error names it and says why not, also when it is larger than `max`. Blocks.
Result<std::string> read_whole_file(const std::string& path, Bytes max);

// All of descriptor `fd` up to its end; an Error when there is more than `max`. `name` is for the message. Blocks.
Result<std::string> read_to_end(int fd, Bytes max, const std::string& name);

}  // namespace lmsb::os
