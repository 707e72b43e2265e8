#include "launcher/filters.h"

#include <array>
#include <cerrno>

namespace lmsb::launcher {
namespace {

using Test = SeccompArgument::Test;

constexpr std::uint32_t kAll = 0xffffffff;
constexpr int kEveryCall = 0x3fffffff;  // below x32's bit

constexpr SeccompCall refused(const char* name) { return {name, 0, EPERM}; }
constexpr SeccompCall allowed(const char* name) { return {name, 0, 0}; }
constexpr SeccompCall missing(const char* name) { return {name, 0, ENOSYS}; }

// Reading and changing other processes, loading code into the kernel, turning the machine off, its clock and swap, raw
// I/O, files by handle, and the parts of the kernel with the worst record.
// Names in running text read better than one a line.
// clang-format off
constexpr std::array kLauncherCalls = {
    refused("ptrace"), refused("process_vm_readv"), refused("process_vm_writev"), refused("process_madvise"),
    refused("kcmp"), refused("pidfd_getfd"), refused("bpf"), refused("perf_event_open"), refused("kexec_load"),
    refused("kexec_file_load"), refused("init_module"), refused("finit_module"), refused("delete_module"),
    refused("reboot"), refused("acct"), refused("swapon"), refused("swapoff"), refused("quotactl"),
    refused("quotactl_fd"), refused("syslog"), refused("iopl"), refused("ioperm"), refused("modify_ldt"),
    refused("settimeofday"), refused("clock_settime"), refused("clock_adjtime"), refused("adjtimex"),
    refused("open_by_handle_at"), refused("fanotify_init"), refused("lookup_dcookie"), refused("vhangup"),
    refused("uselib"), refused("ustat"), refused("sysfs"), refused("mbind"), refused("migrate_pages"),
    refused("move_pages"), refused("set_mempolicy"), refused("add_key"), refused("request_key"),
    missing("userfaultfd"), missing("io_uring_setup"), missing("io_uring_enter"), missing("io_uring_register"),
    missing("memfd_secret"), missing("remap_file_pages")};
// clang-format on

// clang-format off
constexpr std::array kDaemonCalls = {
    // files
    allowed("access"), allowed("chdir"), allowed("chmod"), allowed("close"), allowed("close_range"),
    allowed("copy_file_range"), allowed("creat"), allowed("dup"), allowed("dup2"), allowed("dup3"),
    allowed("faccessat"), allowed("faccessat2"), allowed("fadvise64"), allowed("fallocate"), allowed("fchdir"),
    allowed("fchmod"), allowed("fchmodat"), allowed("fchown"), allowed("fchownat"), allowed("fcntl"),
    allowed("fdatasync"), allowed("flock"), allowed("fstat"), allowed("fstatfs"), allowed("fsync"),
    allowed("ftruncate"), allowed("getcwd"), allowed("getdents64"), allowed("getxattr"), allowed("lgetxattr"),
    allowed("inotify_add_watch"), allowed("inotify_init1"), allowed("inotify_rm_watch"), allowed("lchown"),
    allowed("chown"), allowed("link"), allowed("linkat"), allowed("lseek"), allowed("lstat"), allowed("memfd_create"),
    allowed("mkdir"), allowed("mkdirat"), allowed("newfstatat"), allowed("open"), allowed("openat"), allowed("openat2"),
    allowed("pread64"), allowed("preadv"), allowed("preadv2"), allowed("pwrite64"), allowed("pwritev"),
    allowed("pwritev2"), allowed("read"), allowed("readahead"), allowed("readlink"), allowed("readlinkat"),
    allowed("readv"), allowed("rename"), allowed("renameat"), allowed("renameat2"), allowed("rmdir"),
    allowed("sendfile"), allowed("splice"), allowed("stat"), allowed("statfs"), allowed("statx"), allowed("symlink"),
    allowed("symlinkat"), allowed("sync_file_range"), allowed("syncfs"), allowed("tee"), allowed("truncate"),
    allowed("umask"), allowed("unlink"), allowed("unlinkat"), allowed("utimensat"), allowed("write"), allowed("writev"),
    // sockets, pipes, waiting
    allowed("accept"), allowed("accept4"), allowed("bind"), allowed("connect"), allowed("epoll_create1"),
    allowed("epoll_ctl"), allowed("epoll_pwait"), allowed("epoll_pwait2"), allowed("epoll_wait"), allowed("eventfd2"),
    allowed("getpeername"), allowed("getsockname"), allowed("getsockopt"), allowed("ioctl"), allowed("listen"),
    allowed("pipe"), allowed("pipe2"), allowed("poll"), allowed("ppoll"), allowed("pselect6"), allowed("recvfrom"),
    allowed("recvmmsg"), allowed("recvmsg"), allowed("select"), allowed("sendmmsg"), allowed("sendmsg"),
    allowed("sendto"), allowed("setsockopt"), allowed("shutdown"), allowed("signalfd4"), allowed("socket"),
    allowed("socketpair"), allowed("timerfd_create"), allowed("timerfd_gettime"), allowed("timerfd_settime"),
    // memory, threads, signals
    allowed("arch_prctl"), allowed("brk"), allowed("clone"), missing("clone3"), allowed("exit"), allowed("exit_group"),
    allowed("futex"), allowed("futex_waitv"), allowed("get_robust_list"), allowed("getcpu"), allowed("madvise"),
    allowed("membarrier"), allowed("mincore"), allowed("mlock"), allowed("mlock2"), allowed("mmap"),
    allowed("mprotect"), allowed("mremap"), allowed("msync"), allowed("munlock"), allowed("munmap"),
    allowed("pidfd_open"), allowed("pidfd_send_signal"), allowed("prctl"), allowed("restart_syscall"), allowed("rseq"),
    allowed("rt_sigaction"), allowed("rt_sigpending"), allowed("rt_sigprocmask"), allowed("rt_sigqueueinfo"),
    allowed("rt_sigreturn"), allowed("rt_sigsuspend"), allowed("rt_sigtimedwait"), allowed("rt_tgsigqueueinfo"),
    allowed("sched_getaffinity"), allowed("sched_getparam"), allowed("sched_getscheduler"),
    allowed("sched_get_priority_max"), allowed("sched_get_priority_min"), allowed("sched_yield"),
    allowed("set_robust_list"), allowed("set_tid_address"), allowed("sigaltstack"), allowed("tgkill"),
    // who, when, how much
    allowed("capget"), allowed("clock_getres"), allowed("clock_gettime"), allowed("clock_nanosleep"),
    allowed("getegid"), allowed("geteuid"), allowed("getgid"), allowed("getgroups"), allowed("getpgid"),
    allowed("getpgrp"), allowed("getpid"), allowed("getppid"), allowed("getpriority"), allowed("getrandom"),
    allowed("getresgid"), allowed("getresuid"), allowed("getrlimit"), allowed("getrusage"), allowed("getsid"),
    allowed("gettid"), allowed("gettimeofday"), allowed("getuid"), allowed("nanosleep"), allowed("prlimit64"),
    allowed("setrlimit"), allowed("sysinfo"), allowed("time"), allowed("times"), allowed("uname"),
    // to become the daemon; with no_new_privs nobody gains by it
    allowed("execve"), missing("io_uring_setup"), missing("io_uring_enter"), missing("io_uring_register"),
    missing("userfaultfd"), missing("vmsplice"), missing("memfd_secret")};
// clang-format on
constexpr int kDaemonHighestKnown = 462;

constexpr std::array<std::uint32_t, 1> kThread = {0x10000 /* CLONE_THREAD */};
constexpr std::array<std::uint32_t, 4> kFamilies = {1 /* UNIX */, 2 /* INET */, 10 /* INET6 */, 16 /* NETLINK */};
constexpr std::array<std::uint32_t, 3> kSocketTypes = {1 /* STREAM */, 2 /* DGRAM */, 5 /* SEQPACKET */};
constexpr std::array<std::uint32_t, 2> kNetlinkTypes = {2 /* DGRAM */, 3 /* RAW, the same to netlink */};
constexpr std::array<std::uint32_t, 2> kNetlinks = {0 /* ROUTE */, 4 /* SOCK_DIAG */};
constexpr std::array<std::uint32_t, 1> kUnixOnly = {1};
constexpr std::array<std::uint32_t, 4> kIoctls = {0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */, 0x541D /* TIOCCONS */,
                                                  0x5423 /* TIOCSETD */};

constexpr std::array kDaemonArguments = {
    SeccompArgument{"ioctl", 1, kAll, Test::refuse_if_equal, kIoctls, EPERM},
    SeccompArgument{"socket", 0, kAll, Test::refuse_unless_equal, kFamilies, EAFNOSUPPORT},
    SeccompArgument{"socket", 1, 0xf, Test::refuse_unless_equal, kSocketTypes, EPERM, 0, 1},
    SeccompArgument{"socket", 1, 0xf, Test::refuse_unless_equal, kSocketTypes, EPERM, 0, 2},
    SeccompArgument{"socket", 1, 0xf, Test::refuse_unless_equal, kSocketTypes, EPERM, 0, 10},
    SeccompArgument{"socket", 1, 0xf, Test::refuse_unless_equal, kNetlinkTypes, EPERM, 0, 16},
    SeccompArgument{"socket", 2, kAll, Test::refuse_unless_equal, kNetlinks, EPROTONOSUPPORT, 0, 16},
    SeccompArgument{"socketpair", 0, kAll, Test::refuse_unless_equal, kUnixOnly, EAFNOSUPPORT},
    SeccompArgument{"clone", 0, kThread[0], Test::refuse_unless_equal, kThread, EPERM}};

// Of an archiver: one disk, one stream, one report.
// clang-format off
constexpr std::array kArchiverCalls = {
    allowed("read"), allowed("write"), allowed("pread64"), allowed("pwrite64"), allowed("lseek"), allowed("close"),
    allowed("openat"), allowed("openat2"), allowed("fstat"), allowed("newfstatat"), allowed("getdents64"),
    allowed("readlinkat"), allowed("flistxattr"), allowed("fgetxattr"), allowed("fsetxattr"), allowed("fchown"),
    allowed("fchownat"), allowed("fchmod"), allowed("fchmodat"), allowed("utimensat"), allowed("mkdirat"),
    allowed("mknodat"), allowed("symlinkat"), allowed("linkat"), allowed("ftruncate"), allowed("syncfs"),
    allowed("fcntl"), allowed("brk"), allowed("mmap"), allowed("munmap"), allowed("mremap"), allowed("madvise"),
    allowed("mprotect"), allowed("sendmsg"), allowed("getrandom"), allowed("futex"), allowed("rt_sigreturn"),
    allowed("exit"), allowed("exit_group")};
// clang-format on
// Of devices the mark of what was removed alone, which the kernel lets anybody make.
constexpr std::array<std::uint32_t, 2> kNodeTypes = {0010000 /* S_IFIFO */, 0020000 /* S_IFCHR */};
constexpr std::array<std::uint32_t, 1> kNoDevice = {0};
constexpr std::array kArchiverArguments = {
    SeccompArgument{"mknodat", 2, 0170000, Test::refuse_unless_equal, kNodeTypes, EPERM},
    SeccompArgument{"mknodat", 3, kAll, Test::refuse_unless_equal, kNoDevice, EPERM}};

// Of a gate: no file is opened, no process made, no memory executable.
// clang-format off
constexpr std::array kGateCalls = {
    allowed("read"), allowed("write"), allowed("close"), allowed("socket"), allowed("bind"), allowed("connect"),
    allowed("listen"), allowed("accept4"), allowed("getsockname"), allowed("getsockopt"), allowed("setsockopt"),
    allowed("shutdown"), allowed("sendto"), allowed("sendmsg"), allowed("recvfrom"), allowed("recvmsg"),
    allowed("epoll_ctl"), allowed("epoll_wait"), allowed("epoll_pwait"), allowed("epoll_create1"), allowed("fcntl"),
    allowed("brk"), allowed("mmap"), allowed("munmap"), allowed("mremap"), allowed("madvise"), allowed("getrandom"),
    allowed("clock_gettime"), allowed("futex"), allowed("restart_syscall"), allowed("rt_sigreturn"), allowed("exit"),
    allowed("exit_group")};
// clang-format on
constexpr std::array<std::uint32_t, 2> kInternet = {2 /* INET */, 10 /* INET6 */};
constexpr std::array<std::uint32_t, 2> kStreamOrDatagram = {1 /* STREAM */, 2 /* DGRAM */};
constexpr std::array<std::uint32_t, 1> kExecutable = {4 /* PROT_EXEC */};
constexpr std::array<std::uint32_t, 1> kNothing = {0};
constexpr std::array kGateArguments = {
    SeccompArgument{"socket", 0, kAll, Test::refuse_unless_equal, kInternet, EAFNOSUPPORT},
    SeccompArgument{"socket", 1, 0xf, Test::refuse_unless_equal, kStreamOrDatagram, EPERM},
    SeccompArgument{"socket", 2, kAll, Test::refuse_unless_equal, kNothing, EPROTONOSUPPORT},
    SeccompArgument{"mmap", 2, kExecutable[0], Test::refuse_if_equal, kExecutable, EPERM}};

}  // namespace

SeccompTables gate_filter() { return {kGateCalls, kGateArguments, EPERM, kDaemonHighestKnown}; }

SeccompTables archiver_filter() { return {kArchiverCalls, kArchiverArguments, EPERM, kDaemonHighestKnown}; }

SeccompTables launcher_filter() { return {kLauncherCalls, {}, 0, kEveryCall}; }

SeccompTables daemon_filter() { return {kDaemonCalls, kDaemonArguments, EPERM, kDaemonHighestKnown}; }

}  // namespace lmsb::launcher
