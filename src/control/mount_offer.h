#pragma once
// Handing a directory of the daemon's own to the launcher's mount desk, as any caller does for -v.
#include <string>

#include "io/task.h"
#include "sandbox/mount_token.h"

namespace lmsb::control {

// Opens `directory` and offers it at the desk's socket. Errors: those of opening; unavailable (no desk).
io::Task<sandbox::MountToken> offer_mount(std::string desk_socket, std::string directory);

}  // namespace lmsb::control
