#!/usr/bin/python3
"""Sandboxes with the profile root: commands are root inside, of the sandbox and of nothing else; least of all of its
first process."""
import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_staying import StayingTest, kill_all_of_ours

CAPABILITIES = "00000000000404fb"  # CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT
STATUS = "id -u; id -g; id -G; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status"
AS_ROOT = (f"0\n0\n0\nCapInh:\t{'0' * 16}\nCapPrm:\t{CAPABILITIES}\nCapEff:\t{CAPABILITIES}\nCapBnd:\t{CAPABILITIES}\n"
           f"CapAmb:\t{'0' * 16}\nNoNewPrivs:\t1\nSeccomp:\t2\n")
AS_USER = "1000\n1000\n1000\n" + "".join(f"Cap{kind}:\t{'0' * 16}\n" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")) + "NoNewPrivs:\t1\nSeccomp:\t2\n"

# Each prints its name and why it was refused. `open` first, so that what the filter refuses is not all there is.
ON_FIRST_PROCESS = r"""
import ctypes, errno, os, resource, signal, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) < 0:
        raise OSError(ctypes.get_errno(), "")
def pidfd(): signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGTERM)
limits = struct.pack("2Q", 64, 64)
attempts = {
 "kill": lambda: os.kill(1, 0), "SIGTERM": lambda: os.kill(1, signal.SIGTERM), "SIGKILL": lambda: os.kill(1, signal.SIGKILL),
 "SIGSTOP": lambda: os.kill(1, signal.SIGSTOP), "pidfd": pidfd,
 "tgkill": lambda: call(234, 1, 1, 15), "queue": lambda: call(129, 1, 15, bytes(128)),
 "limits": lambda: call(302, 1, 7, None, ctypes.create_string_buffer(16)), "limit": lambda: call(302, 1, 7, limits, None),
 "affinity": lambda: os.sched_setaffinity(1, {0}), "scheduler": lambda: os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0)),
 "priority": lambda: os.setpriority(os.PRIO_PROCESS, 1, 19), "io priority": lambda: call(251, 1, 1, 3 << 13),
 "group": lambda: os.setpgid(1, 1),
 "trace": lambda: call(101, 0x4206, 1, 0, 0), "memory": lambda: call(310, 1, 0, 0, 0, 0, 0),
 "descriptor": lambda: call(438, os.pidfd_open(1), 3, 0), "namespace": lambda: call(308, os.pidfd_open(1), 0x10000000),
 "keyring": lambda: call(250, 0, -3, 0)}
for name in ("", "status", "mem", "environ", "maps", "cmdline", "stat", "root", "exe", "fd", "ns/user", "oom_score_adj", "comm", "task", "cgroup", "limits"):
    attempts["/proc/1/" + name] = lambda name=name: os.close(os.open("/proc/1/" + name, os.O_RDONLY))
for name in ("oom_score_adj", "comm", "mem", "uid_map", "loginuid"):
    attempts["write /proc/1/" + name] = lambda name=name: os.close(os.open("/proc/1/" + name, os.O_WRONLY))
for name, attempt in attempts.items():
    try:
        attempt()
        print(name, "DONE")
    except OSError as e:
        print(name, errno.errorcode[e.errno])
print("listed", "1" in os.listdir("/proc"))
"""

IDS = r"""
import errno, os
def refused(what):
    try: what()
    except OSError as e: return errno.errorcode[e.errno]
    return "DONE"
open("/tmp/f", "w").close()
for number in (65534, 65535, 65536, 1 << 30, 1073741824):
    pid = os.fork()
    if pid == 0:
        print(number, refused(lambda: os.chown("/tmp/f", number, number)), refused(lambda: os.setresgid(number, number, number)),
              refused(lambda: os.setresuid(number, number, number)), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""

DROP = r"""
import os
os.setgroups([33, 44]); os.setgid(33); os.setuid(33)
print(os.getresuid(), os.getresgid(), os.getgroups())
print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))])
for back in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: open("/root/secret")):
    try: back(); print("back")
    except PermissionError: print("refused")
"""

# What one user has of it, and what twelve have together.
COUNTED = r"""
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def inotify(n): return libc.inotify_init() >= 0
def signals(n):
    if n == 0: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
    return libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), None) == 0
