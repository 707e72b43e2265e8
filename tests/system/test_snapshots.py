#!/usr/bin/python3
"""Snapshots of sandboxes' disks, and what is made from them: each is as of one moment, and none reaches another."""
import json
import os
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
import test_disks
from test_disks import DiskTest, disks_of, kill_everything

MIB = 1 << 20


class SnapshotTest(DiskTest):
    def snapshot(self, sandbox, **fields):
        taken = self.do(sandbox, "snapshot", fields or None)
        self.assertEqual(taken.status, 201, taken.body)
        return taken.json()

    def fork(self, sandbox, count):
        made = self.do(sandbox, "fork", {"count": count})
        self.assertEqual(made.status, 201, made.body)
        return [one["id"] for one in made.json()["data"]]

    def roll_back(self, sandbox, snapshot):
        return self.do(sandbox, "rollback", {"snapshot": snapshot})

    def listed(self, query=""):
        return [one["id"] for one in self.daemon.request("GET", "/v1/snapshots" + query).json()["data"]]

    def identity(self, sandbox):
        return self.output(sandbox, "hostname; cat /etc/hostname /etc/machine-id")


class Taken(SnapshotTest):
    def test_of_one_that_runs_it_is_as_of_one_moment_and_the_processes_go_on(self):
        sandbox = self.create()
        # Neither file is ever empty, and the second never lags behind the first by more than one, at any moment.
        process = self.do(sandbox, "exec", {"detach": True, "cmd": "cd; i=0; while :; do i=$((i+1));"
                                            " for f in a b; do echo $i >$f.new; mv $f.new $f; done; done"})
        self.assertEqual(process.status, 201)
        lmsb.wait_until(lambda: self.exec(sandbox, "cat ~/a ~/b")["exit_code"] == 0, "the first numbers")
        for _ in range(5):
            taken = self.snapshot(sandbox)
            self.assertGreater(taken["frozen_ms"], 0)
            before = int(self.output(sandbox, "cat ~/b"))
            lmsb.wait_until(lambda: int(self.output(sandbox, "cat ~/b")) > before,  # pylint: disable=cell-var-from-loop
                            "numbers after the snapshot")
            copy = self.create(snapshot=taken["id"])
            first, second = map(int, self.output(copy, "cat ~/a ~/b").split())
            self.assertIn(first - second, (0, 1))
            self.daemon.request("DELETE", "/v1/sandboxes/" + copy)

    def test_one_owner_has_no_more_than_the_policy_says(self):
        sandbox = self.create()
        self.daemon.env = {"LM_SANDBOX_POLICY__MAX_SNAPSHOTS": "2"}
        self.move(sandbox, "stop", "stopped")
        self.restart()
        answers = []
        takers = [threading.Thread(target=lambda: answers.append(self.do(sandbox, "snapshot"))) for _ in range(5)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        self.assertEqual(sorted(answer.status for answer in answers), [201, 201, 429, 429, 429])
        refused = next(answer for answer in answers if answer.status == 429)
        self.assertEqual(refused.json()["error"]["code"], "too_many_snapshots")
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + self.listed()[0]).status, 204)
        self.snapshot(sandbox)

    def test_of_a_stopped_or_paused_one_nothing_has_to_stand_still(self):
        for what, state in (("stop", "stopped"), ("pause", "paused")):
            sandbox = self.create()
            self.output(sandbox, "echo kept >~/a")
            self.move(sandbox, what, state)
            self.assertEqual(self.snapshot(sandbox)["frozen_ms"], 0)
            self.assertEqual(self.state(sandbox), state)
            self.assertEqual(self.output(self.create(snapshot=self.listed()[-1]), "cat ~/a"), "kept\n")

    def test_what_is_made_from_it_has_an_identity_of_its_own_and_what_the_sandbox_had(self):
        sandbox = self.create(name="box", env={"WHO": "me"}, cwd="/tmp", labels={"a": "1"},
                              limits={"memory_bytes": 256 * MIB, "processes": 99, "disk_bytes": 100 * MIB})
        self.output(sandbox, "echo one >~/a")
        taken = self.snapshot(sandbox, name="first")
        self.assertEqual((taken["name"], taken["sandbox_id"], taken["image"]), ("first", sandbox, "base"))
        made = self.daemon.post("/v1/sandboxes", {"snapshot": taken["id"]}).json()
        self.assertEqual((made["name"], made["labels"], made["keeps_disk"]), (None, {}, True))
        self.assertEqual((made["limits"]["memory_bytes"], made["limits"]["processes"]), (256 * MIB, 99))
        self.assertEqual(self.output(made["id"], 'cat ~/a; echo "$WHO $PWD"'), "one\nme /tmp\n")
        own, other = self.identity(sandbox).split(), self.identity(made["id"]).split()
        self.assertEqual((other[0], other[1]), (made["id"], made["id"]))
        self.assertFalse(set(own) & set(other))
        again = self.create(snapshot=taken["id"], limits={"memory_bytes": 128 * MIB}, name="again", env={"WHO": "you"})
        self.assertEqual(self.output(again, "echo $WHO; cat ~/a"), "you\none\n")

    def test_neither_reaches_the_other(self):
        sandbox = self.create()
        self.output(sandbox, "echo one >~/a; mkdir ~/d; echo x >~/d/x")
        taken = self.snapshot(sandbox)["id"]
        copy = self.create(snapshot=taken)
        self.output(sandbox, "echo two >~/a; rm -r ~/d; echo mine >~/new")
        self.assertEqual(self.output(copy, "cat ~/a ~/d/x; ls ~/new 2>/dev/null; true"), "one\nx\n")
        self.output(copy, "echo three >~/a")
        self.assertEqual(self.output(sandbox, "cat ~/a"), "two\n")
        self.assertEqual(self.output(self.create(snapshot=taken), "cat ~/a ~/d/x"), "one\nx\n")

    def test_it_outlives_its_sandbox_and_the_daemon_and_what_is_made_from_it_outlives_it(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a")
        taken = self.snapshot(sandbox)
        self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)
        kill_everything(self.daemon)
        self.daemon.start()
        found = self.daemon.request("GET", "/v1/snapshots/" + taken["id"]).json()
        taken.pop("frozen_ms")
        self.assertEqual(found, taken)
        copy = self.create(snapshot=taken["id"])
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + taken["id"]).status, 204)
        self.assertEqual((self.listed(), disks_of(self.daemon, "snapshots")), ([], []))
        self.move(copy, "stop", "stopped")
        self.move(copy, "start", "running")
        self.assertEqual(self.output(copy, "cat ~/a"), "kept\n")

    def test_of_limits_that_are_said_in_part_the_others_are_those_of_the_sandbox(self):
        sandbox = self.create(limits={"memory_bytes": 256 * MIB, "processes": 99, "disk_bytes": 100 * MIB, "cpus": 1,
                                      "shm_bytes": 128 * MIB})
        made = self.daemon.post("/v1/sandboxes", {"snapshot": self.snapshot(sandbox)["id"], "limits": {"processes": 50}}).json()
        self.assertEqual(made["limits"], {"memory_bytes": 256 * MIB, "processes": 50, "disk_bytes": 100 * MIB, "cpus": 1,
                                          "shm_bytes": 128 * MIB})

    def test_without_the_database_they_stay_and_can_be_removed(self):
        sandbox = self.create()
        taken = self.snapshot(sandbox)["id"]
        self.daemon.stop()
        (self.daemon.data_dir / "state" / "sandboxes.db").unlink()
        (self.daemon.data_dir / "state" / "sandboxes.db.new").touch()
        for _ in range(2):
            self.daemon.start()
            self.assertEqual(self.listed(), [taken])
            self.refused(self.daemon.post("/v1/sandboxes", {"snapshot": taken}), 409, "disk_lost")
            self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + taken).status, 204)
        self.assertEqual(disks_of(self.daemon, "snapshots"), [])

    def test_they_are_listed_in_pages_and_by_sandbox(self):
        first, second = self.create(name="first"), self.create()
        taken = [self.snapshot(first)["id"], self.snapshot(second)["id"], self.snapshot(first)["id"]]
        self.assertEqual(self.listed(), taken)
        self.assertEqual(self.listed("?sandbox=first"), [taken[0], taken[2]])
        page = self.daemon.request("GET", "/v1/snapshots?limit=2").json()
        self.assertEqual([one["id"] for one in page["data"]], taken[:2])
        self.assertEqual(self.listed("?cursor=" + page["next_cursor"]), taken[2:])

    def test_go_by_id_name_and_what_an_id_begins_with(self):
        first, second = self.create(name="first"), self.create()
        mine, other = self.snapshot(first, name="mine")["id"], self.snapshot(second, name="other")["id"]
        for named in (mine, mine[:-1], "mine"):
            self.assertEqual(self.daemon.request("GET", "/v1/snapshots/" + named).json()["id"], mine)
            self.assertEqual(self.daemon.request("GET", f"/v1/snapshots/{named}/export").status, 200)
            made = self.daemon.post("/v1/sandboxes", {"snapshot": named})
            self.assertEqual(made.status, 201, made.body)
            back = self.do(first, "rollback", {"snapshot": named})
            self.assertEqual(back.status, 200, back.body)
        self.assertEqual(self.do(second, "rollback", {"snapshot": "other"}).status, 200, "its own")
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/mine").status, 204)
        self.assertEqual(self.listed(), [other])
        self.refused(self.do(first, "snapshot", {"name": mine}), 400, "invalid_name")

    def test_have_names_that_no_other_one_of_their_owner_has(self):
        box = self.create()
        self.snapshot(box, name="once")
        self.refused(self.do(box, "snapshot", {"name": "once"}), 409, "name_taken")
        asked = [threading.Thread(target=lambda: answers.append(self.do(box, "snapshot", {"name": "race"}))) for _ in range(4)]
        answers = []
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        self.assertEqual(sorted(answer.status for answer in answers), [201, 409, 409, 409])
        self.assertEqual(len(self.listed()), 2)
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/once").status, 204)
        self.snapshot(box, name="once")

    def test_what_cannot_be_says_so(self):
        sandbox = self.create()
        taken = self.snapshot(sandbox)["id"]
        for path in (taken[:-1] + ("a" if taken[-1] != "a" else "b"), "snp_", "..", sandbox):
            self.assertIn(self.daemon.request("GET", "/v1/snapshots/" + path).status, (400, 404))
        self.refused(self.daemon.post("/v1/sandboxes", {"snapshot": "snp_nothing"}), 404, "snapshot_not_found")
        self.refused(self.daemon.post("/v1/sandboxes", {"snapshot": taken, "image": "host"}), 400, "image_changed")
        self.refused(self.do(sandbox, "snapshot", {"name": "../x"}), 400, "invalid_name")
        self.refused(self.do("nothing", "snapshot"), 404, "sandbox_not_found")

    def test_many_at_once_are_all_taken(self):
        sandboxes = [self.create() for _ in range(3)]
        for number, sandbox in enumerate(sandboxes):
            self.output(sandbox, f"echo {number} >~/a")
        answers = []
        takers = [threading.Thread(target=lambda s=s: answers.append(self.do(s, "snapshot"))) for s in sandboxes * 4]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join(60)
        self.assertEqual([answer.status for answer in answers], [201] * 12)
        for answer in answers:
            taken = answer.json()
            number = sandboxes.index(taken["sandbox_id"])
            self.assertEqual(self.output(self.create(snapshot=taken["id"]), "cat ~/a"), f"{number}\n")


