"""What the system tests share: a daemon of their own, HTTP to it, and a count of what sandboxes leave on the machine."""
import atexit
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import capture

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LMSB_BIN", ROOT / "build/dev/bin"))
TEST_DATA = pathlib.Path(os.environ.get("LMSB_TEST_DATA", "/var/cache/lm-sandbox-test"))
FIRST_SANDBOX_ID = 1073741824  # src/sandbox/id_ranges.h
# Of a test that runs as a normal user (as_user.py): the first of the subordinate ids, how many, and the delegated cgroup.
AS_USER = os.environ.get("LMSB_AS_USER", "").split(":")
IS_USER = len(AS_USER) == 3
# Where image `host` shows what a test puts.
USR = os.environ.get("LMSB_USR", "/usr/local")
# The last of a user's is the daemon's.
SANDBOX_IDS = (range(int(AS_USER[0]), int(AS_USER[0]) + int(AS_USER[1]) - 1) if IS_USER else range(FIRST_SANDBOX_ID + 2 * 65536, 1 << 32),)


@contextlib.contextmanager
def directory_of_the_machine():
    """A directory that image `host` shows; `secret` in it is a file that only user 1000 of the machine may read."""
    with tempfile.TemporaryDirectory(prefix="lmsb-test-", dir=USR) as directory:
        os.chmod(directory, 0o755)
        secret = pathlib.Path(directory, "secret")
        secret.write_text("of user 1000")
        secret.chmod(0o600)
        os.chown(secret, 1000, 1000)
        yield pathlib.Path(directory)


def require_root():
    if IS_USER:
        return  # what needs root is exempt
    if os.geteuid() != 0:
        raise unittest.SkipTest("root is needed: sandboxes are launched by a privileged launcher")
    take_turn()


def delegated_controllers():
    return set(pathlib.Path(AS_USER[2], "cgroup.controllers").read_text().split())


def see_sandboxes_of(daemon):
    """As a user, this process is from now on in the user namespace that the daemon's sandboxes are made in, where it sees of
    their processes what root sees. It is still that user to everybody else. Once, before threads."""
    global SANDBOX_IDS
    if not IS_USER:
        return
    with open(f"/proc/{daemon.daemon_pid()}/ns/user") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    SANDBOX_IDS = (range(FIRST_SANDBOX_ID, FIRST_SANDBOX_ID + 65536), range(FIRST_SANDBOX_ID + 2 * 65536, 1 << 31))


