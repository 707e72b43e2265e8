#!/usr/bin/python3
"""Sandboxes that outlive the daemon: their processes go on, and a later daemon finds them as they are."""
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import DiskTest, disks_of, kill_everything, launcher_of
from websocket import WebSocket

COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done"


def kill(pid):
    with contextlib.suppress(ProcessLookupError):  # it went with the one before
        os.kill(pid, signal.SIGKILL)


def kill_daemon(daemon):
    kill(daemon.daemon_pid())
    daemon.process.wait(60)


def kill_launcher(daemon):
    """Its parent starts it again, and the daemon."""
    kill(launcher_of(daemon))
    daemon.come_back(starts=False)


def kill_all_of_ours(daemon):
    ours = [daemon.process.pid, launcher_of(daemon), daemon.daemon_pid()]  # guests are the parent's children after a heal
    for pid in ours:
        kill(pid)
    daemon.process.wait(60)
    lmsb.wait_until(lambda: all(lmsb.is_over(pid) for pid in ours), "the end of what was killed")


def end(daemon):
    daemon.stop()


ENDS = {"the daemon was killed": kill_daemon, "the launcher was killed": kill_launcher,
        "daemon, launcher and parent were killed": kill_all_of_ours, "the daemon was asked to end": end}


class StayingTest(DiskTest):
    is_private = False

    def setUp(self):
        super().setUp()
        self.addCleanup(self.end_all)

    def end_all(self):
        """A daemon that ends with all that is left."""
        self.daemon.stop()
        self.daemon.flags += ("--stop-sandboxes",)
        self.daemon.start()
        self.daemon.stop()

    def again(self, how=kill_all_of_ours):
        how(self.daemon)
        if self.daemon.process.poll() is None:
            return  # it has been healed
        if self.daemon.log:
            self.daemon.log.close()
        self.daemon.start()

    def detach(self, sandbox, cmd, **fields):
        started = self.do(sandbox, "exec", {"cmd": cmd, "detach": True, **fields})
        self.assertEqual(started.status, 201, started.body)
        return started.json()

    def processes(self, sandbox):
        return self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes").json()["data"]

    def ended(self, sandbox, process):
        told = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process['id']}?wait_ms=30000").json()
        self.assertIsNotNone(told["result"], told)
        return told

    def piece(self, sandbox, process, offset=0, stream="stdout"):
        return self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process['id']}/output"
                                          f"?stream={stream}&offset={offset}&wait_ms=30000").json()

    def numbers(self, sandbox, process, last):
        """The output of COUNT from its beginning, read piece by piece until it shows `last`."""
        text = ""
        while True:
            piece = self.piece(sandbox, process, len(text))
            self.assertEqual(piece["offset"], len(text), "octets are lost")
            text += piece["text"]
            whole = [int(n) for n in text.split("\n")[:-1]]
            if whole and whole[-1] >= last:
                return whole


