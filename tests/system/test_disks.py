#!/usr/bin/python3
"""Disks of kept sandboxes: they outlive processes, daemons and kills, hold no more than they may, and go when asked."""
import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


def children_of(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def launcher_of(daemon):
    """Looked for again where a child ends meanwhile: the kernel's list may then pass over another."""
    found = []

    def is_found():
        for pid in children_of(daemon.process.pid):
            with contextlib.suppress(OSError):  # guests are children of the parent, too, after a heal: one has ended
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "lmsb-launcher\n":
                    found.append(pid)
        return found

    lmsb.wait_until(is_found, "a launcher")
    return found[0]


def disks_of(daemon, place="disks"):
    """The store is mounted for the launcher alone."""
    return sorted(os.listdir(f"/proc/{launcher_of(daemon)}/root/store/{place}"))


def commit_and_clean(daemon):
    """What the file system does by itself every 30 seconds."""
    store = os.open(f"/proc/{launcher_of(daemon)}/root/store", os.O_RDONLY)
    fcntl.ioctl(store, 0x9408)  # BTRFS_IOC_SYNC
    os.close(store)


def kill_everything(daemon):
    """Guests too, all at once."""
    launcher = launcher_of(daemon)
    ours = [daemon.process.pid, *children_of(daemon.process.pid), *children_of(launcher)]
    for pid in ours:
        with contextlib.suppress(ProcessLookupError):  # it went with the one before
            os.kill(pid, signal.SIGKILL)
    daemon.stop()
    lmsb.wait_until(lambda: all(lmsb.is_over(pid) for pid in ours), "the end of what was killed")


class DiskTest(unittest.TestCase):
    image = "base"
    is_private = True
    flags = ()

    @classmethod
    def setUpClass(cls):
        lmsb.require_root()
        lmsb.require_image("base")

    def setUp(self):
        self.before = lmsb.leftovers()
        self.daemon = lmsb.Daemon(*self.flags, is_private=self.is_private, sandboxes_stay=True)
        self.daemon.data_dir.mkdir()
        lmsb.lend_images(self.daemon.data_dir)
        self.prepare_data()
        self.daemon.start()
        self.addCleanup(lmsb.wait_until_clean, self.before)
        self.addCleanup(self.daemon.__exit__)
        self.addCleanup(lmsb.take_images_back, self.daemon.data_dir)
        self.addCleanup(self.daemon.stop)
        missing = [line for line in self.daemon.log_text().splitlines() if "disks cannot be kept here" in line]
        if missing:
            self.skipTest(missing[0])

    def prepare_data(self):
        """Before the first start."""

    def restart(self, how=signal.SIGTERM):
        self.daemon.stop(how)
        self.daemon.start()

    def create(self, **fields):
        made = self.daemon.post("/v1/sandboxes", {"image": self.image, **fields})
        self.assertEqual(made.status, 201, made.body)
        return made.json()["id"]

    def do(self, sandbox, what, body=None):
        return self.daemon.post(f"/v1/sandboxes/{sandbox}/{what}", body)

    def move(self, sandbox, what, to):
        moved = self.do(sandbox, what)
        self.assertEqual((moved.status, moved.json().get("state")), (200, to), moved.body)
        return moved.json()

    def exec(self, sandbox, cmd):
        done = self.do(sandbox, "exec", {"cmd": cmd})
        self.assertEqual(done.status, 200, done.body)
        return done.json()

    def output(self, sandbox, cmd):
        done = self.exec(sandbox, cmd)
        self.assertEqual(done["exit_code"], 0, done)
        return done["stdout"]

    def state(self, sandbox):
        answer = self.daemon.request("GET", "/v1/sandboxes/" + sandbox)
        return answer.json()["state"] if answer.status == 200 else answer.status

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code), answer.body)


