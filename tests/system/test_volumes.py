#!/usr/bin/python3
"""Volumes: directories that sandboxes share, with a limit of their own, which outlive sandboxes and daemons."""
import contextlib
import os
import pathlib
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
import test_staying
from test_disks import commit_and_clean, disks_of, kill_everything
from test_staying import StayingTest

MIB = 1 << 20


class VolumeTest(StayingTest):
    def make(self, name=None, **fields):
        made = self.daemon.post("/v1/volumes", {**({"name": name} if name else {}), **fields})
        self.assertEqual(made.status, 201, made.body)
        return made.json()["id"]

    def volume(self, volume):
        return self.daemon.request("GET", "/v1/volumes/" + volume).json()

    def listed(self, query=""):
        return [one["id"] for one in self.daemon.request("GET", "/v1/volumes" + query).json()["data"]]

    def remove(self, volume):
        return self.daemon.request("DELETE", "/v1/volumes/" + volume)

    def create_with(self, *volumes, **fields):
        """Each "NAME:TARGET" or "NAME:TARGET:ro"."""
        asked = []
        for text in volumes:
            volume, target, *mode = text.split(":")
            asked.append({"volume": volume, "target": target, "read_only": mode == ["ro"]})
        return self.create(volumes=asked, **fields)


class Shared(VolumeTest):
    def test_what_one_sandbox_writes_the_other_reads_and_owns_as_well(self):
        self.make("data")
        one, other = self.create_with("data:/data"), self.create_with("data:/srv/in")
        self.output(one, "echo hello >/data/a; mkdir /data/d; chmod 700 /data/d; echo deep >/data/d/b")
        self.assertEqual(self.output(other, "cat /srv/in/a /srv/in/d/b; stat -c '%u %g %a' /srv/in/d"),
                         "hello\ndeep\n1000 1000 700\n")
        self.output(other, "echo more >>/srv/in/a; rm -r /srv/in/d")
        self.assertEqual(self.output(one, "cat /data/a; ls /data"), "hello\nmore\na\n")

    def test_a_change_is_heard_in_the_other_at_once(self):
        self.make("data")
        one, other = self.create_with("data:/data"), self.create_with("data:/data")
        self.output(one, "mkfifo /data/pipe")
        reader = self.do(one, "exec", {"cmd": "cat /data/pipe", "detach": True}).json()["id"]
        self.output(other, "echo through >/data/pipe")
        ended = self.daemon.request("GET", f"/v1/sandboxes/{one}/processes/{reader}?wait_ms=30000").json()
        self.assertEqual(ended["result"]["exit_code"], 0, ended)
        said = self.daemon.request("GET", f"/v1/sandboxes/{one}/processes/{reader}/output").body
        self.assertIn(b"through", said)

    def test_one_that_may_only_be_read_is_not_written(self):
        self.make("data")
        writer, reader = self.create_with("data:/data"), self.create_with("data:/data:ro")
        self.output(writer, "echo kept >/data/a")
        self.assertEqual(self.output(reader, "cat /data/a"), "kept\n")
        for attempt in ("echo no >/data/a", "touch /data/b", "rm /data/a", "chmod 600 /data/a", "mkdir /data/d"):
            self.assertNotEqual(self.exec(reader, attempt)["exit_code"], 0, attempt)
        self.assertEqual(self.output(writer, "cat /data/a; ls /data"), "kept\na\n")

    def test_nothing_in_it_gives_power_or_leads_out(self):
        self.make("data")
        one, other = self.create_with("data:/data"), self.create_with("data:/data")
        self.output(one, "cp /bin/id /data/id; chmod 4755 /data/id; ln -s /etc/hostname /data/link;"
                         " ln -s ../../../../../../etc/shadow /data/up")
        self.assertEqual(self.output(other, "/data/id -u").strip(), "1000")
        self.assertEqual(self.output(other, "cat /data/link").strip(), other)
        self.assertNotEqual(self.exec(one, "mknod /data/null c 1 3")["exit_code"], 0)
        options = self.output(other, "grep ' /data ' /proc/self/mountinfo")
        for option in ("nosuid", "nodev"):
            self.assertIn(option, options)
        self.assertNotEqual(self.exec(one, "mv /data/id /data/../id")["exit_code"], 0)
        self.assertEqual(self.exec(one, "ls /data/..")["stdout"], self.exec(one, "ls /")["stdout"])

    def test_one_shots_have_them_too(self):
        self.make("data")
        asked = [{"volume": "data", "target": "/data"}]
        first = self.daemon.run("echo once >/data/a", volumes=asked)
        self.assertEqual(first["exit_code"], 0, first)
        self.assertEqual(self.daemon.run("cat /data/a", volumes=asked)["stdout"], "once\n")
        host = self.daemon.run("cat /data/a; stat -c %u /data", image="host", volumes=asked)
        self.assertEqual(host["stdout"], "once\n1000\n")

    def test_files_are_handled_by_the_api_as_everywhere(self):
        self.make("data")
        one, other = self.create_with("data:/data"), self.create_with("data:/data:ro")
        put = self.daemon.request("PUT", f"/v1/sandboxes/{one}/files?path=/data/x", b"octets",
                                  {"Content-Type": "application/octet-stream"})
        self.assertIn(put.status, (200, 201, 204), put.body)
        got = self.daemon.request("GET", f"/v1/sandboxes/{other}/files?path=/data/x")
        self.assertEqual(got.body, b"octets")
        refused = self.daemon.request("PUT", f"/v1/sandboxes/{other}/files?path=/data/x", b"no",
                                      {"Content-Type": "application/octet-stream"})
        self.assertGreaterEqual(refused.status, 400)

    def test_sandboxes_tell_theirs(self):
        volume = self.make("data")
        sandbox = self.create_with("data:/data", volume + ":/again:ro")
        told = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["volumes"]
        self.assertEqual(told, [{"volume": volume, "name": "data", "target": "/data", "read_only": False},
                                {"volume": volume, "name": "data", "target": "/again", "read_only": True}])
        self.assertEqual(self.volume("data")["used_by"], [sandbox])


