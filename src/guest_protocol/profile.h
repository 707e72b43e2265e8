#pragma once
// What every sandbox of a profile looks like, as tables: one source for the guest that does it, the launch plan that
// prints it, and the tests that compare a running command with it (containment.md 3.1-3.6). Constants only.
#include <array>
#include <cstdint>
#include <sys/resource.h>

namespace lmsb::guest_protocol {

enum class Profile : std::uint32_t {
  user = 0,  // commands run as uid 1000 without any capability
  root = 1,  // commands run as root of a user namespace of their own, with a few capabilities in it
};

constexpr std::uint32_t kCommandUid = 1000;
constexpr std::uint32_t kCommandGid = 1000;
constexpr std::uint32_t kIdRangeSize = 65536;  // ids of a sandbox: 0..65535, mapped to one leased range

// With Profile::root the guest has the last id, and stays in the user namespace that owns all others of the sandbox.
// Commands are in one below it, where that id does not exist: no command can become who the guest is.
constexpr std::uint32_t kOuterGuestId = kIdRangeSize - 1;
constexpr std::uint32_t kInnerIds = kIdRangeSize - 1;  // of commands then: 0..65534

// Whose commands are that do not say it, user and group.
constexpr std::uint32_t command_id(Profile profile) { return profile == Profile::root ? 0 : kCommandUid; }
// Who PID 1 is.
constexpr std::uint32_t guest_id(Profile profile) { return profile == Profile::root ? kOuterGuestId : 0; }

// What root's commands may do to what belongs to their own ids (containment.md 3.1). NET_BIND_SERVICE means nothing
// where the network is not of their user namespace: there ports below 1024 are everybody's.
inline constexpr std::array<unsigned, 9> kRootCapabilities = {0 /* CHOWN */,
                                                              1 /* DAC_OVERRIDE */,
                                                              3 /* FOWNER */,
                                                              4 /* FSETID */,
                                                              5 /* KILL */,
                                                              6 /* SETGID */,
                                                              7 /* SETUID */,
                                                              10 /* NET_BIND_SERVICE */,
                                                              18 /* SYS_CHROOT */};

// Capabilities (capability numbers of linux/capability.h) that PID 1 keeps; commands of Profile::user have none.
inline constexpr std::array<unsigned, 4> kGuestCapabilities = {0 /* CHOWN */, 5 /* KILL */, 6 /* SETGID */,
                                                               7 /* SETUID */};

// What is shown at the top of /proc, beside the sandbox's own processes: tests/escape/proc_names.txt says why. All else
// is hidden behind an empty file or directory, also what only the kernel of tomorrow has.
inline constexpr std::array kShownProc = {
    "cgroups", "consoles",    "cpuinfo", "crypto",  "devices", "execdomains",  "filesystems", "loadavg",
    "meminfo", "misc",        "mounts",  "mtrr",    "net",     "self",         "stat",        "sys",
    "sysvipc", "thread-self", "uptime",  "version", "vmstat",  "sysrq-trigger"};

// Parts of /proc that can be read but not written.
inline constexpr std::array kReadOnlyProc = {"sys", "sysrq-trigger"};

// A number of the machine's present boot, the same in all its sandboxes: another stands in its place.
inline constexpr const char* kBootId = "sys/kernel/random/boot_id";

// Device nodes: made by the launcher; where it may not, bind mounts of the machine's own, checked to be these devices.
struct DeviceNode {
  const char* name;
  unsigned major;
  unsigned minor;
};
inline constexpr std::array<DeviceNode, 6> kDevices = {
    {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}}};

// What the sandbox's user namespace may hold of all that the kernel counts for one: no further namespaces inside
// (defence behind seccomp), no marks of fanotify. Every file that a kernel has there is to be named (test_posture.py).
struct UserMax {
  const char* name;  // below /proc/sys/user
  unsigned value;
};
inline constexpr std::array<UserMax, 12> kUserMax = {{{"max_user_namespaces", 0},
                                                      {"max_mnt_namespaces", 0},
                                                      {"max_net_namespaces", 0},
                                                      {"max_pid_namespaces", 0},
                                                      {"max_ipc_namespaces", 0},
                                                      {"max_uts_namespaces", 0},
                                                      {"max_cgroup_namespaces", 0},
                                                      {"max_time_namespaces", 0},
                                                      {"max_fanotify_groups", 0},
                                                      {"max_fanotify_marks", 0},
                                                      {"max_inotify_instances", 64},
                                                      {"max_inotify_watches", 8192}}};

// The most that a file may seem to have. What it takes is bounded by the disk that it is on, and holes take nothing.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{16} << 40U;

// Resource limits, all that there are but RLIMIT_NPROC, which follows from the sandbox's own limits: what is not set
// here would be whatever the daemon's starter had.
struct ResourceLimit {
  int resource;
  const char* name;
  std::uint64_t soft;
  std::uint64_t hard;
};
inline constexpr std::array<ResourceLimit, 15> kResourceLimits = {{
    // 1, not 0: a piped core_pattern ignores 0, and would start the machine's program on what a sandbox made up; at 1
    // the kernel gives up (core(5), do_coredump). A dump to a file needs a page at least.
    {RLIMIT_CORE, "core", 1, 1},
    {RLIMIT_NOFILE, "nofile", 1024, 16384},
    {RLIMIT_MEMLOCK, "memlock", 8U << 20U, 8U << 20U},
    {RLIMIT_MSGQUEUE, "msgqueue", 819200, 819200},
    {RLIMIT_SIGPENDING, "sigpending", 4096, 4096},
    {RLIMIT_RTPRIO, "rtprio", 0, 0},
    {RLIMIT_NICE, "nice", 0, 0},
    {RLIMIT_STACK, "stack", 8U << 20U, 8U << 20U},
    {RLIMIT_FSIZE, "fsize", kMaxFileBytes, kMaxFileBytes},
    // Bounded by the sandbox's cgroups.
    {RLIMIT_CPU, "cpu", RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_AS, "as", RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_DATA, "data", RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_RSS, "rss", RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_LOCKS, "locks", RLIM_INFINITY, RLIM_INFINITY},
    {RLIMIT_RTTIME, "rttime", RLIM_INFINITY, RLIM_INFINITY},
}};

constexpr std::uint64_t kUsualShmBytes = 64U << 20U;
constexpr int kCommandOomScore = 500;  // commands die before anything of ours

}  // namespace lmsb::guest_protocol