class Forked(SnapshotTest):
    def test_each_is_a_sandbox_of_its_own_and_the_first_goes_on(self):
        sandbox = self.create(labels={"team": "a"}, idle_ms=7_200_000)
        self.output(sandbox, "echo one >~/a")
        self.do(sandbox, "exec", {"detach": True, "cmd": "sleep 1000"})
        forks = self.fork(sandbox, 5)
        self.assertEqual(len({*forks, sandbox}), 6)
        identities = {tuple(self.identity(one).split()) for one in (*forks, sandbox)}
        self.assertEqual(len({part for identity in identities for part in identity}), 12)  # name and machine-id of each
        for number, one in enumerate(forks):
            described = self.daemon.request("GET", "/v1/sandboxes/" + one).json()
            self.assertEqual((described["labels"], described["idle_ms"]), ({"team": "a"}, 7_200_000))
            self.assertEqual(self.output(one, f"cat ~/a; echo {number} >~/a"), "one\n")
        self.assertEqual([self.output(one, "cat ~/a") for one in forks], [f"{n}\n" for n in range(5)])
        self.assertEqual(self.output(sandbox, "cat ~/a"), "one\n")
        self.assertEqual(len(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes").json()["data"]), 1)
        self.assertEqual(self.listed(), [])

    def test_a_forks_limit_counts_what_it_writes_itself(self):
        """Simple quotas; before Linux 6.7, what it shares, too."""
        sandbox = self.create(limits={"disk_bytes": 64 * MIB})
        self.output(sandbox, "head -c 50M /dev/urandom >~/big; sync")
        fork, = self.fork(sandbox, 1)
        if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 7):
            self.assertEqual(self.exec(fork, "head -c 50M /dev/urandom >~/own; sync")["outcome"], "disk_full")
            return
        self.assertEqual(self.output(fork, "head -c 50M /dev/urandom >~/own; sync; stat -c %s ~/big ~/own"),
                         f"{50 * MIB}\n" * 2)
        self.assertEqual(self.exec(fork, "head -c 50M /dev/urandom >~/more")["outcome"], "disk_full")

    def test_one_that_is_deleted_meanwhile_ends_as_one_or_the_other_says(self):
        for _ in range(8):
            sandbox = self.create()
            answers = []
            forker = threading.Thread(target=lambda s=sandbox: answers.append(self.do(s, "fork", {"count": 2})))
            taker = threading.Thread(target=lambda s=sandbox: answers.append(self.do(s, "snapshot")))
            forker.start()
            taker.start()
            time.sleep(0.004)
            self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
            forker.join(60)
            taker.join(60)
            for answer in answers:
                self.assertIn(answer.status, (201, 404, 503), answer.body)
            for answer in (answer.json() for answer in answers if answer.status == 201):
                for one in answer.get("data", ()):
                    self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + one["id"]).status, 204)
                if "data" not in answer:
                    self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + answer["id"]).status, 204)
            self.assertEqual((disks_of(self.daemon), disks_of(self.daemon, "snapshots")), ([], []))

    def test_all_of_them_are_made_or_none(self):
        sandbox = self.create()
        described = self.daemon.data_dir / "images" / "base" / "image.json"
        image = json.loads(described.read_text())
        owner = described.stat()
        described.unlink()
        described.write_text(json.dumps({**image, "digest": "sha256:" + "0" * 64}))
        os.chown(described, owner.st_uid, owner.st_gid)
        self.refused(self.do(sandbox, "fork", {"count": 3}), 409, "image_changed")
        self.assertEqual((disks_of(self.daemon), disks_of(self.daemon, "snapshots")), ([sandbox], []))
        self.assertFalse([name for name in disks_of(self.daemon, "fresh") if name.startswith("snp_")])
        for count in (0, 65, "x"):
            self.assertEqual(self.do(sandbox, "fork", {"count": count}).status, 400)


