#!/usr/bin/python3
"""What a running command and its guest may do, seen from the machine and compared with the golden rows of launch.md."""
import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

GOLDEN = lmsb.ROOT / "tests/golden/posture.json"
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def listed_in_profile(name):
    header = (lmsb.ROOT / "src/guest_protocol/profile.h").read_text()
    return set(re.findall(r'"([^"]+)"', re.search(name + r" = \{(.*?)\}", header, re.S)[1]))


BOOT_ID = "/proc/sys/kernel/random/boot_id"
NODES = ("null", "zero", "full", "random", "urandom", "tty")
SHOWN, READ_ONLY = listed_in_profile("kShownProc"), listed_in_profile("kReadOnlyProc")


def by_point(mounts):
    """Mount point -> type and options. Not ours to say: what file system the machine's /usr lies on, whether it lets us
    make device nodes (else its own are mounted), whether its kernel maps the ids of a tmpfs (6.3), and whether it can
    have a store for disks: then that of a kept sandbox of image host is at /."""
    points = {}
    for mount in mounts:
        point, kind, options = mount.split(" ", 2)
        if (point, kind) == ("/", "btrfs"):
            kind, options = "tmpfs", options.removesuffix(",idmapped")
        options = options.removesuffix(",idmapped") if kind == "tmpfs" else options
        if point.removeprefix("/dev/") not in NODES:
            points[point] = options if point.startswith("/usr") else f"{kind} {options}"
    return points


def names_of_proc():
    return [name for name in os.listdir("/proc") if not name.isdigit()]


def expected_mounts(mounts, names=None):
    """The golden's, with the masks and read-only parts that a /proc with other files gets."""
    points = by_point(mounts)
    elsewhere = {point: what for point, what in points.items() if not re.fullmatch("/proc/[^/]+", point)}
    for name in names_of_proc() if names is None else names:
        if name not in SHOWN or name in READ_ONLY:
            elsewhere["/proc/" + name] = points["/proc/sys" if name in READ_ONLY else "/proc/keys"]
    return elsewhere


def golden(row):
    """What guest and command of such a sandbox have. A user's daemon differs in two things: it cannot map the ids of the
    machine's /usr, and has no store, so no guest has the lock of a disk."""
    found = json.loads(GOLDEN.read_text())[row]
    if not lmsb.IS_USER:
        return found
    for who in ("guest", "command"):
        found[who]["mounts"] = [re.sub("^(/usr .*),idmapped$", r"\1", mount) for mount in found[who]["mounts"]]
    found["guest"]["fds"].remove("/disks/locks/ID")
    return found


def mount_faults(seen, expected):
    seen = by_point(seen)
    faults = [f"missing: {point}" for point in expected.keys() - seen.keys()]
    faults += [f"beyond: {point} {seen[point]}" for point in seen.keys() - expected.keys()]
    faults += [f"{point}: {seen[point]}, not {expected[point]}" for point in seen.keys() & expected.keys() if seen[point] != expected[point]]
    return sorted(faults)