def timers(n): return libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0
def processes(n):
    try: pid = os.fork()
    except BlockingIOError: return False
    if pid == 0: signal.pause()
    return True
def fork():
    while True:
        try: return os.fork()
        except BlockingIOError: time.sleep(0.01)  # the first process has not reaped all of the round before
def count(kind, numbers):
    read, write = os.pipe()
    for number in numbers:
        if fork() == 0:
            os.setresuid(number, number, number)
            made = 0
            while made < 10000 and kind(made): made += 1
            os.write(write, b"%8d" % made)
            signal.pause()
    total = sum(int(os.read(read, 8)) for _ in numbers)
    while True:
        try: os.kill(-1, signal.SIGKILL)
        except ProcessLookupError: break
        try:
            while os.waitpid(-1, 0): pass
        except ChildProcessError: pass
    return total
for kind in (inotify, signals, timers):
    print(kind.__name__, count(kind, [2000]), count(kind, range(3000, 3012)), flush=True)
print("processes", count(processes, [2000]), count(processes, range(3000, 3006)), flush=True)
"""

STOP_WHO_STANDS_BY = r"""
import os, signal
stopped = 0
while not stopped:
    for pid in set(range(2, 400)) - {os.getpid()}:
        try: os.kill(pid, signal.SIGSTOP)
        except OSError: continue
        stopped += 1
"""

KILL_FOR_TWO_SECONDS = r"""
import os, time
end = time.monotonic() + 2
while time.monotonic() < end:
    try: os.kill(-1, 9)
    except OSError: pass
"""

LEASES = r"""
import errno, fcntl, os
for path in ("/usr/bin/env", "/run/lm-sandbox/empty", "/etc/hosts"):
    file = os.open(path, os.O_RDONLY)
    for command in (fcntl.F_SETLEASE, 1040):
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK):
            try: print(fcntl.fcntl(file, command, kind))
            except OSError as e: print(errno.errorcode[e.errno])
