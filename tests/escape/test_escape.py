#!/usr/bin/python3
"""Runs the probes of probes.py in real sandboxes, as they are and with layers left out, and looks at the machine before
and after. Verdicts: CONTAINED (refused, by the layer that the table names), BREACH, NOT-RUN (cannot be tried on this
machine, and the probe says why). docs/internals/containment.md is this table: LMSB_TEST_ACCEPT=1 writes it anew."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import exempt
import lmsb
import page
import probes

SOURCE = pathlib.Path(probes.__file__)
WEAKENED = lmsb.BIN.parent / "weakened"
MARK = b"LMSB-LEFT-OUT:"
NUMBERS = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
NAMES_OF_PROC = pathlib.Path(__file__).with_name("proc_names.txt")
ALLOWED = pathlib.Path(__file__).with_name("allowed_calls.txt")
TIGHT = {"processes": 100, "memory_bytes": 256 << 20, "disk_bytes": 64 << 20}
WIDE = {"processes": 512, "memory_bytes": 1 << 30, "disk_bytes": 1 << 30}
if lmsb.IS_USER and "memory" not in lmsb.delegated_controllers():
    for limits in (TIGHT, WIDE):
        del limits["memory_bytes"]
    for needs_memory, why in exempt.PROBES.items():
        print(f"{needs_memory} NOT-RUN: as a user: {why}", flush=True)
        del probes.CASES[needs_memory]
# uretprobe and uprobe: the kernel lets them past every filter, and kills who calls them without a probe.
UNFILTERED = (335, 336)
# chroot, for commands of root, and setns, for their guest alone: one more filter takes it from them.
OF_ROOT = {161}
OF_ITS_GUEST = {308}
# What a machine may not have; each says what. No other probe may say that it cannot be tried.
MAY_BE_MISSING = {"NC-03", "SY-02", "DV-06", "NT-02", "NT-03", "XS-03", "RX-04", "RX-07", "RX-09"}
# Where an image is not the machine's /usr, other refusals stand in the way of these.
OTHERWISE_IN_AN_IMAGE = {"FS-09": "EACCES", "DV-06": "ENOENT", "FS-15": "ENOENT"}
# Where a gate serves the network there is a route, to the gate alone; what it lets through is system.network's.
OTHERWISE_WITH_A_NETWORK = {"NT-02": None}
# The kernel takes neither a filter nor Landlock's rules from who could still gain power, and settings of the network from
# whose it is alone: without one of its own a sandbox would change the machine's.
IMPLIED = {"no_new_privs": {"seccomp", "landlock"}, "network": {"packet_times"}}


def allowed_calls():
    """What the probes go by: a list of its own, so that a change of the filter is a change here, too."""
    return {int(line.split()[0]) for line in ALLOWED.read_text().splitlines()}


def listed_calls(of_root=False):
    """The numbers of the calls that src/sandbox/seccomp_table.cc allows; `of_root`: that it allows beside, there."""
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS.read_text()))
    table = (lmsb.ROOT / "src/sandbox/seccomp_table.cc").read_text().split("kRootCalls[]")
    table = table[1] if of_root else table[0]
    names = re.findall(r'\{"(\w+)", 0, 0\}', table)
    return {int(numbers[name]) for name in names} | {int(n) for n in re.findall(r"\{nullptr, (\d+)[^,]*, 0\}", table)}


def shown_names():
    """What is at the top of /proc and may be read there: a list of its own, with a reason for each."""
    return [line.split(":")[0] for line in NAMES_OF_PROC.read_text().splitlines()]


def names_in_profile():
    header = (lmsb.ROOT / "src/guest_protocol/profile.h").read_text()
    return re.findall(r'"([^"]+)"', re.search(r"kShownProc = \{(.*?)\}", header, re.S)[1])


def has_route():
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return False
    return True


class Canaries:
    """Secrets of the machine at the places that a sandbox must not reach. Whoever has one has got out."""

    def __init__(self):
        self.token = secrets.token_hex(16)
        self.name = "lmsb-test-" + secrets.token_hex(4)
        self.undo = contextlib.ExitStack()
        directory = tempfile.mkdtemp(prefix="lmsb-test-", dir="/var/tmp")
        self.undo.callback(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        self.file = self.write(pathlib.Path(directory, "canary"))
        self.posix_shm = self.write(pathlib.Path("/dev/shm", self.name))
        self.undo.callback(self.posix_shm.unlink)
        self.port = self.serve(socket.socket(), ("127.0.0.1", 0)).getsockname()[1]
        self.serve(socket.socket(socket.AF_UNIX), "\0" + self.name)
        self.closed = self.make_directory_in_usr()
        self.close(self.closed)
        self.node = self.make_node()
        self.put_in_keyring()
        self.put_in_shared_memory()

    def write(self, path):
        path.write_text(self.token)
        path.chmod(0o644)
        return path

    def make_directory_in_usr(self):
        """Where image `host` shows it."""
        directory = tempfile.mkdtemp(prefix="lmsb-test-", dir=lmsb.USR)
        self.undo.callback(shutil.rmtree, directory)
        os.chmod(directory, 0o755)
        return directory

    def close(self, directory):
        """To all but root of the machine."""
        self.write(pathlib.Path(directory, "secret")).chmod(0o600)
        os.mkdir(directory + "/directory", 0o700)
        self.write(pathlib.Path(directory, "directory", self.token))

    def make_node(self):
        """Of a device that no machine has (60 is for experiments, and given to no driver)."""
        node = os.path.join(self.make_directory_in_usr(), "node")
        try:
            os.mknod(node, 0o020666, os.makedev(60, 7))
        except PermissionError:
            return ""
        os.chmod(node, 0o666)
        return node

    def serve(self, listener, address):
        listener.bind(address)
        listener.listen()
        self.undo.callback(listener.close)

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(self.token.encode())

        threading.Thread(target=answer, daemon=True).start()
        return listener

    def put_in_keyring(self):
        """In a new session keyring of this process, which its daemons inherit."""
        probes.call("keyctl", 1, None)  # KEYCTL_JOIN_SESSION_KEYRING
        probes.call("add_key", b"user", self.name.encode(), self.token.encode(), len(self.token), -3)

    def put_in_shared_memory(self):
        self.shm = secrets.randbelow(1 << 30) + 1
        segment = probes.call("shmget", self.shm, 4096, 0o1644)  # IPC_CREAT
        probes.libc.shmat.restype = ctypes.c_void_p
        address = probes.libc.shmat(segment, None, 0)
        ctypes.memmove(address, self.token.encode(), len(self.token))
        self.undo.callback(probes.libc.shmctl, segment, 0, None)  # IPC_RMID

    def parameters(self, daemon, is_outside, profile):
        """What a probe is told: where to look, and nothing of what is there."""
        interfaces = sorted(name for _, name in socket.if_nameindex())
        allowed = allowed_calls() | (OF_ROOT if profile == "root" else set())
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        nodes = {name: [info.st_dev, info.st_ino] for name in ("null", "zero", "full", "random", "urandom", "tty")
                 for info in [os.stat("/dev/" + name)]}
        return {"node": self.node, "closed": self.closed, "has_i386": has_i386(), "boot_id": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(), "nodes": nodes,
                "sockets_are_apart": "memory" in v1_controllers(),
                "first": daemon.daemon_pid() if is_outside else 1, "descriptors_of_machine": descriptors, "file": str(self.file), "port": self.port, "abstract": self.name, "key": self.name, "shm": self.shm,
                "posix_shm": self.name, "socket": daemon.ready["socket"], "pid": daemon.daemon_pid(),
                "has_route": has_route(), "interfaces": interfaces, "shown": shown_names(),
                "refused": [number for number in range(601) if number not in allowed and number not in UNFILTERED]}

    def environment(self):
        return {"LMSB_CANARY": self.token}


def v1_controllers():
    """The controllers of control groups that are still of v1 on this machine, and that are the daemon's to use."""
    if lmsb.IS_USER:
        return set()
    found = set()
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        kind, _, options = line.split(" - ")[1].split(" ", 2)
        if kind == "cgroup":
            found |= set(options.split(","))
    return found


