#!/usr/bin/python3
"""The disk beneath the store of sandboxes' disks fails: what needs it is refused and says why, everything else goes on."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import DiskTest, disks_of
from test_staying import StayingTest, kill_all_of_ours, kill_daemon

MIB = 1 << 20
SIZE = 4 << 30


class FailingTest(DiskTest):
    """The store's file lies in a tmpfs of the test's own. When that takes nothing more, the loop device answers writes with
    errors, as one does whose disk fails."""

    image = "host"

    def setUp(self):
        super().setUp()
        self.addCleanup(self.unmount)

    def prepare_data(self):
        self.disks = self.daemon.data_dir / "disks"
        self.disks.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "lmsb-test", self.disks], check=True)
        self.addCleanup(subprocess.run, ["umount", self.disks], stderr=subprocess.DEVNULL, check=False)  # where no test begins

    def unmount(self):
        self.daemon.stop()
        store = str(self.disks / "store.img")
        lmsb.wait_until(lambda: store not in lmsb.loop_files(), "the end of the store's mount")
        subprocess.run(["umount", self.disks], check=True)

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.disks], check=True)

    def let_writes_fail(self):
        """And something be written."""
        file_system = os.statvfs(self.disks)
        self.resize((file_system.f_blocks - file_system.f_bfree) * file_system.f_frsize)
        self.failed = self.do(self.running, "exec", {"cmd": "head -c 64M /dev/urandom >~/b; sync ~/b; sync; echo $?"}).json()
        lmsb.wait_until(lambda: not self.checks()["store"], "what /readyz says", seconds=60)

    def checks(self):
        return self.daemon.request("GET", "/readyz").json()["checks"]

    def two(self):
        """One that runs and one that is stopped, with something on their disks."""
        self.running, self.stopped = self.create(name="running"), self.create(name="stopped")
        for one in (self.running, self.stopped):
            self.output(one, "echo kept >~/a; sync")
        self.snapshot = self.do(self.running, "snapshot", {}).json()["id"]
        self.move(self.stopped, "stop", "stopped")


class Failing(FailingTest):
    def test_refuses_what_needs_it_and_goes_on_with_the_rest(self):
        self.two()
        self.assertEqual(self.checks(), {"sandboxes": True, "store": True, "database": True})
        self.let_writes_fail()
        self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)
        self.assertEqual(self.daemon.request("GET", "/readyz").json()["ready"], True)
        log = self.daemon.log_text()
        self.assertIn("store.failed", log)
        self.assertIn("dmesg", log)
        doctor = [lmsb.BIN / "lm-sandbox", "doctor", "--json", "--host", f"http://{self.daemon.host}:{self.daemon.port}"]
        told = subprocess.run(doctor, capture_output=True, text=True, check=False)
        self.assertIn("the disk beneath the store has failed", told.stdout + told.stderr)

        # A sandbox that runs hears it from the kernel; what it holds in memory, and reads, is there.
        self.assertEqual(self.output(self.running, "cat ~/a; echo 1 >/dev/shm/a; cat /dev/shm/a"), "kept\n1\n")
        self.assertRegex(self.exec(self.running, "LC_ALL=C touch ~/c")["stderr"], "Read-only file system|Input/output error")

        for path, body in (("sandboxes", {"image": self.image}), (f"sandboxes/{self.running}/snapshot", {}),
                           (f"sandboxes/{self.running}/fork", {"count": 1}), (f"sandboxes/{self.stopped}/start", None),
                           ("volumes", {"name": "data"}), ("sandboxes", {"snapshot": self.snapshot})):
            with self.subTest(path):
                answer = self.daemon.post("/v1/" + path, body)
                self.refused(answer, 503, "store_failed")
                self.assertIn("dmesg", answer.json()["error"]["hint"])
        self.assertEqual(self.daemon.run("echo in memory; touch ~/a && ls ~/a >/dev/null && echo too")["stdout"], "in memory\ntoo\n")
        self.move(self.running, "stop", "stopped")

        self.resize(SIZE)  # the disk is mended
        self.restart()
        self.assertEqual(self.checks(), {"sandboxes": True, "store": True, "database": True})
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])
        for one in (self.running, self.stopped):
            self.move(one, "start", "running")
            self.assertEqual(self.output(one, "cat ~/a; echo new >~/c; sync; cat ~/c"), "kept\nnew\n")
        made = self.daemon.post("/v1/sandboxes", {"snapshot": self.snapshot})
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(len(disks_of(self.daemon)), 3)

    def test_lets_what_is_deleted_meanwhile_be_gone_after_the_next_start(self):
        self.two()
        self.let_writes_fail()
        deleted = self.daemon.request("DELETE", "/v1/sandboxes/" + self.stopped)
        self.refused(deleted, 503, "store_failed")  # its row says that it goes: the next daemon ends that
        self.assertEqual(self.state(self.stopped), 404)
        self.resize(SIZE)
        self.restart()
        self.assertEqual((self.state(self.stopped), disks_of(self.daemon)), (404, [self.running]))
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])


class RunsOn(StayingTest, FailingTest):
    def unmount(self):
        self.end_all()
        FailingTest.unmount(self)

    def test_ends_with_the_next_start_which_mounts_the_store_anew(self):
        for how in (kill_daemon, kill_all_of_ours):
            with self.subTest(how.__name__):
                self.two()
                self.let_writes_fail()
                self.resize(SIZE)  # the disk is mended, with a sandbox that holds the dead mount
                self.again(how)
                self.assertEqual(self.checks(), {"sandboxes": True, "store": True, "database": True})
                self.assertIn(f"sandbox {self.running} has run on and ends: the file system of its disk has failed",
                              self.daemon.log_text())
                audit = (self.daemon.data_dir / "audit" / "audit.log").read_text().splitlines()
                self.assertTrue([line for line in audit if "stopped" in line and self.running in line and "daemon" in line], audit)
                for one in (self.running, self.stopped):
                    self.assertEqual(self.state(one), "stopped")
                    self.move(one, "start", "running")
                    self.assertEqual(self.output(one, "cat ~/a; echo new >~/c; sync; cat ~/c"), "kept\nnew\n")
                    self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + one).status, 204)
                self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])

    def test_is_told_what_to_do_while_the_disk_still_fails(self):
        self.two()
        self.let_writes_fail()
        kill_all_of_ours(self.daemon)
        before = len(self.daemon.log_text())
        try:
            self.daemon.start()
        except RuntimeError:
            said = self.daemon.log_text()[before:]
            self.assertIn("store.img", said)
            self.assertIn("df", said)
            self.assertNotIn("the launcher is gone", said)
        self.resize(SIZE)
        self.daemon.stop()
        self.daemon.start()
        self.move(self.running, "start", "running")
        self.assertEqual(self.output(self.running, "cat ~/a"), "kept\n")


if __name__ == "__main__":
    lmsb.main()
