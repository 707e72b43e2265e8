// What the native runtime needs of the kernel. Found by trying where that is possible.
#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "cli/doctor.h"
#include "os/user_namespaces.h"

namespace lmsb::cli {
namespace {

constexpr const char* kGroup = "Kernel";
constexpr const char* kNewerKernel =
    "install a newer kernel, then restart: sudo apt install --install-recommends linux-image-amd64";

os::ReadFile reader(Machine& machine) {
  return [&machine](const std::string& path) { return machine.read_file(path); };
}

// "6.1.0-18-amd64" -> {6, 1}; zeros for what is no number.
std::pair<int, int> version_of(const std::string& release) {
  std::pair<int, int> version{0, 0};
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ptr < end && *major.ptr == '.') std::from_chars(major.ptr + 1, end, version.second);
  return version;
}

Finding look_version(Machine& machine) {
  const std::string release = machine.kernel_release();
  if (version_of(release) >= std::pair{5, 15}) return {Outcome::ok, release};
  return {Outcome::missing, release, kNewerKernel};
}

Finding look_user_namespaces(Machine& machine) {
  if (const auto fault = os::fault_for_root(reader(machine))) return {Outcome::missing, fault->what, fault->mend};
  const Trial trial = machine.try_feature(Feature::user_namespace);
  if (trial.outcome == Trial::Outcome::works) return {Outcome::ok, ""};
  if (!machine.is_root()) {
    if (const auto fault = os::fault_for_users(reader(machine))) return {Outcome::missing, fault->what, fault->mend};
  }
  const std::string container = "in a container, start it with the right to make them (docker run --privileged)";
  const auto profile = os::confinement_fault(reader(machine));
  if (!profile) return {Outcome::missing, trial.why, container};
  return {Outcome::missing, trial.why + ", under " + profile->what, profile->mend + "   # " + container};
}

// Debian's switch and Ubuntu's limit concern normal users only: the daemon's root part is above them.
Finding look_unprivileged_clone(Machine& machine) {
  const auto value = machine.read_file("/proc/sys/kernel/unprivileged_userns_clone");
  if (!value || !value->starts_with('0')) return {Outcome::ok, ""};
  const std::string mend = "sudo sysctl -w kernel.unprivileged_userns_clone=1";
  if (machine.is_root())
    return {Outcome::not_needed, "kernel.unprivileged_userns_clone is 0; only rootless use needs it", mend};
  return {Outcome::missing, "kernel.unprivileged_userns_clone is 0", mend};
}

Finding look_apparmor(Machine& machine) {
  const auto fault = os::apparmor_fault(reader(machine));
  if (!fault) return {Outcome::ok, ""};
  if (machine.is_root()) return {Outcome::not_needed, fault->what + "; only rootless use needs it", fault->mend};
  return {Outcome::missing, fault->what, fault->mend};
}

// A feature that is found by trying; `mend` is for when it fails.
std::function<Finding(Machine&)> look_feature(Feature feature, std::string mend) {
  return [feature, mend = std::move(mend)](Machine& machine) -> Finding {
    const Trial trial = machine.try_feature(feature);
    if (trial.outcome == Trial::Outcome::works) return {Outcome::ok, ""};
    if (trial.outcome == Trial::Outcome::unknown) return {Outcome::ok, "not tried: " + trial.why};
    return {Outcome::missing, trial.why, mend};
  };
}

Finding look_landlock(Machine& machine) {
  const int abi = machine.landlock_abi();
  if (abi == 0) {
    return {
        Outcome::missing, "the kernel has it not, or it is not enabled",
        "add landlock to the kernel's lsm= list: sudo sed -i 's/GRUB_CMDLINE_LINUX=\"/&lsm=landlock,yama,apparmor /' "
        "/etc/default/grub && sudo update-grub && sudo reboot"};
  }
  const std::string detail = "ABI " + std::to_string(abi);
  if (abi < 6) return {Outcome::weaker, detail + ", 6 is better (kernel 6.12)", kNewerKernel};
  return {Outcome::ok, detail};
}

struct Mount {
  std::string target;
  std::string type;
  std::string options;
};

std::vector<Mount> cgroup_mounts(Machine& machine) {
  std::istringstream lines(machine.read_file("/proc/self/mounts").value_or(""));
  std::vector<Mount> mounts;
  std::string source;
  std::string rest;
  for (Mount mount; lines >> source >> mount.target >> mount.type >> mount.options && std::getline(lines, rest);) {
    if (mount.type == "cgroup" || mount.type == "cgroup2") mounts.push_back(mount);
  }
  return mounts;
}

// Whether `list`, separated by `separator`, has `word`.
bool lists(const std::string& list, char separator, const std::string& word) {
  std::istringstream items(list);
  for (std::string item; std::getline(items, item, separator);) {
    if (item.substr(0, item.find('\n')) == word) return true;
  }
  return false;
}

Finding look_cgroup2(Machine& machine) {
  for (const Mount& mount : cgroup_mounts(machine)) {
    if (mount.type == "cgroup2") return {Outcome::ok, mount.target};
  }
  return {Outcome::missing, "no cgroup2 is mounted",
          "sudo mkdir -p /sys/fs/cgroup/unified && sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"};
}

// Whether controller `name` is to be had, on v2 or on a v1 hierarchy.
bool has_controller(Machine& machine, const std::vector<Mount>& mounts, const std::string& name) {
  for (const Mount& mount : mounts) {
    const bool v2 = mount.type == "cgroup2";
    if (v2 && lists(machine.read_file(mount.target + "/cgroup.controllers").value_or(""), ' ', name)) return true;
    if (!v2 && lists(mount.options, ',', name)) return true;
  }
  return false;
}

constexpr const char* kCgroupV2Alone =
    "sudo sed -i 's/GRUB_CMDLINE_LINUX=\"/&cgroup_enable=memory systemd.unified_cgroup_hierarchy=1 /' "
    "/etc/default/grub "
    "&& sudo update-grub && sudo reboot";
constexpr const char* kDelegate =
    "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | "
    "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload   # then log in anew";

// What a user's daemon says that it lacks. Controllers of v1 are nobody's but root's.
Finding look_delegated(Machine& machine, const std::vector<Mount>& mounts) {
  std::string lacks;
  for (const std::string& what : machine.try_sandbox().weaker)
    if (what.find("was not delegated") != std::string::npos) lacks += (lacks.empty() ? "" : "; ") + what;
  if (lacks.empty()) return {Outcome::ok, "memory, pids, cpu"};
  const bool is_v2_alone =
      std::all_of(mounts.begin(), mounts.end(), [](const Mount& m) { return m.type == "cgroup2"; });
  return {Outcome::weaker, lacks, is_v2_alone ? kDelegate : kCgroupV2Alone};
}

Finding look_controllers(Machine& machine) {
  const std::vector<Mount> mounts = cgroup_mounts(machine);
  std::string absent;
  for (const char* name : {"memory", "pids", "cpu"}) {
    if (!has_controller(machine, mounts, name)) absent += (absent.empty() ? "" : ", ") + std::string(name);
  }
  if (!absent.empty()) return {Outcome::missing, "not there: " + absent, kCgroupV2Alone};
  return machine.is_root() ? Finding(Outcome::ok, "memory, pids, cpu") : look_delegated(machine, mounts);
}

}  // namespace