def can_load_device_program():
    """Whether the kernel takes a program of cgroup v2 that allows devices."""
    program = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0))  # return 1
    word = ctypes.create_string_buffer(b"GPL")
    wanted = struct.pack("<IIQQ96x", 15, 2, ctypes.addressof(program), ctypes.addressof(word))  # CGROUP_DEVICE
    try:
        os.close(probes.call("bpf", 5, wanted, len(wanted)))
    except OSError:
        return False
    return True


def can_make_nodes():
    with tempfile.TemporaryDirectory(prefix="lmsb-test-", dir="/dev/shm") as directory:
        try:
            os.mknod(os.path.join(directory, "null"), 0o020600, os.makedev(1, 3))
        except PermissionError:
            return False
    return True


def has_landlock():
    try:
        return probes.call(444, None, 0, 1) > 0  # landlock_create_ruleset, which version
    except OSError:
        return False


def possible_layers():
    """Of those that not every machine can have, by what the machine itself says, whatever the daemon makes of it."""
    v1, found = v1_controllers(), set()
    counts = not re.search(r"cgroup\.memory=\S*(nosocket|nokmem)", pathlib.Path("/proc/cmdline").read_text())
    has_memory = not lmsb.IS_USER or "memory" in lmsb.delegated_controllers()
    if counts and has_memory and ("memory" not in v1 or list(pathlib.Path("/sys/fs/cgroup").glob("*/memory.kmem.tcp.limit_in_bytes"))):
        found.add("socket_limit")
    if "devices" in v1 or can_load_device_program():
        found.add("device_list")
    setting = ["unshare", "--map-root-user", "--net", "test", "-e", "/proc/sys/net/core/tstamp_allow_data"]  # before Linux 6.13 the machine's alone
    if subprocess.run(setting, timeout=60).returncode == 0:
        found.add("packet_times")
    if can_make_nodes():
        found.add("own_nodes")
    if has_landlock():
        found.add("landlock")
    return found


