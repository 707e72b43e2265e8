#pragma once
// A pipe that is not passed on to programs by chance (O_CLOEXEC), and blocks. Never waits. Error: the kernel's.
#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::os {

struct PipeEnds {
  UniqueFd read;
  UniqueFd write;
};
Result<PipeEnds> make_pipe();

}  // namespace lmsb::os
