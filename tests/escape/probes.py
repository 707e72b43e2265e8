#!/usr/bin/python3
"""The table of probes: each is a short program that tries to reach out of a sandbox, and says what must stop it.

A case names the layers that stand in its way, in the order in which the probe meets them, each with the error by which
it shows that it was this one. The suite (test_escape.py) leaves them out from the left: with none left out the first
refuses, without the first the second, and without any the probe must get what it wants, or it proves nothing. Then it
meets each of them alone, with all others left out. `outside` is the last where no part of a sandbox can be left out for
it: then the probe runs on the machine itself.

A probe returns what it got, raises OSError when it was refused, or Missing when it cannot be tried here. It does nothing
that would last, in or out of a sandbox. This file is also the program that runs inside: `probes.py PARAMETERS CASE...`
prints a line of JSON for each."""
import contextlib
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

CASES = {}
CLASSES = {
    "FS": "files and mounts", "PR": "proc", "FD": "descriptors and environment", "NC": "namespaces, ids, capabilities",
    "SY": "system-call filter", "KS": "surface of the kernel", "DV": "devices and terminals", "NT": "network",
    "XS": "other sandboxes and users", "CG": "control groups", "RX": "exhaustion", "KL": "life and time"}

libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {
    "ioctl": 16, "shmget": 29, "shmat": 30, "clone": 56, "fork": 57, "getpid": 39, "ptrace": 101, "personality": 135,
    "sched_setscheduler": 144, "pivot_root": 155, "prctl": 157, "setrlimit": 160, "chroot": 161, "mount": 165,
    "umount2": 166, "sethostname": 170, "clock_settime": 227, "mknod": 133, "setxattr": 188, "add_key": 248, "keyctl": 250,
    "unshare": 272, "perf_event_open": 298, "prlimit64": 302, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "setns": 308, "process_vm_readv": 310, "seccomp": 317, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442}
NEW_NS, NEW_USER, NEW_NET, NEW_PID = 0x20000, 0x10000000, 0x40000000, 0x20000000
O_PATH = 0o10000000
# Of a user whose processes it hides: who is root of the user namespace may trace the first process, and so sees it.
NEEDS = {"hidepid": frozenset({"capabilities"})}
PARAMETERS = {}  # what the suite tells the probes: names and places of the canaries, never what they say


class Missing(Exception):
    """The probe cannot be tried on this machine."""


AS_OTHERS = object()


class Case:
    def __init__(self, probe, ident, severity, layers, alone, root):
        self.probe, self.id, self.severity, self.layers, self.alone = probe, ident, severity, layers, alone
        self.root = root  # the error in a sandbox with the profile root, None: it is root's to do there
        self.what = probe.__doc__

    def arms(self, without=()):
        """(what is left out, the error that must come then, None: a breach), from the whole sandbox to none of it.
        `without`: layers that this machine has not."""
        names = [name for name in self.layers if name not in without]
        return [(frozenset(names[:i]), self.layers[names[i]] if i < len(names) else None) for i in range(len(names) + 1)]

    def alone_arms(self, without=()):
        """The same of each layer with all others left out but those that it is nothing without. Those that cannot be told
        apart from `outside`, which is never left out, are not among them."""
        names = [name for name in self.layers if name not in without and name != "outside"]
        others = {name: frozenset(names) - {name} - NEEDS.get(name, frozenset()) for name in names}
        return [(others[name], self.layers[name]) for name in names if self.layers[name] != self.layers.get("outside")]


def case(ident, severity, alone=False, root=AS_OTHERS, **layers):
    def add(probe):
        assert ident not in CASES and ident[:2] in CLASSES, ident
        CASES[ident] = Case(probe, ident, severity, layers, alone, root)
        return probe

    return add


def call(name, *args):
    """A system call, with the kernel's own arguments. Raises OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(NUMBERS.get(name, name)), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def reach(refusal, name, *args):
    """A call that the kernel itself would answer with another error than the filter: any such answer is a breach."""
    try:
        got = call(name, *args)
    except OSError as e:
        if e.errno == refusal:
            raise
        return f"the kernel's own answer, {errno.errorcode[e.errno]}"
    return f"an answer, {got}"


def first_of(attempts):
    """What the first attempt that succeeds gets; else the last one's refusal."""
    refusal = None
    for attempt in attempts:
        try:
            return attempt()
        except OSError as e:
            refusal = e
    raise refusal


def refuse(number):
    raise OSError(number, os.strerror(number))


def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 16).decode(errors="replace")


def status(field, of="self"):
    return next(line.split()[1] for line in read(f"/proc/{of}/status").splitlines() if line.startswith(field + ":"))


# --- FS: files and mounts