class Processes(StayingTest):
    def test_go_on_without_a_gap_whatever_ends_what_is_ours(self):
        for image in ("base", "host"):
            sandbox = self.create(image=image)
            counting = self.detach(sandbox, COUNT)
            for what, how in ENDS.items():
                with self.subTest(what, image=image):
                    before = self.numbers(sandbox, counting, 1)[-1]
                    self.again(how)
                    self.assertEqual(self.state(sandbox), "running")
                    now = self.processes(sandbox)
                    self.assertEqual([{**counting, "stdin": False}], [{**now[0], "stdin": False}])
                    seen = self.numbers(sandbox, counting, before + 100)
                    self.assertEqual(seen, list(range(1, len(seen) + 1)))
            self.assertEqual(self.output(sandbox, f"kill -0 {counting['pid']} && echo alive"), "alive\n")
            self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")

    def test_that_end_meanwhile_are_told_as_they_ended(self):
        sandbox = self.create()
        files = {"good": "exit 7", "killed": "kill -TERM $$", "out": "echo said; exec 1>&2; echo err; exit 0"}
        waiting = {name: self.detach(sandbox, f"while ! test -e /tmp/go; do sleep 0.01; done; {how}")
                   for name, how in files.items()}
        missing = self.do(sandbox, "exec", {"cmd": ["/no/such"], "detach": True}).json()
        late = self.detach(sandbox, "exec sleep 1013", timeout_ms=700)
        order = [p["id"] for p in self.processes(sandbox)]
        trigger = self.detach(sandbox, "sleep 0.5; touch /tmp/go; sleep 0.3; echo gone >/tmp/gone")
        kill_all_of_ours(self.daemon)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"/tmp/go") and not lmsb.sandbox_processes(b"1013"), "their ends")
        before = datetime.datetime.now(datetime.timezone.utc)
        self.daemon.log.close()
        self.daemon.start()
        ends = {name: self.ended(sandbox, process) for name, process in waiting.items()}
        self.assertEqual([ends[name]["result"]["exit_code"] for name in files], [7, 143, 0])
        self.assertEqual(ends["killed"]["result"]["signal"], "SIGTERM")
        self.assertEqual(self.piece(sandbox, waiting["out"])["text"], "said\n")
        self.assertEqual(self.piece(sandbox, waiting["out"], stream="stderr")["text"], "err\n")
        self.assertEqual(self.ended(sandbox, missing)["result"]["exit_code"], 127)
        self.assertEqual(self.ended(sandbox, late)["result"]["outcome"], "timed_out")
        self.assertEqual(self.output(sandbox, "cat /tmp/gone"), "gone\n")
        self.assertEqual([p["id"] for p in self.processes(sandbox)], [*order, trigger["id"]])
        told = self.ended(sandbox, trigger)
        ends = self.processes(sandbox)
        self.again()
        self.assertEqual(self.processes(sandbox), ends)  # what was said once stays so
        began, ended = (datetime.datetime.fromisoformat(told[when]) for when in ("started_at", "ended_at"))
        self.assertLess(ended, before)  # and not when the daemon came back
        wall = datetime.timedelta(milliseconds=told["result"]["usage"]["wall_ms"])
        self.assertLess(abs((ended - began) - wall), datetime.timedelta(milliseconds=100))
        self.assertGreaterEqual(wall, datetime.timedelta(milliseconds=800))

    def test_take_input_and_signals_and_are_forgotten_as_before(self):
        sandbox = self.create()
        reading = self.detach(sandbox, "while read -r line; do echo got $line; done; echo end", keep_stdin=True)
        path = f"/v1/sandboxes/{sandbox}/processes/{reading['id']}"
        self.assertEqual(self.daemon.post(path + "/stdin", {"data": "one\n"}).status, 204)
        self.again()
        self.assertEqual(self.daemon.post(path + "/stdin", {"data": "two\n"}).status, 204)
        self.assertEqual(self.daemon.post(path + "/stdin", {"data": "", "close": True}).status, 204)
        self.assertEqual(self.ended(sandbox, reading)["result"]["exit_code"], 0)
        self.assertEqual(self.piece(sandbox, reading)["text"], "got one\ngot two\nend\n")
        tree = self.detach(sandbox, "sleep 1000 & sleep 1000 & wait")
        self.again(kill_daemon)
        signalled = self.daemon.post(f"/v1/sandboxes/{sandbox}/processes/{tree['id']}/signal", {"signal": "KILL", "tree": True})
        self.assertEqual(signalled.status, 204)
        self.assertEqual(self.ended(sandbox, tree)["result"]["signal"], "SIGKILL")
        self.assertEqual(self.daemon.request("DELETE", path).status, 204)
        self.again(kill_daemon)
        self.assertEqual([p["id"] for p in self.processes(sandbox)], [tree["id"]])

    def test_keep_the_order_of_both_streams_where_they_are_merged(self):
        sandbox = self.create()
        process = self.detach(sandbox, "echo 1; echo 2 >&2; read x; echo 3; echo 4 >&2", keep_stdin=True, merge_stderr=True)
        self.assertEqual(self.piece(sandbox, process, 2)["text"], "2\n")
        self.again()
        self.assertTrue(self.processes(sandbox)[0]["merge_stderr"])
        path = f"/v1/sandboxes/{sandbox}/processes/{process['id']}/stdin"
        for _ in range(2):  # closed already
            self.assertEqual(self.daemon.post(path, {"close": True}).status, 204)
        self.ended(sandbox, process)
        self.assertEqual(self.piece(sandbox, process)["text"], "1\n2\n3\n4\n")
        missing = self.detach(sandbox, ["/no/such"], merge_stderr=True)
        self.ended(sandbox, missing)
        self.again(kill_daemon)
        self.assertEqual(self.piece(sandbox, missing)["text"], "/no/such: command not found\n")

    def test_that_somebody_waited_for_end_with_the_daemon(self):
        sandbox = self.create()
        kept = self.detach(sandbox, "exec sleep 1001")
        waiting = threading.Thread(target=self.wait_in_vain, args=(sandbox,))
        waiting.start()
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1002"), "the command")
        self.again(kill_daemon)
        waiting.join(60)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"1002"), "its end")
        self.assertTrue(lmsb.sandbox_processes(b"1001"))
        self.assertEqual([p["id"] for p in self.processes(sandbox)], [kept["id"]])

    def wait_in_vain(self, sandbox):
        with contextlib.suppress(http.client.HTTPException, OSError):
            self.do(sandbox, "exec", {"cmd": "exec sleep 1002"})

    def test_of_terminals_are_taken_over(self):
        sandbox = self.create()
        def terminal(query):
            socket = WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{sandbox}/pty?{query}")
            self.addCleanup(socket.drop)
            return socket, socket.read()["process"]
        first, process = terminal("cmd=exec%20sh&cols=100&rows=30")
        first.type("X=kept; echo $((40+2))\n")
        first.read_until("42\r\n")
        self.again()
        second, same = terminal("process=" + process["id"])
        self.assertEqual((same["id"], same["pid"]), (process["id"], process["pid"]))
        second.type("echo =$X=; stty size\n")
        self.assertRegex(second.read_until("30 100\r\n"), "=kept=")

    def test_of_shell_sessions_remember_everything(self):
        sandbox = self.create()
        def run(cmd):
            done = self.do(sandbox, "exec", {"cmd": cmd, "session": "mine"})
            self.assertEqual(done.status, 200, done.body)
            return done.json()["stdout"]
        def listed():
            return self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/sessions").json()["data"]
        run("cd /tmp; X=kept; f() { echo f says $1; }; sleep 1003 &")
        before, = listed()
        self.again()
        self.assertEqual(listed(), [{**before, "state": "unknown"}])
        self.assertEqual(run("f $X; pwd; jobs | wc -l"), "f says kept\n/tmp\n1\n")
        self.assertEqual(listed(), [before])
        used = self.do(sandbox, "exec", {"cmd": "for ((i = 0; i < 100000; ++i)); do :; done", "session": "mine"}).json()["usage"]
        self.assertGreater(used["cpu_user_ms"] + used["cpu_system_ms"], 20)
        # One that ran for the daemon that was killed: the next one waits for it, and has only its own output.
        busy = threading.Thread(target=self.busy, args=(sandbox,))
        busy.start()
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"/tmp/wanted"), "the command")
        self.again(kill_daemon)
        busy.join(60)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(run("echo mine; echo $Y")))
        asking.start()
        self.output(sandbox, "touch /tmp/wanted")
        asking.join(60)
        self.assertEqual(answers, ["mine\nset\n"])

    def busy(self, sandbox):
        with contextlib.suppress(http.client.HTTPException, OSError):
            self.do(sandbox, "exec", {"cmd": "sh -c 'while ! test -e /tmp/wanted; do sleep 0.01; done'; echo theirs; Y=set",
                                      "session": "mine"})