def take_turn():
    """Waits until no other system test runs on this machine: each counts what is left, and would count the other's."""
    if os.environ.get("LMSB_HAS_TURN"):
        return
    TEST_DATA.mkdir(parents=True, exist_ok=True)
    lock = os.open(TEST_DATA / "turn.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for other system tests on this machine to end", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until this process ends
    os.environ["LMSB_HAS_TURN"] = "1"  # for what this test starts


def user_max():
    """What the user namespace of a sandbox may hold, by the names in /proc/sys/user: src/guest_protocol/profile.h."""
    header = (ROOT / "src/guest_protocol/profile.h").read_text()
    return {name: int(most) for name, most in re.findall(r'\{"(max_\w+)", (\d+)\}', header)}


def has_images_for_users():
    """Whether memory keeps the attributes by which an overlay of a user's hides what was removed (Linux 6.6)."""
    with open(os.memfd_create("trial"), "wb") as file:
        try:
            os.setxattr(file.fileno(), "user.overlay.lmsb", b"y")
        except OSError:
            return False
    return True


def require_image(name):
    if IS_USER and not has_images_for_users():
        raise unittest.SkipTest("this kernel has no stored images for users (Linux 6.6)")
    checked = subprocess.run([BIN / "lm-sandbox-tool", "image", "check", name, "--data-dir", TEST_DATA],
                             stderr=subprocess.PIPE, text=True, check=False)
    if checked.returncode != 0:
        raise unittest.SkipTest(f"{checked.stderr.splitlines()[0]}: lm-sandbox-tool image build {name} --data-dir {TEST_DATA}")


def remove_shared_disks():
    """What daemons of TEST_DATA have kept there, which all tests share for its images alone; never a mounted store."""
    store = str((TEST_DATA / "disks" / "store.img").resolve())
    wait_until(lambda: store not in loop_files(), f"the end of the mount of {store}")
    for kept in ("disks", "state"):
        shutil.rmtree(TEST_DATA / kept, ignore_errors=True)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Daemon:
    """`lm-sandbox serve` on a free port with directories of its own; ends with the `with` block, and with the test when that is killed. `is_private`: so does the daemon of a command, which settles nothing for later ones; sandboxes of others
    end with them, too, unless they are to outlive them (`sandboxes_stay`)."""

    shares_disks = False  # with daemons before and after it
    before_exec = None  # what the process does before it becomes the daemon: whoever starts one may have done it
    programs = BIN

    def __init__(self, *flags, data_dir=None, env=None, is_private=True, sandboxes_stay=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-test-"))
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)  # for tests that end it otherwise than by `with`
        os.chmod(self.dir, 0o755)
        self.data_dir = data_dir or self.dir / "data"
        self.run_dir = self.dir / "run"
        ends = ("--die-with-parent",) if is_private else () if sandboxes_stay else ("--stop-sandboxes",)
        self.flags, self.env = flags + ends, env or {}
        self.process = None
        self.log = None

    def start(self):
        self.forget_disks()
        read, write = os.pipe()
        command = [self.programs / "lm-sandbox", "serve", "--listen", "127.0.0.1:0", "--ssh-listen", "off", "--data-dir", self.data_dir,
                   "--run-dir", self.run_dir, "--ready-fd", str(write), *self.flags]
        self.log = open(self.dir / "log", "ab")
        self.process = subprocess.Popen([str(c) for c in command], pass_fds=[write], stderr=self.log,
                                        env={**os.environ, **self.env}, preexec_fn=self.before_exec)
        os.close(write)
        with os.fdopen(read) as ready:
            line = ready.readline()
        if not line:
            self.process.wait()
            said = self.log_text()
            self.log.close()  # its directory stays until the test has ended: it may start another one, to end what stayed
            raise RuntimeError("the daemon did not start: " + "\n".join(said.split("\n")[-40:]))
        self.ready = json.loads(line)
        host, port = self.ready["http"][0].rsplit(":", 1)
        self.host, self.port = host, int(port)
        return self

    def forget_disks(self):
        if self.data_dir == TEST_DATA and not self.shares_disks:
            remove_shared_disks()

    def log_text(self):
        return (self.dir / "log").read_text(errors="replace")

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)
        if self.log:
            self.log.close()
        return self.process.returncode if self.process else None

    def daemon_pid(self):
        return self.ready["pid"]

    def next_daemon(self):
        """Of a parent that has started its pair again: the pid of the daemon, or None."""
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):  # it has ended
                if int(pid) != self.ready["pid"] and pathlib.Path(f"/proc/{pid}/comm").read_text() == "lm-sandbox\n":
                    return int(pid)
        return None

    def come_back(self, starts=True):
        """After one of its processes has died: as its parent starts them again, or (`starts`) by a new start where that has
        ended, too."""
        def is_back():
            if self.process.poll() is not None:
                return True
            with contextlib.suppress(OSError, http.client.HTTPException):  # it ends
                pid = self.next_daemon()
                if pid and self.request("GET", "/readyz").status == 200:
                    self.ready["pid"] = pid
                    return True
            return False

        wait_until(is_back, "the next daemon, or the end of all")
        if starts and self.process.poll() is not None:
            self.log.close()
            self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.forget_disks()

    def connection(self, timeout):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=150):
        connection = self.connection(timeout)
        fields = {} if body is None else {"Content-Type": "application/json"}
        fields.update(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body=body, headers=fields)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def post(self, path, body, **kw):
        return self.request("POST", path, body, **kw)

    def typed(self, line):
        """What the shell prints for a line that says localhost:8000, typed as it stands: curl is told where that is."""
        (self.dir / ".curlrc").write_text(f"silent\nconnect-to = localhost:8000:{self.host}:{self.port}\n")
        done = subprocess.run(["sh", "-c", line], env={**os.environ, "CURL_HOME": str(self.dir)}, stdout=subprocess.PIPE,
                              text=True, timeout=300, check=True)
        return json.loads(done.stdout)

    def run(self, cmd, **fields):
        """POST /v1/run; returns the result object."""
        answer = self.post("/v1/run", {"cmd": cmd, **fields})
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()


def cgroup_hierarchies():
    if IS_USER:
        return [AS_USER[2]]
    with open("/proc/self/mountinfo") as lines:
        return [line.split()[4] for line in lines if " - cgroup" in line]


def is_another_daemons(pid):
    """Whether a process belongs to a daemon that was there before the tests: theirs are not ours to count."""
    try:
        text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return True
    if IS_USER:  # root's daemons are there all the time
        return f"0::/{pathlib.Path(AS_USER[2]).name}/" not in text.replace("\n", "/\n")
    return any(f"/{name}/" in text + "/" for name in OTHERS)


def instances():
    return {d.name for mount in cgroup_hierarchies() for d in pathlib.Path(mount).glob("lmsb-*")}


OTHERS = instances()