def missing_layers():
    """Those of the probes that this machine cannot have."""
    missing = {"own_nodes", "socket_limit", "device_list", "packet_times", "landlock"} - possible_layers()
    if "devices" not in v1_controllers():
        missing.add("device_list_v1")
    if "memory" not in v1_controllers():
        missing.add("socket_limit")  # it counts as memory there
    return missing


def has_i386():
    """Whether the kernel has the system calls of 32-bit programs: a child that makes one lives."""
    pid = os.fork()
    if pid == 0:
        probes.run_code(bytes.fromhex("b814000000cd80c3"))
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def machine():
    """What no sandbox may change."""
    settings = ("kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/randomize_va_space", "user/max_user_namespaces")
    found = {path: path.read_text() for path in (pathlib.Path("/proc/sys", name) for name in settings) if path.exists()}
    lines = [line.split() for line in pathlib.Path(f"/proc/{'self' if lmsb.IS_USER else 1}/mountinfo").read_text().splitlines()]
    found["mounts"] = sorted(fields[4] for fields in lines if "lmsb" in " ".join(fields) or fields[4].startswith(("/proc", "/tmp")))
    found["modules"] = sorted(line.split()[0] for line in pathlib.Path("/proc/modules").read_text().splitlines()) \
        if pathlib.Path("/proc/modules").exists() else []
    found["interfaces"] = sorted(name for _, name in socket.if_nameindex())
    return found


class WeakenedPrograms:
    """A directory with the programs, of which guest and launcher leave out layers."""

    def __init__(self, left_out):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="left-out-", dir=None if lmsb.IS_USER else WEAKENED))
        self.directory.chmod(0o755)
        put = shutil.copy if lmsb.IS_USER else os.link  # who may link what is another's is the machine's to say
        for program in ("lm-sandbox", "lm-sandbox-archiver", "lm-sandbox-gate", "lm-sandbox-tool"):
            put(lmsb.BIN / program, self.directory / program)
        text = (" " + " ".join(sorted(left_out)) + " ").encode()
        for program in ("lm-sandbox-guest", "lm-sandbox-launcher"):
            data = (WEAKENED / program).read_bytes()
            at = data.index(MARK + b"\0") + len(MARK)
            (self.directory / program).write_bytes(data[:at] + text + data[at + len(text):])
            (self.directory / program).chmod(0o755)

    def __enter__(self):
        return self.directory

    def __exit__(self, *_):
        shutil.rmtree(self.directory)


def lines_of(text):
    return {line.pop("case"): line for line in map(json.loads, filter(lambda t: t.startswith('{"case"'), text.splitlines()))}