class Sandboxes(StayingTest):
    def test_are_what_they_were(self):
        made = self.daemon.post("/v1/sandboxes", {
            "image": "base", "name": "box", "labels": {"a": "b"}, "env": {"WHO": "me"}, "cwd": "/tmp",
            "limits": {"memory_bytes": 300 << 20, "processes": 50}, "timeout_ms": 3600_000}).json()
        self.output("box", "echo in memory >/dev/shm/a; echo on disk >~/a")
        held = self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"]
        self.assertGreater(held, 0)
        boot = self.output("box", "cat /proc/sys/kernel/random/boot_id; hostname; echo $WHO $PWD; id -u")
        for how in (kill_all_of_ours, end, kill_daemon):
            self.again(how)
            now = self.daemon.request("GET", "/v1/sandboxes/box").json()
            then, later = (datetime.datetime.fromisoformat(one["expires_at"]) for one in (made, now))
            self.assertLess(abs(then - later), datetime.timedelta(milliseconds=50))  # it is counted on two clocks
            self.assertEqual({**now, "expires_at": None}, {**made, "expires_at": None})
            self.assertEqual(self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"], held)
            self.assertEqual(self.output("box", "cat /dev/shm/a ~/a"), "in memory\non disk\n")
            self.assertEqual(self.output("box", "cat /proc/sys/kernel/random/boot_id; hostname; echo $WHO $PWD; id -u"), boot)
        stats = self.daemon.request("GET", "/v1/sandboxes/box/stats").json()
        self.assertGreater(stats["memory_bytes"], 0)
        changed = self.daemon.request("PATCH", "/v1/sandboxes/box", {"limits": {"memory_bytes": 200 << 20}})
        self.assertEqual(changed.status, 200, changed.body)
        self.assertEqual(self.exec("box", "exec tail /dev/zero")["outcome"], "oom_killed")

    def test_can_be_stopped_started_copied_and_deleted_as_before(self):
        sandbox = self.create()
        self.output(sandbox, "echo one >~/a")
        self.again()
        self.move(sandbox, "stop", "stopped")
        self.again()
        self.assertEqual(self.state(sandbox), "stopped")
        self.move(sandbox, "start", "running")
        self.detach(sandbox, "sleep 1004")
        self.again()
        self.assertTrue(lmsb.sandbox_processes(b"1004"))
        forks = self.do(sandbox, "fork", {"count": 2}).json()["data"]
        self.again()
        for fork in forks:
            self.assertEqual(self.output(fork["id"], "cat ~/a"), "one\n")
        for one in (sandbox, *(fork["id"] for fork in forks)):
            self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + one).status, 204)
            self.assertEqual(self.state(one), 404)
        self.again()
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes").json()["data"], [])

    def limit_files(self, sandbox):
        """The kernel's files of the limit of its memory: on cgroup v1 two that are one, on v2 that and what is there
        while it is being changed."""
        for path in map(pathlib.Path, lmsb.our_cgroups()):
            if path.name == sandbox:
                for names in (("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), ("memory.max", "memory.high")):
                    if all((path / name).exists() for name in names):
                        return [path / name for name in names]
        self.skipTest("the kernel does not limit memory and swap here")
        return []

    def limits(self, sandbox):
        return self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()["limits"]

    def test_get_the_lower_limits_of_a_new_policy(self):
        asked = {"memory_bytes": 512 << 20, "cpus": 1, "processes": 300}
        sandbox, other, full = (self.create(limits=limits) for limits in (asked, {"memory_bytes": 64 << 20}, asked))
        code = "x = bytearray(200 << 20); print(1, flush=True); import time; time.sleep(1021)"
        holder = self.detach(full, f"python3 -c '{code}'")
        self.assertEqual(self.piece(full, holder)["text"], "1\n")
        self.daemon.env = {"LM_SANDBOX_POLICY__MEMORY": "100m", "LM_SANDBOX_POLICY__CPUS": "0.5",
                           "LM_SANDBOX_POLICY__PROCESSES": "100"}
        self.again()
        lmsb.wait_until(lambda: all(self.limits(one)["processes"] == 100 for one in (sandbox, full)), "the lower limits")
        now = self.limits(sandbox)
        self.assertEqual((now["memory_bytes"], now["cpus"], now["processes"]), (100 << 20, 0.5, 100))
        self.assertEqual(self.limit_files(sandbox)[0].read_text().strip(), str(100 << 20))
        self.assertEqual(self.limits(other)["memory_bytes"], 64 << 20)
        now = self.limits(full)
        self.assertEqual(now["memory_bytes"], 512 << 20, "something would have to be killed for it")
        self.assertEqual(now["cpus"], 0.5)
        self.assertIn("sandbox.memory_kept", self.daemon.log_text())
        self.assertTrue(lmsb.sandbox_processes(b"1021"))
        self.daemon.env = {}
        self.again()
        self.assertEqual(self.limits(sandbox)["memory_bytes"], 100 << 20, "what was lowered is lower")
        self.assertEqual(self.output(sandbox, "echo on"), "on\n")

    def test_have_limits_whose_change_was_cut_short_as_they_were(self):
        sandbox = self.create(limits={"memory_bytes": 256 << 20})
        files = self.limit_files(sandbox)
        before = [file.read_text() for file in files]
        kill_all_of_ours(self.daemon)
        lowered = files[0] if "limit_in_bytes" in files[0].name else files[1]
        lowered.write_text(str(128 << 20))
        self.daemon.log.close()
        self.daemon.start()
        lmsb.wait_until(lambda: [file.read_text() for file in files] == before, "the limits as they were")
        self.assertEqual(self.limits(sandbox)["memory_bytes"], 256 << 20)

    def test_that_are_paused_stay_paused(self):
        sandbox = self.create()
        counting = self.detach(sandbox, COUNT)
        self.numbers(sandbox, counting, 1)
        self.move(sandbox, "pause", "paused")
        self.again()
        self.assertEqual(self.state(sandbox), "paused")
        end_of = self.piece(sandbox, counting, 0)["end"]
        self.refused(self.do(sandbox, "exec", {"cmd": "true"}), 409, "sandbox_paused")
        self.move(sandbox, "resume", "running")
        self.assertGreater(self.piece(sandbox, counting, end_of)["end"], end_of)

    def test_that_stand_still_for_nobody_go_on(self):
        """The daemon may be killed while it copies a disk, for which the processes stand still."""
        sandbox = self.create()
        counting = self.detach(sandbox, COUNT)
        self.numbers(sandbox, counting, 1)
        kill_all_of_ours(self.daemon)
        work = next(path for path in map(pathlib.Path, lmsb.our_cgroups())
                    if path.name == sandbox and (path / "work/cgroup.freeze").exists()) / "work"
        (work / "cgroup.freeze").write_text("1")
        lmsb.wait_until(lambda: "frozen 1" in (work / "cgroup.events").read_text(), "the standstill")
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "running")
        self.numbers(sandbox, counting, self.numbers(sandbox, counting, 1)[-1] + 10)

    def test_live_as_long_as_they_were_told(self):
        sandbox = self.create(timeout_ms=3_600_000, on_timeout="stop", limits={"processes": 200})
        self.move(sandbox, "pause", "paused")
        said = self.move(sandbox, "resume", "running")
        lowered = self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox, {"limits": {"processes": 100}})
        self.assertEqual(lowered.status, 200, lowered.body)
        self.again()
        now = self.daemon.request("GET", "/v1/sandboxes/" + sandbox).json()
        seconds = [datetime.datetime.fromisoformat(one["expires_at"]) for one in (said, now)]
        self.assertLess(abs(seconds[0] - seconds[1]), datetime.timedelta(seconds=1))
        raised = self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox, {"limits": {"processes": 200}})
        self.assertEqual(raised.status, 200, raised.body)  # as before: what it was started with

    def test_that_ended_meanwhile_are_told_to_have_stopped(self):
        sandbox = self.create()
        self.detach(sandbox, "sleep 1011")
        kill_all_of_ours(self.daemon)
        for path in map(pathlib.Path, lmsb.our_cgroups()):
            if path.name == sandbox and (path / "cgroup.kill").exists():
                (path / "cgroup.kill").write_text("1")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"1011"), "its end")
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "stopped")
        self.assertFalse([path for path in lmsb.our_cgroups() if path.endswith(sandbox)])
        audit = (self.daemon.data_dir / "audit" / "audit.log").read_text().splitlines()
        self.assertIn(("sandbox.stopped", "daemon"), [(e["event"], e["by"]) for e in map(json.loads, audit) if e["sandbox_id"] == sandbox])
        self.move(sandbox, "start", "running")

    def test_whose_life_is_over_meanwhile_end_by_themselves(self):
        stopped, deleted, paused = (self.create() for _ in range(3))
        for sandbox, number in ((stopped, 1005), (deleted, 1006), (paused, 1007)):
            self.detach(sandbox, f"sleep {number}")
        for sandbox, what in ((stopped, "stop"), (deleted, "delete"), (paused, "pause")):
            limit = {"timeout_ms": 2000, "on_timeout": what}
            self.assertEqual(self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox, limit).status, 200)
        kill_all_of_ours(self.daemon)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"1005") and not lmsb.sandbox_processes(b"1006"), "their ends")
        self.assertTrue(lmsb.sandbox_processes(b"1007"))
        self.daemon.log.close()
        self.daemon.start()
        lmsb.wait_until(lambda: self.state(deleted) == 404, "its removal")
        self.assertEqual(self.state(stopped), "stopped")
        lmsb.wait_until(lambda: self.state(paused) == "paused", "its pause")

    def test_of_which_nobody_was_told_end_with_the_daemon(self):
        lmsb.wait_until(lambda: self.daemon.request("GET", "/v1/info").json()["prepared"] > 0, "prepared ones")
        sandbox = self.create()
        kill_all_of_ours(self.daemon)
        lmsb.wait_until(lambda: self.with_processes() == {sandbox}, "the end of those that were prepared")
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "running")

    def with_processes(self):
        return {path.name for path in map(pathlib.Path, lmsb.our_cgroups())
                if (path / "cgroup.events").exists() and "populated 1" in (path / "cgroup.events").read_text()}

    def test_end_with_a_daemon_that_says_so(self):
        sandbox = self.create()
        self.detach(sandbox, "sleep 1008")
        self.daemon.stop()
        self.daemon.flags += ("--stop-sandboxes",)
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "running")
        self.daemon.stop()
        self.assertFalse(lmsb.sandbox_processes(b"1008"))
        self.assertFalse(lmsb.our_cgroups(below_instances=False))
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "stopped")

    def test_whose_removal_had_begun_are_removed(self):
        sandbox = self.create()
        self.detach(sandbox, "sleep 1009")
        kill_all_of_ours(self.daemon)
        self.forget_row(sandbox)
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.state(sandbox), 404)
        self.assertFalse(lmsb.sandbox_processes(b"1009"))

    def forget_row(self, sandbox):
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state" / "sandboxes.db")) as database:
            database.execute("UPDATE sandboxes SET is_removed = 1 WHERE id = ?", (sandbox,))
            database.commit()

    def test_keep_their_ids_and_their_lives_when_other_daemons_start(self):
        sandbox = self.create()
        self.detach(sandbox, "exec sleep 1010")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1010"), "the process")
        base = os.stat(f"/proc/{lmsb.guest_of(sandbox)}").st_uid // 65536
        kill_all_of_ours(self.daemon)
        with lmsb.Daemon("--disks", "memory") as other:
            self.assertEqual(other.run("true")["exit_code"], 0)
            others = self.ranges_but_of(sandbox)
            self.assertTrue(others and base not in others, others)
        self.assertTrue(lmsb.sandbox_processes(b"1010"))
        with open("/run/lm-sandbox.ids", "rb") as marks:
            marks.seek(base * 32)
            self.assertNotEqual(marks.read(8), bytes(8))
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
        lmsb.wait_until(lambda: not [path for path in lmsb.our_cgroups() if path.endswith(sandbox)], "its end")

        def is_free():
            """A mark of a guest that is gone means nothing."""
            with open("/run/lm-sandbox.ids", "rb") as marks:
                marks.seek(base * 32)
                pid = int.from_bytes(marks.read(8), "little")
            return pid == 0 or lmsb.is_over(pid)

        lmsb.wait_until(is_free, "that its ids are free")

    def ranges_but_of(self, sandbox):
        ranges = set()
        for pid in lmsb.sandbox_processes():
            with contextlib.suppress(OSError):  # it has ended
                if sandbox not in pathlib.Path(f"/proc/{pid}/cgroup").read_text():
                    ranges.add(os.stat(f"/proc/{pid}").st_uid // 65536)
        return ranges

    def test_keep_their_disks_from_a_daemon_that_cannot_find_them(self):
        sandbox = self.create()
        self.detach(sandbox, "exec sleep 1012")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1012"), "the process")
        kill_all_of_ours(self.daemon)
        with lmsb.Daemon(data_dir=self.daemon.data_dir, is_private=False) as other:
            path = "/v1/sandboxes/" + sandbox
            self.assertEqual(other.request("GET", path).json()["state"], "stopped")
            self.refused(other.post(path + "/start", None), 409, "disk_in_use")
        self.assertTrue(lmsb.sandbox_processes(b"1012"))
        self.daemon.log.close()
        self.daemon.start()
        self.assertEqual(self.state(sandbox), "running")

    def test_that_are_slow_to_answer_are_waited_for_and_outlive_who_waits_and_leave_nothing_when_deleted_meanwhile(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.daemon.flags += ("--listen", f"127.0.0.1:{port}")
        (kept, its_guest), (deleted, other_guest) = self.stop_guests(2)
        starting = threading.Thread(target=self.daemon.start)
        starting.start()
        self.see_that_it_is_not_ready(port)
        starting.join(60)
        self.assertEqual(self.ask(port, "/readyz")[0], 200)
        self.assertEqual(self.ask(port, "/v1/sandboxes")[0], 200)
        self.assertEqual([self.state(kept), self.state(deleted)], ["stopped", "stopped"])
        self.delete_before_it_answers(deleted, other_guest)
        end(self.daemon)  # while it waits
        self.daemon.log.close()
        starting = threading.Thread(target=self.daemon.start)
        starting.start()
        lmsb.wait_until(lambda: self.ask(port, "/readyz")[0] == 503, "the listener")
        self.let_go_on(its_guest)
        starting.join(60)
        lmsb.wait_until(lambda: self.state(kept) == "running", "its answer")
        self.assertEqual(len(lmsb.sandbox_processes(b"sleep\0" + b"1014")), 1)

    def ask(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except ConnectionError:
            return 0, None, None
        finally:
            connection.close()

    def see_that_it_is_not_ready(self, port):
        lmsb.wait_until(lambda: self.ask(port, "/readyz")[0] == 503, "the listener")
        self.assertFalse(json.loads(self.ask(port, "/readyz")[2])["ready"])
        self.assertEqual(self.ask(port, "/healthz")[0], 200)
        status, headers, body = self.ask(port, "/v1/sandboxes")
        self.assertEqual((status, json.loads(body)["error"]["code"]), (503, "not_ready"))
        self.assertIn("Retry-After", headers)

    def stop_guests(self, count):
        """Sandboxes whose guests say nothing, and those; the daemon is gone."""
        sandboxes = [self.create() for _ in range(count)]
        for sandbox in sandboxes:
            self.detach(sandbox, "exec sleep 1014")
        lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"sleep\0" + b"1014")) == count, "the processes")
        kill_all_of_ours(self.daemon)
        self.daemon.log.close()
        guests = [lmsb.guest_of(sandbox) for sandbox in sandboxes]
        for guest in guests:
            os.kill(guest, signal.SIGSTOP)
            self.addCleanup(self.let_go_on, guest)
        return list(zip(sandboxes, guests))

    def delete_before_it_answers(self, sandbox, guest):
        answers = []
        deleting = threading.Thread(target=lambda: answers.append(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)))
        deleting.start()
        lmsb.wait_until(lambda: self.state(sandbox) == 404, "that nobody reaches it")
        self.let_go_on(guest)
        deleting.join(60)
        self.assertEqual([answer.status for answer in answers], [204])
        self.assertEqual(len(lmsb.sandbox_processes(b"sleep\0" + b"1014")), 1, "that of the other one")
        ledger = self.daemon.request("GET", "/v1/ledger").json()
        self.assertEqual((ledger["agrees"], ledger["disks"]), (True, 1))

    def let_go_on(self, guest):
        with contextlib.suppress(ProcessLookupError):
            os.kill(guest, signal.SIGCONT)

    def test_are_compared_with_kernel_and_database(self):
        sandbox = self.create()
        self.assertEqual(self.do(sandbox, "snapshot", {}).status, 201)
        doctor = [lmsb.BIN / "lm-sandbox", "doctor", "--ledger", "--host", f"http://{self.daemon.host}:{self.daemon.port}"]
        told = subprocess.run(doctor, capture_output=True, text=True)
        self.assertEqual((told.returncode, told.stdout),
                         (0, "1 sandboxes, 1 disks, 1 snapshots: kernel, store and database agree\n"), told.stderr)
        instance = next(path.parent for path in map(pathlib.Path, lmsb.our_cgroups())
                        if path.name == sandbox and (path / "cgroup.kill").exists())
        (instance / ("b" * 20)).mkdir()  # as something of ours that was forgotten
        self.addCleanup((instance / ("b" * 20)).rmdir)
        kill_daemon(self.daemon)
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state" / "sandboxes.db")) as database:
            database.execute("DELETE FROM snapshots")
            database.commit()
        self.daemon.log.close()
        self.daemon.start()
        (instance / ("b" * 20)).mkdir(exist_ok=True)
        doctor[-1] = f"http://{self.daemon.host}:{self.daemon.port}"
        told = subprocess.run(doctor, capture_output=True, text=True)
        self.assertEqual(told.returncode, 1, told.stderr)
        self.assertIn(f"  cgroup {'b' * 20}: no sandbox has it\n", told.stdout)

    def test_many_of_them_are_there_again(self):
        all_of_them = [self.create(image="host") for _ in range(100)]
        self.again()
        self.assertEqual({self.state(one) for one in all_of_them}, {"running"})
        self.assertEqual(self.output(all_of_them[-1], "echo here"), "here\n")