class Kept(VolumeTest):
    def test_they_outlive_sandboxes_and_daemons(self):
        volume = self.make("data", labels={"for": "tests"})
        sandbox = self.create_with("data:/data")
        self.output(sandbox, "echo kept >/data/a")
        self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)
        before = self.volume(volume)
        kill_everything(self.daemon)
        self.daemon.start()
        self.assertEqual({**self.volume("data"), "held_bytes": 0}, {**before, "held_bytes": 0})
        self.assertEqual(self.output(self.create_with("data:/data"), "cat /data/a"), "kept\n")

    def test_a_sandbox_that_starts_again_has_them_again(self):
        self.make("data")
        self.make("in")
        sandbox = self.create_with("data:/data", "in:/in:ro")
        self.output(sandbox, "echo kept >/data/a")
        self.move(sandbox, "stop", "stopped")
        for how in (test_staying.end, test_staying.kill_all_of_ours):
            self.again(how)
            self.move(sandbox, "start", "running")
            self.assertEqual(self.output(sandbox, "cat /data/a; touch /in/x 2>/dev/null || echo no"), "kept\nno\n")
            self.move(sandbox, "stop", "stopped")
        self.assertEqual(self.refusal_of_removal("data"), "volume_in_use")

    def refusal_of_removal(self, volume):
        answer = self.remove(volume)
        return answer.json()["error"]["code"] if answer.status == 409 else answer.status

    def test_one_that_runs_on_while_no_daemon_does_keeps_them_in_use(self):
        volume = self.make("data")
        sandbox = self.create_with("data:/data")
        self.do(sandbox, "exec", {"cmd": "while :; do date >>/data/log; sleep 0.05; done", "detach": True})
        lmsb.wait_until(lambda: self.output(sandbox, "cat /data/log || true"), "its first line")
        self.again()
        self.assertEqual(self.volume(volume)["used_by"], [sandbox])
        self.assertEqual(self.refusal_of_removal("data"), "volume_in_use")
        size = lambda: int(self.output(sandbox, "stat -c %s /data/log"))
        before = size()
        lmsb.wait_until(lambda: size() > before, "what still writes")

    def test_what_a_stopped_sandbox_has_stays_until_that_is_deleted(self):
        volume = self.make("data")
        sandbox = self.create_with("data:/data")
        self.assertEqual(self.refusal_of_removal("data"), "volume_in_use")
        self.move(sandbox, "stop", "stopped")
        self.refused(self.remove(volume), 409, "volume_in_use")
        self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)
        self.assertEqual(self.remove(volume).status, 204)
        self.assertEqual((self.listed(), disks_of(self.daemon, "volumes")), ([], []))
        self.refused(self.remove(volume), 404, "volume_not_found")

    def test_forks_share_them_and_snapshots_hold_nothing_of_them(self):
        self.make("data")
        sandbox = self.create_with("data:/data")
        self.output(sandbox, "echo one >/data/a; echo mine >~/a")
        fork = self.do(sandbox, "fork", {"count": 1}).json()["data"][0]["id"]
        self.output(fork, "echo two >>/data/a")
        self.assertEqual(self.output(sandbox, "cat /data/a"), "one\ntwo\n")
        taken = self.do(sandbox, "snapshot").json()["id"]
        self.output(sandbox, "echo three >>/data/a")
        self.assertEqual(self.do(sandbox, "rollback", {"snapshot": taken}).status, 200)
        self.assertEqual(self.output(sandbox, "cat /data/a ~/a"), "one\ntwo\nthree\nmine\n")
        bare = self.create(snapshot=taken)
        self.assertNotEqual(self.exec(bare, "cat /data/a")["exit_code"], 0)
        again = self.create_with("data:/data", snapshot=taken)
        self.assertEqual(self.output(again, "cat /data/a ~/a"), "one\ntwo\nthree\nmine\n")

    def test_without_the_database_their_disks_stay_and_can_be_removed(self):
        volume = self.make("data")
        self.daemon.stop()
        for file in (self.daemon.data_dir / "state").glob("sandboxes.db*"):
            file.unlink()
        (self.daemon.data_dir / "state" / "sandboxes.db.new").touch()
        self.daemon.start()
        self.assertEqual(self.volume(volume)["state"], "lost")
        answer = self.daemon.post("/v1/sandboxes", {"volumes": [{"volume": volume, "target": "/data"}]})
        self.refused(answer, 409, "volume_lost")
        self.assertEqual(self.remove(volume).status, 204)
        self.assertEqual(disks_of(self.daemon, "volumes"), [])


