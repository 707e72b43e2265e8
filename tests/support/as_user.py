#!/usr/bin/python3
"""Runs a system test as a normal user: `as_user.py tests/system/test_commands.py [Class[.test] ...]`.

Root makes the user, with subordinate ids and a cgroup of v2 that is delegated as systemd delegates one, and removes both again
when the test has ended; what is left of the user then (a process, a cgroup) is an error. What tests ask of root, or of what
nobody has without, is named in exempt.py."""
import contextlib
import importlib.util
import os
import pathlib
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import unittest

import exempt
import lmsb

FIRST_ID = 800_000_000  # above what useradd gives to users, below what is ours
COUNT = 65537  # one more than useradd gives: all sandboxes share one range, and it is a whole one
LEAF = "supervisor"  # where a daemon puts what was in the delegated cgroup; it goes with that (src/launcher/cgroup_host.h)
CONTROLLERS = ("memory", "cpu", "pids")  # what systemd delegates, where cgroup v2 has them
# So many that each sandbox of image host has ids of its own, and may have the profile root.
COUNT_OF_TESTS = int(os.environ.get("LMSB_USER_IDS", 66 * 65536))


def skip_whole(reason):
    print(f"as_user: Skipped\n{reason}", flush=True)
    sys.exit(77)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def cgroup_v2():
    with open("/proc/self/mountinfo") as lines:
        found = [line.split()[4] for line in lines if " - cgroup2 " in line]
    return found[0] if found else skip_whole("cgroup v2 is not mounted")


def enable(directory, controllers):
    """For the cgroups below it, those that it has. Returns those that were not enabled before."""
    words = lambda name: (directory / name).read_text().split()
    added = [name for name in controllers if name in words("cgroup.controllers") and name not in words("cgroup.subtree_control")]
    if added:
        (directory / "cgroup.subtree_control").write_text(" ".join("+" + name for name in added))
    return added


def remove(name):
    for directory, _, _ in os.walk(pathlib.Path(cgroup_v2(), name), topdown=False):
        os.rmdir(directory)
    run("userdel", name)
    for directory in (pathlib.Path("/var/tmp", name), pathlib.Path("/usr/local", name)):
        shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers():
    """Users of tests that were killed: who has the turn is alone."""
    for entry in pwd.getpwall():
        if re.fullmatch(r"lmsbuser\d+", entry.pw_name) and not pathlib.Path("/proc", entry.pw_name[8:]).exists():
            remove(entry.pw_name)