def our_cgroups(below_instances=True):
    """Directories of sandboxes (or of whole instances) in every cgroup hierarchy."""
    found = []
    for mount in cgroup_hierarchies():
        for instance in pathlib.Path(mount).glob("lmsb-*"):
            if instance.name in OTHERS:
                continue
            if not below_instances:
                found.append(str(instance))
            with contextlib.suppress(OSError):  # it has just been removed
                found += [str(d) for d in instance.iterdir() if d.is_dir()]
    return found


def processes(wanted):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted(entry) and not is_another_daemons(entry.name):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def sandbox_processes(named=b""):
    """Processes whose user belongs to a sandbox's range, and whose command line has `named` in it. A process that is in the
    middle of an exec has none: who waits for `exec sleep 1000` asks for b"sleep\\0" + b"1000"."""
    def is_one(entry):
        uid = entry.stat().st_uid
        return any(uid in ids for ids in SANDBOX_IDS) and named in (entry / "cmdline").read_bytes()

    return processes(is_one)


def gates(of=None):
    """The processes that serve sandboxes' networks; those that the launcher `of` has started."""
    def is_gate(entry):
        return (entry / "cmdline").read_bytes().startswith(b"lm-sandbox-gate") and (
            of is None or f"\nPPid:\t{of}\n" in (entry / "status").read_text())

    return list(processes(is_gate))