@case("FS-01", "HostLeak", outside="ENOENT")
def host_file():
    """read a file of the machine by its path, over `..`, through /proc/self/root and through /proc/1/root"""
    path = PARAMETERS["file"]
    ways = (path, "/" + "../" * 64 + path[1:], "/proc/self/root/.." + path, "/proc/self/cwd/" + "../" * 64 + path[1:],
            "/proc/1/root" + path, "/.old_root" + path, "/mnt" + path)
    return first_of([lambda way=way: read(way) for way in ways])


@case("FS-02", "Escape", root="ENOENT", seccomp="EPERM", capabilities="EPERM", outside="ENOENT")
def chroot_escape():
    """leave the root directory by a second chroot with a descriptor from before it"""
    old = os.open("/", os.O_RDONLY)
    cage = tempfile.mkdtemp(prefix="lmsb-test-")
    try:
        call("chroot", cage.encode())
        os.fchdir(old)
        for _ in range(64):
            os.chdir("..")
        call("chroot", b".")
        return read(PARAMETERS["file"])
    finally:
        with contextlib.suppress(OSError):  # it could not come back
            os.rmdir(cage)


@case("FS-03", "Escape", seccomp="EPERM", capabilities="EPERM", landlock="EPERM")
def mount_tmpfs():
    """mount a file system"""
    call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
    return "a mount"


@case("FS-04", "HostLeak", seccomp="EPERM", capabilities="EPERM", landlock="EPERM")
def take_mask_away():
    """unmount what hides a part of /proc"""
    call("umount2", b"/proc/keys", 0)
    return "what was hidden"


@case("FS-05", "Escape", seccomp="EPERM", capabilities="EPERM")
def open_file_system():
    """configure a file system by fsopen"""
    return f"a descriptor, {call('fsopen', b'tmpfs', 0)}"


@case("FS-06", "Escape", seccomp="EPERM", capabilities="EPERM", user_max="ENOSPC")
def clone_mount():
    """clone a mount by open_tree"""
    return f"a descriptor, {call('open_tree', -100, b'/dev', 1)}"


@case("FS-07", "Escape", seccomp="EPERM", capabilities="EPERM")
def make_writable():
    """make a read-only mount writable by mount_setattr"""
    call("mount_setattr", -100, b"/proc/sys", 0, struct.pack("4Q", 0, 1, 0, 0), 32)
    return "a writable /proc/sys"


@case("FS-08", "Integrity", root=None, capabilities="EACCES", landlock="EACCES")
def write_to_root():
    """write beside the places that are for writing, as root of the user namespace, too"""
    os.mkdir("/lmsb-probe")
    os.rmdir("/lmsb-probe")
    return "a directory at /"


@case("FS-09", "Escape", outside="EROFS")
def write_to_usr():
    """write to the machine's /usr"""
    path = "/usr/lmsb-probe"
    os.mkdir(path)
    os.rmdir(path)
    return "a directory in /usr"


@case("FS-10", "Escape", root=None, seccomp="EPERM")
def setuid_file():
    """make a setuid file, which would work where a directory of the machine is mounted"""
    path = "/tmp/lmsb-setuid"
    made = os.open(path, os.O_CREAT | os.O_WRONLY, 0o755)
    try:
        first_of([lambda: os.fchmod(made, 0o4755), lambda: os.chmod(path, 0o2755),
                  lambda: os.close(os.open(path + "2", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o4755))])
        return "a setuid file"
    finally:
        os.unlink(path)


@case("FS-11", "Escape", seccomp="EPERM", landlock="EACCES", outside="EPERM")
def device_node():
    """make a device node"""
    with tempfile.TemporaryDirectory(prefix="lmsb-test-") as directory:
        call("mknod", os.path.join(directory, "node").encode(), 0o020600, os.makedev(1, 3))
    return "the node of a device"


@case("FS-12", "Lateral", outside="EPERM")
def overlay_mark():
    """set an attribute by which overlayfs would read another file of the image"""
    with tempfile.NamedTemporaryFile(prefix="lmsb-test-") as file:
        os.setxattr(file.name, "trusted.overlay.redirect", b"/etc/shadow")
    return "an overlay that is led elsewhere"


@case("FS-13", "InternalEsc", capabilities="EPERM")
def file_capability():
    """give a file a capability"""
    with tempfile.NamedTemporaryFile(prefix="lmsb-test-") as file:
        os.setxattr(file.name, "security.capability", struct.pack("<5I", 0x02000001, 1 << 21, 0, 0, 0))
    return "a file that gives CAP_SYS_ADMIN"


@case("FS-14", "Escape", seccomp="EPERM", launcher_filter="EPERM", outside="EPERM")
def file_by_handle():
    """open a file by its handle, past all directories"""
    handle = ctypes.create_string_buffer(struct.pack("Ii", 120, 0) + bytes(120))
    mount_id = ctypes.c_int()
    # A tmpfs wherever it runs; what is below /tmp (an overlay of an image) may have no handles.
    call("name_to_handle_at", -100, b"/dev/shm", handle, ctypes.byref(mount_id), 0)
    directory = os.open("/dev/shm", os.O_RDONLY)
    return f"a descriptor, {call('open_by_handle_at', directory, handle, os.O_RDONLY)}"