std::vector<Check> kernel_checks() {
  return {
      {"kernel.version", kGroup, "Linux 5.15 or newer", look_version},
      {"kernel.user_namespaces", kGroup, "user namespaces can be made", look_user_namespaces},
      {"kernel.unprivileged_userns_clone", kGroup, "Debian's switch leaves them to users", look_unprivileged_clone},
      {"kernel.apparmor_userns", kGroup, "AppArmor leaves them to our programs", look_apparmor},
      {"kernel.seccomp", kGroup, "seccomp filters", look_feature(Feature::seccomp_filter, kNewerKernel)},
      {"kernel.landlock", kGroup, "Landlock", look_landlock},
      {"kernel.overlay", kGroup, "overlay file systems", look_feature(Feature::overlay, "sudo modprobe overlay")},
      {"kernel.idmapped_mounts", kGroup, "id-mapped mounts of /usr",
       look_feature(Feature::idmapped_mount, "keep /usr on ext4, xfs, btrfs or tmpfs, with Linux 5.15 or newer")},
      {"kernel.tcp_peer", kGroup, "who calls over TCP can be known (else a key or the unix socket is needed)",
       look_feature(Feature::tcp_peer, "sudo modprobe tcp_diag")},
      {"cgroup.v2", kGroup, "the cgroup v2 hierarchy is mounted", look_cgroup2},
      {"cgroup.kill", kGroup, "cgroup.kill", look_feature(Feature::cgroup_kill, kNewerKernel)},
      {"cgroup.controllers", kGroup, "cgroup controllers", look_controllers},
  };
}

}  // namespace lmsb::cli