def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def collect(pid):
    """The posture of one process, without anything that differs from sandbox to sandbox."""
    fields = status(pid)
    base = int(pathlib.Path(f"/proc/{pid}/uid_map").read_text().split()[1])
    mounts = []
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        where, options = before.split()[4:6]
        options = ",".join(o for o in options.split(",") if o not in ("relatime", "noatime"))
        mounts.append(f"{where} {after.split()[0]} {options}")
    fds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # the guest has just closed it
            fds[fd] = re.sub(r":\[?\d+\]?$", "", os.readlink(f"/proc/{pid}/fd/{fd}"))
    if "signalfd" in str(fds):  # the guest's numbers vary with what it does at the moment; what they are does not
        fds = sorted({re.sub(r".*/disks/locks/\w{20}$", "/disks/locks/ID", re.sub(r"/c-\d+", "/c-N", f)) for f in fds.values()})
    limits = {}
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        name, soft, hard = re.match(r"(.{25}) (\S+) +(\S+)", line).groups()
        limits[name.strip()] = f"{soft} {hard}"
    return {
        "uid": [int(u) - base for u in fields["Uid"].split()],
        "gid": [int(g) - base for g in fields["Gid"].split()],
        "groups": fields["Groups"].split(),
        "capabilities": {c: fields[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privs": fields["NoNewPrivs"],
        "signals": {s: fields[s] for s in ("SigBlk", "SigIgn")},
        "seccomp": fields["Seccomp"],
        "seccomp_filters": fields["Seccomp_filters"],
        "new_namespaces": [n for n in NAMESPACES if os.readlink(f"/proc/{pid}/ns/{n}") != os.readlink(f"/proc/self/ns/{n}")],
        "uid_map": [pathlib.Path(f"/proc/{pid}/{m}").read_text().split()[0::2] for m in ("uid_map", "gid_map")],
        "fds": fds,
        "limits": limits,
        "mounts": sorted(mounts),
        "oom_score_adj": pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip(),
    }


class ComparedTest(lmsb.SystemTest):
    data_dir = lmsb.TEST_DATA

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lmsb.see_sandboxes_of(cls.daemon)

    def processes_of(self, image, **fields):
        created = self.daemon.post("/v1/sandboxes", {"image": image, **fields}).json()
        path = "/v1/sandboxes/" + created["id"]
        # Not by a shell's &, which has SIGINT and SIGQUIT ignored.
        self.daemon.post(path + "/exec", {"cmd": "setsid -f sleep 300 </dev/null >/dev/null 2>&1"})
        self.addCleanup(self.daemon.request, "DELETE", path)
        branch = [pathlib.Path(c) for c in lmsb.our_cgroups() if c.endswith(created["id"]) and (pathlib.Path(c) / "work").exists()][0]
        guest = lmsb.guest_of(created["id"])
        self.branch, self.path = branch, path

        def commands():
            pids = [int(p) for f in branch.glob("work/c-*/cgroup.procs") for p in f.read_text().split()]
            # It sleeps (clock_nanosleep): the loader's files are closed again.
            return [p for p in pids if pathlib.Path(f"/proc/{p}/syscall").read_text().startswith("230 ")]

        lmsb.wait_until(commands, "the sleeping command")
        return guest, commands()[0]

    def check(self, image, row=None, **fields):
        guest, command = self.processes_of(image, **fields)
        row = row or image
        seen = {"guest": collect(guest), "command": collect(command)}
        self.assertEqual(len({os.readlink(f"/proc/{guest}/ns/{n}") for n in NAMESPACES}), len(NAMESPACES))
        if os.environ.get("LMSB_TEST_ACCEPT") == "1":
            goldens = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
            goldens[row] = seen
            GOLDEN.write_text(json.dumps(goldens, indent=1, sort_keys=True) + "\n")
        for who in ("guest", "command"):
            for key, value in golden(row)[who].items():
                if key == "mounts":
                    self.assertEqual(mount_faults(seen[who][key], expected_mounts(value)), [], f"{row} {who} mounts")
                else:
                    self.assertEqual(seen[who][key], value, f"{row} {who} {key}")
        return guest, command

    def check_ways(self, of_command, fields):
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"image": "host", **fields}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", path)
        followed, waited_for = (http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60) for _ in range(2))
        self.addCleanup(followed.close)
        self.addCleanup(waited_for.close)
        closed = "</dev/null >/dev/null 2>&1"
        ways = {
            "detached": lambda cmd: self.daemon.post(path + "/exec", {"cmd": f"exec {cmd} {closed}", "detach": True}),
            "with a terminal": lambda cmd: self.daemon.post(
                path + "/exec", {"cmd": f"exec {cmd} {closed}", "detach": True, "pty": {"cols": 80, "rows": 24}}),
            # Not by &, which has SIGINT and SIGQUIT ignored.
            "in a session": lambda cmd: waited_for.request(
                "POST", path + "/exec", json.dumps({"cmd": f"(exec {cmd} {closed} 7>&- 8>&- 9>&-)", "session": "s"}),
                {"Content-Type": "application/json"}),
            "followed": lambda cmd: followed.request(
                "POST", path + "/exec", json.dumps({"cmd": f"exec {cmd} {closed}"}),
                {"Content-Type": "application/json", "Accept": "application/x-ndjson"}),
        }
        if fields:
            ways["by sudo"] = lambda cmd: self.daemon.post(path + "/exec", {"cmd": f"exec sudo {cmd} {closed}", "user": "user", "detach": True})
        for number, (way, start) in enumerate(ways.items(), 3001 if fields else 2001):
            start(f"sleep {number}")
            named = f"sleep\0{number}\0".encode()

            def sleeping():
                return [p for p in lmsb.sandbox_processes(named)
                        if pathlib.Path(f"/proc/{p}/syscall").read_text().startswith("230 ")]

            lmsb.wait_until(sleeping, f"the command {way}")
            seen = collect(sleeping()[0])
            for key, value in of_command.items():
                if key == "mounts":
                    self.assertEqual(mount_faults(seen[key], expected_mounts(value)), [], f"{way}: mounts")
                else:
                    self.assertEqual(seen[key], value, f"{way}: {key}")

    def check_file_operation(self, of_command, fields):
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"image": "host", **fields}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", path)
        watching = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        self.addCleanup(watching.close)
        watching.request("GET", path + "/files/watch?path=/tmp")
        self.assertEqual(watching.getresponse().status, 200)
        mine = set(lmsb.processes_of(path.rsplit("/", 1)[1]))
        seen = collect(next(pid for pid in lmsb.watching_processes() if pid in mine))
        self.assertEqual(sorted(seen["fds"].items()),
                         [("0", "/dev/null"), ("1", "pipe"), ("2", "pipe"), ("3", "anon_inode:inotify")])
        # It may have as many descriptors as it is allowed at most, and no more than a command could have.
        soft, hard = seen["limits"].pop("Max open files").split()
        self.assertEqual((soft, hard), (hard, of_command["limits"].pop("Max open files").split()[1]))
        of_command["signals"]["SigIgn"] = "0000000001000000"  # SIGXFSZ: a limit is an error that it tells
        for key, value in of_command.items():
            if key == "mounts":
                self.assertEqual(mount_faults(seen[key], expected_mounts(value)), [], "mounts")
            elif key != "fds":
                self.assertEqual(seen[key], value, key)