@case("FS-15", "HostLeak", capabilities="EACCES")
def file_of_root():
    """read in the machine's /usr what its root alone may: a file, and the names in a directory"""
    closed = PARAMETERS["closed"]
    return first_of([lambda: read(closed + "/secret"), lambda: str(os.listdir(closed + "/directory"))])


# --- PR: proc


@case("PR-01", "HostLeak", masks="ENODATA")
def masked_files():
    """read what /proc tells of the machine: its command line, interrupts, keys, disks, kernel addresses"""
    for name in (name for name in os.listdir("/proc") if not name.isdigit() and name not in PARAMETERS["shown"]):
        path = "/proc/" + name
        try:
            if os.path.isdir(path):
                names = os.listdir(path)
                if names:
                    return f"{path}: {names[0]}"
            elif text := read(path):
                return f"{path}: {text[:40]!r}"
        except OSError:
            continue
    return refuse(errno.ENODATA)


@case("PR-02", "Escape", seccomp="EPERM", capabilities="EPERM", landlock="EPERM")
def second_proc():
    """mount another proc, on which nothing is hidden"""
    os.makedirs("/tmp/lmsb-proc", exist_ok=True)
    call("mount", b"proc", b"/tmp/lmsb-proc", b"proc", 0, None)
    return "a proc of its own"


@case("PR-03", "Escape", outside="EACCES")
def machine_settings():
    """open a setting of the machine for writing: core_pattern, modprobe, sysrq-trigger, binfmt_misc, uevent_helper"""
    names = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
             "/proc/sys/kernel/hotplug", "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper")
    for name in names:
        try:
            os.close(os.open(name, os.O_WRONLY))
            return name
        except FileNotFoundError:
            pass
        except OSError as e:
            refusal = e.errno
    return refuse(refusal)


@case("PR-04", "InternalEsc", read_only_proc="EROFS", capabilities="EACCES", landlock="EACCES")
def any_setting():
    """open any file below /proc/sys for writing"""
    refusal = errno.ENOENT
    for directory, _, names in os.walk("/proc/sys"):
        for name in names:
            try:
                if os.stat(os.path.join(directory, name)).st_mode & 0o002:
                    continue  # ns_last_pid: anybody may open it, and the kernel asks who writes
                os.close(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_NONBLOCK))
                return os.path.join(directory, name)
            except OSError as e:
                if e.errno in (errno.EACCES, errno.EROFS) and refusal != errno.EROFS:
                    refusal = e.errno
    # The kernel looks at the mount last, when the file's own mode has refused already.
    if refusal == errno.EACCES and os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        refusal = errno.EROFS
    return refuse(refusal)


@case("PR-05", "Escape", hidepid="ENOENT", capabilities="EACCES", outside="EACCES")
def look_into_guest():
    """look into the first process: its root, executable, memory, environment"""
    first = f"/proc/{PARAMETERS['first']}/"
    return first_of([lambda: os.readlink(first + "root"), lambda: os.readlink(first + "exe"),
                     lambda: f"descriptor {os.open(first + 'mem', os.O_RDWR)}"])


@case("PR-06", "Escape", seccomp="EPERM", launcher_filter="EPERM", capabilities="EPERM", outside="EPERM")
def trace_guest():
    """trace the first process"""
    call("ptrace", 0x4206, PARAMETERS["first"], 0, 0)  # PTRACE_SEIZE
    return "the first process"


@case("PR-07", "Escape", seccomp="EPERM", launcher_filter="EPERM")
def read_memory_of_others():
    """read another process's memory by process_vm_readv"""
    return reach(errno.EPERM, "process_vm_readv", 1, 0, 0, 0, 0, 1)


@case("PR-08", "InternalEsc", capabilities="EPERM")
def limit_guest():
    """read or change the limits of the first process"""
    old = ctypes.create_string_buffer(16)
    call("prlimit64", 1, resource.RLIMIT_NOFILE, None, old)
    return f"limits {struct.unpack('2Q', old.raw)}"


@case("PR-09", "InternalEsc", root="EROFS", landlock="EACCES")
def survive_out_of_memory():
    """lower its score, so that something else is killed when memory runs out"""
    with open("/proc/self/oom_score_adj", "r+") as file:
        file.write("0")
    return "a score of 0"


@case("PR-10", "HostLeak", masks="ENODATA")
def know_machine():
    """know that two sandboxes are on one machine, by the number of its boot"""
    return "the machine's" if read("/proc/sys/kernel/random/boot_id") == PARAMETERS["boot_id"] else refuse(errno.ENODATA)


# --- FD: descriptors and environment


@case("FD-01", "Escape", descriptors="ENOENT")
def leaked_descriptors():
    """find a descriptor that nobody gave to it, and go up from there"""
    for name in PARAMETERS["descriptors"]:
        return f"descriptor {name}: {os.readlink('/proc/self/fd/' + name)}"
    return refuse(errno.ENOENT)