class Stopped(DiskTest):
    def test_what_was_written_is_there_again_in_every_image(self):
        write = ("echo one >~/a; chmod 750 ~/a; mkdir -p ~/d/e; ln -s a ~/link; mkfifo ~/pipe; ln ~/a ~/hard;"
                 "echo t >/tmp/t; echo w >/workspace/w; rm -f ~/.bashrc; setfattr -n user.mine -v 1 ~/a 2>/dev/null; true")
        look = "cd; cat a link /tmp/t /workspace/w; stat -c '%A %U %h %n' a d/e link pipe; test -e .bashrc || echo gone; cat /etc/machine-id"
        for image in ("base", "host"):
            with self.subTest(image):
                sandbox = self.create(image=image)
                self.exec(sandbox, write)
                before = self.output(sandbox, look)
                self.assertIn("gone", before)
                for _ in range(2):
                    self.move(sandbox, "stop", "stopped")
                    self.move(sandbox, "start", "running")
                    self.assertEqual(self.output(sandbox, look), before)

    def test_nothing_but_the_disk_is_left_of_it(self):
        sandbox = self.create(image="host")
        self.do(sandbox, "exec", {"cmd": "sleep 1000", "detach": True})
        self.move(sandbox, "stop", "stopped")
        self.assertFalse([path for path in lmsb.our_cgroups() if path.endswith(sandbox)])
        self.assertFalse(lmsb.sandbox_processes(b"sleep"))
        self.assertIn(sandbox, disks_of(self.daemon))
        self.assertEqual(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes").json()["data"], [])
        stats = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/stats").json()
        self.assertEqual((stats["sandbox_id"], stats["memory_bytes"], stats["processes"]), (sandbox, None, None))
        self.assertIsInstance(stats["disk_bytes"], int)
        listed = self.daemon.request("GET", "/v1/sandboxes?state=stopped").json()["data"]
        self.assertEqual([one["id"] for one in listed], [sandbox])

    def test_nothing_starts_in_it(self):
        sandbox = self.create()
        self.move(sandbox, "stop", "stopped")
        for what, body in (("exec", {"cmd": "true"}), ("exec", {"cmd": "true", "detach": True}), ("resume", None)):
            answer = self.do(sandbox, what, body)
            self.assertEqual(answer.status, 409, answer.body)
        self.refused(self.do(sandbox, "exec", {"cmd": "true"}), 409, "sandbox_stopped")
        self.refused(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/files?path=/etc/passwd"), 409, "sandbox_stopped")

    def test_a_command_that_runs_then_ends_with_it(self):
        sandbox = self.create()
        answers = []
        caller = threading.Thread(target=lambda: answers.append(self.do(sandbox, "exec", {"cmd": "echo begun; sleep 1000"})))
        caller.start()
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep"), "the command")
        self.move(sandbox, "stop", "stopped")
        caller.join(30)
        self.assertEqual((answers[0].status, answers[0].json()["signal"]), (200, "SIGTERM"), answers[0].body)

    def test_twice_is_once(self):
        sandbox = self.create()
        for _ in range(2):
            self.move(sandbox, "stop", "stopped")
        for _ in range(2):
            self.move(sandbox, "start", "running")

    def test_a_paused_one_can_be_stopped_and_is_not_started(self):
        sandbox = self.create()
        self.move(sandbox, "pause", "paused")
        self.refused(self.do(sandbox, "start"), 409, "sandbox_not_running")
        self.move(sandbox, "stop", "stopped")
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, "echo on"), "on\n")

    def test_one_whose_guest_has_ended_is_started_again(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a; sync")
        (guest,) = [pid for pid in children_of(launcher_of(self.daemon)) if sandbox in pathlib.Path(f"/proc/{pid}/cgroup").read_text()]
        os.kill(guest, signal.SIGKILL)
        lmsb.wait_until(lambda: self.state(sandbox) == "failed", "the guest's end")
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, "cat ~/a"), "kept\n")

    def test_it_is_deleted_with_its_disk(self):
        running, stopped = self.create(), self.create()
        self.move(stopped, "stop", "stopped")
        for sandbox in (running, stopped):
            self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
            self.assertEqual(self.state(sandbox), 404)
            self.assertNotIn(sandbox, disks_of(self.daemon))

    def test_a_disk_of_many_files_is_given_back(self):
        sandbox = self.create()
        self.output(sandbox, "head -c 200M /dev/zero | tr '\\0' x >~/big; for i in $(seq 2000); do echo $i >~/f$i; done; sync")
        store = self.daemon.data_dir / "disks" / "store.img"
        self.assertGreater(store.stat().st_blocks * 512, 200 << 20)
        self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)

        def is_given_back():
            commit_and_clean(self.daemon)
            return store.stat().st_blocks * 512 < 100 << 20

        lmsb.wait_until(is_given_back, "the space of the disk that was removed", seconds=100)

    def test_limits_labels_and_life_can_be_changed_meanwhile(self):
        sandbox = self.create(limits={"memory_bytes": 256 << 20, "processes": 100})
        self.move(sandbox, "stop", "stopped")
        changed = self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox,
                                      {"limits": {"memory_bytes": 128 << 20, "processes": 50}, "labels": {"a": "1"}})
        self.assertEqual(changed.status, 200, changed.body)
        self.move(sandbox, "start", "running")
        now = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()
        self.assertEqual((now["limits"]["memory_bytes"], now["limits"]["processes"], now["labels"]), (128 << 20, 50, {"a": "1"}))
        self.assertEqual(self.output(sandbox, "ulimit -u"), "50\n")

    def test_by_many_at_once_it_ends_as_one_of_them_said(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a")
        callers = [threading.Thread(target=self.do, args=(sandbox, what)) for what in ["stop", "start"] * 6]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(60)
        self.assertIn(self.state(sandbox), ("running", "stopped"))
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, "cat ~/a"), "kept\n")

    def test_who_goes_away_meanwhile_does_not_keep_it_from_stopping(self):
        sandbox = self.create()
        request = f"POST /v1/sandboxes/{sandbox}/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"

        def is_stopped_by_one_who_left():  # whose request may not have been read when he did
            with socket.create_connection((self.daemon.host, self.daemon.port)) as client:
                client.sendall(request.encode())
                time.sleep(0.002)
            return self.state(sandbox) == "stopped"

        lmsb.wait_until(is_stopped_by_one_who_left, "the stop that was asked for")
        self.move(sandbox, "start", "running")

    def test_one_that_is_deleted_while_it_starts_leaves_no_disk(self):
        for _ in range(5):
            sandbox = self.create()
            self.move(sandbox, "stop", "stopped")
            starter = threading.Thread(target=self.do, args=(sandbox, "start"))
            starter.start()
            self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
            starter.join(30)
            self.assertNotIn(sandbox, disks_of(self.daemon))

    def test_one_that_is_deleted_while_it_stops_leaves_no_disk(self):
        for _ in range(5):
            sandbox = self.create()
            stopper = threading.Thread(target=self.do, args=(sandbox, "stop"))
            stopper.start()
            self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
            stopper.join(30)
            self.assertNotIn(sandbox, disks_of(self.daemon))

    def test_it_is_told_as_what_it_is(self):
        sandbox = self.create()
        start = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()
        for what, to in (("stop", "stopped"), ("start", "running")):
            self.move(sandbox, what, to)
        path = self.daemon.data_dir / "audit" / "audit.log"
        lmsb.wait_until(lambda: "started" in path.read_text(), "the audit log")
        told = [json.loads(line)["event"] for line in path.read_text().splitlines()]
        self.assertEqual(told, ["sandbox.created", "sandbox.stopped", "sandbox.started"])
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json(), start)

    def test_one_with_directories_of_the_machine_stays_stopped(self):
        directory = self.daemon.dir / "mine"
        directory.mkdir(mode=0o755)
        made = subprocess.run([lmsb.BIN / "lm-sandbox", "create", "-v", f"{directory}:/mnt/mine", "base"],
                              env={**os.environ, "LM_SANDBOX_HOST": "unix://" + self.daemon.ready["socket"]},
                              capture_output=True, text=True, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        sandbox = made.stdout.strip()
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["on_idle"], "pause")
        self.move(sandbox, "stop", "stopped")
        self.refused(self.do(sandbox, "start"), 409, "mounts_not_kept")

    def test_another_image_of_that_name_is_not_put_under_its_disk(self):
        sandbox = self.create()
        self.move(sandbox, "stop", "stopped")
        described = self.daemon.data_dir / "images" / "base" / "image.json"
        image = json.loads(described.read_text())
        owner = described.stat()
        described.unlink()  # it is a link to the tests' own
        described.write_text(json.dumps({**image, "digest": "sha256:" + "0" * 64}))
        os.chown(described, owner.st_uid, owner.st_gid)
        self.refused(self.do(sandbox, "start"), 409, "image_changed")
        self.assertEqual(self.state(sandbox), "stopped")


