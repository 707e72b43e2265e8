#pragma once
// image_directory: the directory of stored images, which no user of the machine may enter.
//
// Files in it have setuid bits and belong to the image range: whoever could execute them by their path would become the
// owner of all images. So it is of root and of a group that no account has, whose only member is the daemon's process,
// which reads the images' facts. Sandboxes get at their files by mounts that the launcher makes.
#include <string>
#include <sys/types.h>

#include "base/result.h"
#include "sandbox/id_ranges.h"

namespace lmsb::sandbox {

constexpr gid_t kImagesGid = kDaemonId;

// Makes the directory, and those above it, when it is missing; in any case it is closed (0750) to all but root and
// kImagesGid afterwards. A caller who is not root keeps it for its own group. Blocks.
Status make_image_directory(const std::string& path);

}  // namespace lmsb::sandbox