@case("FD-02", "HostLeak", outside="ENOENT")
def host_environment():
    """find the daemon's environment in its own, or in that of any process it sees"""
    for pid in ["self"] + [name for name in os.listdir("/proc") if name.isdigit()]:
        try:
            text = read(f"/proc/{pid}/environ")
        except OSError:
            continue
        if "LMSB_CANARY=" in text:
            return text[text.index("LMSB_CANARY="):].split("\0")[0]
    return refuse(errno.ENOENT)


# --- NC: namespaces, ids, capabilities


@case("NC-01", "Escape", root=None, capabilities="EPERM")
def have_capabilities():
    """have a capability in any set of any thread, at once or after setuid(0)"""
    seen = []

    def look():
        seen.extend(status(name, f"self/task/{threading.get_native_id()}")
                    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    look()
    with contextlib.suppress(OSError):  # whether it may is NC-04's: here what it then has
        os.setuid(0)
    look()
    return next((caps for caps in seen if int(caps, 16)), None) or refuse(errno.EPERM)


@case("NC-02", "InternalEsc", no_new_privs="EPERM")
def gain_by_exec():
    """run without no_new_privs"""
    return "no_new_privs is 0" if status("NoNewPrivs") == "0" else refuse(errno.EPERM)


@case("NC-03", "InternalEsc", no_new_privs="EPERM", nosuid="EPERM")
def setuid_program():
    """become another user by a setuid program of the machine"""
    names = ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd")
    program = next((p for p in names if os.path.exists(p) and os.stat(p).st_mode & 0o4000), None)
    if program is None:
        raise Missing("the machine has no setuid su, mount or passwd")
    # The loader of a program that has gained something ignores this variable.
    shown = subprocess.run([program, "--help"], env={"LD_SHOW_AUXV": "1"}, stdout=subprocess.PIPE, check=False).stdout
    return refuse(errno.EPERM) if b"AT_EUID" in shown else f"{program} as another user"


@case("NC-04", "Escape", root=None, capabilities="EPERM")
def become_root():
    """become root of the user namespace"""
    os.setuid(0)
    os.setgroups([0])
    return "uid 0"


@case("NC-05", "Escape", seccomp="EPERM", user_max="ENOSPC")
def unshare_user():
    """make a user namespace by unshare"""
    call("unshare", NEW_USER)
    return "a user namespace"


@case("NC-06", "Escape", seccomp="EPERM", user_max="ENOSPC")
def clone_user():
    """make a user namespace by clone"""
    pid = call("clone", NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a user namespace"


@case("NC-07", "Escape", seccomp="ENOSYS")
def clone3():
    """use clone3, whose flags no filter can see"""
    return reach(errno.ENOSYS, "clone3", 0, 0)


@case("NC-08", "Escape", seccomp="EPERM", capabilities="EPERM", user_max="ENOSPC")
def unshare_others():
    """make a mount, network or process namespace"""
    return first_of([lambda kind=kind: f"a namespace, {call('unshare', kind)}" for kind in (NEW_NS, NEW_NET, NEW_PID)])


@case("NC-09", "Escape", seccomp="EPERM", capabilities="EPERM")
def enter_namespace():
    """enter a namespace by its descriptor"""
    call("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0)
    return "a namespace"


@case("NC-10", "Escape", read_only_proc="EROFS", capabilities="EACCES", landlock="EACCES")
def allow_namespaces():
    """raise the number of user namespaces that may be made"""
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("1")
    return "namespaces"


# --- SY: system-call filter


@case("SY-01", "Escape", seccomp="EPERM")
def calls_not_listed():
    """make each system call that the table does not list, 0 to 600"""
    reached = []
    for number in PARAMETERS["refused"]:
        try:
            reached.append(f"{number}: {call(number, -1, -1, -1, -1, -1, -1)}")
        except OSError as e:
            if e.errno not in (errno.EPERM, errno.ENOSYS):
                reached.append(f"{number}: {errno.errorcode[e.errno]}")
    return "calls " + ", ".join(reached) if reached else refuse(errno.EPERM)


def run_code(code):
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


@case("SY-02", "Escape", seccomp="SIGSYS", launcher_filter="SIGSYS")
def calls_of_i386():
    """make a system call of 32-bit programs, whose numbers mean others"""
    if not PARAMETERS["has_i386"]:
        raise Missing("this kernel has no system calls of 32-bit programs")
    return f"its pid, {run_code(bytes.fromhex('b814000000cd80c3'))}"  # mov eax, 20; int 0x80; ret


@case("SY-03", "Escape", seccomp="SIGSYS", launcher_filter="SIGSYS")
def calls_of_x32():
    """make a system call of x32 programs"""
    return reach(None, 0x40000000 | NUMBERS["getpid"])


@case("SY-04", "Escape", seccomp="EPERM")
def listen_to_filter():
    """answer system calls in the kernel's place, by a listener of a filter"""
    return reach(errno.EPERM, "seccomp", 1, 8, 0)


@case("SY-05", "Escape", seccomp="EPERM", user_max="ENOSPC")
def widen_filter():
    """install a filter that allows everything, then make a user namespace"""
    allow = struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)
    code = ctypes.create_string_buffer(allow)
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
    call("seccomp", 1, 0, program)
    call("unshare", NEW_USER)
    return "a user namespace"


# --- KS: surface of the kernel


@case("KS-01", "Escape", seccomp="ENOSYS", launcher_filter="ENOSYS")
def io_uring():
    """use io_uring, which passes by filters"""
    return reach(errno.ENOSYS, "io_uring_setup", 1, 0)


@case("KS-02", "Escape", seccomp="EPERM", launcher_filter="EPERM")
def bpf():
    """use BPF"""
    return reach(errno.EPERM, "bpf", 1, 0, 1 << 20)  # to look into a map: others are refused by many machines


@case("KS-03", "Escape", seccomp="EPERM", launcher_filter="EPERM")
def perf():
    """watch the machine by perf_event_open"""
    return reach(errno.EPERM, "perf_event_open", 0, 0, -1, -1, -1)


@case("KS-04", "Escape", seccomp="ENOSYS", launcher_filter="ENOSYS")
def userfault():
    """halt the kernel in the middle of a copy, by userfaultfd"""
    return reach(errno.ENOSYS, "userfaultfd", 0xffff)


@case("KS-05", "Escape", seccomp="EAFNOSUPPORT")
def odd_families():
    """make sockets of other families: vsock, packet, alg, key, tipc, rds, can, xdp"""
    # With a type that no family has: a kernel that is asked says EINVAL, whatever it was built with.
    others = [family for family in range(3, 46) if family not in (10, 16)]
    return first_of([lambda family=family: reach(errno.EAFNOSUPPORT, 41, family, 15, 0) for family in others])


@case("KS-06", "Escape", seccomp="EPROTONOSUPPORT")
def netlink():
    """make a netlink socket of any protocol but that of routes: netfilter, audit, xfrm, uevents ..."""
    return first_of([lambda number=number: reach(errno.EPROTONOSUPPORT, 41, 16, 15, number) for number in range(1, 24)])


@case("KS-07", "Escape", seccomp="EPERM", capabilities="EPERM")
def raw_socket():
    """make a raw socket"""
    return f"a socket, {socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).fileno()}"


@case("KS-08", "Escape", seccomp="EPERM")
def socket_options():
    """set the socket options with a bad record: TCP_ULP, SO_ATTACH_BPF, SO_BINDTODEVICE, SO_BINDTOIFINDEX"""
    s = socket.socket()
    value = ctypes.create_string_buffer(b"tls\0")
    bad = ctypes.create_string_buffer(b"\xff\xff\xff\xff")
    device = ctypes.create_string_buffer(b"lo\0")
    return first_of([lambda: reach(errno.EPERM, 54, s.fileno(), 6, 31, value, 4),
                     lambda: reach(errno.EPERM, 54, s.fileno(), 1, 50, bad, 4),
                     lambda: reach(errno.EPERM, 54, s.fileno(), 1, 25, device, 3),
                     lambda: reach(errno.EPERM, 54, s.fileno(), 1, 62, struct.pack("i", 1), 4)])


@case("KS-09", "Escape", capabilities="EPERM")
def change_interface():
    """change a network interface"""
    request = struct.pack("16sH14x", b"lo", 0x49)  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING
    fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, request)  # SIOCSIFFLAGS
    return "the interface lo"


@case("KS-10", "HostLeak", seccomp="ENOSYS", keyring="ENOKEY")
def keys_of_host():
    """find a key of whoever started the daemon in its session keyring"""
    key = call("keyctl", 10, -3, b"user", PARAMETERS["key"].encode(), 0)  # KEYCTL_SEARCH
    text = ctypes.create_string_buffer(64)
    call("keyctl", 11, key, text, 64)  # KEYCTL_READ
    return text.value.decode()


@case("KS-11", "Escape", seccomp="EPERM")
def personality():
    """make memory predictable by a personality"""
    return f"the old one, {call('personality', 0x0040000)}"


@case("KS-12", "HostDoS", seccomp="EPERM")
def real_time():
    """ask for real-time scheduling"""
    return reach(errno.EPERM, "sched_setscheduler", 0, 1, 0)


@case("KS-13", "PeerDoS", seccomp="ENOPROTOOPT")
def socket_filter():
    """load a program on a socket, whose machine code no limit counts"""
    s = socket.socket()
    return first_of([lambda option=option: reach(errno.ENOPROTOOPT, 54, s.fileno(), 1, option, 0, 16) for option in (26, 51)])


# --- DV: devices and terminals


@case("DV-01", "Escape", outside="ENOENT")
def more_devices():
    """find anything in /dev beyond the six harmless devices, terminals and shared memory"""
    known = {"null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "fd", "stdin", "stdout", "stderr"}
    more = sorted(set(os.listdir("/dev")) - known)
    return f"/dev/{more[0]}" if more else refuse(errno.ENOENT)


@case("DV-02", "Escape", outside="ENOENT")
def open_devices():
    """open kmsg, mem, kvm, fuse, tun, a loop device, vsock"""
    names = ("kmsg", "mem", "kvm", "fuse", "net/tun", "loop-control", "vsock", "vhost-net", "uinput", "console")
    return first_of([lambda name=name: f"/dev/{name}, {os.open('/dev/' + name, os.O_RDONLY | os.O_NONBLOCK)}" for name in names])


def with_terminal(request, argument, high=0):
    """An ioctl on a terminal of its own."""
    if os.fork() == 0:  # of the probe's own process: it may not lead a session already
        try:
            os.setsid()
            _, terminal = os.openpty()
            fcntl.ioctl(terminal, 0x540E, 0)  # TIOCSCTTY
            os._exit(0 if reach(errno.EPERM, "ioctl", terminal, request | high << 32, argument) else 1)
        except OSError as e:
            os._exit(e.errno)
    code = os.waitstatus_to_exitcode(os.wait()[1])
    return "the terminal's answer" if code == 0 else refuse(code)


@case("DV-03", "Escape", seccomp="EPERM")
def push_into_terminal():
    """push characters into a terminal: TIOCSTI, also with the upper half of the request filled"""
    return first_of([lambda: with_terminal(0x5412, ctypes.byref(ctypes.c_char(b"x"))),
                     lambda: with_terminal(0x5412, ctypes.byref(ctypes.c_char(b"x")), high=0xdead)])


@case("DV-04", "Escape", seccomp="EPERM")
def change_terminal():
    """use the requests of terminals with a bad record: TIOCLINUX, TIOCSETD, TIOCCONS"""
    return first_of([lambda number=number: with_terminal(number, ctypes.byref(ctypes.c_int(0))) for number in (0x541C, 0x5423, 0x541D)])


@case("DV-05", "HostLeak", own_nodes="ENODEV")
def watch_devices():
    """have the machine's own device nodes, whose use by everybody could be watched (inotify) and locked"""
    for name, node in PARAMETERS["nodes"].items():
        info = os.stat("/dev/" + name)
        if [info.st_dev, info.st_ino] == node:
            return f"the machine's /dev/{name}"
    return refuse(errno.ENODEV)


@case("DV-06", "Escape", nodev="EACCES", device_list_v1="EPERM", device_list="EPERM")
def device_on_disk():
    """open the node of a device that lies on a disk of the machine"""
    if not PARAMETERS["node"]:
        raise Missing("the machine lets nobody make one")
    try:
        os.open(PARAMETERS["node"], os.O_RDONLY | os.O_NONBLOCK)
    except OSError as e:
        if e.errno in (errno.EACCES, errno.EPERM, errno.ENOENT):
            raise
        return f"the driver's answer, {errno.errorcode[e.errno]}"
    return "the device"


# --- NT: network


def answer_of(s, address):
    s.settimeout(5)
    s.connect(address)
    text = b""
    while piece := s.recv(4096):
        text += piece
    return text.decode().strip()


@case("NT-01", "HostLeak", network="ECONNREFUSED")
def host_loopback():
    """reach a server on the machine's loopback address"""
    return answer_of(socket.socket(), ("127.0.0.1", PARAMETERS["port"]))


@case("NT-02", "Exfil", network="ENETUNREACH")
def route_outside():
    """have a route to the world, to the machine's own addresses, or to the metadata service of a cloud"""
    if not PARAMETERS["has_route"]:
        raise Missing("the machine itself has no route")
    def route(address):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((address, 9))  # asks for a route, sends nothing
        return f"a route to {address} from {s.getsockname()[0]}"

    return first_of([lambda address=address: route(address) for address in ("192.0.2.1", "169.254.169.254", "10.0.0.1")])


@case("NT-03", "Exfil", network="ENODEV")
def more_interfaces():
    """see a network interface beside lo"""
    if PARAMETERS["interfaces"] == ["lo"]:
        raise Missing("the machine itself has only lo")
    more = [line.split(":")[0].strip() for line in read("/proc/self/net/dev").splitlines()[2:] if not line.strip().startswith("lo:")]
    return f"interface {more[0]}" if more else refuse(errno.ENODEV)


@case("NT-04", "Escape", network="ECONNREFUSED")
def abstract_socket():
    """reach a unix socket of the machine by its abstract name"""
    return answer_of(socket.socket(socket.AF_UNIX), "\0" + PARAMETERS["abstract"])


@case("NT-05", "Escape", outside="ENOENT")
def daemon_socket():
    """reach a unix socket of the machine by its path: the daemon's, Docker's, the system bus"""
    s = socket.socket(socket.AF_UNIX)
    paths = (PARAMETERS["socket"], "/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify")
    return first_of([lambda path=path: (s.connect(path), path)[1] for path in paths])


# --- XS: other sandboxes and users


@case("XS-01", "Lateral", ipc="ENOENT")
def shared_memory():
    """find shared memory of somebody else by its number"""
    segment = call("shmget", PARAMETERS["shm"], 0, 0)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(segment, None, 0o10000)  # SHM_RDONLY
    return ctypes.string_at(address, 64).rstrip(b"\0").decode()


@case("XS-02", "Lateral", outside="ENOENT")
def shared_files():
    """find shared memory of somebody else by its name"""
    return read("/dev/shm/" + PARAMETERS["posix_shm"])


@case("XS-03", "Lateral", outside="ESRCH")
def signal_outside():
    """signal a process of the machine, or of another sandbox, by its number"""
    if PARAMETERS["pid"] < 4096:
        raise Missing("the machine's numbers are as small as those of a sandbox's own processes")
    os.kill(PARAMETERS["pid"], 0)
    return f"process {PARAMETERS['pid']}"


@case("XS-04", "InternalEsc", capabilities="EPERM")
def signal_guest():
    """signal the first process"""
    os.kill(1, 0)
    return "the first process"


# --- CG: control groups


@case("CG-01", "HostDoS", outside="ENOENT")
def change_limits():
    """open the files of its control group: limits, and processes of others"""
    names = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines() if " - cgroup" in line]
    paths = [f"{place}/cgroup.procs" for place in names + ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]]
    return first_of([lambda path=path: f"{path}, {os.open(path, os.O_WRONLY)}" for path in paths])