def guest_of(sandbox):
    """The sandbox's first process, seen from the machine; it does not end before the sandbox. Others of its cgroup (who gives
    sockets of netlink) may have lower numbers: those of the machine begin again from below."""
    def is_first(pid):
        with contextlib.suppress(OSError):  # it has ended
            return re.search(r"^NSpid:.*\t1$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
        return None

    return next(int(pid) for path in map(pathlib.Path, our_cgroups()) if path.name == sandbox
                for pid in (path / "cgroup.procs").read_text().split() if is_first(pid))


def processes_of(sandbox, state=""):
    """A sandbox's processes that are in a state, seen from the machine; zombies have no control group any more."""
    found = []
    space = os.readlink(f"/proc/{guest_of(sandbox)}/ns/pid")
    for pid in sandbox_processes():
        try:
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            if os.readlink(f"/proc/{pid}/ns/pid") == space and f"State:\t{state}" in text:
                found.append(pid)
        except OSError:
            pass  # it has ended
    return found


def watching_processes():
    """Sandboxes' processes that hold an inotify descriptor, seen from the machine: they are not shown to each other."""
    def watches(pid):
        try:
            return any(os.readlink(fd) == "anon_inode:inotify" for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return False  # it has ended

    return [pid for pid in sandbox_processes() if watches(pid)]


def namespaces(kind):
    names = set()
    for pid in processes(lambda entry: True):
        try:
            names.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            pass  # it has ended
    return names


def network_namespaces():
    return namespaces("net")


def mounts_of_ours():
    found = set()
    for pid in processes(lambda entry: (entry / "mountinfo").read_text()):
        try:
            text = pathlib.Path(f"/proc/{pid}/mountinfo").read_text()
        except OSError:
            continue
        found |= {line for line in text.splitlines() if "lmsb" in line or "lm-sandbox" in line}
    return found


def loop_files():
    """The files of the machine's loop devices: the store of a daemon is one."""
    found = []
    if IS_USER:
        return found  # nobody without root makes one
    for file in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it has been given back
            found.append(file.read_text().strip())
    return sorted(found)


def is_over(pid):
    """Whether a process has ended, and is no more to anybody than a number that the machine's first process, whose child it
    has become, may take a second to give back."""
    try:
        state, parent = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX" and parent == "1"


def spare_images(data_dir):
    return data_dir.parent.parent / f"lmsb-test-images-{os.getpid()}"


def lend_images(data_dir):
    """The built images in a data directory of a test's own: links, no copies. Even those take a second or two, so they are
    lent to one test after another: take_images_back()."""
    spare, ours, built = spare_images(data_dir), data_dir / "images", TEST_DATA / "images"
    if spare.exists():
        spare.rename(ours)
        for described in ours.glob("*/image.json"):  # which a test may have changed
            described.unlink()
            subprocess.run(["cp", "-a", built / described.parent.name / "image.json", described], check=True)
        return
    atexit.register(shutil.rmtree, spare, ignore_errors=True)
    linked = subprocess.run(["cp", "-al", built, data_dir], capture_output=True, check=False)
    if linked.returncode != 0:  # of another file system
        shutil.rmtree(ours, ignore_errors=True)
        subprocess.run(["cp", "-a", built, data_dir], check=True)


def take_images_back(data_dir):
    """When nothing uses them any more. A test that took images away takes what it left along."""
    if not (data_dir / "images").is_dir():
        return  # a daemon that did not start again took all along
    if {image.name for image in (data_dir / "images").iterdir()} == {image.name for image in (TEST_DATA / "images").iterdir()}:
        (data_dir / "images").rename(spare_images(data_dir))


def leftovers():
    return {"loop devices": loop_files(), "cgroups": our_cgroups(below_instances=False),
            "processes": [pid for pid in sandbox_processes() if not is_over(pid)],
            "network namespaces": sorted(network_namespaces()), "mounts": sorted(mounts_of_ours())}


def describe(found):
    return {what: (len(items), items[:3]) if isinstance(items, list) else items for what, items in found.items()}


def wait_until(condition, what, seconds=60):
    """For what the kernel finishes in its own time. Not a timing check: it fails only when it never comes."""
    end, is_last = time.monotonic() + seconds, False
    while not condition():
        if is_last:
            raise AssertionError("never came: " + (what() if callable(what) else what))
        is_last = time.monotonic() > end  # it may have taken long to ask
        time.sleep(0.02)


def new_since(before):
    """What is on the machine that was not there before. What was, and has gone, was another daemon's."""
    now = leftovers()
    return {what: new for what in now if (new := [item for item in now[what] if item not in before[what]])}


def wait_until_clean(before):
    wait_until(lambda: not new_since(before), lambda: f"a clean machine: left over is {describe(new_since(before))}")


def held_by(pid):
    """What a process has of the machine."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return {"resident_kib": resident, "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": status.split("Threads:")[1].split()[0]}


@contextlib.contextmanager
def stays_small(pid, allowed_growth):
    """What a process has in memory never grows by more meanwhile than so many octets: its peak counts."""
    def peak():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024

    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is that of now
    before = peak()
    yield
    growth = peak() - before
    if growth >= allowed_growth:
        raise AssertionError(f"it grew by {growth} octets, {allowed_growth} are allowed")


def wait_full_pool(daemon):
    """Returns how many sandboxes a daemon of the default settings keeps prepared, once it does."""
    wait_until(lambda: daemon.request("GET", "/v1/info").json()["prepared"] >= 10, "a full pool", seconds=60)
    return daemon.request("GET", "/v1/info").json()["prepared"]


def settled(daemon, prepared):
    """What the daemon holds once the last commands are gone and its pool is full again."""
    def is_quiet():
        info = daemon.request("GET", "/v1/info").json()
        return info["running"] == 0 and info["sandboxes"] == 0 and info["prepared"] == prepared

    wait_until(is_quiet, "a quiet daemon", seconds=60)
    # The daemon closes the connection that asked when it gets the processor for it.
    looks = []
    for _ in range(50):
        looks.append(held_by(daemon.daemon_pid()))
        time.sleep(0.02)
    return min(looks, key=lambda held: held["descriptors"])


class SystemTest(unittest.TestCase):
    """A test whose class has one daemon, and which leaves the machine as it found it."""

    flags = ()
    env = None
    data_dir = None

    @classmethod
    def setUpClass(cls):
        require_root()
        cls.before = leftovers()
        cls.daemon = Daemon(*cls.flags, data_dir=cls.data_dir, env=cls.env).start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        wait_until_clean(cls.before)

    def make_sandbox(self, **fields):
        """Its id; it goes with the test."""
        made = self.daemon.post("/v1/sandboxes", fields)
        self.assertEqual(made.status, 201, made.body)
        sandbox = made.json()["id"]
        self.addCleanup(lambda: self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}"))
        return sandbox

    def exec_in(self, sandbox, cmd, **fields):
        """The verdict of a command."""
        done = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": cmd, **fields})
        self.assertEqual(done.status, 200, done.body)
        return done.json()


def run_captured():
    """Runs the tests of the calling program on a machine of its own, and fails if anything was sent from there."""
    try:
        with capture.of_whole_run():
            result = unittest.main(verbosity=2, exit=False).result
    except AssertionError as left:
        sys.exit(str(left))
    print("captured: nothing left the machine", file=sys.stderr)
    return result


def main(is_captured=bool(os.environ.get("LMSB_CAPTURE"))):
    """Runs the tests of the calling program, on a machine of their own that nothing may leave if LMSB_CAPTURE is set
    (capture.py). What was skipped is named with its reason as scripts/test.sh reads it; where that was everything, CTest is
    told so (SKIP_RETURN_CODE)."""
    is_captured = is_captured and os.geteuid() == 0  # else all is skipped, and says why
    result = run_captured() if is_captured else unittest.main(verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"{test.id()}: Skipped\n{' '.join(reason.split())}", flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    # Of a class that is skipped as a whole no test has run; parts (subTest) are not counted among those that have.
    whole = [test for test, _ in result.skipped if isinstance(test, unittest.TestCase) and not hasattr(test, "test_case")]
    sys.exit(77 if result.skipped and result.testsRun == len(whole) else 0)
