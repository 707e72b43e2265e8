#pragma once
// What appears in a sandbox beside its image, as requests say it, in a spec as the launcher takes it. Pure.
#include <vector>

#include "control/control.h"
#include "sandbox/launch_plan.h"

namespace lmsb::control {

// Error: invalid_mount_token.
Status add_directories(sandbox::SandboxSpec& spec, const std::vector<MountRequest>& mounts);
void add_volumes(sandbox::SandboxSpec& spec, const std::vector<MountedVolume>& volumes);

}  // namespace lmsb::control