class Bounded(VolumeTest):
    def test_none_holds_more_than_it_may_and_the_sandbox_goes_on(self):
        self.make("small", size_bytes=16 * MIB)
        sandbox = self.create_with("small:/small")
        full = self.exec(sandbox, "head -c 64M /dev/urandom >/small/a")
        self.assertNotEqual(full["exit_code"], 0)
        self.assertIn("quota", full["stderr"].lower() + full["stdout"].lower())
        self.assertIn("volume", full["hint"])
        self.output(sandbox, "echo elsewhere >~/a")
        commit_and_clean(self.daemon)
        held = self.volume("small")["held_bytes"]
        self.assertLessEqual(held, 17 * MIB)
        changed = self.daemon.request("PATCH", "/v1/volumes/small", {"size_bytes": 128 * MIB, "labels": {"a": "1"}})
        self.assertEqual((changed.status, changed.json()["size_bytes"], changed.json()["labels"]),
                         (200, 128 * MIB, {"a": "1"}))
        self.output(sandbox, "head -c 64M /dev/urandom >/small/a")
        self.again(test_staying.end)
        self.assertEqual(self.volume("small")["size_bytes"], 128 * MIB)

    def test_what_makes_no_sense_is_refused(self):
        self.make("data")
        for body, status, code in (({"name": "data"}, 409, "name_taken"), ({"name": "../x"}, 400, "invalid_name"),
                                   ({"name": "vol_aaaaaaaaaaaaaaaaaaaa"}, 400, "invalid_name"),
                                   ({"size_bytes": 1}, 400, "limit_out_of_bounds"),
                                   ({"size_bytes": 1 << 39}, 403, "policy_denied"),
                                   ({"labels": {str(i): "" for i in range(65)}}, 400, "too_many_labels")):
            self.refused(self.daemon.post("/v1/volumes", body), status, code)
        mounts = lambda *targets: [{"volume": "data", "target": target} for target in targets]
        for volumes, status, code in (([{"volume": "none", "target": "/x"}], 404, "volume_not_found"),
                                      (mounts("relative"), 400, "invalid_mount_target"),
                                      (mounts("/etc/x"), 400, "invalid_mount_target"),
                                      (mounts("/a/../b"), 400, "invalid_mount_target"),
                                      (mounts("/a", "/a/"), 400, "invalid_mount_target"),
                                      (mounts("/a", "/a/b"), 400, "invalid_mount_target"),
                                      (mounts("/a/b", "/a"), 400, "invalid_mount_target"),
                                      (mounts(*(f"/{i}" for i in range(9))), 400, "limit_out_of_bounds")):
            self.refused(self.daemon.post("/v1/sandboxes", {"volumes": volumes}), status, code)
        self.assertEqual(self.volume("data")["used_by"], [])
        size = self.volume("data")["size_bytes"]
        changed = self.daemon.request("PATCH", "/v1/volumes/data",
                                      {"size_bytes": 2 * MIB, "labels": {str(i): "" for i in range(65)}})
        self.refused(changed, 400, "too_many_labels")
        self.assertEqual(self.volume("data")["size_bytes"], size)
        self.output(self.create_with("data:/data", name="box"), "head -c 8M /dev/urandom >/data/a && sync")
        self.daemon.request("DELETE", "/v1/sandboxes/box")
        self.assertEqual(self.remove("data").status, 204)

    def test_a_sandbox_that_puts_a_link_in_the_way_does_not_start_again_and_is_put_back(self):
        self.make("data")
        sandbox = self.create_with("data:/workspace/a/b")
        taken = self.do(sandbox, "snapshot").json()["id"]
        self.output(sandbox, "mv /workspace/a /workspace/c && ln -s /etc /workspace/a")
        self.move(sandbox, "stop", "stopped")
        self.refused(self.do(sandbox, "start"), 409, "invalid_mount_target")
        self.assertEqual(self.state(sandbox), "stopped")
        put_back = self.do(sandbox, "rollback", {"snapshot": taken})
        self.assertEqual(put_back.status, 200, put_back.body)
        self.move(sandbox, "start", "running")
        self.output(sandbox, "test -d /workspace/a/b")

    def test_a_size_that_the_kernel_did_not_get_is_given_at_the_next_start(self):
        volume = self.make("small", size_bytes=8 * MIB)
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state/sandboxes.db")) as database, database:
            database.execute("UPDATE volumes SET size_bytes = ? WHERE id = ?", (64 * MIB, volume))
        self.daemon.start()
        self.output(self.create_with("small:/small"), "head -c 32M /dev/urandom >/small/a")

    def test_a_removal_that_was_cut_short_is_ended_by_the_next_start(self):
        volume = self.make("data")
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state/sandboxes.db")) as database, database:
            database.execute("UPDATE volumes SET is_removed = 1 WHERE id = ?", (volume,))
        self.daemon.start()
        self.assertEqual((self.listed(), disks_of(self.daemon, "volumes")), ([], []))
        self.make("data")

    def test_lists_have_pages_and_filters(self):
        made = [self.make(f"v{i}", labels={"odd": str(i % 2)}) for i in range(5)]
        odd = made[1::2]
        made.sort(key=lambda one: (self.volume(one)["created_at"], one))  # two may be of the same millisecond
        self.assertEqual(self.listed(), made)
        self.assertEqual(self.listed("?label=odd=1"), [one for one in made if one in odd])
        page = self.daemon.request("GET", "/v1/volumes?limit=3").json()
        self.assertEqual([one["id"] for one in page["data"]], made[:3])
        self.assertEqual(self.listed("?cursor=" + page["next_cursor"]), made[3:])


