// What makes a machine that runs strangers' code weaker than it could be. Sandboxes work all the same: each of these is
// a second line behind namespaces, seccomp and Landlock.
#include <charconv>
#include <sstream>

#include "cli/doctor.h"

namespace lmsb::cli {
namespace {

constexpr const char* kGroup = "Hardening";

// A number in /proc/sys that should be at least (or at most) something.
struct Setting {
  const char* id;
  const char* name;  // as sysctl spells it
  const char* wants;
  int from;  // the good values
  int to;
  int mended;               // the value that the command sets
  const char* when_absent;  // "" = then there is nothing to close
};

constexpr int kAny = 1'000'000;

constexpr Setting kSettings[] = {
    {"hardening.legacy_tiocsti", "dev.tty.legacy_tiocsti", "no typing into other people's terminals (TIOCSTI)", 0, 0, 0,
     ""},
    {"hardening.io_uring", "kernel.io_uring_disabled", "io_uring is off (sandboxes do not get it in any case)", 1, 2, 2,
     ""},
    {"hardening.bpf", "kernel.unprivileged_bpf_disabled", "no BPF for normal users", 1, 2, 1, ""},
    {"hardening.perf", "kernel.perf_event_paranoid", "no kernel profiling for normal users", 2, kAny, 2, ""},
    {"hardening.userfaultfd", "vm.unprivileged_userfaultfd", "no userfaultfd for normal users", 0, 0, 0, ""},
    {"hardening.dmesg", "kernel.dmesg_restrict", "the kernel's log is for root", 1, kAny, 1, ""},
    {"hardening.kptr", "kernel.kptr_restrict", "kernel addresses are hidden", 1, 2, 2, ""},
    {"hardening.yama", "kernel.yama.ptrace_scope", "ptrace is limited (Yama)", 1, 3, 1,
     "the kernel has no Yama; seccomp forbids ptrace in sandboxes"},
    {"hardening.symlinks", "fs.protected_symlinks", "links in shared directories are guarded", 1, 1, 1, ""},
    {"hardening.hardlinks", "fs.protected_hardlinks", "hard links to foreign files are guarded", 1, 1, 1, ""},
    {"hardening.fifos", "fs.protected_fifos", "FIFOs in shared directories are guarded", 1, 2, 2, ""},
    {"hardening.regular", "fs.protected_regular", "files in shared directories are guarded", 1, 2, 2, ""},
};

std::string path_of(std::string name) {
  for (char& c : name) {
    if (c == '.') c = '/';
  }
  return "/proc/sys/" + name;
}

Finding look_setting(const Setting& setting, Machine& machine) {
  const auto text = machine.read_file(path_of(setting.name));
  if (!text) return {*setting.when_absent == '\0' ? Outcome::ok : Outcome::weaker, setting.when_absent};
  int value = 0;
  std::from_chars(text->data(), text->data() + text->size(), value);
  const std::string detail = std::string(setting.name) + " is " + std::to_string(value);
  if (value >= setting.from && value <= setting.to) return {Outcome::ok, detail};
  return {Outcome::weaker, detail,
          "sudo sysctl -w " + std::string(setting.name) + "=" + std::to_string(setting.mended)};
}

Finding look_core_pattern(Machine& machine) {
  std::string pattern = machine.read_file("/proc/sys/kernel/core_pattern").value_or("");
  pattern = pattern.substr(0, pattern.find('\n'));
  if (!pattern.starts_with('|')) return {Outcome::ok, ""};
  return {Outcome::weaker, "kernel.core_pattern starts a program of the host for a crash: " + pattern,
          "sudo sysctl -w kernel.core_pattern=core"};
}

// Lines of /proc/swaps after the heading. zram and encrypted devices cannot leave anything readable behind.
Finding look_swap(Machine& machine) {
  std::istringstream lines(machine.read_file("/proc/swaps").value_or(""));
  std::string line;
  std::getline(lines, line);
  std::string on;
  while (lines >> line) {
    if (!line.starts_with("/dev/zram") && !line.starts_with("/dev/dm-")) on += (on.empty() ? "" : ", ") + line;
    std::getline(lines, line);
  }
  if (on.empty()) return {Outcome::ok, ""};
  return {Outcome::weaker, "memory of sandboxes may stay on " + on,
          "sudo swapoff -a   # and take swap out of /etc/fstab"};
}

Finding look_ksm(Machine& machine) {
  const auto run = machine.read_file("/sys/kernel/mm/ksm/run");
  if (!run || !run->starts_with('1')) return {Outcome::ok, ""};
  return {Outcome::weaker, "equal pages of different programs are merged, which can be measured",
          "echo 2 | sudo tee /sys/kernel/mm/ksm/run"};
}

}  // namespace

std::vector<Check> hardening_checks() {
  std::vector<Check> checks;
  for (const Setting& setting : kSettings) {
    checks.push_back(
        {setting.id, kGroup, setting.wants, [&setting](Machine& machine) { return look_setting(setting, machine); }});
  }
  checks.push_back({"hardening.core_pattern", kGroup, "crashes start no program of the host", look_core_pattern});
  checks.push_back({"hardening.swap", kGroup, "memory is not written to plain swap", look_swap});
  checks.push_back({"hardening.ksm", kGroup, "memory of sandboxes is not merged (KSM)", look_ksm});
  return checks;
}

}  // namespace lmsb::cli