# --- RX: exhaustion (`limits` left out: the sandbox was asked for with more)


@case("RX-01", "HostDoS", alone=True, limits="EAGAIN")
def many_processes():
    """have more processes than it was given"""
    children = []
    try:
        for _ in range(200):
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return "200 processes"


@case("RX-02", "HostDoS", alone=True, limits="oom_killed")
def much_memory():
    """use more memory than it was given"""
    memory = mmap.mmap(-1, 400 << 20)
    for at in range(0, len(memory), 4096):
        memory[at] = 1
    return "400 MiB"


@case("RX-03", "HostDoS", alone=True, limits="ENOSPC")
def much_disk():
    """write more than it was given, in several files"""
    try:
        for number in range(12):
            with open(f"/tmp/lmsb-fill-{number}", "wb", buffering=0) as file:
                file.write(bytes(16 << 20))
                os.fsync(file.fileno())
    except OSError as e:
        refuse(errno.ENOSPC if e.errno == errno.EDQUOT else e.errno)
    finally:
        for number in range(12):
            if os.path.exists(f"/tmp/lmsb-fill-{number}"):
                os.unlink(f"/tmp/lmsb-fill-{number}")
    return "192 MiB"


@case("RX-04", "HostDoS", rlimits="EPERM")
def many_descriptors():
    """raise the number of descriptors that it may have"""
    if PARAMETERS["descriptors_of_machine"] <= 16384:
        raise Missing("the machine itself allows no more")
    call("prlimit64", 0, resource.RLIMIT_NOFILE, struct.pack("2Q", 16385, 16385), None)
    return "16385 descriptors"


