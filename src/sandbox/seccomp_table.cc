#include "sandbox/seccomp_table.h"

#include <array>
#include <cerrno>
#include <span>
#include <vector>

namespace lmsb::sandbox {
namespace {

using Test = SeccompArgument::Test;

// Allowed, then those that answer ENOSYS so that libraries fall back as on an older kernel. Everything else that this
// table's kernel knows is EPERM: namespaces, mounts, tracing, bpf, perf, keys by handle, modules, clocks, raw I/O.
// clang-format off: names in running text read better than one a line
constexpr SeccompCall kCalls[] = {
    // NOLINT(modernize-avoid-c-arrays): the size follows from the table
    {"accept", 0, 0},
    {"accept4", 0, 0},
    {"access", 0, 0},
    {"alarm", 0, 0},
    {"arch_prctl", 0, 0},
    {"bind", 0, 0},
    {"brk", 0, 0},
    {"capget", 0, 0},
    {"capset", 0, 0},
    {"chdir", 0, 0},
    {"chmod", 0, 0},
    {"chown", 0, 0},
    {"clock_getres", 0, 0},
    {"clock_gettime", 0, 0},
    {"clock_nanosleep", 0, 0},
    {"clone", 0, 0},
    {"clone3", 0, 0},
    {"close", 0, 0},
    {"close_range", 0, 0},
    {"connect", 0, 0},
    {"copy_file_range", 0, 0},
    {"creat", 0, 0},
    {"dup", 0, 0},
    {"dup2", 0, 0},
    {"dup3", 0, 0},
    {"epoll_create", 0, 0},
    {"epoll_create1", 0, 0},
    {"epoll_ctl", 0, 0},
    {"epoll_ctl_old", 0, 0},
    {"epoll_pwait", 0, 0},
    {"epoll_pwait2", 0, 0},
    {"epoll_wait", 0, 0},
    {"epoll_wait_old", 0, 0},
    {"eventfd", 0, 0},
    {"eventfd2", 0, 0},
    {"execve", 0, 0},
    {"execveat", 0, 0},
    {"exit", 0, 0},
    {"exit_group", 0, 0},
    {"faccessat", 0, 0},
    {"faccessat2", 0, 0},
    {"fadvise64", 0, 0},
    {"fallocate", 0, 0},
    {"fanotify_mark", 0, 0},
    {"fchdir", 0, 0},
    {"fchmod", 0, 0},
    {"fchmodat", 0, 0},
    {"fchown", 0, 0},
    {"fchownat", 0, 0},
    {"fcntl", 0, 0},
    {"fdatasync", 0, 0},
    {"fgetxattr", 0, 0},
    {"flistxattr", 0, 0},
    {"flock", 0, 0},
    {"fork", 0, 0},
    {"fremovexattr", 0, 0},
    {"fsetxattr", 0, 0},
    {"fstat", 0, 0},
    {"fstatfs", 0, 0},
    {"fsync", 0, 0},
    {"ftruncate", 0, 0},
    {"futex", 0, 0},
    {"futex_waitv", 0, 0},
    {"futimesat", 0, 0},
    {"get_mempolicy", 0, 0},
    {"getcpu", 0, 0},
    {"getcwd", 0, 0},
    {"getdents", 0, 0},
    {"getdents64", 0, 0},
    {"getegid", 0, 0},
    {"geteuid", 0, 0},
    {"getgid", 0, 0},
    {"getgroups", 0, 0},
    {"getitimer", 0, 0},
    {"getpeername", 0, 0},
    {"getpgid", 0, 0},
    {"getpgrp", 0, 0},
    {"getpid", 0, 0},
    {"getppid", 0, 0},
    {"getpriority", 0, 0},
    {"getrandom", 0, 0},
    {"getresgid", 0, 0},
    {"getresuid", 0, 0},
    {"getrlimit", 0, 0},
    {"get_robust_list", 0, 0},
    {"getrusage", 0, 0},
    {"getsid", 0, 0},
    {"getsockname", 0, 0},
    {"getsockopt", 0, 0},
    {"get_thread_area", 0, 0},
    {"gettid", 0, 0},
    {"gettimeofday", 0, 0},
    {"getuid", 0, 0},
    {"getxattr", 0, 0},
    {"inotify_add_watch", 0, 0},
    {"inotify_init", 0, 0},
    {"inotify_init1", 0, 0},
    {"inotify_rm_watch", 0, 0},
    {"io_cancel", 0, ENOSYS},
    {"ioctl", 0, 0},
    {"io_destroy", 0, ENOSYS},
    {"io_getevents", 0, ENOSYS},
    {"io_pgetevents", 0, ENOSYS},
    {"ioprio_get", 0, 0},
    {"ioprio_set", 0, 0},
    {"io_setup", 0, ENOSYS},
    {"io_submit", 0, ENOSYS},
    {"kill", 0, 0},
    {"landlock_add_rule", 0, 0},
    {"landlock_create_ruleset", 0, 0},
    {"landlock_restrict_self", 0, 0},
    {"lchown", 0, 0},
    {"lgetxattr", 0, 0},
    {"link", 0, 0},
    {"linkat", 0, 0},
    {"listen", 0, 0},
    {"listxattr", 0, 0},
    {"llistxattr", 0, 0},
    {"lremovexattr", 0, 0},
    {"lseek", 0, 0},
    {"lsetxattr", 0, 0},
    {"lstat", 0, 0},
    {"madvise", 0, 0},
    {"membarrier", 0, 0},
    {"memfd_create", 0, 0},
    {"mincore", 0, 0},
    {"mkdir", 0, 0},
    {"mkdirat", 0, 0},
    {"mknod", 0, 0},
    {"mknodat", 0, 0},
    {"mlock", 0, 0},
    {"mlock2", 0, 0},
    {"mlockall", 0, 0},
    {"mmap", 0, 0},
    {"mprotect", 0, 0},
    {"mq_getsetattr", 0, 0},
    {"mq_notify", 0, 0},
    {"mq_open", 0, 0},
    {"mq_timedreceive", 0, 0},
    {"mq_timedsend", 0, 0},
    {"mq_unlink", 0, 0},
    {"mremap", 0, 0},
    {"msgctl", 0, 0},
    {"msgget", 0, 0},
    {"msgrcv", 0, 0},
    {"msgsnd", 0, 0},
    {"msync", 0, 0},
    {"munlock", 0, 0},
    {"munlockall", 0, 0},
    {"munmap", 0, 0},
    {"name_to_handle_at", 0, 0},
    {"nanosleep", 0, 0},
    {"newfstatat", 0, 0},
    {"open", 0, 0},
    {"openat", 0, 0},
    {"openat2", 0, ENOSYS},  // its modes cannot be looked at: libraries fall back to openat
    {"pause", 0, 0},
    {"pidfd_open", 0, 0},
    {"pidfd_send_signal", 0, 0},
    {"pipe", 0, 0},
    {"pipe2", 0, 0},
    {"pkey_alloc", 0, 0},
    {"pkey_free", 0, 0},
    {"pkey_mprotect", 0, 0},
    {"poll", 0, 0},
    {"ppoll", 0, 0},
    {"prctl", 0, 0},
    {"pread64", 0, 0},
    {"preadv", 0, 0},
    {"preadv2", 0, 0},
    {"prlimit64", 0, 0},
    {"process_mrelease", 0, 0},
    {"pselect6", 0, 0},
    {"pwrite64", 0, 0},
    {"pwritev", 0, 0},
    {"pwritev2", 0, 0},
    {"read", 0, 0},
    {"readahead", 0, 0},
    {"readlink", 0, 0},
    {"readlinkat", 0, 0},
    {"readv", 0, 0},
    {"recvfrom", 0, 0},
    {"recvmmsg", 0, 0},
    {"recvmsg", 0, 0},
    {"removexattr", 0, 0},
    {"rename", 0, 0},
    {"renameat", 0, 0},
    {"renameat2", 0, 0},
    {"restart_syscall", 0, 0},
    {"rmdir", 0, 0},
    {"rseq", 0, 0},
    {"rt_sigaction", 0, 0},
    {"rt_sigpending", 0, 0},
    {"rt_sigprocmask", 0, 0},
    {"rt_sigqueueinfo", 0, 0},
    {"rt_sigreturn", 0, 0},
    {"rt_sigsuspend", 0, 0},
    {"rt_sigtimedwait", 0, 0},
    {"rt_tgsigqueueinfo", 0, 0},
    {"sched_getaffinity", 0, 0},
    {"sched_getattr", 0, 0},
    {"sched_getparam", 0, 0},
    {"sched_get_priority_max", 0, 0},
    {"sched_get_priority_min", 0, 0},
    {"sched_getscheduler", 0, 0},
    {"sched_rr_get_interval", 0, 0},
    {"sched_setaffinity", 0, 0},
    {"sched_setparam", 0, 0},
    {"sched_setscheduler", 0, 0},
    {"sched_yield", 0, 0},
    {"seccomp", 0, 0},
    {"select", 0, 0},
    {"semctl", 0, 0},
    {"semget", 0, 0},
    {"semop", 0, 0},
    {"semtimedop", 0, 0},
    {"sendfile", 0, 0},
    {"sendmmsg", 0, 0},
    {"sendmsg", 0, 0},
    {"sendto", 0, 0},
    {"setfsgid", 0, 0},
    {"setfsuid", 0, 0},
    {"setgid", 0, 0},
    {"setgroups", 0, 0},
    {"setitimer", 0, 0},
    {"setpgid", 0, 0},
    {"setpriority", 0, 0},
    {"setregid", 0, 0},
    {"setresgid", 0, 0},
    {"setresuid", 0, 0},
    {"setreuid", 0, 0},
    {"setrlimit", 0, 0},
    {"set_robust_list", 0, 0},
    {"setsid", 0, 0},
    {"setsockopt", 0, 0},
    {"set_thread_area", 0, 0},
    {"set_tid_address", 0, 0},
    {"setuid", 0, 0},
    {"setxattr", 0, 0},
    {"shmat", 0, 0},
    {"shmctl", 0, 0},
    {"shmdt", 0, 0},
    {"shmget", 0, 0},
    {"shutdown", 0, 0},
    {"sigaltstack", 0, 0},
    {"signalfd", 0, 0},
    {"signalfd4", 0, 0},
    {"socket", 0, 0},
    {"socketpair", 0, 0},
    {"splice", 0, 0},
    {"stat", 0, 0},
    {"statfs", 0, 0},
    {"statx", 0, 0},
    {"symlink", 0, 0},
    {"symlinkat", 0, 0},
    {"sync", 0, 0},
    {"sync_file_range", 0, 0},
    {"syncfs", 0, 0},
    {"sysinfo", 0, 0},
    {"tee", 0, 0},
    {"tgkill", 0, 0},
    {"time", 0, 0},
    {"timer_create", 0, 0},
    {"timer_delete", 0, 0},
    {"timer_getoverrun", 0, 0},
    {"timer_gettime", 0, 0},
    {"timer_settime", 0, 0},
    {"timerfd_create", 0, 0},
    {"timerfd_gettime", 0, 0},
    {"timerfd_settime", 0, 0},
    {"times", 0, 0},
    {"tkill", 0, 0},
    {"truncate", 0, 0},
    {"umask", 0, 0},
    {"uname", 0, 0},
    {"unlink", 0, 0},
    {"unlinkat", 0, 0},
    {"utime", 0, 0},
    {"utimensat", 0, 0},
    {"utimes", 0, 0},
    {"vfork", 0, 0},
    {"wait4", 0, 0},
    {"waitid", 0, 0},
    {"write", 0, 0},
    {"writev", 0, 0},
    {"personality", 0, 0},
    // By number: libseccomp 2.5.4 does not know the names.
    {nullptr, 451 /* cachestat */, 0},
    {nullptr, 452 /* fchmodat2 */, ENOSYS},  // no rule can be given by number; the C library falls back
    {nullptr, 454 /* futex_wake */, 0},
    {nullptr, 455 /* futex_wait */, 0},
    {nullptr, 456 /* futex_requeue */, 0},
    {nullptr, 462 /* mseal */, 0},
    {nullptr, 453 /* map_shadow_stack */, ENOSYS},
    {"io_uring_setup", 0, ENOSYS},
    {"io_uring_enter", 0, ENOSYS},
    {"io_uring_register", 0, ENOSYS},
    {"userfaultfd", 0, ENOSYS},
    {"add_key", 0, ENOSYS},
    {"request_key", 0, ENOSYS},
    {"keyctl", 0, ENOSYS},
    {"vmsplice", 0, ENOSYS},
    {"remap_file_pages", 0, ENOSYS},
    {"memfd_secret", 0, ENOSYS},
};
// clang-format on
constexpr int kHighestKnown = 462;

constexpr std::uint32_t kAll = 0xffffffff;
constexpr std::array<std::uint32_t, 5> kPersonalities = {0, 8, 0x20000, 0x20008, 0xffffffff};
constexpr std::array<std::uint32_t, 3> kFamilies = {1 /* UNIX */, 2 /* INET */, 10 /* INET6 */};
// What the kernel answers there waits in its own memory, which no limit counts, as long as it is not read. The guest
// gives a few sockets of routes (guest/netlink_door.h); where it cannot, EOPNOTSUPP is what libraries take for "there
// is no such list" (libzmq ends the process for others), and without the other protocols there are kernels.
constexpr std::array<std::uint32_t, 1> kNetlink = {16};
constexpr std::array<std::uint32_t, 1> kRoutes = {0};
constexpr std::array<std::uint32_t, 1> kUnixOnly = {1};
constexpr std::array<std::uint32_t, 2> kStreamDatagram = {1, 2};
constexpr std::array<std::uint32_t, 5> kInetProtocols = {0, 6 /* TCP */, 17 /* UDP */, 1 /* ICMP */, 58 /* ICMPv6 */};
// TIOCSTI TIOCLINUX TIOCCONS TIOCSETD TIOCVHANGUP FIFREEZE FITHAW FS_IOC_SETFLAGS FS_IOC32_SETFLAGS FS_IOC_FSSETXATTR
constexpr std::array<std::uint32_t, 10> kIoctls = {0x5412,     0x541C,     0x541D,     0x5423,     0x5437,
                                                   0xC0045877, 0xC0045878, 0x40086602, 0x40046602, 0x401C5820};
constexpr std::array<std::uint32_t, 1> kBlockIoctls = {0x1200};
// All of btrfs: a subvolume that a sandbox makes on its disk has no limit. Files are cloned by copy_file_range, too.
constexpr std::array<std::uint32_t, 1> kBtrfsIoctls = {0x9400};
constexpr std::array<std::uint32_t, 4> kSocketOptions = {25 /* BINDTODEVICE */, 62 /* BINDTOIFINDEX */,
                                                         50 /* ATTACH_BPF */, 52 /* ATTACH_REUSEPORT_EBPF */};
// Their machine code comes from what the whole machine has for it, and no limit of a sandbox counts it: where that is
// used up, nobody can install a filter of system calls, and no sandbox starts.
constexpr std::array<std::uint32_t, 2> kSocketFilters = {26 /* ATTACH_FILTER */, 51 /* ATTACH_REUSEPORT_CBPF */};
// The same goes for what waits in the error queue of a socket: errors of packets, and the times at which they were
// sent. Those of packets seem to be kept (0: the call succeeds, and does nothing): the C library asks no server for
// names where it cannot have them, and is told of the error that matters, that nobody listens, without.
constexpr std::array<std::uint32_t, 4> kSocketNotices = {37, 65 /* TIMESTAMPING */, 60 /* ZEROCOPY */, 61 /* TXTIME */};
constexpr std::array<std::uint32_t, 1> kIpNotices = {11 /* RECVERR */};
constexpr std::array<std::uint32_t, 1> kIpv6Notices = {25 /* RECVERR */};
constexpr std::array<std::uint32_t, 1> kTcpOptions = {31 /* ULP */};
// Keys that sign packets of TCP, and members of groups: lists that no limit counts. A socket may hold 180 KiB of keys,
// or 2,300 groups of IPv6 with 660 KiB. Groups of IPv4 are 20 a socket, and allowed, but not by who sends to them.
constexpr std::array<std::uint32_t, 7> kTcpKeys = {14 /* MD5SIG */, 32 /* MD5SIG_EXT */, 38, 39, 40, 41, 42 /* AO */};
constexpr std::array<std::uint32_t, 6> kSenders = {38 /* IP_BLOCK_SOURCE */, 39 /* IP_ADD_SOURCE_MEMBERSHIP */,
                                                   41 /* IP_MSFILTER */,     43 /* MCAST_BLOCK_SOURCE */,
                                                   46 /* JOIN_SOURCE */,     48 /* MCAST_MSFILTER */};
constexpr std::array<std::uint32_t, 6> kIpv6Groups = {
    20 /* IPV6_JOIN_GROUP */, 27 /* IPV6_JOIN_ANYCAST */, 42 /* MCAST_JOIN_GROUP */, 43, 46, 48 /* as above */};
constexpr std::array<std::uint32_t, 5> kIpOptions = {17 /* XFRM_POLICY */, 64, 65, 66, 67 /* netfilter */};
constexpr std::array<std::uint32_t, 5> kIpv6Options = {35 /* XFRM_POLICY */, 64, 65, 66, 67};
constexpr std::array<std::uint32_t, 3> kPrctls = {35 /* SET_MM */, 53 /* SET_SPECULATION_CTRL */,
                                                  0x59616d61 /* SET_PTRACER */};
constexpr std::array<std::uint32_t, 2> kNodeTypes = {0x2000 /* S_IFCHR */, 0x6000 /* S_IFBLK */};
constexpr std::array<std::uint32_t, 3> kRealTime = {1 /* FIFO */, 2 /* RR */, 6 /* DEADLINE */};
constexpr std::array<std::uint32_t, 1> kRealTimeIo = {1U << 13U /* IOPRIO_CLASS_RT */};

// Who owns a file can have everybody wait who opens it, for fs.lease-break-time: also where it lies on a file system
// that is the machine's or other sandboxes', too. The answer is that of a file system that has no leases.
constexpr std::array<std::uint32_t, 2> kLeases = {1024 /* F_SETLEASE */, 1040 /* F_SETDELEG, Linux 6.19 */};

constexpr std::uint32_t kSetId = 06000;          // S_ISUID, S_ISGID
constexpr std::uint32_t kCreate = 0100;          // O_CREAT
constexpr std::uint32_t kTemporary = 020000000;  // __O_TMPFILE
constexpr std::uint32_t kCoreLimit = 4;          // RLIMIT_CORE
constexpr std::array<std::uint32_t, 1> kCoreResource = {kCoreLimit};
constexpr auto kHigh = SeccompArgument::Half::high;

constexpr SeccompArgument kArguments[] = {
    // NOLINT(modernize-avoid-c-arrays)
    // Huge pages come from the machine's reserve, which no memory limit counts.
    {"mmap", 3, 0x40000 /* MAP_HUGETLB */, Test::refuse_if_any_bit, {}, ENOMEM},
    {"memfd_create", 1, 4 /* MFD_HUGETLB */, Test::refuse_if_any_bit, {}, ENOMEM},
    {"shmget", 2, 04000 /* SHM_HUGETLB */, Test::refuse_if_any_bit, {}, ENOMEM},
    // The soft limit 1 keeps the kernel from starting the machine's core dump program (profile.h): it stays what it is.
    // Who sets it wants no core dumps, and has none, or sets all limits at once (PAM for su) and goes on only where
    // that succeeds.
    {"setrlimit", 0, kAll, Test::refuse_if_equal, kCoreResource, 0},
    {"prlimit64", 2, kAll, Test::refuse_if_any_bit, {}, 0, 1, kCoreLimit},
    {"prlimit64", 2, kAll, Test::refuse_if_any_bit, {}, 0, 1, kCoreLimit, kAll, kHigh},
    {"clone", 0, 0x7E020000 /* CLONE_NEW* */, Test::refuse_if_any_bit, {}, EPERM},
    {"personality", 0, kAll, Test::refuse_unless_equal, kPersonalities, EPERM},
    {"socket", 2, kAll, Test::refuse_unless_equal, kRoutes, EPROTONOSUPPORT, 0, kNetlink[0]},
    {"socket", 0, kAll, Test::refuse_if_equal, kNetlink, EOPNOTSUPP},
    {"socket", 0, kAll, Test::refuse_unless_equal, kFamilies, EAFNOSUPPORT},
    {"socket", 1, 0xf, Test::refuse_unless_equal, kStreamDatagram, EPERM, 0, 2},
    {"socket", 1, 0xf, Test::refuse_unless_equal, kStreamDatagram, EPERM, 0, 10},
    {"socket", 2, kAll, Test::refuse_unless_equal, kInetProtocols, EPROTONOSUPPORT, 0, 2},
    {"socket", 2, kAll, Test::refuse_unless_equal, kInetProtocols, EPROTONOSUPPORT, 0, 10},
    {"socketpair", 0, kAll, Test::refuse_unless_equal, kUnixOnly, EAFNOSUPPORT},
    {"ioctl", 1, kAll, Test::refuse_if_equal, kIoctls, EPERM},
    {"ioctl", 1, 0xffffff00, Test::refuse_if_equal, kBlockIoctls, EPERM},
    {"ioctl", 1, 0x0000ff00, Test::refuse_if_equal, kBtrfsIoctls, ENOTTY},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kSocketOptions, EPERM, 1, 1},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kSocketFilters, ENOPROTOOPT, 1, 1},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kSocketNotices, ENOPROTOOPT, 1, 1},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kIpNotices, 0, 1, 0},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kIpv6Notices, 0, 1, 41},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kTcpOptions, EPERM, 1, 6},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kTcpKeys, ENOPROTOOPT, 1, 6},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kSenders, ENODEV, 1, 0},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kIpv6Groups, ENODEV, 1, 41},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kIpOptions, EPERM, 1, 0},
    {"setsockopt", 2, kAll, Test::refuse_if_equal, kIpv6Options, EPERM, 1, 41},
    {"prctl", 0, kAll, Test::refuse_if_equal, kPrctls, EPERM},
    {"seccomp", 1, 8 /* NEW_LISTENER */, Test::refuse_if_any_bit, {}, EPERM},
    {"mknod", 1, 0xf000, Test::refuse_if_equal, kNodeTypes, EPERM},
    {"mknodat", 2, 0xf000, Test::refuse_if_equal, kNodeTypes, EPERM},
    {"sched_setscheduler", 1, 0x3fffffff, Test::refuse_if_equal, kRealTime, EPERM},
    {"ioprio_set", 2, 0xe000, Test::refuse_if_equal, kRealTimeIo, EPERM},
    {"fcntl", 1, kAll, Test::refuse_if_equal, kLeases, EINVAL},
};