class Posture(ComparedTest):
    def test_every_way_to_start_a_command_ends_in_the_golden_posture(self):
        for row, fields in (("host", {}), ("host, root", {"profile": "root"})):
            with self.subTest(row):
                self.check_ways(golden(row)["command"], fields)

    def test_a_file_operation_has_the_posture_of_a_command(self):
        for row, fields in (("host", {}), ("host, root", {"profile": "root"})):
            with self.subTest(row):
                self.check_file_operation(golden(row)["command"], fields)

    def test_commands_of_image_host_have_the_golden_posture(self):
        self.check("host")

    def test_commands_of_image_base_have_the_golden_posture(self):
        lmsb.require_image("base")
        self.check("base")

    def test_commands_of_root_have_a_golden_posture_of_their_own_below_their_guest(self):
        guest, command = self.check("host", "host, root", profile="root")

        def space(pid, kind, of=None):
            """Which one; `of`: 0xb701 its owner, 0xb702 its parent."""
            with open(f"/proc/{pid}/ns/{kind}") as opened:
                if of is None:
                    return os.fstat(opened.fileno()).st_ino
                other = fcntl.ioctl(opened, of)
                try:
                    return os.fstat(other).st_ino
                finally:
                    os.close(other)

        self.assertEqual(space(command, "user", of=0xb702), space(guest, "user"))
        for kind in set(NAMESPACES) - {"user"}:
            self.assertEqual(space(command, kind), space(guest, kind), kind)
            self.assertEqual(space(command, kind, of=0xb701), space(guest, "user"), kind)
        setting = pathlib.Path(f"/proc/{command}/setgroups").read_text()
        self.assertEqual(setting, "allow\n")

    def test_all_that_the_kernel_counts_for_a_user_has_a_bound_of_the_sandboxs_own(self):
        names = sorted(path.name for path in pathlib.Path("/proc/sys/user").iterdir() if path.name.startswith("max_"))
        for fields in ({}, {"profile": "root"}):
            with self.subTest(fields):
                said = self.daemon.run("cd /proc/sys/user && grep -H . max_*", image="host", **fields)["stdout"]
                seen = dict(line.split(":") for line in said.splitlines())
                self.assertEqual(sorted(seen), names)
                self.assertEqual({name: int(most) for name, most in seen.items()}, {name: lmsb.user_max().get(name) for name in names})

    def test_a_sandbox_with_a_network_has_the_posture_of_others(self):
        pids = self.processes_of("host", egress={"allow": ["name.test"]})
        for who, pid in zip(("guest", "command"), pids):
            seen = collect(pid)
            for key, value in golden("host")[who].items():
                if key == "mounts":
                    self.assertEqual(mount_faults(seen[key], expected_mounts(value)), [], f"{who} mounts")
                elif who == "guest" and key == "fds":
                    self.assertLessEqual(set(seen[key]) - set(value), {"socket"}, "its ways out")
                else:
                    self.assertEqual(seen[key], value, f"{who} {key}")

    def test_who_gives_sockets_of_netlink_has_no_capability_and_holds_nothing_else(self):
        guest, _ = self.processes_of("host")
        asks = "import socket, time\nwhile True: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(); time.sleep(0.02)"
        self.daemon.post(self.path + "/exec", {"cmd": ["python3", "-c", asks], "detach": True})
        found = []

        def look():
            with contextlib.suppress(OSError):  # it may have ended, or closed something, just now
                pids = [int(pid) for pid in (self.branch / "cgroup.procs").read_text().split() if int(pid) != guest]
                # In poll(2): until then it is what the guest is.
                found.extend(collect(pid) for pid in pids if pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("7 "))
            return found

        lmsb.wait_until(look, "the process that answers")
        seen, guests = found[0], golden("host")["guest"]
        self.assertEqual(seen["fds"]["3"], "anon_inode:seccomp notify")
        self.assertLessEqual(len(seen["fds"]), 5, "and the socket that it gives, or the list that it reads")
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(seen["capabilities"][kind], 16), 0, kind)
        for key in ("uid", "gid", "groups", "no_new_privs", "seccomp", "seccomp_filters", "new_namespaces", "limits"):
            self.assertEqual(seen[key], guests[key], key)

    def test_a_mount_that_is_missing_beyond_or_weaker_is_a_fault(self):
        mounts = json.loads(GOLDEN.read_text())["host"]["command"]["mounts"]
        points = by_point(mounts)
        expected = expected_mounts(mounts, [point.removeprefix("/proc/") for point in points if re.fullmatch("/proc/[^/]+", point)])
        self.assertEqual(mount_faults(mounts, expected), [])
        for change in (lambda m: m.replace("/usr ", "/usr-other "), lambda m: re.sub(r"^(/usr \S+ )ro", r"\1rw", m),
                       lambda m: m.replace("/proc/keys ", "/proc/secret "), lambda m: re.sub(r"^(/proc/keys \S+ )ro", r"\1rw", m),
                       lambda m: re.sub(r"^(/proc/sys \S+ )ro", r"\1rw", m)):
            self.assertTrue(mount_faults([change(m) for m in mounts], expected))

    def test_a_kernel_with_more_or_less_in_proc_changes_what_is_expected_there_alone(self):
        mounts = json.loads(GOLDEN.read_text())["host"]["command"]["mounts"]
        expected = expected_mounts(mounts, ["keys", "of_tomorrow", "stat", "sysrq-trigger"])
        self.assertEqual({p: k for p, k in expected.items() if p.startswith("/proc/")},
                         {"/proc/keys": by_point(mounts)["/proc/keys"], "/proc/of_tomorrow": by_point(mounts)["/proc/keys"],
                          "/proc/sysrq-trigger": by_point(mounts)["/proc/sys"], BOOT_ID: by_point(mounts)[BOOT_ID]})
        self.assertEqual(expected["/usr"], by_point(mounts)["/usr"])

    def test_nothing_inside_can_make_a_file_that_would_be_setuid_outside(self):
        script = "import os\nfor mode in (0o4755, 0o2755):\n for make in (lambda: os.open('/tmp/f', os.O_CREAT | os.O_WRONLY, mode), lambda: os.chmod('/tmp', mode)):\n  try: make(); print('made')\n  except PermissionError: print('refused')"
        self.assertEqual(self.daemon.run(["python3", "-c", script])["stdout"], "refused\n" * 4)

    def test_each_sandbox_has_a_number_of_its_own_for_the_boot_of_the_machine(self):
        numbers = {self.daemon.run(f"cat {BOOT_ID}; ls -A /dev/shm", image="host")["stdout"] for _ in range(3)}
        numbers.add(pathlib.Path(BOOT_ID).read_text())
        self.assertEqual(sorted(map(len, numbers)), [37] * 4)

    def test_a_command_cannot_lower_its_oom_score(self):
        result = self.daemon.run("echo 0 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj")
        self.assertEqual(result["stdout"], "500\n")

    def test_files_of_the_machines_users_are_nobodys_in_image_host(self):
        with lmsb.directory_of_the_machine() as directory:
            secret = directory / "secret"
            self.assertEqual(self.daemon.run(f"stat -c %u:%g {secret} /usr", image="host")["stdout"], "65534:65534\n0:0\n")
            self.assertIn("Permission denied", self.daemon.run(f"cat {secret}", image="host")["stderr"])

    def test_no_capability_comes_back_by_a_setuid_program(self):
        script = "find / -xdev -perm -4000 2>/dev/null | head -3; grep CapEff /proc/self/status; su -c id 2>&1 </dev/null; true"
        self.assertIn("CapEff:\t0000000000000000", self.daemon.run(script)["stdout"])