@case("RX-05", "HostDoS", seccomp="ENOMEM")
def huge_pages():
    """take huge pages, which no limit counts"""
    return reach(errno.ENOMEM, 9, 0, 0, 3, 0x40022, -1, 0)  # mmap of nothing


@case("RX-06", "Escape", seccomp="EPERM", rlimits="EPERM")
def core_dumps():
    """raise the limit of core dumps, which the machine may pipe to a program of its own"""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    call("prlimit64", 0, resource.RLIMIT_CORE, struct.pack("2Q", 4096, 4096), None)
    return "core dumps" if resource.getrlimit(resource.RLIMIT_CORE) != before else refuse(errno.EPERM)


@case("RX-07", "HostDoS", alone=True, socket_limit="ENOMEM")
def much_in_sockets():
    """hold more in sockets than the memory it was given"""
    if not PARAMETERS["sockets_are_apart"]:
        raise Missing("what is in sockets counts as memory here (cgroup v2)")
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    listener.settimeout(20)
    held, sent = [], 0
    for _ in range(150):
        try:
            client = socket.create_connection(listener.getsockname(), timeout=20)
            held += [client, listener.accept()[0]]
        except TimeoutError:
            break  # there is no memory for another connection
        client.setblocking(False)
        try:
            while True:
                sent += client.send(bytes(1 << 16))
        except BlockingIOError:
            pass
    return f"{sent >> 20} MiB" if sent > 300 << 20 else refuse(errno.ENOMEM)