class Reboot(StayingTest):
    """All that runs is gone, with what lies in /run; another boot has begun, whose id the kernel is made to say."""

    def boot(self):
        kill_everything(self.daemon)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(), "the end of all processes")
        lmsb.wait_until(self.remove_cgroups, "cgroups without processes")
        shutil.rmtree(self.daemon.run_dir)
        said = self.daemon.dir / "boot_id"
        said.write_text("00000000-0000-4000-8000-000000000000\n")
        programs = self.daemon.dir / "programs"
        programs.mkdir(exist_ok=True)
        (programs / "lm-sandbox").write_text(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"' "
            f'"{said}" "{lmsb.BIN}/lm-sandbox" "$@"\n')
        (programs / "lm-sandbox").chmod(0o755)
        self.daemon.programs = programs
        self.daemon.log.close()
        self.daemon.start()

    @staticmethod
    def remove_cgroups():
        for top in map(pathlib.Path, lmsb.our_cgroups()):
            for path in sorted([top, *(p for p in top.rglob("*") if p.is_dir())], reverse=True):
                with contextlib.suppress(OSError):  # not yet, or by another name already
                    path.rmdir()
        return not lmsb.our_cgroups()

    def test_leaves_disks_and_nothing_else(self):
        running, paused, stopped, volatile = (self.create(name=name) for name in ("running", "paused", "stopped", "volatile"))
        for one in (running, paused, stopped):
            self.output(one, "echo kept >~/a; echo lost >/dev/shm/a; sync")
        counting = self.detach(running, COUNT)
        self.numbers(running, counting, 10)
        snapshot = self.do(running, "snapshot", {}).json()["id"]
        self.move(paused, "pause", "paused")
        self.move(stopped, "stop", "stopped")
        self.daemon.request("DELETE", "/v1/sandboxes/" + volatile)
        held = self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"]
        self.boot()
        self.assertEqual([self.state(one) for one in (running, paused, stopped)], ["stopped"] * 3)
        self.assertLess(self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"], held)
        self.assertEqual(self.processes(running), [])
        self.assertEqual(disks_of(self.daemon), sorted([running, paused, stopped]))
        told = self.daemon.request("GET", "/v1/ledger").json()
        self.assertEqual((told["agrees"], told["disks"], told["snapshots"]), (True, 3, 1), told)
        for one in (running, paused, stopped):
            self.move(one, "start", "running")
            self.assertEqual(self.output(one, "cat ~/a; cat /dev/shm/a 2>/dev/null || echo none"), "kept\nnone\n")
        made = self.daemon.post("/v1/sandboxes", {"snapshot": snapshot})
        self.assertEqual(made.status, 201, made.body)
        self.assertTrue(self.daemon.request("GET", "/v1/ledger").json()["agrees"])


if __name__ == "__main__":
    lmsb.main()
