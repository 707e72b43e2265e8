// lm-sandbox-launcher: the privileged program: parent and launcher. Started by `lm-sandbox serve` as root, or with
// --rootless by a user, with a fixed set of options; the daemon's command follows `--`.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

#include "launcher/handed_files.h"
#include "launcher/parent.h"
#include "os/usual_signals.h"
#include "sandbox/own_namespace.h"

namespace {

int usage(const std::string& what) {
  std::fprintf(stderr, "lm-sandbox-launcher: %s (this program is started by `lm-sandbox serve`)\n", what.c_str());
  return 2;
}

// What one sandbox may have at most, as the settings say; 0 as there.
bool set_cap(lmsb::launcher::Caps& caps, const std::string& name, const std::string& value) {
  const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (name == "--max-memory")
    caps.memory_bytes = number;
  else if (name == "--max-cpu-millis")
    caps.cpu_millis = static_cast<std::uint32_t>(number);
  else if (name == "--max-processes")
    caps.processes = static_cast<std::uint32_t>(number);
  else if (name == "--max-disk")
    caps.disk_bytes = number;
  else
    return false;
  return true;
}

// Descriptors that the daemon has, too.
bool take_daemon_fd(lmsb::launcher::ParentOptions& options, const std::string& name, const std::string& value,
                    int& devices) {
  if (name != "--daemon-fd" && name != "--ready-fd" && name != "--devices-fd") return false;
  const int fd = static_cast<int>(std::strtol(value.c_str(), nullptr, 10));
  options.daemon_fds.push_back(fd);
  if (name == "--ready-fd") options.ready_fd = fd;
  if (name == "--devices-fd") devices = fd;
  return true;
}

int fail(const lmsb::Error& error) {
  std::fprintf(stderr, "lm-sandbox: %s%s%s\n", error.message().c_str(), error.hint().empty() ? "" : "; ",
               error.hint().c_str());
  return 1;
}

// Makes this process root of a user namespace of its own, with what is there of ids.
lmsb::Status go_without_root(lmsb::launcher::ParentOptions& options) {
  LMSB_TRY(const auto ids, lmsb::sandbox::own_ids_of_this_user());
  LMSB_CHECK(lmsb::sandbox::enter_own_namespace(ids));
  options.starter = lmsb::launcher::Starter::user;
  options.ids_of_sandbox = ids.per_sandbox;
  options.own_ranges = ids.ranges;
  options.disks = "memory";
  options.sandboxes_stay = false;
  options.caps.allows_root = options.caps.allows_root && ids.ranges > 0;
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  lmsb::os::set_usual_signals();  // all else of lm-sandbox, and of sandboxes, comes from here
  lmsb::launcher::ParentOptions options;
  bool is_rootless = false;
  int devices_fd = -1;
  int i = 1;
  for (; i < argc && std::string(argv[i]) != "--"; ++i) {
    const std::string name = argv[i];
    if (name == "--rootless") {
      is_rootless = true;
      continue;
    }
    if (name == "--allow-root") {
      options.caps.allows_root = true;
      continue;
    }
    if (name == "--stop-sandboxes") {
      options.sandboxes_stay = false;
      continue;
    }
    if (i + 1 >= argc) return usage("missing value of " + name);
    const std::string value = argv[++i];
    if (name == "--die-with-parent") {
      options.die_with_parent = true;
      options.started_by = static_cast<pid_t>(std::strtol(value.c_str(), nullptr, 10));
    } else if (name == "--data-dir")
      options.data_dir = value;
    else if (name == "--run-dir")
      options.run_dir = value;
    else if (name == "--guest")
      options.guest_program = value;
    else if (name == "--archiver")
      options.archiver_program = value;
    else if (name == "--gate")
      options.gate_program = value;
    else if (name == "--daemon-uid")
      options.daemon_uid = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (name == "--daemon-gid")
      options.daemon_gid = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (name == "--socket-gid")
      options.socket_gid = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (name == "--handed-file")
      options.handed_files.push_back(value);
    else if (name == "--id-locks")
      options.id_locks = value;
    else if (name == "--disks")
      options.disks = value;
    else if (name == "--store-bytes")
      options.store_bytes = std::strtoull(value.c_str(), nullptr, 10);
    else if (!take_daemon_fd(options, name, value, devices_fd) && !set_cap(options.caps, name, value))
      return usage("unknown option " + name);
  }
  for (++i; i < argc; ++i) options.daemon_argv.emplace_back(argv[i]);
  if (options.data_dir.empty() || options.run_dir.empty() || options.guest_program.empty() ||
      options.archiver_program.empty() || options.gate_program.empty() || options.daemon_argv.empty())
    return usage("--data-dir, --run-dir, --guest, --archiver, --gate and a daemon are needed");
  if (options.handed_files.size() > lmsb::launcher::kMaxHandedFiles) return usage("too many files to hand over");
  if (options.daemon_uid == 0) return usage("the daemon may not be root");
  if (is_rootless == (::geteuid() == 0)) return usage("root is needed, or --rootless without it");
  auto devices = lmsb::sandbox::read_table(devices_fd);
  if (!devices.ok()) return fail(devices.error());
  options.devices = *std::move(devices);
  if (is_rootless)
    if (const auto made = go_without_root(options); !made.ok()) return fail(made.error());
  const auto status = lmsb::launcher::run_parent(options);
  return status.ok() ? *status : fail(status.error());
}