class CommandLine(VolumeTest):
    def cli(self, *words, status=0):
        environment = {**os.environ, "LM_SANDBOX_HOST": f"http://{self.daemon.host}:{self.daemon.port}"}
        done = subprocess.run([lmsb.BIN / "lm-sandbox", *words], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_a_volume_that_is_only_named_is_made(self):
        self.cli("run", "-v", "data:/data", "--", "sh", "-c", "echo hello >/data/a")
        self.assertEqual(self.cli("run", "-v", "data:/in:ro", "--", "cat", "/in/a"), "hello\n")
        self.assertEqual([self.volume(one)["name"] for one in self.listed()], ["data"])
        self.assertIn("volume_", self.cli("run", "--dry-run", "-v", "data:/in:ro", "--", "true").replace("(volume vol_", "volume_"))

    def test_volumes_are_made_listed_shown_changed_and_removed(self):
        volume = self.cli("volume", "create", "--size", "64m", "--label", "a=1", "data").strip()
        self.assertEqual(self.cli("volume", "ls", "-q").split(), [volume])
        self.assertRegex(self.cli("volume", "ls"), r"(?m)^ID +NAME +SIZE +USED BY +STATE +CREATED$")
        box = self.cli("create", "--name", "box", "-v", "data:/data").strip()
        self.assertIn(box, self.cli("volume", "inspect", "data"))
        self.cli("volume", "update", "--size", "128m", "--no-label", "a", "data")
        self.assertEqual((self.volume("data")["size_bytes"], self.volume("data")["labels"]), (128 * MIB, {}))
        self.assertIn("in use by sandbox " + box, self.cli("volume", "rm", "data", status=1))
        self.cli("rm", "-f", "box")
        self.assertEqual(self.cli("volume", "rm", "data").strip(), "data")
        self.cli("volume", "rm", "-f", "data")
        self.assertEqual(self.listed(), [])


if __name__ == "__main__":
    lmsb.main()
