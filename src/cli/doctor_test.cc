#include "cli/doctor.h"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "cli/api.h"

namespace lmsb::cli {
namespace {

// A machine on which all is well, until a test breaks something.
class FakeMachine final : public Machine {
 public:
  std::map<std::string, std::string> files{
      {"/proc/sys/user/max_user_namespaces", "31180\n"},
      {"/proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\nproc /proc proc rw 0 0\n"},
      {"/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"},
      {"/proc/sys/dev/tty/legacy_tiocsti", "0\n"},
      {"/proc/sys/kernel/io_uring_disabled", "2\n"},
      {"/proc/sys/kernel/unprivileged_bpf_disabled", "2\n"},
      {"/proc/sys/kernel/perf_event_paranoid", "3\n"},
      {"/proc/sys/vm/unprivileged_userfaultfd", "0\n"},
      {"/proc/sys/kernel/dmesg_restrict", "1\n"},
      {"/proc/sys/kernel/kptr_restrict", "2\n"},
      {"/proc/sys/kernel/yama/ptrace_scope", "1\n"},
      {"/proc/sys/fs/protected_symlinks", "1\n"},
      {"/proc/sys/fs/protected_hardlinks", "1\n"},
      {"/proc/sys/fs/protected_fifos", "1\n"},
      {"/proc/sys/fs/protected_regular", "2\n"},
      {"/proc/sys/kernel/core_pattern", "core\n"},
      {"/proc/swaps", "Filename\t\t\t\tType\t\tSize\n"},
      {"/sys/kernel/mm/ksm/run", "0\n"},
      {"/proc/filesystems", "nodev\tproc\n\text4\n"},
      {"/lib/modules/6.1.0-18-amd64/modules.dep", "kernel/fs/btrfs/btrfs.ko: kernel/lib/xor.ko\n"},
      {"/etc/group", "root:x:0:\ndocker:x:999:other,me\n"},
      {"/proc/driver/nvidia/version", "NVRM version: 550\nGCC version: 12\n"},
      {"/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"},
      {"/sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"},
  };
  std::map<std::string, std::vector<std::string>> directories{{"/sys/bus/pci/devices", {"0000:01:00.0"}}};
  std::map<std::string, ProgramOutput> programs{
      {"curl", {0, "curl 7"}},
      {"git", {0, "git 2"}},
      {"g++", {0, "g++ 12"}},
      {"make", {0, "GNU Make"}},
      {"docker", {0, "28.2\n"}},
      {"nvidia-ctk", {0, "1.17\n"}},
      {"llama-server", {0, "version 1"}},
  };
  std::set<std::string> present{"/usr/sbin/mkfs.btrfs", "/dev/loop-control"};
  std::map<Feature, Trial> trials;  // works when not listed
  int landlock = 7;
  std::string kernel = "6.1.0-18-amd64";
  bool root = true;
  std::string user = "me";
  std::optional<std::string> ollama = R"({"version":"0.6.5"})";
  SandboxTrial sandbox{true, "a private daemon",    "", "", 3.14, "base", {"user_namespace", "seccomp"},
                       {},   {"nvidia.com/gpu=all"}};

