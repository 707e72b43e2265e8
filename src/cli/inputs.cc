#include "cli/inputs.h"

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/ids.h"
#include "cli/mounts_client.h"
#include "os/small_file.h"

namespace lmsb::cli {
namespace {

constexpr Bytes kMaxStdin = Bytes::MiB(16);
constexpr Bytes kMaxEnvFile = Bytes::MiB(1);
constexpr std::string_view kVolumePrefix = "vol_";  // of ids

std::optional<std::string> own_variable(const std::string& key) {
  const char* value = std::getenv(key.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Result<OfferedMount> offer_directory_of(const MountFlag& mount, const Connection& connection) {
  const auto socket = connection.mounts_socket();
  if (socket) return offer_mount(*socket, mount);
  return Error(ErrorCode::unsupported, "-v of a directory needs the daemon's unix socket, not " + connection.name())
      .with_hint("use it on the daemon's own machine, with --host unix:/run/lm-sandbox/api.sock");
}

// As with Docker, a volume that is only named is made. One named by its id is there.
Status make_volume(Connection& connection, const std::string& name) {
  if (name.starts_with(kVolumePrefix) && SandboxId::parse(name.substr(kVolumePrefix.size()))) return {};
  VolumeCreateCommand command;
  command.name = name;
  const auto made = call_json(connection, Call("POST", "/v1/volumes", volume_body(command)));
  if (made.ok() || made.error().slug() == "name_taken") return {};
  return made.error();
}

}  // namespace

Result<Variables> variables_of(const EnvFlags& flags) {
  Variables variables;
  for (const std::string& file : flags.files) {
    LMSB_TRY(const std::string content, os::read_whole_file(file, kMaxEnvFile));
    auto added = add_variables_of_file(variables, content, own_variable);
    if (!added.ok()) return std::move(added).error().with_context("--env-file " + file);
  }
  for (const std::string& text : flags.variables) LMSB_CHECK(add_variable(variables, text, own_variable));
  return variables;
}

Status check_stdin() {
  if (::fcntl(STDIN_FILENO, F_GETFD) >= 0) return {};
  return Error(ErrorCode::failed_precondition, "stdin is closed").with_hint("leave -i out, or give it </dev/null");
}

bool can_be_read_whole() {
  struct stat what {};
  if (::fstat(STDIN_FILENO, &what) < 0) return true;                // the reading says why
  if (S_ISCHR(what.st_mode)) return what.st_rdev == makedev(1, 3);  // /dev/null
  const off_t place = S_ISREG(what.st_mode) ? ::lseek(STDIN_FILENO, 0, SEEK_CUR) : -1;
  return place >= 0 && what.st_size - place <= static_cast<off_t>(kMaxStdin.count());
}

Result<std::string> read_stdin() { return os::read_to_end(STDIN_FILENO, kMaxStdin, "stdin"); }

Status take_mounts(const std::vector<MountFlag>& mounts, MissingVolumes missing, Connection& connection,
                   Inputs& inputs) {
  for (const MountFlag& mount : mounts) {
    if (mount.is_volume()) {
      if (missing == MissingVolumes::are_made) LMSB_CHECK(make_volume(connection, mount.source));
      inputs.volumes.push_back(mount);
    } else {
      LMSB_TRY(auto offered, offer_directory_of(mount, connection));
      inputs.mounts.push_back(std::move(offered));
    }
  }
  return {};
}

}  // namespace lmsb::cli
