#include "control/sandbox_mounts.h"

namespace lmsb::control {

Status add_directories(sandbox::SandboxSpec& spec, const std::vector<MountRequest>& mounts) {
  for (const MountRequest& mount : mounts) {
    const auto token = sandbox::parse_mount_token(mount.token);
    if (!token) return Error(ErrorCode::invalid_argument, "malformed mount token").with_slug("invalid_mount_token");
    spec.mounts.push_back({mount.target, mount.read_only, *token, ""});
  }
  return {};
}

void add_volumes(sandbox::SandboxSpec& spec, const std::vector<MountedVolume>& volumes) {
  for (const MountedVolume& volume : volumes) spec.mounts.push_back({volume.target, volume.read_only, {}, volume.id});
}

}  // namespace lmsb::control