class Arm:
    """One state of the defence, and the cases that are tried against it."""

    def __init__(self, left_out, canaries, profile="user"):
        self.profile = profile
        self.is_outside = "outside" in left_out
        self.limits = WIDE if "limits" in left_out else TIGHT
        self.left_out = set(left_out) - {"limits"}
        for layer in list(self.left_out):
            self.left_out |= IMPLIED.get(layer, set())
        self.canaries = canaries

    def run(self, idents):
        """Case -> what its probe said."""
        if self.is_outside:
            return self.run_outside(idents)
        if not self.left_out:
            with self.daemon(lmsb.BIN) as daemon:
                return self.run_in(daemon, idents)
        with WeakenedPrograms(self.left_out) as programs, self.daemon(programs) as daemon:
            return self.run_in(daemon, idents)

    def daemon(self, programs, **options):
        daemon = lmsb.Daemon(**options, env={"LM_SANDBOX_POOL__SIZE": "1", "LM_SANDBOX_POOL__KEPT_SIZE": "0", **self.canaries.environment()})
        daemon.programs = programs
        return daemon

    def command(self, daemon, idents):
        return ["python3", "-c", SOURCE.read_text(), json.dumps(self.canaries.parameters(daemon, self.is_outside, self.profile)), *idents]

    def run_in(self, daemon, idents):
        together = [i for i in idents if not probes.CASES[i].alone]
        found = {}
        for group in [together] * bool(together) + [[i] for i in idents if probes.CASES[i].alone]:
            result = daemon.run(self.command(daemon, group), image="host", limits=self.limits, profile=self.profile)
            found |= lines_of(result["stdout"])
            if result["outcome"] == "oom_killed":
                found[group[-1]] = {"refused": "oom_killed"}
            for ident in group:
                found.setdefault(ident, {"broken": f"{result['outcome']} {result['stderr'][-300:]}"})
        return found

    def run_outside(self, idents):
        """No sandbox at all: root of the machine."""
        with self.daemon(lmsb.BIN) as daemon:
            done = subprocess.run(self.command(daemon, idents), stdout=subprocess.PIPE, text=True, check=True, cwd="/tmp")
        return lines_of(done.stdout)


def verdict(said, expected):
    """(verdict, fault or None) of what a probe said where `expected` was to refuse it; None: nothing was."""
    if "missing" in said:
        return "NOT-RUN", None
    if "breach" in said:
        return "BREACH", None if expected is None else f"got {said['breach']}"
    if "broken" in said:
        return "NOT-RUN", said["broken"]
    fault = None if expected == said["refused"] else f"refused with {said['refused']}"
    return "CONTAINED", fault


def describe(left_out):
    return "without " + ", ".join(sorted(left_out)) if left_out else "as it is"


