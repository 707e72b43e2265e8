// The check that decides: a real sandbox, made and used and gone.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "cli/doctor.h"

namespace lmsb::cli {
namespace {

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

Finding look_sandbox(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (!trial.works) return {Outcome::missing, trial.why, trial.hint};
  std::string detail = fmt::format("{:.1f} ms with {}", trial.wall_ms, trial.daemon);
  if (!trial.image.empty()) detail += ", image " + trial.image;
  if (!trial.isolation.empty()) detail += "; layers: " + joined(trial.isolation, ", ");
  return {Outcome::ok, detail};
}

// What the daemon misses, it says itself: the checks below have the commands.
Finding look_layers(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (!trial.works) return {Outcome::not_needed, "there is no sandbox to ask"};
  if (trial.weaker.empty()) return {Outcome::ok, ""};
  return {Outcome::weaker, joined(trial.weaker, "; ")};
}

bool has_btrfs(Machine& machine) {
  const auto mentions = [&machine](const std::string& file, const char* what) {
    const auto text = machine.read_file(file);
    return text && text->find(what) != std::string::npos;
  };
  const std::string modules = "/lib/modules/" + machine.kernel_release() + "/modules.";
  return mentions("/proc/filesystems", "\tbtrfs\n") || mentions(modules + "dep", "/btrfs.ko") ||
         mentions(modules + "builtin", "/btrfs.ko");
}

// What a store is made with (launcher/disk_store.h). Room for one the daemon looks for, and says in its log.
Finding look_disks(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (trial.works && !trial.store_works)
    return {Outcome::missing, "the disk beneath the store has failed; what needs it is refused (store_failed)",
            "dmesg says what; mend that, stop all kept sandboxes and start the daemon again"};
  const auto lie_in_memory = [](const std::string& text) {
    return text.starts_with("the disks of kept sandboxes lie");
  };
  if (!machine.is_root() && std::any_of(trial.weaker.begin(), trial.weaker.end(), lie_in_memory))
    return {Outcome::weaker, "a daemon that runs without root has no store: they lie in memory",
            "sudo lm-sandbox serve"};
  const char* lost = "; what kept sandboxes write lies in memory and ends with their processes";
  const auto is_there = [&machine](const char* path) { return machine.exists(path); };
  constexpr std::array kPrograms = {"/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs"};
  if (std::none_of(kPrograms.begin(), kPrograms.end(), is_there))
    return {Outcome::weaker, std::string("the program mkfs.btrfs is missing") + lost, "apt-get install btrfs-progs"};
  if (!has_btrfs(machine))
    return {Outcome::weaker, std::string("this kernel has no btrfs") + lost, "boot a kernel of the distribution"};
  if (!is_there("/dev/loop-control"))
    return {Outcome::weaker, std::string("there are no loop devices") + lost, "modprobe loop"};
  return {Outcome::ok, ""};
}

// What a daemon that runs says of its own, else what the file looks like to who may read it.
Finding look_database(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (trial.works && !trial.database_works)
    return {
        Outcome::missing, "the database of what is kept cannot be written; changes are refused (store_full)",
        "make room on the file system of the data directory (df), or remove what is kept; the daemon's log says more"};
  const std::string path = machine.data_directory() + "/state/sandboxes.db";
  const std::string mend = "put a good copy in its place, or see docs/user/lifecycle.md, When the database is lost";
  const auto begin = machine.read_file(path);
  if (begin && !begin->starts_with("SQLite format 3"))
    return {Outcome::missing, path + " is no database: the daemon does not start with it where something is kept",
            mend};
  if (!begin && machine.exists(machine.data_directory() + "/disks/store.img") && !machine.exists(path))
    return {Outcome::missing,
            path + " is not there, but a store is: the daemon does not start where that has something", mend};
  return {Outcome::ok, ""};
}

// What the daemon read at its start, of CDI files.
Finding look_devices(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (!trial.works) return {Outcome::not_needed, "there is no sandbox to ask"};
  if (!trial.device_faults.empty())
    return {Outcome::weaker, joined(trial.device_faults, "; "), "see docs/user/gpus.md; then start the daemon again"};
  if (!trial.devices.empty()) return {Outcome::ok, joined(trial.devices, ", ")};
  if (!machine.exists("/dev/nvidiactl"))
    return {Outcome::not_needed, "no file in /etc/cdi or /var/run/cdi describes any"};
  return {Outcome::weaker, "there is a GPU of NVIDIA, and no file in /etc/cdi or /var/run/cdi describes it",
          "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"};
}

}  // namespace

std::vector<Check> sandbox_checks() {
  return {{"sandbox.run", "Sandboxes", "a command runs in a throw-away sandbox", look_sandbox},
          {"sandbox.layers", "Sandboxes", "every layer of isolation is in force", look_layers},
          {"sandbox.disks", "Sandboxes", "disks of kept sandboxes outlive their processes", look_disks},
          {"sandbox.devices", "Sandboxes", "devices of the machine can be given to sandboxes", look_devices},
          {"sandbox.database", "Sandboxes", "what is known of kept sandboxes can be read and written", look_database}};
}

}  // namespace lmsb::cli