def leave_much_behind():
    """What a script's &, nohup, a service manager and ulimit leave to what they start, and more."""
    for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(ignored, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))
    # Only a hard limit takes CAP_SYS_RESOURCE to raise, which not every machine gives to root.
    for limit, soft in ((resource.RLIMIT_CPU, 3600), (resource.RLIMIT_AS, 1 << 36), (resource.RLIMIT_FSIZE, 1 << 30)):
        resource.setrlimit(limit, (soft, resource.getrlimit(limit)[1]))


class PostureWhoeverStartedTheDaemon(ComparedTest):
    @classmethod
    def setUpClass(cls):
        lmsb.Daemon.before_exec = staticmethod(leave_much_behind)
        try:
            super().setUpClass()
        finally:
            lmsb.Daemon.before_exec = None

    def test_every_way_to_start_a_command_ends_in_the_golden_posture(self):
        for row, fields in (("host", {}), ("host, root", {"profile": "root"})):
            with self.subTest(row):
                self.check_ways(golden(row)["command"], fields)

    def test_a_file_operation_has_the_posture_of_a_command(self):
        self.check_file_operation(golden("host")["command"], {})

    def test_a_one_shot_ends_by_the_signal_that_it_sends_itself(self):
        for name in ("INT", "QUIT", "PIPE", "HUP"):
            ended = self.daemon.run(["/bin/sh", "-c", f"kill -{name} $$; echo went on"], image="host")
            self.assertEqual((ended["outcome"], ended["signal"], ended["stdout"]), ("signaled", "SIG" + name, ""))

    def test_who_writes_to_a_pipe_that_is_closed_ends_without_a_word(self):
        ended = self.daemon.run("yes | head -1; echo ${PIPESTATUS[0]}", image="host", shell="/bin/bash")
        self.assertEqual((ended["stdout"], ended["stderr"]), ("y\n141\n", ""))

    def test_the_guest_has_the_golden_posture_too(self):
        seen = collect(self.processes_of("host")[0])
        for key in ("signals", "limits"):
            self.assertEqual(seen[key], golden("host")["guest"][key], key)


if __name__ == "__main__":
    lmsb.main()