class Escape(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        lmsb.require_root()
        cls.before = lmsb.leftovers()
        cls.canaries = Canaries()
        cls.addClassCleanup(cls.canaries.undo.close)
        with Arm(frozenset(), cls.canaries).daemon(lmsb.BIN) as daemon:
            cls.isolation = daemon.request("GET", "/v1/info").json()["isolation"]
        cls.missing = missing_layers()

    @classmethod
    def tearDownClass(cls):
        lmsb.wait_until_clean(cls.before)

    def arms(self):
        """Left out -> {case: expected}. A layer whose refusal another one hides is also met with the others left out."""
        arms = {}
        for ident, one in probes.CASES.items():
            if set(one.layers) <= self.missing:
                print(f"{ident} NOT-RUN: this machine has no {', '.join(one.layers)}", flush=True)
                continue
            for left_out, expected in one.arms(without=self.missing) + one.alone_arms(without=self.missing):
                if lmsb.IS_USER and ("outside" in left_out or (ident, left_out) in exempt.HELD):
                    print(f"{ident} NOT-RUN {describe(left_out)}: as a user", flush=True)
                    continue
                arms.setdefault(left_out, {})[ident] = expected
        return sorted(arms.items(), key=lambda arm: (len(arm[0]), sorted(arm[0])))

    def faults(self, how, expected, found):
        """A line for each probe that was not stopped as the table says, or did not notice that nothing stops it."""
        faults = []
        for ident, error in expected.items():
            got, fault = verdict(found.get(ident, {"broken": "it did not run"}), error)
            if got == "NOT-RUN" and fault is None:
                print(f"{ident} NOT-RUN {how}: {found[ident]['missing']}", flush=True)
                fault = None if ident in MAY_BE_MISSING else found[ident]["missing"]
            if fault is not None:
                wanted = error or "BREACH, or it proves nothing"
                faults.append(f"{ident} {how}: {got}, {fault}; expected {wanted} ({probes.CASES[ident].what})")
        return faults

    def test_a_daemon_names_the_layers_that_the_machine_can_have_and_no_others(self):
        names = {name.split(":")[0] for name in self.isolation}
        self.assertEqual(names & {"own_nodes", "socket_limit", "device_list", "packet_times", "landlock"}, possible_layers())
        self.assertLessEqual({"netlink_door", "own_ids"}, names)

    def test_nothing_gets_out_of_a_sandbox_and_each_probe_notices_what_is_left_out(self):
        before = machine()
        faults = []
        for left_out, expected in self.arms():
            found = Arm(left_out, self.canaries).run(list(expected))
            faults += self.faults(describe(left_out), expected, found)
            if not left_out:
                self.assertNotIn(self.canaries.token, json.dumps(found))
        self.assertEqual(faults, [])
        self.assertEqual(machine(), before)

    def test_a_probe_that_gets_a_secret_is_seen_to_have_it(self):
        wanted = ["FS-01", "FD-02", "XS-02"]
        found = Arm({"outside"}, self.canaries).run(wanted)
        for ident in wanted:
            self.assertIn(self.canaries.token, found[ident].get("breach", ""), ident)

    def test_a_daemon_that_refuses_what_is_weaker_does_not_start_without_a_layer(self):
        arm = Arm({"landlock"}, self.canaries)
        with WeakenedPrograms(arm.left_out) as programs:
            with arm.daemon(programs) as daemon:
                info = daemon.request("GET", "/v1/info").json()
                self.assertIn("no Landlock", str(info["weaker"]))
                self.assertNotIn("landlock", str(info["isolation"]))
            refusing = arm.daemon(programs)
            refusing.env["LM_SANDBOX_POLICY__REFUSE_WEAKER"] = "true"
            with self.assertRaisesRegex(RuntimeError, "refuse_weaker allows: the kernel has no Landlock"):
                refusing.start()

    def test_a_daemon_that_refuses_what_is_weaker_leaves_what_runs_on_as_it_is(self):
        with lmsb.Daemon(is_private=False, sandboxes_stay=True) as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"image": "host"}).json()["id"]
            guest = lmsb.guest_of(sandbox)
            daemon.stop()
            daemon.env["LM_SANDBOX_POLICY__REFUSE_WEAKER"] = "true"
            with WeakenedPrograms({"landlock"}) as daemon.programs, self.assertRaisesRegex(RuntimeError, "no Landlock"):
                daemon.start()
            del daemon.programs, daemon.env["LM_SANDBOX_POLICY__REFUSE_WEAKER"]
            self.assertNotIn("sandbox.taken_up", daemon.log_text())
            daemon.start()
            self.assertEqual(lmsb.guest_of(sandbox), guest)
            done = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "echo here"}).json()
            self.assertEqual(done["stdout"], "here\n")
            self.assertEqual(daemon.request("DELETE", f"/v1/sandboxes/{sandbox}").status, 204)

    def test_nothing_gets_out_of_a_kept_sandbox_by_any_way_to_start_a_command(self):
        self.check_kept("host")

    def test_nothing_gets_out_of_a_kept_sandbox_of_an_image(self):
        lmsb.require_image("base")
        self.check_kept("base", OTHERWISE_IN_AN_IMAGE, data_dir=lmsb.TEST_DATA)

    def test_nothing_gets_out_of_a_kept_sandbox_that_has_a_network(self):
        self.check_kept("host", OTHERWISE_WITH_A_NETWORK, {"egress": {"allow": ["name.test"]}})

    def with_root(self):
        """What the table says of sandboxes with root."""
        return {ident: one.root for ident, one in probes.CASES.items() if one.root is not probes.AS_OTHERS}

    def test_nothing_gets_out_of_a_sandbox_in_which_commands_are_root(self):
        before = machine()
        expected = {ident: one.arms(without=self.missing)[0][1] for ident, one in probes.CASES.items()
                    if not set(one.layers) <= self.missing} | self.with_root()
        found = Arm(frozenset(), self.canaries, profile="root").run(list(expected))
        self.assertEqual(self.faults("with root", expected, found), [])
        self.assertNotIn(self.canaries.token, json.dumps(found))
        self.assertEqual(machine(), before)

    def test_no_layer_stands_alone_before_root_where_the_table_has_more(self):
        for layer in ("seccomp", "landlock", "read_only_proc", "masks", "hidepid", "user_max", "nosuid", "no_new_privs", "launcher_filter"):
            arm = Arm({layer}, self.canaries, profile="root")
            gone = arm.left_out | self.missing | ({"masks"} if layer == "read_only_proc" else set())  # the cover of PR-10 is of both
            idents = [ident for ident, one in probes.CASES.items() if not one.alone and one.root is not None and not set(one.layers) <= gone]
            found = arm.run(idents)
            for ident in idents:
                self.assertTrue({"refused", "missing"} & set(found[ident]), f"{ident} with root, without {layer}: {found[ident]}")
            if layer == "seccomp":
                self.assertEqual(found["RX-13"], {"refused": "EACCES"}, "not even without the filter is a lease root's to take")

    def test_nothing_gets_out_of_a_kept_sandbox_in_which_commands_are_root(self):
        self.check_kept("host", self.with_root(), {"profile": "root"})

    def test_nothing_gets_out_of_a_kept_sandbox_of_an_image_in_which_commands_are_root(self):
        lmsb.require_image("base")
        # There /usr is the sandbox's own: what root writes to it is nobody else's.
        self.check_kept("base", {**OTHERWISE_IN_AN_IMAGE, **self.with_root(), "FS-09": None}, {"profile": "root"}, data_dir=lmsb.TEST_DATA)

    def test_nothing_gets_out_of_a_kept_sandbox_with_a_network_in_which_commands_are_root(self):
        self.check_kept("host", {**OTHERWISE_WITH_A_NETWORK, **self.with_root()}, {"profile": "root", "egress": {"allow": ["name.test"]}})

    def check_kept(self, image, otherwise=None, more=None, **options):
        arm = Arm(frozenset(), self.canaries, profile=(more or {}).get("profile", "user"))
        idents = [ident for ident, one in probes.CASES.items() if not one.alone]
        with arm.daemon(lmsb.BIN, **options) as daemon:
            path = "/v1/sandboxes/" + daemon.post("/v1/sandboxes", {"image": image, "limits": TIGHT, **(more or {})}).json()["id"]
            command = arm.command(daemon, idents)

            def detached(**fields):
                started = daemon.post(path + "/exec", {"cmd": command, "detach": True, **fields}).json()
                process = f"{path}/processes/{started['id']}"
                daemon.request("GET", process + "?wait_ms=60000")
                return daemon.request("GET", process + "/output?stream=stdout").json()["text"]

            ways = {"exec": lambda: daemon.post(path + "/exec", {"cmd": command}).json()["stdout"], "detached": detached,
                    "with a terminal": lambda: detached(pty={"cols": 400, "rows": 50})}
            if arm.profile == "root":
                ways["by sudo"] = lambda: daemon.post(path + "/exec", {"cmd": ["sudo", *command], "user": "user"}).json()["stdout"]
            expected = {ident: probes.CASES[ident].arms(without=self.missing)[0][1] for ident in idents}
            expected |= otherwise or {}
            faults = [fault for way, start in ways.items() for fault in self.faults(way, expected, lines_of(start()))]
            self.assertEqual(faults, [])
            daemon.request("DELETE", path)