class AtItsLimits(DiskTest):
    image = "host"

    def test_one_that_nobody_uses_is_stopped(self):
        sandbox = self.create(idle_ms=1000)
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["on_idle"], "stop")
        lmsb.wait_until(lambda: self.state(sandbox) == "stopped", "the idle limit")
        self.move(sandbox, "start", "running")
        lmsb.wait_until(lambda: self.state(sandbox) == "stopped", "the idle limit, again")

    def test_a_timeout_can_stop_it_too(self):
        sandbox = self.create(timeout_ms=1000, on_timeout="stop", name="box")
        lmsb.wait_until(lambda: self.state(sandbox) == "stopped", "the timeout")
        self.assertIsNone(self.daemon.request("GET", "/v1/sandboxes/box").json()["expires_at"])

    def test_a_timeout_that_deletes_goes_on_while_it_is_stopped_and_over_a_restart(self):
        sandbox = self.create(timeout_ms=20_000)
        self.move(sandbox, "stop", "stopped")
        ends = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["expires_at"]
        self.restart()
        again = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["expires_at"]
        begun, now = (datetime.datetime.fromisoformat(one) for one in (ends, again))
        self.assertLess(abs(now - begun), datetime.timedelta(seconds=1), "it is counted on two clocks")
        lmsb.wait_until(lambda: self.state(sandbox) == 404, "the timeout")
        lmsb.wait_until(lambda: sandbox not in disks_of(self.daemon), "the end of its disk")


