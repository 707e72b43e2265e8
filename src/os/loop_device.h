#pragma once
// LoopDevice: a file as a block device (loop(4)). There is one device a file: two would be two file systems that know
// nothing of each other, on the same blocks.
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::os {

// Owns a descriptor of the device. The kernel detaches the file when nobody has the device open or mounted any more.
struct LoopDevice {
  UniqueFd fd;
  std::string path;     // "/dev/loop3"
  bool had_it = false;  // the file was attached already: somebody has the device open, or mounted
};

// The device of `file`, an open regular file: the one that has it already, or a free one. Who else could attach the
// file at the same time must be kept out by the caller. Needs CAP_SYS_ADMIN; blocks for a moment.
Result<LoopDevice> attach_loop_device(int file);

}  // namespace lmsb::os