class Table(unittest.TestCase):
    def test_the_page_of_containment_is_what_the_table_says(self):
        text = page.text(probes.CASES, probes.CLASSES)
        if os.environ.get("LMSB_TEST_ACCEPT") == "1":
            page.PATH.write_text(text)
        self.assertEqual(page.PATH.read_text(), text, "LMSB_TEST_ACCEPT=1 writes it anew")

    def test_the_filter_allows_the_calls_on_the_probes_list_and_no_other(self):
        self.assertEqual(sorted(listed_calls()), sorted(allowed_calls()), "is the change meant? then change allowed_calls.txt")
        self.assertEqual(listed_calls(of_root=True), OF_ROOT | OF_ITS_GUEST)

    def test_what_is_shown_of_proc_is_what_the_list_of_its_names_says(self):
        self.assertEqual(shown_names(), sorted(names_in_profile()), "is the change meant? then change proc_names.txt")

    def test_the_shipped_programs_cannot_leave_anything_out(self):
        for program in ("lm-sandbox-guest", "lm-sandbox-launcher"):
            self.assertIn(MARK, (WEAKENED / program).read_bytes())
            self.assertNotIn(MARK, (lmsb.BIN / program).read_bytes())

    def test_every_probe_has_a_layer_and_a_sentence(self):
        for ident, one in probes.CASES.items():
            self.assertTrue(one.layers and one.what and "\n" not in one.what, ident)
            self.assertLessEqual(set(one.layers), set(page.LAYERS), ident)


if __name__ == "__main__":
    lmsb.main()