@case("RX-08", "HostDoS", seccomp="ENOPROTOOPT")
def notices_of_packets():
    """have errors and times of packets kept for it, which no limit counts while they are not read"""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for level, option in ((0, 11), (41, 25)):  # IP_RECVERR and of IPv6: they seem to succeed, and do nothing
        one = ctypes.create_string_buffer(struct.pack("i", 1))
        kind = socket.AF_INET if level == 0 else socket.AF_INET6
        if kind == socket.AF_INET6 and not os.path.exists("/proc/net/if_inet6"):
            continue
        with socket.socket(kind, socket.SOCK_DGRAM) as one_that_asks:
            call(54, one_that_asks.fileno(), level, option, one, 4)
            if one_that_asks.getsockopt(level, option):
                return "errors of packets"
    options = ((1, 37), (1, 65), (1, 60), (1, 61))
    return first_of([lambda option=option: reach(errno.ENOPROTOOPT, 54, s.fileno(), 1, option, 0, 4) for _, option in options])


@case("RX-09", "HostDoS", packet_times="ENODATA")
def times_of_packets():
    """have the times of packets kept for it, asked for with each packet (SO_TIMESTAMPING in a control message)"""
    if not os.path.exists("/proc/sys/net/core/tstamp_allow_data"):
        raise Missing("this kernel has that setting for the whole machine alone (before Linux 6.13)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
        to.bind(("127.0.0.1", 0))
        s.sendmsg([b"x"], [(socket.SOL_SOCKET, 37, struct.pack("I", 0x102))], 0, to.getsockname())  # when it was sent
        try:
            return f"a packet with its time, {len(s.recvmsg(64, 256, 0x2040)[1])} notes"  # MSG_ERRQUEUE, MSG_DONTWAIT
        except BlockingIOError:
            return refuse(errno.ENODATA)


@case("RX-10", "HostDoS", seccomp="ENOTSUP")
def many_netlink_sockets():
    """have more than a few netlink sockets of routes, whose unread answers no limit counts"""
    held = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) for _ in range(64)]
    return f"{len(held)} sockets"


