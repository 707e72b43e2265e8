#!/usr/bin/python3
"""Every step fails once, or is the last one: at each system call of launcher and daemon an error is injected, or the process
is killed, while sandboxes are made, used, copied, stopped, started and deleted. Afterwards the kernel has what the daemon
says, the same request succeeds, and a sandbox that nobody touched has lost no output.

Of the calls of each operation some are chosen, spread over all of them; LMSB_INJECT=all goes through every one of all operations
(hours). That can be done in pieces: LMSB_INJECT_ONLY=create,stop are the operations, LMSB_INJECT_LOG=FILE is a line for each fault
that has been there, which a later run with the same file leaves out, and after LMSB_INJECT_SECONDS a test begins nothing
new, says so and is skipped.
"""
import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import children_of, disks_of, launcher_of
from test_lifecycle import InBackground
from test_snapshot_files import FileTest, member
from test_staying import COUNT, StayingTest, kill, kill_all_of_ours

WHOLE = os.environ.get("LMSB_INJECT") == "all"
ONLY = set(filter(None, os.environ.get("LMSB_INJECT_ONLY", "").split(",")))
LOG = pathlib.Path(os.environ.get("LMSB_INJECT_LOG", os.devnull))
ROUNDS = 16
UNTIL = time.monotonic() + float(os.environ.get("LMSB_INJECT_SECONDS", "inf"))
# What cannot fail (the kernel closes a descriptor whatever it says), and the end of a process.
LEFT_OUT = {"exit", "exit_group", "restart_syscall", "rt_sigreturn", "getppid", "getpid", "close", "munmap", "brk"}