// A setuid file would work outside, where a directory of the machine is mounted (run -v).
constexpr SeccompArgument kSetIdArguments[] = {
    // NOLINT(modernize-avoid-c-arrays)
    {"openat", 3, kSetId, Test::refuse_if_any_bit, {}, EPERM, 2, kCreate, kCreate},
    {"openat", 3, kSetId, Test::refuse_if_any_bit, {}, EPERM, 2, kTemporary, kTemporary},
    {"open", 2, kSetId, Test::refuse_if_any_bit, {}, EPERM, 1, kCreate, kCreate},
    {"open", 2, kSetId, Test::refuse_if_any_bit, {}, EPERM, 1, kTemporary, kTemporary},
    {"creat", 1, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"chmod", 1, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"fchmod", 1, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"fchmodat", 2, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"mkdir", 1, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"mkdirat", 2, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"mknod", 1, kSetId, Test::refuse_if_any_bit, {}, EPERM},
    {"mknodat", 2, kSetId, Test::refuse_if_any_bit, {}, EPERM},
};

// With Profile::root, beside: another root directory, which is no way out of the mounts, and the user namespace of
// commands. That is for the guest alone: they get one more filter, which refuses it (guest/posture.h).
constexpr SeccompCall kRootCalls[] = {{"chroot", 0, 0}, {"setns", 0, 0}};  // NOLINT(modernize-avoid-c-arrays)
constexpr std::array<std::uint32_t, 1> kUserNamespace = {0x10000000 /* CLONE_NEWUSER */};
constexpr SeccompArgument kRootArguments[] = {  // NOLINT(modernize-avoid-c-arrays)
    {"setns", 1, kAll, Test::refuse_unless_equal, kUserNamespace, EPERM}};

template <class Row>
std::vector<Row> joined(std::span<const Row> first, std::span<const Row> second) {
  std::vector<Row> rows(first.begin(), first.end());
  rows.insert(rows.end(), second.begin(), second.end());
  return rows;
}

}  // namespace

SeccompTables seccomp_tables(guest_protocol::Profile profile, SetIdFiles set_id_files) {
  static const auto arguments = joined<SeccompArgument>(kSetIdArguments, kArguments);
  if (profile != guest_protocol::Profile::root) return {kCalls, arguments, EPERM, kHighestKnown};
  static const auto root_calls = joined<SeccompCall>(kCalls, kRootCalls);
  static const auto with_set_id = joined<SeccompArgument>(kArguments, kRootArguments);
  static const auto without_set_id = joined<SeccompArgument>(kSetIdArguments, with_set_id);
  return {root_calls, set_id_files == SetIdFiles::allowed ? with_set_id : without_set_id, EPERM, kHighestKnown};
}

}  // namespace lmsb::sandbox