@case("RX-11", "HostDoS", seccomp="ENOPROTOOPT")
def keys_of_sockets():
    """keep keys for signed packets of TCP (MD5, AO), which no limit counts"""
    s = socket.socket()
    return first_of([lambda option=option: reach(errno.ENOPROTOOPT, 54, s.fileno(), 6, option, 0, 4) for option in (14, 32, 38)])


@case("RX-12", "HostDoS", seccomp="ENODEV")
def many_groups():
    """be a member of thousands of groups of IPv6, or of groups by who sends to them, which no limit counts"""
    s, v6 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), os.path.exists("/proc/net/if_inet6")
    asked = [(s, 0, option) for option in (38, 39, 41, 43, 46, 48)]
    if v6:
        of_v6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        asked += [(of_v6, 41, option) for option in (20, 27, 42, 43, 46, 48)]
    return first_of([lambda one=one: reach(errno.ENODEV, 54, one[0].fileno(), one[1], one[2], 0, 4) for one in asked])


@case("RX-13", "PeerDoS", seccomp="EINVAL", capabilities="EACCES")
def lease():
    """take a lease on a file of the machine's /usr, or of those that hide parts of /proc in all sandboxes: who opens it waits"""
    def take(path):
        file = os.open(path, os.O_RDONLY)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        os.close(file)
        return f"a lease on {path}"

    return first_of([lambda path=path: take(path) for path in (os.path.realpath(sys.executable), "/run/lm-sandbox/empty")])


# --- KL: life and time


@case("KL-01", "PeerDoS", seccomp="EPERM", launcher_filter="EPERM")
def set_clock():
    """set the machine's clock"""
    return reach(errno.EPERM, "clock_settime", -1, 0)


@case("KL-02", "InternalEsc", seccomp="EPERM", capabilities="EPERM")
def rename_host():
    """change the host's name"""
    name = socket.gethostname().encode()
    call("sethostname", name, len(name))
    return "the host's name"


def run(one):
    """In a process of its own: what it got, how it was refused, or what ended it."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        try:
            line = {"breach": str(one.probe())}
        except OSError as e:
            line = {"refused": errno.errorcode.get(e.errno, str(e.errno))}
        except Missing as e:
            line = {"missing": str(e)}
        except BaseException as e:  # a probe that does not work is none that was stopped
            line = {"broken": repr(e)}
        os.write(write_end, json.dumps(line).encode())
        os._exit(0)
    os.close(write_end)
    text = b""
    while piece := os.read(read_end, 65536):
        text += piece
    os.close(read_end)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(text) if text else {"refused": signal.Signals(-code).name if code < 0 else f"exit {code}"}


def main():
    found = [name for name in os.listdir("/proc/self/fd") if int(name) > 2 and os.path.exists("/proc/self/fd/" + name)]
    PARAMETERS.update(json.loads(sys.argv[1]), descriptors=found)
    for ident in sys.argv[2:]:
        print(json.dumps({"case": ident, **run(CASES[ident])}), flush=True)


if __name__ == "__main__":
    main()
