#!/usr/bin/python3
"""AppArmor's profile of our programs (packaging/apparmor), where something lets normal users make no user namespaces: what is under it, and
what is said where it is missing. Profiles are loaded on a machine of the test's own (VM_KERNEL=newer scripts/vm.sh apparmor)."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import as_user
import lmsb

PROFILE = lmsb.ROOT / "packaging/apparmor/lm-sandbox"
PARSER = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin")
OURS = "lm-sandbox (unconfined)"
FEATURES = pathlib.Path("/sys/kernel/security/apparmor/features")
# Where `make install` and packages of distributions put the programs, and which.
PLACES = ("/usr/local/lib/lm-sandbox", "/usr/lib/lm-sandbox")
PROGRAMS = re.search(r"^programs=\((.*)\)$", (lmsb.ROOT / "scripts/install.sh").read_text(), re.M)[1].split()
# In place of what Ubuntu has since 23.10: a session that may make no user namespaces, and leads to other profiles.
SESSION = """abi <abi/4.0>,
profile lmsb-session flags=(attach_disconnected, mediate_deleted) {
  capability, network, mount, remount, umount, pivot_root, signal, ptrace, unix, change_profile,
  /** rwlkm,
  /** pix,
  deny userns,
}
"""
INTO_SESSION = 'printf "exec lmsb-session" >/proc/self/attr/apparmor/exec && exec /usr/bin/env "$@"'


def parser(*arguments, accepts=(0,)):
    done = subprocess.run([PARSER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode in accepts, done.stderr
    return done.stdout


def setUpModule():
    if PARSER is None:
        raise unittest.SkipTest("apparmor_parser is needed (package apparmor)")
    version = re.search(r"version (\d+)", parser("--version"))[1]
    if int(version) < 4:
        raise unittest.SkipTest(f"apparmor_parser {version} does not know rules about user namespaces: 4.0 does")


class Parsed(unittest.TestCase):
    def test_it_is_a_profile_of_one_name(self):
        parser("--skip-kernel-load", "--skip-cache", PROFILE)
        self.assertEqual(parser("--names", PROFILE).split(), ["lm-sandbox"])


@contextlib.contextmanager
def loaded(text, name):
    path = pathlib.Path("/etc/apparmor.d", name)
    path.write_text(text)
    parser("--replace", "--skip-cache", path)
    try:
        yield
    finally:
        parser("--remove", path)
        path.unlink()


def installed():
    return loaded(PROFILE.read_text(), PROFILE.name)


def label_of_program(program):
    """Of whatever is started from there: `program` is cat."""
    return subprocess.run([program, "/proc/self/attr/apparmor/current"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def labels_of(pids):
    """{name: labels of such processes}; who has ended meanwhile has none."""
    labels = {}
    for proc in (pathlib.Path(f"/proc/{pid}") for pid in pids):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            labels.setdefault((proc / "comm").read_text().strip(), set()).add((proc / "attr/apparmor/current").read_text().strip())
    return labels


class OwnMachine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if "LMSB_VM" not in os.environ:
            raise unittest.SkipTest("a machine of its own is needed, to load profiles into: VM_KERNEL=newer scripts/vm.sh apparmor")
        lmsb.require_root()
        # As installed, without a copy: profiles go by the path at which a program is mounted.
        for place in PLACES:
            os.mkdir(place)
            cls.addClassCleanup(os.rmdir, place)
        subprocess.run(["mount", "--bind", lmsb.BIN, PLACES[0]], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", PLACES[0]], check=True)
        cls.program = pathlib.Path(PLACES[0], "lm-sandbox")
        cls.user = cls.enterClassContext(as_user.User())

    def start(self, *words):
        return self.user.popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def said_by(self, *words):
        """(exit status, stdout, stderr)"""
        process = self.start(*words)
        stdout, stderr = process.communicate(timeout=300)
        return process.returncode, stdout, stderr

    def finding(self, check, program):
        report = json.loads(self.said_by(program, "doctor", "--json")[1])
        return next(entry for entry in report["checks"] if entry["id"] == check)


class InForce(OwnMachine):
    def test_every_program_is_under_it_wherever_it_is_installed(self):
        place = pathlib.Path(PLACES[1])
        with installed():
            for name in PROGRAMS:
                shutil.copy("/usr/bin/cat", place / name)
                self.addCleanup((place / name).unlink)
                self.assertEqual(label_of_program(place / name), OURS, name)
            self.assertEqual(label_of_program("/usr/bin/cat"), "unconfined")

    def test_a_users_daemon_and_all_that_it_starts_are_under_it(self):
        with installed(), self.start(self.program, "run", "--", "sh", "-c", "echo runs; exec sleep 600") as run:
            self.addCleanup(run.kill)
            self.assertEqual(run.stdout.readline(), "runs\n")
            lmsb.wait_until(lambda: "sleep" in labels_of(self.user.processes()), "the command")
            labels = labels_of(self.user.processes())
            run.terminate()
            self.assertLessEqual({"lm-sandbox", "lmsb-launcher", "sleep"}, labels.keys())
            self.assertEqual(set().union(*labels.values()), {OURS}, labels)


class Restricted(OwnMachine):
    """In a session that may make no user namespaces."""

    @classmethod
    def setUpClass(cls):
        if "LMSB_VM" in os.environ and "userns_create" not in (FEATURES / "namespaces/mask").read_text():
            raise unittest.SkipTest("AppArmor of this kernel does not decide about user namespaces: Linux 6.7 is needed")
        super().setUpClass()
        cls.enterClassContext(loaded(SESSION, "lmsb-session"))

    def start(self, *words):
        return super().start("/bin/sh", "-c", INTO_SESSION, "sh", *words)

    def require_refused(self, program, mend):
        status, _, stderr = self.said_by(program, "run", "--", "id", "-u")
        self.assertNotEqual(status, 0)
        self.assertIn("make a user namespace and a mount namespace in it, under AppArmor's profile lmsb-session (enforce): ", stderr)
        self.assertIn(mend, stderr)
        found = self.finding("kernel.user_namespaces", program)
        self.assertEqual((found["outcome"], found["detail"]), ("missing", "Permission denied, under AppArmor's profile lmsb-session (enforce)"))
        self.assertIn(mend, found["mend"])

    def test_without_it_a_daemon_is_refused_and_the_profile_in_the_way_is_named(self):
        self.require_refused(self.program, "sudo install -m 644 packaging/apparmor/lm-sandbox")

    def test_with_it_commands_run(self):
        with installed():
            status, stdout, stderr = self.said_by(self.program, "run", "--", "id", "-u")
            self.assertEqual((status, stdout), (0, "1000\n"), stderr)
            self.assertEqual(self.finding("kernel.user_namespaces", self.program)["outcome"], "ok")

    def test_it_is_not_for_a_program_that_lies_elsewhere(self):
        with installed():
            self.require_refused(lmsb.BIN / "lm-sandbox", "start the program that is installed")


if __name__ == "__main__":
    lmsb.main()