class Full(DiskTest):
    def test_a_full_disk_is_the_commands_failure_and_stops_starts_and_gets_room_again(self):
        for image in ("base", "host"):
            with self.subTest(image):
                sandbox = self.create(image=image, limits={"disk_bytes": 64 << 20})
                full = self.exec(sandbox, "cat /dev/zero >~/big")
                self.assertEqual(full["outcome"], "disk_full", full)
                self.exec(sandbox, "i=0; while echo $i >~/s$i; do i=$((i+1)); done")
                for _ in range(2):
                    self.move(sandbox, "stop", "stopped")
                    self.move(sandbox, "start", "running")
                more = self.exec(sandbox, "cat /dev/zero >~/more")  # it was full before: its own words say the rest
                self.assertIn(more["outcome"], ("disk_full", "exited"), more)
                self.assertTrue(more["outcome"] == "disk_full" or "disk is full" in more["hint"], more)
                self.output(sandbox, "rm ~/big; sync")
                self.assertEqual(self.output(sandbox, "head -c 20M /dev/zero >~/again; stat -c %s ~/again"), f"{20 << 20}\n")

    def test_only_who_fills_it_is_said_to_have_met_its_limit(self):
        sandbox = self.create(limits={"disk_bytes": 20 << 20})
        self.output(sandbox, "echo a >~/a; sleep 0.0359 & echo ok")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"0.0359"), "the end of what was left behind: it would be company")
        self.assertEqual(self.exec(sandbox, "head -c 30M /dev/urandom >~/x")["outcome"], "disk_full")
        for cmd, status in (("false", 1), ("exit 3", 3), ("grep nothing /etc/passwd", 1), ("nosuchcmd", 127)):
            result = self.exec(sandbox, cmd)
            self.assertEqual((result["outcome"], result["exit_code"]), ("exited", status), result)
            self.assertIn("disk is full", result["hint"])
        self.assertIsNone(self.exec(sandbox, "true")["hint"])
        self.exec(sandbox, "rm ~/x; sync")
        self.assertIsNone(self.exec(sandbox, "false")["hint"])
        self.exec(sandbox, "head -c 30M /dev/urandom >~/x || true")  # nobody has asked how full it is since
        self.assertEqual(self.exec(sandbox, "false")["outcome"], "exited")
        self.exec(sandbox, "rm ~/x; sync")
        self.assertEqual(self.exec(sandbox, "head -c 30M /dev/urandom >~/x")["outcome"], "disk_full")

    def test_what_one_command_has_left_behind_and_that_fills_it_is_not_the_next_ones(self):
        name = self.daemon.post("/v1/volumes", {}).json()["id"]
        self.addCleanup(lambda: self.daemon.request("DELETE", "/v1/volumes/" + name))
        sandbox = self.create(limits={"disk_bytes": 20 << 20}, volumes=[{"volume": name, "target": "/data"}])
        self.addCleanup(lambda: self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox))
        self.exec(sandbox, "(head -c 40M /dev/urandom >~/x; touch /data/full) >/dev/null 2>&1 & exit 1")
        there = f"/v1/sandboxes/{sandbox}/files/list?path=/data"
        lmsb.wait_until(lambda: self.daemon.request("GET", there).json()["data"], "a full disk")
        result = self.exec(sandbox, "echo elsewhere >/data/y; exit 7")
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 7), result)

    def test_a_file_of_holes_may_seem_larger_than_the_disk(self):
        sandbox = self.create(limits={"disk_bytes": 20 << 20})
        self.assertEqual(self.output(sandbox, "truncate -s 30M ~/z; stat -c %s ~/z"), f"{30 << 20}\n")
        refused = self.exec(sandbox, "fallocate -l 30M ~/y")
        self.assertEqual((refused["outcome"], refused["exit_code"]), ("exited", 1), refused)
        self.assertIn("no room", refused["hint"])

    def test_what_it_holds_is_told(self):
        for image in ("base", "host"):
            sandbox = self.create(image=image)
            held = lambda s=sandbox: self.daemon.request("GET", f"/v1/sandboxes/{s}/stats").json()["disk_bytes"]
            self.assertLess(held(), 2 << 20)
            self.output(sandbox, "head -c 30M /dev/urandom >~/a; sync")
            commit_and_clean(self.daemon)
            self.assertGreaterEqual(held(), 30 << 20)
            self.assertLess(held(), 33 << 20)
            self.move(sandbox, "stop", "stopped")
            self.assertGreaterEqual(held(), 30 << 20)

    def test_files_without_content_are_bounded_too(self):
        sandbox = self.create(limits={"disk_bytes": 16 << 20})
        done = self.do(sandbox, "exec", {"timeout_ms": 100000, "cmd":
                       "mkdir ~/d; cd ~/d; python3 -c 'import os\nfor i in range(10**7): os.close(os.open(str(i), os.O_CREAT))' 2>&1 | tail -1"
                       if self.has_python(sandbox) else
                       "mkdir ~/d; cd ~/d; i=0; while : >$i; do i=$((i+1)); [ $i -lt 1000000 ] || exit 0; done"})
        self.assertEqual(done.status, 200, done.body)
        self.assertLess(int(self.output(sandbox, "ls -U ~/d | wc -l")), 500_000)

    def has_python(self, sandbox):
        return self.exec(sandbox, "command -v python3")["exit_code"] == 0

    def test_one_that_is_full_takes_nothing_from_another(self):
        full, other = self.create(limits={"disk_bytes": 32 << 20}), self.create(limits={"disk_bytes": 32 << 20})
        self.exec(full, "cat /dev/zero >~/big")
        self.assertEqual(self.output(other, "head -c 16M /dev/zero >~/a; echo ok"), "ok\n")