class RolledBack(SnapshotTest):
    def test_it_is_as_it_was_and_runs_if_it_did(self):
        for image in ("base", "host"):
            sandbox = self.create(image=image)
            self.output(sandbox, "echo one >~/a; mkdir ~/d")
            before = self.identity(sandbox)
            taken = self.snapshot(sandbox)["id"]
            self.output(sandbox, "echo two >~/a; rmdir ~/d; echo new >~/b")
            self.do(sandbox, "exec", {"detach": True, "cmd": "sleep 1000"})
            self.assertEqual(self.roll_back(sandbox, taken).json()["state"], "running")
            self.assertEqual(self.output(sandbox, "cat ~/a; ls ~"), "one\na\nd\n")
            self.assertEqual(self.identity(sandbox), before)
            self.assertEqual(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes").json()["data"], [])
            self.output(sandbox, "echo three >~/a")
            self.move(sandbox, "stop", "stopped")
            self.assertEqual(self.roll_back(sandbox, taken).json()["state"], "stopped")
            self.move(sandbox, "start", "running")
            self.assertEqual(self.output(sandbox, "cat ~/a"), "one\n")

    def test_a_full_disk_has_room_again(self):
        sandbox = self.create(limits={"disk_bytes": 64 * MIB})
        taken = self.snapshot(sandbox)["id"]
        self.assertEqual(self.exec(sandbox, "cat /dev/zero >~/big")["outcome"], "disk_full")
        self.assertEqual(self.roll_back(sandbox, taken).status, 200)
        self.assertEqual(self.output(sandbox, "head -c 20M /dev/zero >~/a; echo ok"), "ok\n")

    def test_again_and_again(self):
        sandbox = self.create()
        self.output(sandbox, "echo one >~/a")
        taken = self.snapshot(sandbox)["id"]
        for number in range(10):
            self.output(sandbox, f"echo {number} >~/a")
            self.assertEqual(self.roll_back(sandbox, taken).status, 200)
            self.assertEqual(self.output(sandbox, "cat ~/a"), "one\n")
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
        self.assertEqual(disks_of(self.daemon), [])
        lmsb.wait_until(lambda: not disks_of(self.daemon, "trash"), "an empty trash")
        self.assertEqual(disks_of(self.daemon, "moving"), [])

    def test_what_could_not_run_again_is_not_ended_for_it(self):
        sandbox = self.create()
        taken = self.snapshot(sandbox)["id"]
        self.output(sandbox, "echo two >~/a")
        described = self.daemon.data_dir / "images" / "base" / "image.json"
        image, owner = described.read_text(), described.stat()
        described.unlink()
        described.write_text(json.dumps({**json.loads(image), "digest": "sha256:" + "0" * 64}))
        os.chown(described, owner.st_uid, owner.st_gid)
        self.refused(self.roll_back(sandbox, taken), 409, "image_changed")
        self.assertEqual(self.output(sandbox, "cat ~/a"), "two\n")

    def test_only_to_its_own(self):
        sandbox, other = self.create(), self.create()
        taken = self.snapshot(other)["id"]
        self.refused(self.roll_back(sandbox, taken), 400, "snapshot_of_another")
        self.refused(self.roll_back(sandbox, "snp_nothing"), 404, "snapshot_not_found")
        self.assertEqual(self.state(sandbox), "running")


class CutShort(SnapshotTest):
    def test_everything_that_is_listed_afterwards_is_whole(self):
        sandbox = self.create()
        self.output(sandbox, "for i in $(seq 200); do echo kept >~/f$i; done; sync")
        keep_on = threading.Event()

        def busy(what, body):
            while not keep_on.is_set():
                try:
                    self.do(sandbox, what, body)
                except (OSError, ValueError):
                    return

        for pause in (0.03, 0.08, 0.15):
            keep_on.clear()
            threads = [threading.Thread(target=busy, args=asked) for asked in (("snapshot", None), ("fork", {"count": 2}))]
            for thread in threads:
                thread.start()
            time.sleep(pause)
            kill_everything(self.daemon)
            keep_on.set()
            for thread in threads:
                thread.join(60)
            self.daemon.start()
            self.move(sandbox, "start", "running")
            everything = self.daemon.request("GET", "/v1/sandboxes?limit=1000").json()["data"]
            self.assertEqual([one["id"] for one in everything if one["state"] == "lost"], [])
            self.assertEqual(sorted(one["id"] for one in everything), disks_of(self.daemon))
            self.assertEqual(sorted(self.listed()), disks_of(self.daemon, "snapshots"))
            self.assertFalse([name for name in disks_of(self.daemon, "fresh") if name.startswith("snp_")])
            for one in everything[:6]:
                if one["state"] == "stopped":
                    self.move(one["id"], "start", "running")
                self.assertEqual(self.output(one["id"], "cat ~/f* | sort | uniq -c").split(), ["200", "kept"])
            for taken in self.listed()[:3]:
                self.assertEqual(self.output(self.create(snapshot=taken), "cat ~/f* | wc -l"), "200\n")


class InMemory(unittest.TestCase):
    def test_without_a_store_there_are_none(self):
        lmsb.require_root()
        with lmsb.Daemon("--disks", "memory") as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"image": "host"}).json()["id"]
            for what, body in (("snapshot", None), ("fork", {"count": 1})):
                refused = daemon.post(f"/v1/sandboxes/{sandbox}/{what}", body)
                self.assertEqual((refused.status, refused.json()["error"]["code"]), (409, "disk_not_kept"))


if __name__ == "__main__":
    lmsb.main()