class User:
    """A user of the machine who is there for one test."""

    def __init__(self, count=COUNT, controllers=CONTROLLERS):
        """`controllers`: those that are delegated, of what the machine has in cgroup v2."""
        self.count = count
        self.controllers = controllers
        self.of_machine = []  # that were enabled for all the machine, and are to be taken back
        self.name = f"lmsbuser{os.getpid()}"
        self.home = pathlib.Path("/var/tmp", self.name)
        self.cgroup = pathlib.Path(cgroup_v2(), self.name, *(() if controllers == CONTROLLERS else ("part",)))
        self.usr = pathlib.Path("/usr/local", self.name)  # of the machine's /usr, where a test may write

    def __enter__(self):
        remove_leftovers()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # CTest's patience may end: the user goes all the same
        run("useradd", "--create-home", "--home-dir", self.home, "-K", "HOME_MODE=0700", "-K", "SUB_UID_COUNT=0", "-K",
            "SUB_GID_COUNT=0", "--shell", "/bin/sh", self.name)
        if self.count:
            ids = f"{FIRST_ID}-{FIRST_ID + self.count - 1}"
            run("usermod", "--add-subuids", ids, "--add-subgids", ids, self.name)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        self.delegate()
        self.usr.mkdir(mode=0o755)
        for directory in (self.usr, *(self.home / name for name in ("run", "tmp", "data"))):
            directory.mkdir(mode=0o700, exist_ok=True)
            os.chown(directory, self.uid, self.gid)
        return self

    def delegate(self):
        """As systemd does with Delegate=: controllers for what is below the one above, and then a directory and three files."""
        with contextlib.suppress(OSError):  # where processes are in it (a container's), none is delegated
            self.of_machine = enable(pathlib.Path(cgroup_v2()), CONTROLLERS)
        self.cgroup.mkdir(parents=True)
        enable(self.cgroup.parent, self.controllers)
        for path in (self.cgroup, *(self.cgroup / f"cgroup.{name}" for name in ("procs", "threads", "subtree_control"))):
            os.chown(path, self.uid, self.gid)
        os.setxattr(self.cgroup, "user.delegate", b"1")

    def delegated(self):
        return set((self.cgroup / "cgroup.controllers").read_text().split())

    def __exit__(self, *_):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        lmsb.wait_until(lambda: not self.processes(), "the end of the user's processes")
        remove(self.name)
        if self.of_machine:
            (pathlib.Path(cgroup_v2()) / "cgroup.subtree_control").write_text(" ".join("-" + name for name in self.of_machine))

    def processes(self):
        """Of the user and of the user's subordinate ids, but for zombies, which have nothing any more."""
        def is_ours(status):
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            uid = int(fields["Uid"].split()[0])
            return (uid == self.uid or FIRST_ID <= uid < FIRST_ID + self.count) and not fields["State"].startswith(("Z", "X"))

        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and is_ours((entry / "status").read_text()):
                    found.append(int(entry.name))
        return found

    def left(self):
        return {"processes": self.processes(), "cgroups": [d.name for d in self.cgroup.iterdir() if d.is_dir() and d.name != LEAF]}

    def environment(self):
        return {"HOME": str(self.home), "USER": self.name, "PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                "XDG_RUNTIME_DIR": str(self.home / "run"), "TMPDIR": str(self.home / "tmp"),
                "LMSB_TEST_DATA": str(self.home / "data"), "LMSB_HAS_TURN": "1", "LMSB_BIN": str(lmsb.BIN), "LMSB_USR": str(self.usr),
                "LMSB_AS_USER": f"{FIRST_ID}:{self.count}:{self.cgroup}", "PYTHONDONTWRITEBYTECODE": "1",
                "LMSB_CANARY": "of the session", "PYTHONPATH": str(pathlib.Path(__file__).parent)}

    def lend_image(self, name):
        """The image of root's tests, as the user would have built it: with other owners. False: there is none."""
        source, target = lmsb.TEST_DATA / "images" / name, self.home / "data/images" / name
        if not source.exists():
            return False
        target.parent.mkdir(mode=0o750, exist_ok=True)
        subprocess.run(["cp", "-a", source, target], check=True)
        for directory, directories, files in os.walk(target / "rootfs"):
            for path in (directory, *(os.path.join(directory, inner) for inner in directories + files)):
                info = os.lstat(path)
                if info.st_uid < FIRST_ID or info.st_uid >= FIRST_ID + self.count:
                    os.lchown(path, info.st_uid - lmsb.FIRST_SANDBOX_ID + FIRST_ID, info.st_gid - lmsb.FIRST_SANDBOX_ID + FIRST_ID)
                    if not stat.S_ISLNK(info.st_mode):
                        os.chmod(path, stat.S_IMODE(info.st_mode))
        for path in (target.parent, target, target / "image.json"):
            os.chown(path, self.uid, self.gid)
        return True

    def become(self):
        """The calling process is the user's from now on, in the user's cgroup."""
        leaf = self.cgroup / LEAF
        ((leaf if leaf.exists() else self.cgroup) / "cgroup.procs").write_text(str(os.getpid()))
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)

    def popen(self, command, env=None, **options):
        return subprocess.Popen([str(c) for c in command], env={**self.environment(), **(env or {})}, cwd=self.home,
                                preexec_fn=self.become, **options)


def as_root(words):
    if os.geteuid() != 0:
        skip_whole("root is needed: it makes the user whom the test runs as")
    if shutil.which("newuidmap") is None:
        skip_whole("newuidmap is needed (package uidmap)")
    lmsb.take_turn()
    with User(COUNT_OF_TESTS) as user:
        if 'require_image("base")' in pathlib.Path(words[0]).read_text():
            user.lend_image("base")
        status = user.popen(["/usr/bin/python3", pathlib.Path(__file__).resolve(), "--inside", *words]).wait()
        end = time.monotonic() + 60
        while any(user.left().values()) and time.monotonic() < end:
            time.sleep(0.02)
        left = user.left()
    if any(left.values()):
        sys.exit(f"as_user: left over: {left}")
    sys.exit(status)


def set_aside(module, name):
    """What exempt.py says of this file; an entry that names nothing is an error."""
    for what, reason in exempt.EXEMPT.get(name, {}).items():
        if reason == exempt.NO_MEMORY_LIMIT and "memory" in lmsb.delegated_controllers():
            continue
        owner, _, test = what.partition(".")
        case = getattr(module, owner)
        if test:
            setattr(case, test, unittest.skip("as a user: " + reason)(getattr(case, test)))
        else:
            setattr(module, owner, unittest.skip("as a user: " + reason)(case))


def inside(file, *names):
    path = pathlib.Path(file).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    set_aside(module, path.stem)
    sys.argv = [path.name, *names]
    result = unittest.main(module=module, argv=sys.argv, verbosity=2, exit=False).result
    for test, reason in result.skipped:
        print(f"{test.id()}: Skipped\n{' '.join(reason.split())}", flush=True)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:])
    as_root([str(pathlib.Path(sys.argv[1]).resolve()), *sys.argv[2:]])
