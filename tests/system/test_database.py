#!/usr/bin/python3
"""The database of what is kept has no room, is damaged, or is gone: what is answered is true, also after the next start; what is
refused says what to do; nothing that runs or is kept is taken for nobody's."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import disks_of
from test_staying import StayingTest, kill_all_of_ours

ENV = {"FILL": "x" * 2000}


class FullTest(StayingTest):
    """The database lies in a small tmpfs of the test's own."""

    image = "host"

    def prepare_data(self):
        self.states = self.daemon.data_dir / "state"
        self.states.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1536k", "lmsb-test", self.states], check=True)
        self.addCleanup(subprocess.run, ["umount", self.states], stderr=subprocess.DEVNULL, check=False)  # where no test begins

    def end_all(self):
        self.make_room()
        super().end_all()
        subprocess.run(["umount", self.states], check=True)

    def fill(self):
        """All that is free: what the database has already is not."""
        with open(self.states / "fill", "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def make_room(self):
        (self.states / "fill").unlink(missing_ok=True)

    def fill_database(self, sandbox):
        """Until nothing can be added any more, not even in the room that the log has."""
        self.fill()
        for number in range(2000):
            answer = self.change(sandbox, {"labels": {f"fill{number % 60}": str(number) * 60}})
            if answer.status != 200:
                return self.refused(answer, 429, "store_full")
        self.fail("it is never full")

    def change(self, sandbox, body):
        return self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox, body)

    def look(self, sandbox):
        told = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()
        return {field: told[field] for field in ("labels", "limits", "state", "timeout_ms", "idle_ms", "expires_at", "on_timeout")}

    def database_works(self):
        return self.daemon.request("GET", "/readyz").json()["checks"]["database"]

    def doctor(self):
        command = [lmsb.BIN / "lm-sandbox", "doctor", "--json", "--host", f"http://{self.daemon.host}:{self.daemon.port}"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


class Full(FullTest):
    def test_refuses_every_change_and_leaves_all_as_it_was(self):
        running, paused, stopped = (self.create(name=name, timeout_ms=3_600_000, on_timeout="stop")
                                    for name in ("running", "paused", "stopped"))
        self.move(paused, "pause", "paused")
        self.move(stopped, "stop", "stopped")
        self.fill_database(running)
        before = {one: self.look(one) for one in (running, paused, stopped)}
        memory = before[running]["limits"]["memory_bytes"]
        for body in ({"labels": {"a": "b" * 60}}, {"timeout_ms": 7_200_000}, {"idle_ms": 5000, "on_idle": "stop"},
                     {"limits": {"memory_bytes": memory // 2}, "labels": {"a": "c"}}):
            with self.subTest(body):
                answer = self.change(running, body)
                self.refused(answer, 429, "store_full")
                self.assertIn("make room", answer.json()["error"]["hint"])
                self.assertEqual(self.look(running), before[running])
        for one, what in ((running, "pause"), (paused, "resume"), (stopped, "start"), (running, "snapshot")):
            with self.subTest(what):
                self.refused(self.do(one, what, {} if what == "snapshot" else None), 429, "store_full")
                self.assertEqual(self.look(one)["state"], before[one]["state"])
        self.assertEqual(self.output(running, "echo on"), "on\n")
        self.assertEqual(self.daemon.request("GET", f"/v1/sandboxes/{running}/stats").json()["limits"]["memory_bytes"], memory)
        self.assertFalse(self.database_works())
        self.assertIn("database.failed", self.daemon.log_text())
        self.assertIn("the database of what is kept cannot be written", self.doctor())

        self.again(kill_all_of_ours)
        for one, told in before.items():
            self.assertEqual({**self.look(one), "expires_at": None}, {**told, "expires_at": None})
        self.make_room()
        lmsb.wait_until(self.database_works, "what /readyz says")
        self.assertEqual(self.change(running, {"labels": {"a": "b"}}).status, 200)
        self.move(running, "pause", "paused")
        self.move(paused, "resume", "running")
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])

    def test_is_told_also_when_nobody_writes(self):
        self.fill()
        lmsb.wait_until(lambda: not self.database_works(), "what /readyz says")
        self.make_room()
        lmsb.wait_until(self.database_works, "what /readyz says")

    def test_deletes_all_the_same_and_what_is_deleted_stays_so(self):
        keeping, running = self.create(name="keeping"), self.create(name="running", env=ENV)
        stopped = [self.create(env=ENV) for _ in range(6)]
        for one in stopped:
            self.move(one, "stop", "stopped")
        snapshots = [self.do(running, "snapshot", {}).json()["id"] for _ in range(3)]
        volumes = [self.daemon.post("/v1/volumes", {"name": name}).json()["id"] for name in ("one", "two")]
        self.fill_database(keeping)
        gone = [f"/v1/{kind}/{one}" for kind, ones in (("sandboxes", [running, *stopped]), ("snapshots", snapshots),
                                                        ("volumes", volumes)) for one in ones]
        for path in gone:
            with self.subTest(path):
                answer = self.daemon.request("DELETE", path)
                self.assertEqual(answer.status, 204, answer.body)
                self.fill()
        self.again(kill_all_of_ours)
        for path in gone:
            self.assertEqual(self.daemon.request("GET", path).status, 404, path)
        self.assertEqual(disks_of(self.daemon), [keeping])
        self.assertEqual(disks_of(self.daemon, "snapshots") + disks_of(self.daemon, "volumes"), [])
        ledger = self.daemon.request("GET", "/v1/ledger").json()
        self.assertTrue(ledger["agrees"], ledger)
        self.assertEqual(self.output(keeping, "echo on"), "on\n")


class Refused(StayingTest):
    """A start that is refused says so in one line, and touches nothing."""

    image = "host"

    def setUp(self):
        super().setUp()
        self.database = self.daemon.data_dir / "state" / "sandboxes.db"

    def refusal(self, daemon=None):
        daemon = daemon or self.daemon
        before = len(daemon.log_text()) if (daemon.dir / "log").exists() else 0
        with self.assertRaises(RuntimeError):
            daemon.start()
        said = daemon.log_text()[before:].strip().split("\n")
        self.assertEqual(len(said), 1, said)
        self.assertNotIn("the first sandbox", said[0])
        return said[0]

    def keep(self):
        """One that runs, and one that is stopped; what is on the disk of the database then."""
        self.running, self.stopped = self.create(name="running"), self.create(name="stopped")
        self.counting = self.detach(self.running, "sleep 1000")
        self.move(self.stopped, "stop", "stopped")
        self.snapshot = self.do(self.running, "snapshot", {}).json()["id"]
        self.daemon.stop()
        self.good = self.database.read_bytes()

    def put_back(self):
        self.database.write_bytes(self.good)
        owner = self.database.parent.stat()
        os.chown(self.database, owner.st_uid, owner.st_gid)

    def is_as_it_was(self):
        self.daemon.start()
        self.assertEqual((self.state(self.running), self.state(self.stopped)), ("running", "stopped"))
        states = [one["state"] for one in self.processes(self.running)]
        self.assertEqual(states, ["running"])
        self.move(self.stopped, "start", "running")
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])

    def test_a_damaged_database_is_refused_with_what_to_do(self):
        self.keep()
        page = self.good[:8192] + os.urandom(4096) + self.good[12288:]
        for what, octets in {"random": os.urandom(len(self.good)), "cut off": self.good[:len(self.good) // 2 + 100],
                             "one bad page": page}.items():
            with self.subTest(what):
                self.database.write_bytes(octets)
                said = self.refusal()
                for word in (str(self.database), ".before-", f"touch {self.database}.new", "lost", "lifecycle.md"):
                    self.assertIn(word, said)
                self.assertEqual(self.database.read_bytes(), octets)
        self.put_back()
        self.is_as_it_was()

    def test_one_that_cannot_be_written_is_refused_with_what_to_do(self):
        self.keep()
        subprocess.run(["chattr", "+i", self.database], check=True)
        try:
            said = self.refusal()
        finally:
            subprocess.run(["chattr", "-i", self.database], check=True)
        self.assertIn(str(self.database), said)
        self.assertIn("lsattr", said)
        self.is_as_it_was()

    def test_one_that_is_gone_is_not_made_anew_while_there_is_something_that_it_knew(self):
        self.keep()
        for what in ("gone", "empty"):
            with self.subTest(what):
                self.database.unlink(missing_ok=True)
                if what == "empty":
                    self.database.touch()
                said = self.refusal()
                for word in (str(self.database), "2 sandboxes, 1 snapshots", "1 sandboxes run", f"touch {self.database}.new"):
                    self.assertIn(word, said)
        self.put_back()
        self.is_as_it_was()

    def test_without_it_one_goes_on_when_that_is_asked_for_and_has_all_again_with_it(self):
        self.keep()
        self.database.rename(self.database.with_name("away"))
        wish = self.database.with_name("sandboxes.db.new")
        wish.touch()
        self.daemon.start()
        self.assertFalse(wish.exists(), "it is for one start")
        self.assertEqual((self.state(self.running), self.state(self.stopped)), ("lost", "lost"))
        self.daemon.stop()
        for file in self.database.parent.glob("sandboxes.db*"):
            file.unlink()
        self.database.with_name("away").rename(self.database)
        self.daemon.start()
        self.assertEqual((self.state(self.running), self.state(self.stopped)), ("stopped", "stopped"))
        self.move(self.running, "start", "running")
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])

    def test_a_second_daemon_says_one_line(self):
        second = lmsb.Daemon(data_dir=self.daemon.data_dir)
        self.assertIn("another lm-sandbox keeps its sandboxes in", self.refusal(second))
        self.addCleanup(shutil.rmtree, second.dir, ignore_errors=True)


if __name__ == "__main__":
    lmsb.main()