class AfterARestart(DiskTest):
    def test_everything_that_was_said_of_it_is_known(self):
        fields = {"name": "box", "labels": {"team": "a", "odd": "x\ny"}, "env": {"WHO": "me", "EMPTY": ""}, "cwd": "/tmp",
                  "limits": {"memory_bytes": 300 << 20, "cpus": 1.5, "processes": 77, "disk_bytes": 200 << 20,
                             "shm_bytes": 128 << 20}}
        sandbox = self.create(**fields)
        said = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()
        self.output(sandbox, "echo kept >~/a")
        self.restart()
        now = self.daemon.request("GET", "/v1/sandboxes/box").json()
        self.assertEqual(now["state"], "stopped")
        self.assertEqual({**now, "state": ""}, {**said, "state": ""})
        self.move("box", "start", "running")
        self.assertEqual(self.output("box", 'cat ~/a; echo "$WHO $EMPTY $PWD"; hostname'), f"kept\nme  /tmp\n{sandbox}\n")
        self.refused(self.daemon.post("/v1/sandboxes", {"name": "box"}), 409, "name_taken")

    def test_of_everything_killed_at_once_the_store_is_mounted_once_and_what_was_written_is_there(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a")
        self.do(sandbox, "exec", {"cmd": "while :; do date >>~/log; done", "detach": True})
        time.sleep(0.2)
        for _ in range(3):
            kill_everything(self.daemon)
            self.daemon.start()
            store = str(self.daemon.data_dir / "disks" / "store.img")
            self.assertEqual([file for file in lmsb.loop_files() if file == store], [store])
            self.assertEqual(self.state(sandbox), "stopped")
            self.move(sandbox, "start", "running")
            self.assertEqual(self.output(sandbox, "cat ~/a"), "kept\n")
        self.assertEqual(disks_of(self.daemon), [sandbox])

    def test_disks_that_were_prepared_for_nobody_go(self):
        lmsb.wait_until(lambda: disks_of(self.daemon, "fresh"), "prepared ones")
        before = set(disks_of(self.daemon, "fresh"))
        kill_everything(self.daemon)
        self.daemon.start()
        self.assertFalse(before & set(disks_of(self.daemon, "fresh")))

    def test_a_daemon_that_is_ended_at_once_takes_no_disk_along(self):
        kept = sorted(self.create(image="host") for _ in range(12))
        for _ in range(3):
            self.daemon.stop()
            for pause in (0, 0.002, 0.01):  # it is asked to end while it takes over, and just after
                self.daemon.start()
                time.sleep(pause)
                self.daemon.stop()
            self.daemon.start()
            self.assertEqual([one for one in disks_of(self.daemon) if one in kept], kept)
            starters = [threading.Thread(target=self.do, args=(one, "start")) for one in kept]
            for starter in starters:
                starter.start()
            self.daemon.process.send_signal(signal.SIGTERM)
            for starter in starters:
                starter.join(60)
            self.daemon.stop()
            self.daemon.start()
            self.assertEqual([self.state(one) for one in kept], ["stopped"] * len(kept))

    def test_of_creations_that_nobody_waited_for_nothing_is_left(self):
        body = b'{"name":"box"}'
        request = (f"POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        for pause in (0, 0.0005, 0.001, 0.002, 0.004) * 4:
            with socket.create_connection((self.daemon.host, self.daemon.port)) as client:
                client.sendall(request)
                time.sleep(pause)
            made = self.daemon.request("GET", "/v1/sandboxes").json()["data"]
            for one in made:
                self.daemon.request("DELETE", "/v1/sandboxes/" + one["id"])
        self.restart()
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes").json()["data"], [])
        self.assertEqual(disks_of(self.daemon), [])
        self.assertEqual(self.state(self.create(name="box")), "running")

    def test_one_creation_comes_of_all_requests_with_one_key(self):
        body = b'{"limits":{"processes":77}}'  # none is prepared: it takes a moment
        for number, pause in enumerate((0, 0.0005, 0.001, 0.002, 0.004, 0.008) * 3):
            request = (f"POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       f"Idempotency-Key: {number}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
            with socket.create_connection((self.daemon.host, self.daemon.port)) as client:
                client.sendall(request)
                time.sleep(pause)
            answers = []

            def is_answered():
                answers.append(self.daemon.post("/v1/sandboxes", body, headers={"Idempotency-Key": str(number)}))
                return answers[-1].status != 503

            lmsb.wait_until(is_answered, "the answer to the first request", seconds=60)
            made = answers[-1]
            self.assertEqual(made.status, 201, made.body)
            there = [one["id"] for one in self.daemon.request("GET", "/v1/sandboxes").json()["data"]]
            self.assertEqual(there, [made.json()["id"]])
            self.daemon.request("DELETE", "/v1/sandboxes/" + there[0])

    def test_of_two_with_one_name_both_are_there(self):
        first, second = self.create(name="box"), self.create()
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state" / "sandboxes.db")) as database:
            database.execute("UPDATE sandboxes SET name = 'box'")
            database.commit()
        self.daemon.start()
        self.assertEqual([self.state(one) for one in (first, second)], ["stopped", "stopped"])
        self.assertEqual(self.state("box"), "stopped")

    def test_a_removal_that_was_cut_short_is_ended(self):
        kept, gone = self.create(), self.create()
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state" / "sandboxes.db")) as database:
            database.execute("UPDATE sandboxes SET is_removed = 1 WHERE id = ?", (gone,))
            database.commit()
        self.daemon.start()
        self.assertEqual((self.state(kept), self.state(gone)), ("stopped", 404))
        self.assertNotIn(gone, disks_of(self.daemon))

    def snapshots(self):
        return [one["id"] for one in self.daemon.request("GET", "/v1/snapshots").json()["data"]]

    def test_a_store_that_was_away_for_one_start_is_there_again_with_its_snapshots(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a")
        snapshot = self.do(sandbox, "snapshot").json()
        self.daemon.stop()
        store = self.daemon.data_dir / "disks" / "store.img"
        away = store.with_name("away")
        store.rename(away)
        self.daemon.start()
        self.assertEqual((self.state(sandbox), self.snapshots()), ("lost", [snapshot["id"]]))
        self.refused(self.daemon.post("/v1/sandboxes", {"snapshot": snapshot["id"]}), 404, "snapshot_not_found")
        self.daemon.stop()
        away.rename(store)
        self.daemon.start()
        self.assertEqual(self.snapshots(), [snapshot["id"]])
        self.move(sandbox, "start", "running")
        copy = self.create(snapshot=snapshot["id"])
        self.assertEqual([self.output(one, "cat ~/a") for one in (sandbox, copy)], ["kept\n"] * 2)

    def test_without_its_database_no_disk_is_removed(self):
        kept, gone = self.create(), self.create()
        self.daemon.stop()
        (self.daemon.data_dir / "state" / "sandboxes.db").unlink()
        (self.daemon.data_dir / "state" / "sandboxes.db.new").touch()
        self.daemon.start()
        for sandbox in (kept, gone):
            self.assertEqual(self.state(sandbox), "lost")
            self.refused(self.do(sandbox, "start"), 409, "disk_lost")
            self.refused(self.do(sandbox, "exec", {"cmd": "true"}), 409, "disk_lost")
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + gone).status, 204)
        self.restart()
        self.assertIn(kept, disks_of(self.daemon))
        self.assertEqual((self.state(kept), self.state(gone)), ("lost", 404))

    def test_a_damaged_database_is_named_and_left_alone(self):
        self.daemon.stop()
        database = self.daemon.data_dir / "state" / "sandboxes.db"
        database.write_bytes(b"damaged " * 1000)
        another = lmsb.Daemon(data_dir=self.daemon.data_dir)  # which removes its own directory when it does not start
        with self.assertRaises(RuntimeError) as refused:
            another.start()
        self.assertIn(str(database), str(refused.exception))
        self.assertEqual(database.read_bytes(), b"damaged " * 1000)

    def test_one_whose_disk_was_removed_is_lost(self):
        sandbox = self.create()
        self.move(sandbox, "stop", "stopped")
        store = f"/proc/{launcher_of(self.daemon)}/root/store"
        os.rename(f"{store}/disks/{sandbox}", f"{store}/trash/{sandbox}")
        for _ in range(2):
            self.refused(self.do(sandbox, "start"), 409, "disk_lost")
            self.assertEqual(self.state(sandbox), "lost")
        self.restart()
        self.assertEqual(self.state(sandbox), "lost")
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
        self.restart()
        self.assertEqual(self.state(sandbox), 404)

    def test_a_second_daemon_on_the_same_data_directory_is_refused(self):
        second = lmsb.Daemon(data_dir=self.daemon.data_dir)
        with self.assertRaises(RuntimeError) as refused:
            second.start()
        self.assertIn("another lm-sandbox keeps its sandboxes in", str(refused.exception))
        self.assertIn("--data-dir", str(refused.exception))
        self.assertEqual(self.output(self.create(), "echo on"), "on\n")

    def test_of_another_key_it_is_still_somebody_elses(self):
        sandbox = self.create()
        self.restart()
        listed = self.daemon.request("GET", "/v1/sandboxes").json()["data"]
        self.assertEqual([one["id"] for one in listed], [sandbox])


class Hostile(DiskTest):
    def test_marks_of_the_overlay_mean_nothing_from_inside(self):
        """Kernels from 6.7 on store them under another name, earlier ones refuse them."""
        sandbox = self.create()
        self.output(sandbox, "mkdir ~/d; echo a >~/f")
        look = "cd; ls -A . d /home; cat f"
        before = self.output(sandbox, look)
        self.assertIn(".bashrc", before)  # of the image
        setxattr = "perl -e '$v = \"{}\"; exit(syscall(188, $ARGV[0], $ARGV[1], $v, length $v, 0) == 0 ? 0 : 1)'"
        self.output(sandbox, setxattr.format("y") + " ~/d user.mine")
        for mark, value in (("opaque", "y"), ("opaque", "x"), ("redirect", "/etc"), ("metacopy", ""), ("whiteout", "y"),
                            ("origin", "x"), ("impure", "y"), ("nlink", "x")):
            for path in ("~", "~/d", "~/f"):
                self.exec(sandbox, f"{setxattr.format(value)} {path} user.overlay.{mark}")
                refused = self.exec(sandbox, f"{setxattr.format(value)} {path} trusted.overlay.{mark}")
                self.assertEqual(refused["exit_code"], 1, mark)
        self.assertEqual(self.output(sandbox, look), before)
        self.move(sandbox, "stop", "stopped")
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, look), before)

    def test_it_makes_no_disk_within_its_disk(self):
        """A subvolume of its own would have no limit, and keep its disk from being removed."""
        ioctl = "perl -e 'opendir(D, \"/home/user\"); $n = pack(\"x8a*x4096\", \"sub\"); exit(syscall(16, fileno(D), {}, $n) == 0 ? 0 : $!)'"
        for image in ("base", "host"):
            sandbox = self.create(image=image)
            for number in (0x5000940E, 0x50009418, 0x50009401, 0x50009417, 0x15000940E):
                done = self.exec(sandbox, ioctl.format(number).replace("$n) ==", "$n) =="))
                self.assertEqual(done["exit_code"], 25, (image, hex(number), done))  # ENOTTY
            self.assertEqual(self.output(sandbox, "cd; echo a >a; cp --reflink=auto a b; cat b; ls"), "a\na\nb\n")

    def test_it_reaches_no_layer_of_its_own_disk(self):
        sandbox = self.create()
        mounts = self.output(sandbox, "cat /proc/self/mountinfo")
        self.assertNotIn("/store", mounts)
        self.assertEqual(self.output(sandbox, "ls -d /lower /work /store /../work 2>/dev/null | wc -l"), "0\n")
        self.assertEqual(self.output(sandbox, "mknod ~/n c 0 0 2>/dev/null && echo made; true"), "")

    def test_a_tree_full_of_traps_is_started_again_or_refused_with_the_step(self):
        sandbox = self.create()
        self.output(sandbox, "rm -rf /tmp/* /workspace/* 2>/dev/null; cd ~; rm -rf .[a-z]* *; ln -s / x; ln -s /proc/1/root y")
        self.move(sandbox, "stop", "stopped")
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, "id -un"), "user\n")


class InMemory(unittest.TestCase):
    def test_without_a_store_nothing_is_stopped(self):
        lmsb.require_root()
        before = lmsb.leftovers()
        with lmsb.Daemon("--disks", "memory") as daemon:
            made = daemon.post("/v1/sandboxes", {"image": "host"}).json()
            self.assertEqual((made["keeps_disk"], made["on_idle"]), (False, "pause"))
            stopped = daemon.post(f"/v1/sandboxes/{made['id']}/stop", None)
            self.assertEqual((stopped.status, stopped.json()["error"]["code"]), (409, "disk_not_kept"))
            refused = daemon.post("/v1/sandboxes", {"image": "host", "on_idle": "stop"})
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (409, "disk_not_kept"))
            self.assertFalse((daemon.data_dir / "disks").exists())
            self.assertIn("disks of kept sandboxes lie in memory", str(daemon.request("GET", "/v1/info").json()["weaker"]))
        lmsb.wait_until_clean(before)


if __name__ == "__main__":
    lmsb.main()