  std::optional<std::string> read_file(const std::string& path) override {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  }
  bool exists(const std::string& path) override { return present.contains(path); }
  std::string data_directory() override { return "/data"; }
  std::vector<std::string> list_directory(const std::string& path) override { return directories[path]; }
  Result<ProgramOutput> run_program(const std::vector<std::string>& argv, std::chrono::milliseconds) override {
    const auto found = programs.find(argv.front());
    if (found == programs.end()) return Error(ErrorCode::not_found, "start " + argv.front());
    return found->second;
  }
  std::optional<std::string> http_get(const std::string&, std::chrono::milliseconds) override { return ollama; }
  Trial try_feature(Feature feature) override {
    const auto found = trials.find(feature);
    return found == trials.end() ? Trial{Trial::Outcome::works, ""} : found->second;
  }
  int landlock_abi() override { return landlock; }
  std::string kernel_release() override { return kernel; }
  bool is_root() override { return root; }
  std::string user_name() override { return user; }
  SandboxTrial try_sandbox() override { return sandbox; }
};

Finding finding_of(const std::string& id, Machine& machine) {
  for (const Examined& entry : examine(all_checks(), machine)) {
    if (entry.check.id == id) return entry.finding;
  }
  ADD_FAILURE() << "no check " << id;
  return {Outcome::ok, ""};
}

// What is broken on a machine, and what doctor must say about it.
struct Case {
  const char* id;
  Outcome outcome;
  const char* detail;  // part of it
  const char* mend;    // part of it
  void (*break_it)(FakeMachine&);
};

void expect_named(const Case& broken) {
  FakeMachine machine;
  broken.break_it(machine);
  const Finding finding = finding_of(broken.id, machine);
  EXPECT_EQ(finding.outcome, broken.outcome) << broken.id;
  EXPECT_NE(finding.detail.find(broken.detail), std::string::npos) << broken.id << ": " << finding.detail;
  EXPECT_NE(finding.mend.find(broken.mend), std::string::npos) << broken.id << ": " << finding.mend;
}

TEST(Doctor, FindsNothingWrongWhereNothingIs) {
  FakeMachine machine;
  for (const Examined& entry : examine(all_checks(), machine)) {
    EXPECT_EQ(entry.finding.outcome, Outcome::ok) << entry.check.id << ": " << entry.finding.detail;
    EXPECT_EQ(entry.finding.mend, "") << entry.check.id;
  }
}

TEST(Doctor, SaysWhyDisksWouldNotOutliveTheirSandboxes) {
  const Case cases[] = {
      {"sandbox.disks", Outcome::weaker, "mkfs.btrfs is missing", "apt-get install btrfs-progs",
       [](FakeMachine& m) { m.present.erase("/usr/sbin/mkfs.btrfs"); }},
      {"sandbox.disks", Outcome::weaker, "no btrfs", "kernel",
       [](FakeMachine& m) { m.files.erase("/lib/modules/6.1.0-18-amd64/modules.dep"); }},
      {"sandbox.disks", Outcome::weaker, "no loop devices", "modprobe loop",
       [](FakeMachine& m) { m.present.erase("/dev/loop-control"); }},
      {"sandbox.disks", Outcome::missing, "has failed", "dmesg", [](FakeMachine& m) { m.sandbox.store_works = false; }},
      {"sandbox.database", Outcome::missing, "cannot be written", "make room",
       [](FakeMachine& m) { m.sandbox.database_works = false; }},
      {"sandbox.database", Outcome::missing, "/data/state/sandboxes.db is no database", "good copy",
       [](FakeMachine& m) { m.files["/data/state/sandboxes.db"] = "damaged"; }},
      {"sandbox.database", Outcome::missing, "is not there, but a store is", "good copy",
       [](FakeMachine& m) { m.present.insert("/data/disks/store.img"); }},
  };
  for (const Case& broken : cases) expect_named(broken);
  FakeMachine machine;
  machine.files.erase("/lib/modules/6.1.0-18-amd64/modules.dep");
  machine.files["/proc/filesystems"] = "\text4\n\tbtrfs\n";
  EXPECT_EQ(finding_of("sandbox.disks", machine).outcome, Outcome::ok);
}

TEST(Doctor, NamesWhatTheKernelLacksAndHowToMendIt) {
  const Case cases[] = {
      {"kernel.version", Outcome::missing, "5.10.0", "linux-image-amd64",
       [](FakeMachine& m) { m.kernel = "5.10.0-8"; }},
      {"kernel.user_namespaces", Outcome::missing, "user.max_user_namespaces is 0",
       "sysctl -w user.max_user_namespaces=65536",
       [](FakeMachine& m) { m.files["/proc/sys/user/max_user_namespaces"] = "0\n"; }},
      {"kernel.user_namespaces", Outcome::missing, "Operation not permitted", "--privileged",
       [](FakeMachine& m) {
         m.trials[Feature::user_namespace] = {Trial::Outcome::fails, "Operation not permitted"};
       }},
      {"kernel.seccomp", Outcome::missing, "Invalid argument", "linux-image",
       [](FakeMachine& m) {
         m.trials[Feature::seccomp_filter] = {Trial::Outcome::fails, "Invalid argument"};
       }},
      {"kernel.landlock", Outcome::missing, "not enabled", "lsm=landlock", [](FakeMachine& m) { m.landlock = 0; }},
      {"kernel.landlock", Outcome::weaker, "ABI 2", "linux-image", [](FakeMachine& m) { m.landlock = 2; }},
      {"kernel.overlay", Outcome::missing, "No such device", "modprobe overlay",
       [](FakeMachine& m) {
         m.trials[Feature::overlay] = {Trial::Outcome::fails, "No such device"};
       }},
      {"kernel.idmapped_mounts", Outcome::missing, "Invalid argument", "ext4",
       [](FakeMachine& m) {
         m.trials[Feature::idmapped_mount] = {Trial::Outcome::fails, "Invalid argument"};
       }},
      {"cgroup.v2", Outcome::missing, "no cgroup2", "mount -t cgroup2",
       [](FakeMachine& m) { m.files["/proc/self/mounts"] = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"; }},
      {"cgroup.kill", Outcome::missing, "No such file", "linux-image",
       [](FakeMachine& m) {
         m.trials[Feature::cgroup_kill] = {Trial::Outcome::fails, "No such file"};
       }},
      {"kernel.tcp_peer", Outcome::missing, "no such connection", "modprobe tcp_diag",
       [](FakeMachine& m) {
         m.trials[Feature::tcp_peer] = {Trial::Outcome::fails, "no such connection"};
       }},
      {"cgroup.controllers", Outcome::missing, "not there: memory", "cgroup_enable=memory",
       [](FakeMachine& m) { m.files["/sys/fs/cgroup/cgroup.controllers"] = "cpu pids\n"; }},
  };
  for (const Case& broken : cases) expect_named(broken);
}

TEST(Doctor, AcceptsControllersOfV1BesideTheV2Core) {
  FakeMachine machine;
  machine.files["/proc/self/mounts"] =
      "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
      "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"
      "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
  machine.files["/sys/fs/cgroup/unified/cgroup.controllers"] = "hugetlb\n";
  EXPECT_EQ(finding_of("cgroup.v2", machine).outcome, Outcome::ok);
  EXPECT_EQ(finding_of("cgroup.controllers", machine).outcome, Outcome::ok);
}

TEST(Doctor, SaysHowAUserComesByTheControllersThatAreMissing) {
  FakeMachine machine;
  machine.sandbox.weaker = {"CPU time has no limit: the controller cpu was not delegated to this user"};
  EXPECT_EQ(finding_of("cgroup.controllers", machine).outcome, Outcome::ok) << "it is no root's matter";
  machine.root = false;
  const Finding on_v2 = finding_of("cgroup.controllers", machine);
  EXPECT_EQ(on_v2.outcome, Outcome::weaker);
  EXPECT_NE(on_v2.detail.find("the controller cpu was not delegated"), std::string::npos);
  EXPECT_NE(on_v2.mend.find("Delegate=cpu memory pids"), std::string::npos) << on_v2.mend;
  machine.files["/proc/self/mounts"] =
      "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
  EXPECT_NE(finding_of("cgroup.controllers", machine).mend.find("unified_cgroup_hierarchy=1"), std::string::npos);
  machine.sandbox.weaker = {"there is no root between sandboxes and the user"};
  EXPECT_EQ(finding_of("cgroup.controllers", machine).outcome, Outcome::ok);
}

TEST(Doctor, NamesWhatKeepsUserNamespacesFromNormalUsers) {
  const Case cases[] = {
      {"kernel.unprivileged_userns_clone", Outcome::missing, "is 0", "sysctl -w kernel.unprivileged_userns_clone=1",
       [](FakeMachine& m) {
         m.root = false;
         m.files["/proc/sys/kernel/unprivileged_userns_clone"] = "0\n";
       }},
      {"kernel.unprivileged_userns_clone", Outcome::not_needed, "only rootless",
       "sysctl -w kernel.unprivileged_userns_clone=1",
       [](FakeMachine& m) { m.files["/proc/sys/kernel/unprivileged_userns_clone"] = "0\n"; }},
      {"kernel.apparmor_userns", Outcome::missing, "apparmor_restrict_unprivileged_userns is 1",
       "packaging/apparmor/lm-sandbox",
       [](FakeMachine& m) {
         m.root = false;
         m.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n";
       }},
      {"kernel.apparmor_userns", Outcome::not_needed, "only rootless",
       "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
       [](FakeMachine& m) { m.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n"; }},
      {"kernel.user_namespaces", Outcome::missing, "apparmor", "apparmor_parser -r /etc/apparmor.d/lm-sandbox",
       [](FakeMachine& m) {
         m.root = false;
         m.trials[Feature::user_namespace] = {Trial::Outcome::fails, "Permission denied"};
         m.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n";
       }},
      {"kernel.user_namespaces", Outcome::missing, "Permission denied, under AppArmor's profile limited (enforce)",
       "apparmor_parser -r /etc/apparmor.d/lm-sandbox",
       [](FakeMachine& m) {
         m.root = false;
         m.trials[Feature::user_namespace] = {Trial::Outcome::fails, "Permission denied"};
         m.files["/proc/self/attr/apparmor/current"] = "limited (enforce)\n";
       }},
  };
  for (const Case& broken : cases) expect_named(broken);
}

TEST(Doctor, SeesThatOurAppArmorProfileLiftsUbuntusLimit) {
  FakeMachine machine;
  machine.root = false;
  machine.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n";
  machine.files["/proc/self/attr/apparmor/current"] = "lm-sandbox (unconfined)\n";
  EXPECT_EQ(finding_of("kernel.apparmor_userns", machine).outcome, Outcome::ok);
}

TEST(Doctor, SeesThatOurAppArmorProfileIsNotInForceForAProgramElsewhere) {
  FakeMachine machine;
  machine.root = false;
  machine.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n";
  machine.files["/etc/apparmor.d/lm-sandbox"] = "profile lm-sandbox";
  machine.files["/proc/self/attr/apparmor/current"] = "unconfined\n";
  const Finding finding = finding_of("kernel.apparmor_userns", machine);
  EXPECT_EQ(finding.outcome, Outcome::missing);
  EXPECT_NE(finding.detail.find("not in force for this program"), std::string::npos) << finding.detail;
  EXPECT_NE(finding.mend.find("start the program that is installed"), std::string::npos) << finding.mend;
}

TEST(Doctor, SaysWhatItCouldNotTry) {
  FakeMachine machine;
  machine.trials[Feature::idmapped_mount] = {Trial::Outcome::unknown, "trying it needs root"};
  EXPECT_EQ(finding_of("kernel.idmapped_mounts", machine).detail, "not tried: trying it needs root");
}

// Each row of the sysctl table: the bad value, and the value that the command sets.
TEST(Doctor, NamesEverySettingThatIsWeakerThanItCouldBe) {
  struct Row {
    const char* id;
    const char* name;
    const char* bad;
    const char* good;
  };
  const Row rows[] = {
      {"hardening.legacy_tiocsti", "dev.tty.legacy_tiocsti", "1", "0"},
      {"hardening.io_uring", "kernel.io_uring_disabled", "0", "2"},
      {"hardening.bpf", "kernel.unprivileged_bpf_disabled", "0", "1"},
      {"hardening.perf", "kernel.perf_event_paranoid", "-1", "2"},
      {"hardening.userfaultfd", "vm.unprivileged_userfaultfd", "1", "0"},
      {"hardening.dmesg", "kernel.dmesg_restrict", "0", "1"},
      {"hardening.kptr", "kernel.kptr_restrict", "0", "2"},
      {"hardening.yama", "kernel.yama.ptrace_scope", "0", "1"},
      {"hardening.symlinks", "fs.protected_symlinks", "0", "1"},
      {"hardening.hardlinks", "fs.protected_hardlinks", "0", "1"},
      {"hardening.fifos", "fs.protected_fifos", "0", "2"},
      {"hardening.regular", "fs.protected_regular", "0", "2"},
  };
  for (const Row& row : rows) {
    FakeMachine machine;
    std::string path = std::string("/proc/sys/") + row.name;
    std::replace(path.begin(), path.end(), '.', '/');
    machine.files[path] = std::string(row.bad) + "\n";
    const Finding finding = finding_of(row.id, machine);
    EXPECT_EQ(finding.outcome, Outcome::weaker) << row.id;
    EXPECT_EQ(finding.detail, std::string(row.name) + " is " + row.bad);
    EXPECT_EQ(finding.mend, std::string("sudo sysctl -w ") + row.name + "=" + row.good);
  }
}

TEST(Doctor, NamesOtherThingsThatAreWeaker) {
  const Case cases[] = {
      {"hardening.yama", Outcome::weaker, "has no Yama", "",
       [](FakeMachine& m) { m.files.erase("/proc/sys/kernel/yama/ptrace_scope"); }},
      {"hardening.core_pattern", Outcome::weaker, "|/usr/lib/systemd/systemd-coredump",
       "sysctl -w kernel.core_pattern=core",
       [](FakeMachine& m) { m.files["/proc/sys/kernel/core_pattern"] = "|/usr/lib/systemd/systemd-coredump %P\n"; }},
      {"hardening.swap", Outcome::weaker, "/swapfile", "swapoff -a",
       [](FakeMachine& m) { m.files["/proc/swaps"] += "/swapfile file 2097148 0 -2\n"; }},
      {"hardening.ksm", Outcome::weaker, "merged", "/sys/kernel/mm/ksm/run",
       [](FakeMachine& m) { m.files["/sys/kernel/mm/ksm/run"] = "1\n"; }},
  };
  for (const Case& broken : cases) expect_named(broken);
}

TEST(Doctor, TakesZramAndEncryptedSwapAsGood) {
  FakeMachine machine;
  machine.files["/proc/swaps"] += "/dev/zram0 partition 8 0 100\n/dev/dm-1 partition 8 0 -2\n";
  EXPECT_EQ(finding_of("hardening.swap", machine).outcome, Outcome::ok);
}

void no_gpu(FakeMachine& machine) {
  machine.directories.clear();
  machine.files.erase("/proc/driver/nvidia/version");
  machine.programs.erase("nvidia-ctk");
}

TEST(Doctor, NamesTheOriginalsStepsThatAreNotDone) {
  const Case cases[] = {
      {"original.packages", Outcome::missing, "not there: curl", "apt install -y curl",
       [](FakeMachine& m) { m.programs.erase("curl"); }},
      {"original.packages", Outcome::missing, "git", "apt install -y git",
       [](FakeMachine& m) { m.programs.erase("git"); }},
      {"original.packages", Outcome::missing, "build-essential", "apt install -y build-essential",
       [](FakeMachine& m) { m.programs.erase("make"); }},
      {"original.docker", Outcome::missing, "no program docker", "get.docker.com",
       [](FakeMachine& m) { m.programs.erase("docker"); }},
      {"original.docker", Outcome::missing, "no engine answers", "systemctl enable --now docker",
       [](FakeMachine& m) {
         m.programs["docker"] = {1, "Cannot connect to the Docker daemon"};
       }},
      {"original.docker", Outcome::missing, "closed to you", "usermod -aG docker",
       [](FakeMachine& m) {
         m.programs["docker"] = {1, "permission denied while trying to connect"};
       }},
      {"original.docker_group", Outcome::missing, "me is not in it", "usermod -aG docker ${USER} && newgrp docker",
       [](FakeMachine& m) { m.files["/etc/group"] = "docker:x:999:other,meme\n"; }},
      {"original.docker_group", Outcome::missing, "no group docker", "get.docker.com",
       [](FakeMachine& m) { m.files["/etc/group"] = ""; }},
      {"original.docker_group", Outcome::not_needed, "root needs no group", "",
       [](FakeMachine& m) { m.user = "root"; }},
      {"original.nvidia_driver", Outcome::missing, "not loaded", "apt install -y nvidia-driver",
       [](FakeMachine& m) { m.files.erase("/proc/driver/nvidia/version"); }},
      {"original.nvidia_driver", Outcome::not_needed, "no NVIDIA GPU", "", no_gpu},
      {"original.nvidia_toolkit", Outcome::missing, "no program nvidia-ctk", "nvidia-container-toolkit",
       [](FakeMachine& m) { m.programs.erase("nvidia-ctk"); }},
      {"original.nvidia_toolkit", Outcome::not_needed, "no NVIDIA GPU", "", no_gpu},
      {"original.llama_cpp", Outcome::missing, "no llama-server", "lm-sandbox image build llama",
       [](FakeMachine& m) { m.programs.erase("llama-server"); }},
      {"original.llama_cpp", Outcome::ok, "image llama", "",
       [](FakeMachine& m) {
         m.programs.erase("llama-server");
         m.present.insert("/var/lib/lm-sandbox/images/llama/image.json");
       }},
      {"original.ollama", Outcome::missing, "nobody answers", "ollama.com/install.sh",
       [](FakeMachine& m) { m.ollama.reset(); }},
      {"original.ollama", Outcome::missing, "not running", "ollama serve",
       [](FakeMachine& m) {
         m.ollama.reset();
         m.programs["ollama"] = {0, "ollama version is 0.6"};
       }},
  };
  for (const Case& broken : cases) expect_named(broken);
}

TEST(Doctor, DecidesByTheThrowAwaySandboxAlone) {
  FakeMachine machine;
  machine.landlock = 2;
  machine.programs.clear();
  EXPECT_TRUE(sandboxes_work(examine(all_checks(), machine)));
  machine.sandbox = {};
  machine.sandbox.why = "start the sandbox: clone3: Operation not permitted";
  machine.sandbox.hint = "run it as root";
  const auto examined = examine(all_checks(), machine);
  EXPECT_FALSE(sandboxes_work(examined));
  const Finding finding = finding_of("sandbox.run", machine);
  EXPECT_EQ(finding.outcome, Outcome::missing);
  EXPECT_EQ(finding.detail, "start the sandbox: clone3: Operation not permitted");
  EXPECT_EQ(finding.mend, "run it as root");
}

TEST(Doctor, TellsTheLayersOfTheSandboxThatItMade) {
  FakeMachine machine;
  EXPECT_EQ(finding_of("sandbox.run", machine).detail,
            "3.1 ms with a private daemon, image base; layers: user_namespace, seccomp");
}

TEST(Doctor, PassesOnWhatTheDaemonMisses) {
  FakeMachine machine;
  machine.sandbox.weaker = {"no Landlock", "limits by rlimits only"};
  const Finding finding = finding_of("sandbox.layers", machine);
  EXPECT_EQ(finding.outcome, Outcome::weaker);
  EXPECT_EQ(finding.detail, "no Landlock; limits by rlimits only");
}

TEST(Doctor, ReportsInGroupsWithTheCommandBelowTheFinding) {
  RecordingConsole console;
  const std::vector<Examined> examined{
      {{"sandbox.run", "Sandboxes", "a command runs", nullptr}, {Outcome::ok, "3.1 ms"}},
      {{"a.b", "Kernel", "it is new", nullptr}, {Outcome::weaker, "it is old\x1b", "sudo renew"}},
      {{"a.c", "Kernel", "it is there", nullptr}, {Outcome::not_needed, ""}}};
  EXPECT_EQ(format_report(examined, console),
            "Sandboxes\n"
            "  ok         a command runs: 3.1 ms\n"
            "\n"
            "Kernel\n"
            "  weaker     it is new: it is old?\n"
            "               sudo renew\n"
            "  not needed it is there\n"
            "\n"
            "Sandboxes work. Weaker than could be: 1.\n");
}

TEST(Doctor, ReportsTheSameAsJson) {
  FakeMachine machine;
  machine.landlock = 2;
  const auto report = parse_json(report_as_json(examine(all_checks(), machine)), "the report");
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(flag_field(report->root(), "sandboxes_work"));
  const auto checks = report->root().find("checks")->items();
  EXPECT_EQ(checks.size(), all_checks().size());
  bool seen = false;
  for (const auto& check : checks) {
    seen = seen || (text_field(check, "id") == "kernel.landlock" && text_field(check, "outcome") == "weaker");
  }
  EXPECT_TRUE(seen);
}

TEST(Doctor, GivesEveryCheckItsOwnId) {
  std::set<std::string> ids;
  for (const Check& check : all_checks()) EXPECT_TRUE(ids.insert(check.id).second) << check.id;
}

}  // namespace
}  // namespace lmsb::cli