class Tracer:
    """strace on a process, and on those that it starts meanwhile."""

    def __init__(self, pid, *arguments):
        self.process = subprocess.Popen(["strace", "-f", "-p", str(pid), *arguments], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        assert "attached" in line, line
        # Each thread is one line; what was attached is said before anything is traced.
        os.set_blocking(self.process.stderr.fileno(), False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # with threads of a process that has been killed it may wait for ever
            self.process.kill()  # which lets go of them
            self.process.wait()
        self.process.stderr.close()


def is_alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    return False


class Injected(StayingTest, FileTest):
    image = "host"

    def setUp(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed: apt-get install strace")
        probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
        if probe.returncode != 0:
            self.skipTest("strace cannot trace here: " + probe.stderr.strip())
        os.environ["LM_SANDBOX_POOL__SIZE"] = os.environ["LM_SANDBOX_POOL__KEPT_SIZE"] = "0"  # nothing of it happens meanwhile
        self.addCleanup(os.environ.pop, "LM_SANDBOX_POOL__SIZE")
        self.addCleanup(os.environ.pop, "LM_SANDBOX_POOL__KEPT_SIZE")
        super().setUp()
        self.untouched = self.create(name="untouched")
        self.counting = self.detach(self.untouched, COUNT)
        self.seen = 0  # octets of its output
        self.number = 0
        self.felt = 0  # how often whoever asked has noticed
        self.file = self.forged(member(b"disk/upper/srv", b"5"), member(b"disk/upper/srv/a", content=b"one\n" * 1000))
        self.wait_quiet()

    # ---- what is done while something fails

    def make(self, **fields):
        return self.daemon.post("/v1/sandboxes", {"image": self.image, "name": "made", **fields})

    def prepared(self):
        """A sandbox to do something with; made again when the last thing has ended it."""
        answer = self.daemon.request("GET", "/v1/sandboxes/box")
        if answer.status != 200:
            answer = self.daemon.post("/v1/sandboxes", {"image": self.image, "name": "box"})
            self.assertEqual(answer.status, 201, answer.body)
        if answer.json()["state"] != "running":
            started = self.do("box", "resume" if answer.json()["state"] == "paused" else "start")
            self.assertEqual(started.status, 200, started.body)

    OPERATIONS = {
        "create": lambda self: self.make(),
        "network": lambda self: self.make(egress={"allow": ["name.test"]}),
        "exec": lambda self: self.do("box", "exec", {"cmd": "echo said", "timeout_ms": 5000}),
        "detach": lambda self: self.do("box", "exec", {"cmd": "echo said", "detach": True}),
        "write": lambda self: self.daemon.request("PUT", "/v1/sandboxes/box/files?path=/tmp/file", b"octets",
                                                  {"Content-Type": "application/octet-stream"}),
        "snapshot": lambda self: self.do("box", "snapshot", {}),
        "fork": lambda self: self.do("box", "fork", {"count": 1}),
        "pause": lambda self: self.do("box", "pause"),
        "stop": lambda self: self.do("box", "stop"),
        "start": lambda self: self.do("box", "start"),
        "delete": lambda self: self.daemon.request("DELETE", "/v1/sandboxes/box"),
        "volume": lambda self: self.daemon.post("/v1/volumes", {"name": "data"}),
        "import": lambda self: self.send(self.file),
        "export": lambda self: self.daemon.request("GET", f"/v1/snapshots/{self.kept_snapshot()}/export"),
        "rollback": lambda self: self.roll_back("box", self.kept_snapshot()),
        "removal": lambda self: self.daemon.request("DELETE", "/v1/volumes/" + self.kept_volume()),
    }

    def volumes(self):
        return self.daemon.request("GET", "/v1/volumes?limit=1000").json()["data"]

    def kept_volume(self):
        return next(one["id"] for one in self.volumes() if one["name"] == "kept")

    def kept_snapshot(self):
        """One of the sandbox that things are done with; taken when the last one has gone."""
        box = self.daemon.request("GET", "/v1/sandboxes/box").json()["id"]
        kept = self.listed("?sandbox=" + box)
        return kept[0] if kept else self.snapshot("box")["id"]

    def ready_for(self, operation):
        if operation == "removal" and not any(one["name"] == "kept" for one in self.volumes()):
            self.assertEqual(self.daemon.post("/v1/volumes", {"name": "kept"}).status, 201)
        if operation in ("create", "network", "volume", "removal", "import"):
            return
        self.prepared()
        if operation in ("export", "rollback"):
            self.kept_snapshot()
        if operation == "start":
            self.assertEqual(self.do("box", "stop").status, 200)

    def attempt(self, operation):
        """Its answer; nothing when the daemon has gone with it."""
        with contextlib.suppress(OSError, lmsb.http.client.HTTPException):
            return self.OPERATIONS[operation](self)

    # ---- what must be so afterwards

    def wait_quiet(self):
        """The kernel has what the daemon says."""
        seen = [None, None]
        def agrees():
            try:
                seen[:] = [self.ledger(), self.kernel()]
            except (OSError, AssertionError, lmsb.http.client.HTTPException):
                if not self.are_there():
                    self.revive()  # from a kill that came when all was said
                return False
            return seen[0] == seen[1]
        lmsb.wait_until(agrees, lambda: f"the daemon says {seen[0]}, the kernel {seen[1]}")
        said = self.daemon.request("GET", "/v1/ledger").json()
        self.assertTrue(said["agrees"], said)

    def ledger(self):
        listed = self.daemon.request("GET", "/v1/sandboxes?limit=1000").json()["data"]
        snapshots = self.daemon.request("GET", "/v1/snapshots?limit=1000").json()["data"]
        live = sorted(one["id"] for one in listed if one["state"] in ("running", "paused", "failed"))
        networks = [one for one in listed if one["id"] in live and one["egress"]["mode"] != "none"]
        return {"gates": len(networks), "cgroups": live, "meeting places": live, "disks": sorted(one["id"] for one in listed), "fresh": [],
                "snapshots": sorted(one["id"] for one in snapshots), "volumes": sorted(one["id"] for one in self.volumes())}

    def kernel(self):
        store = pathlib.Path(f"/proc/{launcher_of(self.daemon)}/root/store")
        gates = {self.cgroup_of(pid) for pid in lmsb.sandbox_processes(b"lm-sandbox-gate")}
        cgroups = {pathlib.Path(path).name for path in lmsb.our_cgroups()} - {"work"} - gates
        return {"gates": len(gates), "cgroups": sorted(cgroups), "meeting places": sorted(os.listdir(self.daemon.run_dir / "sandboxes")),
                **{place: sorted(os.listdir(store / place)) for place in ("disks", "fresh", "snapshots", "volumes")}}

    @staticmethod
    def cgroup_of(pid):
        """A gate is alone in one, which has no sandbox's name."""
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        return next(path.split("/")[-1] for line in lines if "/lmsb-" in (path := line.split(":", 2)[2]))

    def check(self, operation):
        self.wait_quiet()
        self.read_on()
        self.clean()
        self.ready_for(operation)
        answer = self.OPERATIONS[operation](self)
        self.assertIn(answer.status, (200, 201, 204), answer.body)
        self.clean()

    def are_there(self):
        with contextlib.suppress(OSError, AssertionError):
            return is_alive(launcher_of(self.daemon)) and is_alive(self.daemon.daemon_pid())
        return False

    def revive(self, pid=None):
        """When one of ours has gone, the others follow, and all are started again: by the parent, or by us. One that has been
        killed may look alive for a moment: until those that are there answer, nothing is known."""
        if not pid or not is_alive(pid):
            self.daemon.come_back()
        lmsb.wait_until(self.is_back, "a daemon that is ready")

    def is_back(self):
        if not self.are_there():
            self.daemon.come_back()
        with contextlib.suppress(OSError, lmsb.http.client.HTTPException):
            return self.daemon.request("GET", "/readyz").status == 200 and self.are_there()
        return False

    def clean(self):
        for one in self.daemon.request("GET", "/v1/sandboxes?limit=1000").json()["data"]:
            if one["name"] not in ("untouched", "box"):
                self.daemon.request("DELETE", "/v1/sandboxes/" + one["id"])
        for one in self.daemon.request("GET", "/v1/snapshots?limit=1000").json()["data"]:
            self.daemon.request("DELETE", "/v1/snapshots/" + one["id"])
        for one in self.volumes():
            if one["name"] == "data":
                self.daemon.request("DELETE", "/v1/volumes/" + one["id"])

    def read_on(self):
        """The output of the one that nobody touched, from where it was read last."""
        self.assertEqual(self.state("untouched"), "running")
        piece = self.piece("untouched", self.counting, self.seen)
        self.assertEqual(piece["offset"], self.seen, "octets are lost")
        lines = piece["text"].split("\n")[:-1]
        self.seen += sum(len(line) + 1 for line in lines)
        self.assertEqual([int(line) for line in lines], list(range(self.number + 1, self.number + 1 + len(lines))))
        self.number += len(lines)

    # ---- where it fails

    def process(self, which):
        return launcher_of(self.daemon) if which == "launcher" else self.daemon.daemon_pid()

    def calls(self, which, operation):
        """How often each system call is made."""
        self.ready_for(operation)
        log = self.daemon.dir / "calls"
        with Tracer(self.process(which), "-o", str(log)):
            self.assertIn(self.attempt(operation).status, (200, 201, 204))
            time.sleep(0.1)  # what is done behind the answer
        counted = collections.Counter()
        per_process = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
        for (_, call), times in per_process.items():
            counted[call] = max(counted[call], times)
        self.clean()
        return {call: times for call, times in counted.items() if call not in LEFT_OUT}

    def places(self, which, operation, count):
        """So many of its calls, spread over all: each as a kind of call, and which time that is made."""
        every = [(call, n) for call, times in sorted(self.calls(which, operation).items()) for n in range(1, times + 1)]
        count = len(every) if WHOLE else min(count, len(every))
        return [every[i * len(every) // count] for i in range(count)]

    def faults(self, which, operations, count, whats):
        """What is to be done, each as an operation, a kind of call, which time that is made, and what happens then."""
        if not WHOLE:
            for operation in operations:
                for at, place in enumerate(self.places(which, operation, count)):
                    yield operation, *place, whats[at % len(whats)]
            return
        places = {operation: self.places(which, operation, count) for operation in operations}
        for round in range(ROUNDS):  # each is spread over everything, so that a run that is cut short has seen something of all
            for operation in operations:
                for place in places[operation][round::ROUNDS]:
                    for what in whats:
                        yield operation, *place, what

    def go_through(self, which, operations, count, *whats):
        seen = set(line.rsplit(" ", 1)[0] for line in LOG.read_text().splitlines()) if LOG.is_file() else set()
        chosen = [one for one in (self.OPERATIONS if WHOLE else operations) if not ONLY or one in ONLY]
        faults = list(self.faults(which, chosen, count, whats))
        for at, (operation, call, n, what) in enumerate(faults):
            fault = f"{which} {operation} {call} {n} {what}"
            if fault in seen:
                continue
            if time.monotonic() > UNTIL:
                self.skipTest(f"the time is over at {at} of {len(faults)}: {fault}")
            with self.subTest(operation, process=which, call=call, time=n, what=what), self.written_down(fault):
                self.fail_once(which, operation, call, n, what)
        if not seen and not ONLY:
            self.assertGreater(self.felt, len(operations))

    @contextlib.contextmanager
    def written_down(self, fault):
        verdict = "FAILED"
        try:
            yield
            verdict = "passed"
        finally:
            with open(LOG, "a") as log:
                log.write(f"{fault} {verdict}\n")

    def fail_once(self, which, operation, call, n, what):
        if not self.are_there():  # the last one has failed
            self.revive()
        self.ready_for(operation)
        pid = self.process(which)
        with Tracer(pid, "-o", "/dev/null", "-e", f"trace={call}", "-e",
                    f"inject={call}:{what}:when={n}"):
            answer = self.attempt(operation)
        if answer is None or answer.status >= 400:
            self.felt += 1
        if answer is not None and answer.status >= 400:
            self.assertTrue(answer.json()["error"]["message"])
        self.revive(pid)
        self.check(operation)


ERRORS = ("error=ENOSPC", "error=EMFILE", "error=EIO")


class Launcher(Injected):
    def test_errors(self):
        self.go_through("launcher", ("create", "network", "snapshot", "fork", "stop", "start", "delete", "volume", "import"), 15, *ERRORS)

    def test_kills(self):
        self.go_through("launcher", ("create", "network", "snapshot", "fork", "stop", "start", "delete", "volume", "removal", "import"), 8,
                        "signal=KILL")


class Daemon(Injected):
    def test_errors(self):
        self.go_through("daemon", ("create", "network", "exec", "detach", "snapshot", "stop", "delete", "volume", "import", "export"), 10,
                        *ERRORS)

    def test_kills(self):
        self.go_through("daemon", tuple(self.OPERATIONS), 5, "signal=KILL")


class Copies(Injected):
    """Of the launcher, which copies itself for each guest: one that has not run yet holds all that the launcher held."""

    def test_keep_no_disk_from_its_sandbox(self):
        self.prepared()
        guest = lmsb.guest_of(self.daemon.request("GET", "/v1/sandboxes/box").json()["id"])
        launcher = launcher_of(self.daemon)
        before = set(children_of(launcher))
        with Tracer(launcher, "-o", "/dev/null", "-e", "trace=close_range", "-e", "inject=close_range:delay_enter=1500000"):
            making = InBackground(self.make)
            lmsb.wait_until(lambda: set(children_of(launcher)) - before, "a copy")
            kill(guest)
            lmsb.wait_until(lambda: self.state("box") == "failed", "its end")
            started = self.do("box", "start")
            self.assertEqual(started.status, 200, started.body)
            self.assertEqual(making.result().status, 201)

    def test_keep_nobody_from_starting_again_when_all_is_killed(self):
        launcher = launcher_of(self.daemon)
        before = set(children_of(launcher))
        with Tracer(launcher, "-o", "/dev/null", "-e", "trace=close_range", "-e", "inject=close_range:delay_enter=1000000"):
            making = InBackground(self.attempt, "create")
            lmsb.wait_until(lambda: set(children_of(launcher)) - before, "a copy")
            self.again(kill_all_of_ours)
        self.assertIsNone(making.result())
        self.read_on()


class Answers(Injected):
    """What was answered holds, also when all of ours is killed the moment after: here the database takes its time."""

    def slowly(self, *actions):
        """Each action, answered while the daemon writes slowly; then all of ours is killed, and begins again."""
        daemon = self.daemon.daemon_pid()
        with Tracer(daemon, "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=150000"):
            for action in actions:
                done = action()
                self.assertEqual(done.status, 200, done.body)
            kill_all_of_ours(self.daemon)
        self.daemon.log.close()
        self.daemon.start()
        return self.daemon.request("GET", "/v1/sandboxes/box").json()

    def test_a_snapshot_whose_removal_was_cut_short_is_removed_by_the_next_daemon(self):
        """Its copy has gone, and nobody has written that down."""
        self.prepared()
        snapshot = self.kept_snapshot()
        with Tracer(self.daemon.daemon_pid(), "-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=400000"):
            removing = InBackground(lambda: self.daemon.request("DELETE", f"/v1/snapshots/{snapshot}"))
            lmsb.wait_until(lambda: snapshot not in disks_of(self.daemon, "snapshots"), "the end of its copy")
            kill_all_of_ours(self.daemon)
            with contextlib.suppress(Exception):
                removing.result()
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.daemon.request("GET", "/v1/ledger").json()["findings"], [])
        self.assertEqual(self.daemon.request("GET", f"/v1/snapshots/{snapshot}").status, 404)

    def test_are_written_down_first(self):
        self.prepared()
        self.assertEqual(self.slowly(lambda: self.do("box", "pause"))["state"], "paused")
        self.assertEqual(self.slowly(lambda: self.do("box", "resume"))["state"], "running")
        self.assertEqual(self.do("box", "exec", {"cmd": "echo on"}).json()["stdout"], "on\n")
        changes = [{"labels": {"a": "b"}}, {"limits": {"memory_bytes": 200 << 20}}]
        changed = self.slowly(*(lambda one=one: self.daemon.request("PATCH", "/v1/sandboxes/box", one) for one in changes))
        self.assertEqual((changed["labels"], changed["limits"]["memory_bytes"]), ({"a": "b"}, 200 << 20))


if __name__ == "__main__":
    lmsb.main()
