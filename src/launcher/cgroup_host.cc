#include "launcher/cgroup_host.h"

#include <cerrno>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "os/files.h"
#include "os/small_file.h"

namespace lmsb::launcher {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool has_own_processes(const std::string& directory) {
  struct stat processes {};
  return ::stat((directory + "/cgroup.procs").c_str(), &processes) == 0 && processes.st_uid == ::geteuid();
}

// The top of the user's: below it nobody but its owner moves processes in or out.
bool is_top_of_own(const std::string& mount_point, const std::string& path) {
  return is_own_cgroup(mount_point + path) && !has_own_processes(mount_point + path.substr(0, path.rfind('/')));
}

bool is_delegated(const std::string& mount_point, const std::string& path, Starter starter) {
  const std::string directory = mount_point + path;
  return os::has_attribute(directory, "user.delegate") || os::has_attribute(directory, "trusted.delegate") ||
         (starter == Starter::user && is_top_of_own(mount_point, path));
}

// Moves all processes of a cgroup into the leaf. Those that end meanwhile need no moving.
Status clear(int directory) {
  if (::mkdirat(directory, kSupervisorLeaf, 0755) < 0 && errno != EEXIST)
    return Error::from_errno(errno, std::string("make cgroup ") + kSupervisorLeaf);
  const UniqueFd leaf(::openat(directory, kSupervisorLeaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!leaf) return Error::from_errno(errno, std::string("open cgroup ") + kSupervisorLeaf);
  for (const std::string& pid : split(os::read_text_at(directory, "cgroup.procs"), '\n')) {
    auto moved = os::write_text_at(leaf.get(), "cgroup.procs", pid);
    if (!moved.ok() && moved.error().sys_errno() != ESRCH) return std::move(moved).error();
  }
  return {};
}

}  // namespace

// Reads /proc/self/mountinfo (proc(5)): fields before " - " end with the mount point as the fifth, after it come the
// type, the source and the super block's options.
Result<std::vector<Hierarchy>> find_hierarchies() {
  constexpr Bytes kMostMounts = Bytes::MiB(64);  // a machine has 100,000 mounts at most, unless it was told otherwise
  LMSB_TRY(const std::string mounts, os::read_whole_file("/proc/self/mountinfo", kMostMounts));
  std::vector<Hierarchy> found;
  for (const std::string& line : split(mounts, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto before = split(line.substr(0, dash), ' ');
    const auto after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    if (after[0] == "cgroup2") found.push_back({before[4], true, {}});
    if (after[0] == "cgroup") found.push_back({before[4], false, split(after[2], ',')});
  }
  return found;
}

bool is_own_cgroup(const std::string& directory) {
  struct stat place {};
  if (::stat(directory.c_str(), &place) < 0) return false;
  return place.st_uid == ::geteuid() && place.st_gid == ::getegid() && (place.st_mode & S_IWOTH) == 0 &&
         has_own_processes(directory);
}

std::string delegated_path(const std::string& mount_point, Starter starter) {
  for (const std::string& line : split(os::read_text("/proc/self/cgroup"), '\n')) {
    if (line.rfind("0::", 0) != 0 || line.size() <= 4) continue;
    std::string path = line.substr(3);
    if (is_delegated(mount_point, path, starter)) return path;
    std::string above = path.substr(0, path.rfind('/'));
    if (path == above + "/" + kSupervisorLeaf && !above.empty() && is_delegated(mount_point, above, starter))
      return above;
  }
  return "";
}

Status enable_controllers(int directory, const std::string& controllers) {
  constexpr int kTries = 8;  // processes fork while they are moved
  Status enabled;
  for (int i = 0; i < kTries; ++i) {
    enabled = os::write_text_at(directory, "cgroup.subtree_control", controllers);
    if (enabled.ok()) return {};
    if (enabled.error().sys_errno() != EBUSY) break;
    LMSB_CHECK(clear(directory));
  }
  return std::move(enabled)
      .error()
      .with_context("enable the controllers " + controllers)
      .with_hint("start lm-sandbox as a systemd service with Delegate=yes");
}

}  // namespace lmsb::launcher