"""

# A package with files of several owners, one of them setuid, and a script; and a root for dpkg where the image has none.
PACKAGE = r"""
set -e
mkdir -p /tmp/p/DEBIAN /tmp/p/opt/tool /var/lib/dpkg/info /var/lib/dpkg/updates
touch /var/lib/dpkg/status
printf 'Package: lmsb-tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: a tool\n' > /tmp/p/DEBIAN/control
printf '#!/bin/sh\nset -e\nchown 33:33 /opt/tool/data\nmkdir -p /opt/tool/state\nchown 7:9 /opt/tool/state\nchmod 2770 /opt/tool/state\necho configured\n' > /tmp/p/DEBIAN/postinst
chmod 755 /tmp/p/DEBIAN/postinst
cp /bin/true /tmp/p/opt/tool/su; chmod 4755 /tmp/p/opt/tool/su
echo data > /tmp/p/opt/tool/data
echo spool > /tmp/p/opt/tool/spool; chown 1000:8 /tmp/p/opt/tool/spool; chmod 2644 /tmp/p/opt/tool/spool
dpkg-deb --build /tmp/p /tmp/lmsb-tool.deb >/dev/null
dpkg -i /tmp/lmsb-tool.deb 2>&1 | tail -n 1
dpkg-query -W -f '${Status}\n' lmsb-tool
stat -c '%n %u:%g %a' /opt/tool/*
"""


class Commands(lmsb.SystemTest):
    def run_root(self, cmd, **fields):
        return self.daemon.run(cmd, profile="root", image="host", **fields)

    def box(self, **fields):
        made = self.daemon.post("/v1/sandboxes", {"image": "host", "profile": "root", **fields})
        self.assertEqual(made.status, 201, made.body)
        path = "/v1/sandboxes/" + made.json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", path)
        return path, made.json()

    def output(self, path, cmd, **fields):
        done = self.daemon.post(path + "/exec", {"cmd": cmd, **fields})
        self.assertEqual(done.status, 200, done.body)
        self.assertEqual(done.json()["exit_code"], 0, done.body)
        return done.json()["stdout"]

    def test_are_root_with_a_few_capabilities_and_in_others_nobody_is(self):
        self.assertEqual(self.run_root(STATUS)["stdout"], AS_ROOT)
        self.assertEqual(self.run_root("echo $HOME $USER $LOGNAME; id -un")["stdout"], "/root root root\nroot\n")
        self.assertEqual(self.daemon.run(STATUS)["stdout"], AS_USER)
        path, made = self.box()
        self.assertEqual(made["profile"], "root")
        self.assertEqual(self.daemon.request("GET", path).json()["profile"], "root")
        self.assertIn("root", [one["profile"] for one in self.daemon.request("GET", "/v1/sandboxes").json()["data"]])
        self.assertEqual(self.output(path, STATUS), AS_ROOT)
        self.assertEqual(self.output(path, STATUS, session="s"), AS_ROOT)
        metrics = self.daemon.request("GET", "/metrics").body.decode()
        self.assertRegex(metrics, r"lmsb_sandbox_root_launches_total [1-9]")

    def test_of_a_root_sandbox_may_be_users_but_not_the_other_way(self):
        path, _ = self.box()
        for user in ("user", "1000"):
            self.assertEqual(self.output(path, STATUS, user=user), AS_USER)
            self.assertEqual(self.output(path, "echo $HOME $USER; echo said > /dev/stdout", user=user), "/home/user user\nsaid\n")
            self.assertEqual(self.run_root(STATUS, user=user)["stdout"], AS_USER)
        for user in ("root", "0"):
            self.assertEqual(self.output(path, STATUS, user=user), AS_ROOT)
            refused = self.daemon.post("/v1/run", {"cmd": "id", "user": user})
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (403, "user_not_allowed"))
        for body in ({"user": "root"}, {"profile": "root", "user": "user"}, {"profile": "root", "user": "daemon"}):
            refused = self.daemon.post("/v1/sandboxes", {"image": "host", **body})
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (403, "user_not_allowed"), body)
        self.assertEqual(self.daemon.post("/v1/sandboxes", {"profile": "admin"}).status, 400)
        write = self.daemon.post(path + "/exec", {"cmd": "echo x > /etc/x; kill -0 1; cat /root/.x", "user": "user"}).json()
        self.assertEqual(write["stderr"].count("ermitted") + write["stderr"].count("denied"), 3, write)

    def test_by_every_way_to_start_one_are_root(self):
        path, _ = self.box()
        for more in ({}, {"pty": {"cols": 200, "rows": 20}}):
            started = self.daemon.post(path + "/exec", {"cmd": STATUS, "detach": True, **more}).json()
            process = f"{path}/processes/{started['id']}"
            self.daemon.request("GET", process + "?wait_ms=30000")
            text = self.daemon.request("GET", process + "/output?stream=stdout").json()["text"]
            self.assertEqual(text.replace("\r\n", "\n"), AS_ROOT, more)
        self.assertEqual(self.daemon.request("PUT", path + "/files?path=/etc/made-by-api", "text",
                                             {"Content-Type": "application/octet-stream"}).status // 100, 2)
        self.assertEqual(self.output(path, "stat -c %u:%g /etc/made-by-api; cat /etc/made-by-api; echo x > /dev/stdout"), "0:0\ntextx\n")

    def test_cannot_disturb_or_look_into_the_first_process(self):
        path, _ = self.box()
        said = self.output(path, ["python3", "-c", ON_FIRST_PROCESS]).splitlines()
        answers = dict(line.rsplit(" ", 1) for line in said)
        self.assertEqual(answers.pop("listed"), "False")
        for name, answer in answers.items():
            wanted = {"ENOENT"} if "/proc/1/" in name else {"ENOSYS"} if name == "keyring" else {"EPERM", "ESRCH"}
            self.assertIn(answer, wanted, name)
        guest = lmsb.guest_of(path.rsplit("/", 1)[1])
        status = pathlib.Path(f"/proc/{guest}/status")
        lmsb.wait_until(lambda: "State:\tS" in status.read_text(), "the first process to wait for work")
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, guest), 0)
        self.assertEqual(len(os.sched_getaffinity(guest)), os.cpu_count())
        self.assertEqual(self.output(path, "echo on"), "on\n")

    def test_cannot_become_who_the_first_process_is(self):
        self.assertEqual(self.run_root(["python3", "-c", IDS])["stdout"], "65534 DONE DONE DONE\n" + "".join(
            f"{number} EINVAL EINVAL EINVAL\n" for number in (65535, 65536, 1 << 30, 1073741824)))

    def test_that_kill_everything_they_may_leave_the_sandbox_usable(self):
        path, _ = self.box()
        for _ in range(5):
            self.daemon.post(path + "/exec", {"cmd": ["python3", "-c", "import os; os.kill(-1, 9)"]})
            self.assertEqual(self.output(path, "id -u"), "0\n")

    def test_that_kill_who_stands_by_again_and_again_make_no_work_for_the_machine(self):
        path, _ = self.box()

        def number():
            """Of the control group that the newest command has: each that was made has one more."""
            return int(re.search(r"/c-(\d+)$", self.output(path, "cat /proc/self/cgroup"), re.M)[1])

        before = number()
        self.output(path, ["python3", "-c", KILL_FOR_TWO_SECONDS])
        self.assertLess(number() - before, 30)
        self.assertEqual(self.output(path, "id -u"), "0\n", "who is asked for is made at once")

    def test_that_stop_who_stands_by_do_not_stop_the_next_command(self):
        path, _ = self.box()
        for _ in range(3):
            self.output(path, ["python3", "-c", STOP_WHO_STANDS_BY])
            self.assertEqual(self.output(path, "id -u", timeout_ms=20000), "0\n")
        self.output(path, ["python3", "-c", STOP_WHO_STANDS_BY])
        self.assertEqual(self.daemon.request("PUT", path + "/files?path=/f", "x", {"Content-Type": "application/octet-stream"}).status // 100, 2)

    def test_cannot_lead_the_first_process_elsewhere_by_a_link_for_tmp(self):
        path, _ = self.box()
        guest = lmsb.guest_of(path.rsplit("/", 1)[1])

        def places():
            """Of the files in which the first process keeps output that is much."""
            links = []
            for entry in pathlib.Path(f"/proc/{guest}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # just closed
                    links.append(os.readlink(entry))
            return {re.sub("/#.*", "", link) for link in links if "/#" in link}

        def flood():
            started = self.daemon.post(path + "/exec", {"cmd": "yes | head -c 3000000", "detach": True}).json()
            told = self.daemon.request("GET", f"{path}/processes/{started['id']}?wait_ms=30000").json()
            self.assertEqual(told["result"]["exit_code"], 0, told)

        self.output(path, "mkdir -m 1777 /elsewhere; mv /tmp /t; ln -s /elsewhere /tmp")
        flood()
        self.assertEqual(places(), set())
        self.output(path, "rm /tmp; mv /t /tmp; mv /elsewhere /t")
        flood()
        self.assertEqual(places(), {"/tmp"})
        self.assertEqual(self.output(path, "echo on; ls -A /t"), "on\n")

    def test_take_no_leases_on_files_that_others_open(self):
        self.assertEqual(self.run_root(["python3", "-c", LEASES])["stdout"], "EINVAL\n" * 12)

    def test_leave_with_an_archive_as_files_without_set_id_bits(self):
        path, _ = self.box()
        self.output(path, "mkdir /workspace/d; cp /bin/true /workspace/su; cp /bin/true /workspace/d/su; chmod 6755 /workspace/su /workspace/d/su;"
                          " chmod 2775 /workspace/d; stat -c %a /workspace/su")
        packed = {form: io.BytesIO(self.daemon.request("GET", f"{path}/archive?path=/workspace&format={form}").body) for form in ("tar", "zip")}
        with tarfile.open(fileobj=packed["tar"]) as archive:
            modes = {member.name.rstrip("/"): member.mode for member in archive}
        with zipfile.ZipFile(packed["zip"]) as archive:
            zipped = {member.filename.rstrip("/"): (member.external_attr >> 16) & 0o7777 for member in archive.infolist()}
        for found in (modes, zipped):
            self.assertEqual({found[name] for name in ("su", "d/su")}, {0o755}, found)
            self.assertEqual(found["d"], 0o775)

    def test_may_become_other_users_for_good(self):
        made = self.run_root("echo x > /root/secret; chmod 600 /root/secret; python3 -c '" + DROP.replace("'", '"') + "'")
        self.assertEqual(made["stdout"], f"(33, 33, 33) (33, 33, 33) [33, 44]\n['{'0' * 16}', '{'0' * 16}']\n" + "refused\n" * 3, made)

    def test_have_their_files_written_for_any_owner_and_keep_the_one_they_have(self):
        path, _ = self.box()
        put = lambda where, **query: self.daemon.request("PUT", f"{path}/files?" + urllib.parse.urlencode({"path": where, **query}), b"x",
                                                         {"Content-Type": "application/octet-stream"})
        for owner, shown in (("user", "1000:1000"), ("1000:0", "1000:0"), ("nobody:nogroup", "65534:65534"), ("4711", "4711:4711")):
            self.assertEqual(put("/srv/a/b/f", owner=owner, mode="640").status, 200)
            self.assertEqual(self.output(path, "stat -c %u:%g:%a /srv/a/b/f"), shown + ":640\n")
        self.assertEqual(self.output(path, "stat -c %u:%g /srv/a /srv/a/b"), "1000:1000\n" * 2)  # made for the first of them
        self.assertEqual(put("/srv/a/b/f").json()["uid"], 4711)
        self.assertEqual(self.output(path, "stat -c %u:%g:%a /srv/a/b/f"), "4711:4711:640\n")
        do = lambda what, **body: self.daemon.post(f"{path}/files/{what}", body).status
        self.assertEqual(do("replace", path="/srv/a/b/f", old="x", new="yy"), 200)
        self.assertEqual(do("mkdir", path="/srv/m/n", owner="user:0"), 200)
        self.assertEqual(do("move", path="/srv/a", to="/dev/shm/a"), 200)  # of another file system
        self.assertEqual(self.output(path, "stat -c %u:%g /dev/shm/a/b/f /dev/shm/a /srv/m /srv/m/n"),
                         "4711:4711\n1000:1000\n1000:0\n1000:0\n")
        self.output(path, "ln -s /etc/passwd /dev/shm/a/link")
        self.assertEqual(do("chmod", path="/dev/shm/a", owner="user", recursive=True), 200)
        self.assertEqual(self.output(path, "stat -c %u:%g:%a /dev/shm/a/b/f; stat -c %u /dev/shm/a/link /etc/passwd"), "1000:1000:640\n1000\n0\n")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as out:
            for name, kind, target in (("d", tarfile.DIRTYPE, ""), ("new/d/f", tarfile.REGTYPE, ""), ("l", tarfile.SYMTYPE, "/etc/passwd")):
                member = tarfile.TarInfo(name)
                member.type, member.linkname, member.uid, member.mode = kind, target, 7, 0o755
                out.addfile(member)
        self.assertEqual(self.daemon.request("PUT", f"{path}/archive?path=/srv/t/u&owner=user", archive.getvalue(),
                                             {"Content-Type": "application/x-tar"}).status, 200)
        self.assertEqual(self.output(path, "stat -c %u:%g $(find /srv/t) /etc/passwd"), "1000:1000\n" * 7 + "0:0\n")
        self.assertEqual(put("/srv/f", owner="nosuch").json()["error"]["code"], "unknown_owner")
        self.output(path, "rm /etc/passwd; mkfifo /etc/passwd; ln -sf /dev/zero /etc/group")
        self.assertEqual(put("/srv/f", owner="user").json()["error"]["code"], "unknown_owner")
        self.assertEqual(put("/srv/f", owner="root:5").json()["gid"], 5)

    def test_may_serve_on_low_ports_change_their_root_and_own_what_they_like(self):
        script = ("import os, socket\ns = socket.socket(); s.bind(('127.0.0.1', 80)); s.listen(); print('port 80')\n"
                  "os.makedirs('/tmp/cage/in'); os.chroot('/tmp/cage'); os.chdir('/'); print(os.listdir('/'))")
        self.assertEqual(self.run_root(["python3", "-c", script])["stdout"], "port 80\n['in']\n")
        self.assertEqual(self.run_root("echo x > /f; chown 5:6 /f; chmod 0 /f; cat /f; mkdir -p /srv/new; stat -c %u:%g /f")["stdout"], "x\n5:6\n")

    def test_cannot_write_where_the_machine_begins(self):
        tried = self.run_root("for f in /proc/self/oom_score_adj /proc/sys/kernel/hostname /proc/sys/net/core/tstamp_allow_data"
                              " /proc/sys/user/max_user_namespaces /proc/sysrq-trigger /usr/f /run/lm-sandbox/f /dev/f /proc/1/comm;"
                              " do (echo 0 > $f) 2>/dev/null && echo wrote $f; done; cat /proc/self/oom_score_adj; mknod /tmp/n c 1 3; mount -t tmpfs t /tmp")
        self.assertEqual(tried["stdout"], "500\n", tried)
        self.assertEqual(tried["stderr"].count("ermitted") + tried["stderr"].count("denied"), 2, tried)
        with lmsb.directory_of_the_machine() as directory:
            of_root = directory / "of-root"
            of_root.write_text("of the machine's root")
            of_root.chmod(0o600)
            (directory / "closed").mkdir(0o700)
            for command in (f"cat {directory}/secret", f"cat {of_root}", f"ls {directory}/closed"):
                self.assertIn("ermission denied", self.run_root(command)["stderr"], command)
            self.assertEqual(self.run_root(f"stat -c %u {of_root}")["stdout"], "65534\n", "nobody's, and no command is that one")

    def test_of_all_ids_together_have_what_one_has(self):
        """Counted by user: inotify, pending signals and those of timers, processes. root may be any of 65535."""
        done = self.run_root(["python3", "-c", COUNTED], limits={"processes": 100})
        counted = {line.split()[0]: tuple(map(int, line.split()[1:])) for line in done["stdout"].splitlines()}
        self.assertEqual(sorted(counted), ["inotify", "processes", "signals", "timers"], done)
        for kind, (of_one, of_all) in counted.items():
            self.assertGreater(of_one, 0, counted)
            self.assertLessEqual(of_all, of_one, f"{kind} {counted}")

    def test_install_packages_with_files_of_several_owners_and_of_set_id(self):
        done = self.run_root(PACKAGE)
        self.assertEqual(done["exit_code"], 0, done)
        self.assertEqual(done["stdout"], "configured\ninstall ok installed\n/opt/tool/data 33:33 644\n/opt/tool/spool 1000:8 2644\n"
                                         "/opt/tool/state 7:9 2770\n/opt/tool/su 0:0 4755\n", done)

    def test_make_set_id_files_where_no_directory_of_the_machine_is_mounted_and_nowhere_else(self):
        script = "for mode in 4755 2755; do touch /workspace/f /tmp/f; chmod $mode /workspace/f /tmp/f && echo made; done; stat -c '%u %a' /workspace/f"
        self.assertEqual(self.run_root(script)["stdout"], "made\nmade\n0 2755\n")
        with tempfile.TemporaryDirectory(prefix="lmsb-test-", dir="/var/tmp") as directory:
            done = subprocess.run([lmsb.BIN / "lm-sandbox", "--host", "unix:" + self.daemon.ready["socket"], "run", "--root", "-v",
                                   f"{directory}:/workspace", "host", "sh", "-c", script + "; chown 33 /workspace/f; chown 33 /tmp/f && echo owned"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done)
            made = pathlib.Path(directory, "f").stat()
        self.assertEqual(done.stdout.splitlines()[-1], "owned", done)
        self.assertIn("0 644", done.stdout, done)
        self.assertNotIn("made", done.stdout)
        self.assertEqual(oct(made.st_mode & 0o7777), "0o644")
        self.assertEqual(made.st_uid, os.getuid(), "whoever handed the directory over")

    def test_say_in_the_plan_what_they_are(self):
        plan = self.daemon.run("true", profile="root", image="host", dry_run=True)["plan"]
        for line in ("profile root", "the guest is 65535 outside of it", "(root's id the guest's, others nobody's)", "setuid and setgid files can be made"):
            self.assertIn(line, plan)


class Kept(StayingTest):
    def see(self, sandbox, profile="root"):
        told = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}").json()
        self.assertEqual(told["profile"], profile)
        self.assertEqual(self.output(sandbox, STATUS), AS_ROOT if profile == "root" else AS_USER)

    def test_sandboxes_keep_their_profile_and_what_root_has_done(self):
        sandbox = self.create(profile="root")
        self.output(sandbox, "echo kept > /etc/kept; chown 7:9 /etc/kept; cp /bin/true /usr/local/bin/su2; chmod 4755 /usr/local/bin/su2")
        look = "cat /etc/kept; stat -c '%u:%g %a' /etc/kept /usr/local/bin/su2"
        kept = "kept\n7:9 644\n0:0 4755\n"
        sleeping = self.detach(sandbox, "sleep 600")
        self.again(kill_all_of_ours)
        self.see(sandbox)
        self.assertEqual(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{sleeping['id']}").json()["result"], None)
        self.move(sandbox, "stop", "stopped")
        self.move(sandbox, "start", "running")
        self.see(sandbox)
        self.assertEqual(self.output(sandbox, look), kept)
        self.daemon.stop()
        self.daemon.start()
        self.see(sandbox)
        shot = self.do(sandbox, "snapshot", {}).json()["id"]
        as_user = self.create(snapshot=shot, image=None)
        self.see(as_user, "user")
        self.assertEqual(self.output(as_user, "echo $HOME; " + look), "/home/user\n" + kept)
        as_root = self.create(snapshot=shot, image=None, profile="root")
        self.see(as_root)
        fork = self.do(sandbox, "fork", {"count": 1}).json()["data"][0]["id"]
        self.see(fork)
        self.assertEqual(self.output(fork, look), kept)

    def test_sandboxes_of_root_are_not_started_again_where_the_operator_has_come_to_refuse_it(self):
        sandbox = self.create(profile="root")
        self.move(sandbox, "stop", "stopped")
        self.daemon.stop()
        self.daemon.env["LM_SANDBOX_POLICY__ROOT"] = "false"
        self.daemon.start()
        refused = self.do(sandbox, "start")
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (403, "policy_denied"), refused.body)

    def test_a_stop_does_not_wait_for_who_stands_by_and_was_stopped(self):
        sandbox = self.create(profile="root")
        self.assertEqual(self.do(sandbox, "exec", {"cmd": ["python3", "-c", STOP_WHO_STANDS_BY]}).json()["exit_code"], 0)
        stopped = self.daemon.request("POST", f"/v1/sandboxes/{sandbox}/stop", {"grace_ms": 600_000}, timeout=60)
        self.assertEqual(stopped.json()["state"], "stopped", stopped.body)

    def test_root_becomes_another_user_by_the_programs_that_are_there_for_it(self):
        sandbox = self.create(profile="root")
        if self.exec(sandbox, "test -e /etc/pam.d/su && command -v su runuser setpriv")["exit_code"] != 0:
            self.skipTest("the image has no such programs")
        for command in ("su user -c id", "su - user -c id", "runuser -u user id", "setpriv --reuid 1000 --regid 1000 --init-groups id",
                        "setpriv --reuid=user --regid=user --clear-groups id", "chroot --userspec=user / id"):
            made = self.exec(sandbox, command)
            self.assertTrue(made["stdout"].startswith("uid=1000(user) gid=1000(user)"), (command, made))
        self.assertEqual(self.output(sandbox, "ulimit -c 0; su user -c 'ulimit -c 0; grep core /proc/self/limits' | tr -s ' '"),
                         "Max core file size 1 1 bytes \n")

    def test_packages_are_installed_in_an_image_of_its_own(self):
        sandbox = self.create(profile="root")
        if self.exec(sandbox, "command -v dpkg-deb dpkg")["exit_code"] != 0:
            self.skipTest("the image has no dpkg")
        self.assertIn("install ok installed\n", self.output(sandbox, PACKAGE))
        self.assertEqual(self.output(sandbox, "stat -c %a /opt/tool/su"), "4755\n")

    def test_what_root_leaves_in_a_volume_or_copies_out_gives_nobody_power_outside(self):
        volume = self.daemon.post("/v1/volumes", {}).json()["id"]
        sandbox = self.create(profile="root", volumes=[{"volume": volume, "target": "/data"}])
        self.output(sandbox, "cp /bin/true /data/su; chmod 4755 /data/su; mkdir /tmp/d; cp /data/su /tmp/d; chmod 4755 /tmp/d/su")
        other = self.create(volumes=[{"volume": volume, "target": "/data"}])
        self.assertEqual(self.output(other, "stat -c '%u %a' /data/su; grep ' /data ' /proc/self/mounts | grep -c nosuid"), "0 4755\n1\n")
        with tempfile.TemporaryDirectory(prefix="lmsb-test-") as directory:
            done = subprocess.run([lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", "cp",
                                   f"{sandbox}:/tmp/d", directory + "/d"], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(oct(os.stat(directory + "/d/su").st_mode & 0o7000), "0o0")


if __name__ == "__main__":
    lmsb.main()
