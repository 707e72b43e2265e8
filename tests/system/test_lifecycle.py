#!/usr/bin/python3
"""The lives of kept sandboxes: paused and resumed, limits, what they use, and what is told of them."""
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from websocket import WebSocket


class Events:
    """GET /v1/events, read line by line; armed when it is made."""

    def __init__(self, daemon, query=""):
        self.connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=60)
        self.connection.request("GET", "/v1/events" + query, headers={"Accept": "application/x-ndjson"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.armed = self.next()
        assert self.armed["type"] == "armed", self.armed

    def next(self):
        return json.loads(self.answer.readline())

    def until(self, kind):
        while True:
            event = self.next()
            if event["type"] == "sandbox." + kind:
                return event

    def close(self):
        self.connection.close()


class InBackground(threading.Thread):
    """A call of its own thread; result() waits for what it returned."""

    def __init__(self, call, *arguments):
        super().__init__(daemon=True)
        self.call, self.arguments, self.answer = call, arguments, None
        self.start()

    def run(self):
        self.answer = self.call(*self.arguments)

    def result(self):
        self.join(90)
        assert not self.is_alive(), "the call did not end"
        return self.answer


class LifecycleTest(lmsb.SystemTest):
    def create(self, **fields):
        created = self.daemon.post("/v1/sandboxes", fields)
        self.assertEqual(created.status, 201, created.body)
        self.addCleanup(self.remove, created.json()["id"])
        return created.json()

    def remove(self, sandbox):
        self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox)

    def get(self, sandbox, what=""):
        return self.daemon.request("GET", f"/v1/sandboxes/{sandbox}{what}")

    def do(self, sandbox, what, body=None):
        return self.daemon.post(f"/v1/sandboxes/{sandbox}/{what}", body)

    def exec(self, sandbox, cmd, **fields):
        return self.do(sandbox, "exec", {"cmd": cmd, **fields})

    def start(self, sandbox, cmd, **fields):
        started = self.exec(sandbox, cmd, detach=True, **fields)
        self.assertEqual(started.status, 201, started.body)
        return started.json()["id"]

    def pause(self, sandbox):
        paused = self.do(sandbox, "pause")
        self.assertEqual((paused.status, paused.json().get("state")), (200, "paused"), paused.body)

    def resume(self, sandbox):
        resumed = self.do(sandbox, "resume")
        self.assertEqual((resumed.status, resumed.json().get("state")), (200, "running"), resumed.body)

    def output_end(self, sandbox, process):
        return self.get(sandbox, f"/processes/{process}/output?stream=stdout&offset=0").json()["end"]

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code), answer.body)

    def cgroup_state(self, sandbox):
        """What the kernel says of the sandbox's commands."""
        for mount in lmsb.cgroup_hierarchies():
            for file in pathlib.Path(mount).glob(f"lmsb-*/{sandbox}/work/cgroup.events"):
                return dict(line.split() for line in file.read_text().splitlines())
        raise AssertionError("no cgroup of " + sandbox)


class Paused(LifecycleTest):
    def test_processes_stand_still_and_go_on(self):
        box = self.create()["id"]
        process = self.start(box, "while :; do echo x; done")
        lmsb.wait_until(lambda: self.output_end(box, process) > 0, "output")
        self.pause(box)
        self.assertEqual(self.cgroup_state(box)["frozen"], "1")
        lmsb.wait_until(lambda: self.output_end(box, process) == self.output_end(box, process), "what was in the pipe")
        written = self.output_end(box, process)
        for _ in range(20):
            self.assertEqual(self.output_end(box, process), written)
        self.assertEqual(self.get(box).json()["state"], "paused")
        self.resume(box)
        lmsb.wait_until(lambda: self.output_end(box, process) > written, "output after the pause")

    def test_nothing_starts_in_it(self):
        box = self.create()["id"]
        process = self.start(box, "cat", keep_stdin=True)
        self.exec(box, ":", session="s")
        self.pause(box)
        self.refused(self.exec(box, "true"), 409, "sandbox_paused")
        self.refused(self.exec(box, "true", detach=True), 409, "sandbox_paused")
        self.refused(self.exec(box, "true", session="s"), 409, "sandbox_paused")
        self.refused(self.exec(box, "true", session="other"), 409, "sandbox_paused")
        self.refused(self.do(box, f"processes/{process}/stdin", {"data": "x"}), 409, "sandbox_paused")
        self.refused(self.get(box, "/files/list?path=/workspace"), 409, "sandbox_paused")
        streamed = self.daemon.post(f"/v1/sandboxes/{box}/exec", {"cmd": "true"},
                                    headers={"Accept": "application/x-ndjson"})
        self.refused(streamed, 409, "sandbox_paused")
        self.resume(box)
        self.assertEqual(self.exec(box, "echo on", session="s").json()["stdout"], "on\n")

    def test_what_was_written_can_be_read_and_processes_killed(self):
        box = self.create()["id"]
        process = self.start(box, "echo before; sleep 1000")
        lmsb.wait_until(lambda: self.output_end(box, process) == 7, "output")
        self.pause(box)
        output = self.get(box, f"/processes/{process}/output?stream=stdout&offset=0")
        self.assertEqual(output.json()["text"], "before\n")
        self.assertLess(self.do(box, f"processes/{process}/signal", {"signal": "KILL", "tree": True}).status, 300)
        ended = self.get(box, f"/processes/{process}?wait_ms=30000").json()
        self.assertEqual((ended["result"]["outcome"], ended["result"]["signal"]), ("signaled", "SIGKILL"))

    def test_other_signals_arrive_when_they_go_on(self):
        box = self.create()["id"]
        process = self.start(box, "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
        lmsb.wait_until(lambda: self.output_end(box, process) == 6, "the trap")
        self.pause(box)
        self.assertLess(self.do(box, f"processes/{process}/signal", {"signal": "TERM"}).status, 300)
        self.assertIsNone(self.get(box, f"/processes/{process}").json()["result"])
        self.resume(box)
        ended = self.get(box, f"/processes/{process}?wait_ms=30000").json()
        self.assertEqual(ended["result"]["exit_code"], 7)

    def test_a_time_limit_goes_on(self):
        box = self.create()["id"]
        waiting = InBackground(self.exec, box, "sleep 4711")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"4711"), "the command")
        limited = InBackground(lambda: self.exec(box, "echo begun; sleep 4712", timeout_ms=5000))
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"4712"), "the limited command")
        self.pause(box)
        self.assertTrue(limited.is_alive(), "paused before the limit")
        result = limited.result().json()
        self.assertEqual((result["outcome"], result["stdout"]), ("timed_out", "begun\n"))
        self.remove(box)
        self.assertEqual(waiting.result().json()["outcome"], "cancelled")

    def test_it_can_be_deleted(self):
        box = self.create()["id"]
        self.start(box, "sleep 1000")
        self.pause(box)
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + box).status, 204)
        self.assertEqual(self.get(box).status, 404)

    def test_twice_is_once(self):
        box = self.create()["id"]
        self.resume(box)
        self.pause(box)
        self.pause(box)
        listed = self.daemon.request("GET", "/v1/sandboxes?state=paused").json()["data"]
        self.assertIn(box, [sandbox["id"] for sandbox in listed])
        self.resume(box)
        self.resume(box)

    def test_by_many_at_once_it_ends_as_the_last_said(self):
        box = self.create()["id"]
        process = self.start(box, "while :; do echo x; done")
        calls = [InBackground(self.do, box, what) for _ in range(15) for what in ("pause", "resume")]
        self.assertEqual({call.result().status for call in calls}, {200})
        is_paused = self.get(box).json()["state"] == "paused"
        self.assertEqual(self.cgroup_state(box)["frozen"], "1" if is_paused else "0")
        self.resume(box)
        written = self.output_end(box, process)
        lmsb.wait_until(lambda: self.output_end(box, process) > written, "a process that goes on")

    def test_who_goes_away_while_it_is_being_paused_leaves_state_and_kernel_agreed(self):
        box = self.create()["id"]
        for _ in range(10):
            connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port)
            connection.request("POST", f"/v1/sandboxes/{box}/pause")
            connection.close()
            lmsb.wait_until(lambda: (self.get(box).json()["state"] == "paused") == (self.cgroup_state(box)["frozen"] == "1"),
                            "a state that is the kernel's")
        self.resume(box)
        self.assertEqual(self.exec(box, "echo alive").json()["stdout"], "alive\n")

    def test_a_daemon_that_ends_takes_paused_ones_with_it(self):
        before = lmsb.leftovers()
        with lmsb.Daemon() as daemon:
            box = daemon.post("/v1/sandboxes", {}).json()["id"]
            daemon.post(f"/v1/sandboxes/{box}/exec", {"cmd": "sleep 1000", "detach": True})
            self.assertEqual(daemon.post(f"/v1/sandboxes/{box}/pause", None).status, 200)
            self.assertEqual(daemon.stop(), 0)
        lmsb.wait_until_clean(before)

    def test_typing_into_a_terminal_ends_the_connection_and_not_the_terminal(self):
        box = self.create()["id"]
        path = f"/v1/sandboxes/{box}/pty?"
        terminal = WebSocket(self.daemon.host, self.daemon.port, path + "cmd=exec%20sh")
        self.addCleanup(terminal.drop)
        process = terminal.read()["process"]["id"]
        self.pause(box)
        terminal.type("echo lost\n")
        while terminal.read() is not None:
            pass  # what it had said before: its prompt
        self.assertEqual(terminal.close_code, 4009)
        self.resume(box)
        again = WebSocket(self.daemon.host, self.daemon.port, path + "process=" + process)
        self.addCleanup(again.drop)
        again.read()
        again.type("echo $((6*7))\n")
        again.read_until("42")

    def test_a_command_that_waits_for_its_turn_meanwhile_is_refused(self):
        with lmsb.Daemon(env={"LM_SANDBOX_LIMITS__MAX_RUNNING": "1"}) as daemon:
            first, second = (daemon.post("/v1/sandboxes", {}).json()["id"] for _ in range(2))
            holding = InBackground(daemon.post, f"/v1/sandboxes/{first}/exec", {"cmd": "sleep 4713"})
            lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"4713"), "the command that holds the place")
            waiting = InBackground(daemon.post, f"/v1/sandboxes/{second}/exec", {"cmd": "true"})
            lmsb.wait_until(lambda: daemon.request("GET", "/v1/info").json()["waiting"] == 1, "the one that waits")
            self.assertEqual(daemon.post(f"/v1/sandboxes/{second}/pause", None).status, 200)
            daemon.request("DELETE", "/v1/sandboxes/" + first)
            self.assertEqual(holding.result().json()["outcome"], "cancelled")
            self.refused(waiting.result(), 409, "sandbox_paused")


class Limits(LifecycleTest):
    def setUp(self):
        self.events = Events(self.daemon)
        self.addCleanup(self.events.close)

    def change(self, sandbox, **fields):
        changed = self.daemon.request("PATCH", "/v1/sandboxes/" + sandbox, fields)
        self.assertEqual(changed.status, 200, changed.body)
        return changed.json()

    def test_a_timeout_deletes_it_in_use_or_not(self):
        box = self.create()["id"]
        running = InBackground(self.exec, box, "sleep 4714")
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"4714"), "the command")
        self.assertIsNotNone(self.change(box, timeout_ms=1000)["expires_at"])
        removed = self.events.until("removed")
        self.assertEqual((removed["sandbox_id"], removed["by"]), (box, "timeout"))
        self.assertEqual(self.get(box).status, 404)
        self.assertEqual(running.result().json()["outcome"], "cancelled")

    def test_a_timeout_can_pause_it_instead(self):
        box = self.create(timeout_ms=1000, on_timeout="pause")["id"]
        paused = self.events.until("paused")
        self.assertEqual((paused["sandbox_id"], paused["by"]), (box, "timeout"))
        self.assertEqual(self.get(box).json()["state"], "paused")
        self.assertIsNone(self.get(box).json()["expires_at"])
        self.resume(box)
        self.events.until("resumed")
        self.assertEqual(self.events.until("paused")["by"], "timeout")

    def test_one_that_nobody_uses_is_paused(self):
        box = self.create(idle_ms=1000, on_idle="pause")["id"]
        paused = self.events.until("paused")
        self.assertEqual((paused["sandbox_id"], paused["by"]), (box, "idle"))
        self.change(box, idle_ms=0)
        self.resume(box)
        self.assertEqual(self.exec(box, "echo back").json()["stdout"], "back\n")

    def test_one_that_was_paused_for_being_idle_is_deleted_at_its_timeout(self):
        box = self.create(idle_ms=1000, on_idle="pause", timeout_ms=3_600_000)["id"]
        self.assertEqual(self.events.until("paused")["by"], "idle")
        self.assertIsNotNone(self.get(box).json()["expires_at"])
        self.change(box, timeout_ms=1000)
        self.assertEqual(self.events.until("removed")["by"], "timeout")

    def test_limits_of_a_paused_one_can_be_changed(self):
        box = self.create()["id"]
        self.pause(box)
        self.assertIsNone(self.change(box, timeout_ms=1000, on_timeout="pause")["expires_at"])
        self.assertIsNotNone(self.change(box, on_timeout="delete")["expires_at"])
        self.assertEqual(self.events.until("removed")["by"], "timeout")

    def test_or_deleted(self):
        box = self.create(idle_ms=1000, on_idle="delete")["id"]
        removed = self.events.until("removed")
        self.assertEqual((removed["sandbox_id"], removed["by"]), (box, "idle"))

    def test_one_in_which_something_runs_is_not_idle(self):
        box = self.create()["id"]
        command = InBackground(self.exec, box, "mkfifo go; read line < go; echo $line")
        process = self.start(box, "sleep 2.5")
        self.change(box, idle_ms=1000)
        other = self.create(idle_ms=1000)["id"]
        self.assertEqual(self.events.until("stopped")["sandbox_id"], other)
        ended = self.get(box, f"/processes/{process}?wait_ms=30000").json()
        self.assertEqual(ended["result"]["exit_code"], 0)
        self.change(box, idle_ms=0)
        self.exec(box, "echo done > go")
        self.assertEqual(command.result().json()["stdout"], "done\n")

    def test_they_can_be_changed(self):
        box = self.create(timeout_ms=3_600_000, labels={"a": "1", "b": "2"})["id"]
        changed = self.daemon.request("PATCH", "/v1/sandboxes/" + box,
                                      {"timeout_ms": 0, "idle_ms": 1000, "on_idle": "pause", "labels": {"a": None, "c": "3"}}).json()
        self.assertEqual((changed["labels"], changed["expires_at"]), ({"b": "2", "c": "3"}, None))
        self.assertEqual(self.events.until("paused")["by"], "idle")
        listed = self.daemon.request("GET", "/v1/sandboxes?label=c=3").json()["data"]
        self.assertEqual([sandbox["id"] for sandbox in listed], [box])
        for wrong in (10**12, 999):
            self.refused(self.daemon.request("PATCH", "/v1/sandboxes/" + box, {"idle_ms": wrong}), 400, "invalid_life")

    def test_one_with_a_name_lives_on_and_one_without_for_an_hour_without_use(self):
        self.assertEqual(self.create(name="stays")["idle_ms"], 0)
        unnamed = self.create()
        self.assertEqual((unnamed["idle_ms"], unnamed["on_idle"]), (3_600_000, "stop"))


MIB = 1 << 20


class Resources(LifecycleTest):
    """What a sandbox may use, changed while it lives."""

    def change(self, box, **limits):
        return self.daemon.request("PATCH", "/v1/sandboxes/" + box, {"limits": limits})

    def changed(self, box, **limits):
        answer = self.change(box, **limits)
        self.assertEqual(answer.status, 200, answer.body)
        for name, value in limits.items():
            self.assertEqual(answer.json()["limits"][name], value)
            self.assertEqual(self.get(box, "/stats").json()["limits"][name], value)

    def outcome(self, box, megabytes):
        """How a command ends that wants so much memory."""
        cmd = f"python3 -c 'x = bytearray({megabytes} << 20); print(len(x))'"
        return self.exec(box, cmd).json()["outcome"]

    def test_memory_is_what_was_said_last(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        self.assertEqual(self.outcome(box, 150), "exited")
        self.changed(box, memory_bytes=100 * MIB)
        self.assertEqual(self.outcome(box, 150), "oom_killed")
        self.changed(box, memory_bytes=400 * MIB)
        self.assertEqual(self.outcome(box, 150), "exited")
        self.assertEqual(self.exec(box, "echo alive").json()["stdout"], "alive\n")

    def hold(self, box, megabytes):
        """A process that has so much memory."""
        code = f"x = bytearray({megabytes} << 20); print(1, flush=True); import time; time.sleep(4713)"
        holder = self.start(box, f"python3 -c '{code}'")
        lmsb.wait_until(lambda: self.output_end(box, holder) > 0, f"{megabytes} MiB")
        return holder

    def test_memory_that_is_used_is_not_taken_away(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        holder = self.hold(box, 100)
        before = self.get(box).json()["limits"]
        self.refused(self.change(box, memory_bytes=90 * MIB, cpus=0.5, processes=9), 409, "limit_in_use")
        self.assertEqual(self.get(box).json()["limits"], before)
        self.assertEqual(self.get(box, f"/processes/{holder}").json()["state"], "running")
        self.changed(box, memory_bytes=300 * MIB)
        self.assertEqual(self.outcome(box, 250), "oom_killed")

    def test_the_page_cache_is_given_back_for_it(self):
        # Files of the machine that image `host` shows, and that nobody has in memory: who reads them has them to account for.
        paths = [path for path in pathlib.Path("/usr/lib").rglob("*") if path.is_file() and not path.is_symlink()]
        paths = sorted(paths, key=lambda path: -path.stat().st_size)[:400]
        for path in paths:
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if sum(path.stat().st_size for path in paths) < 100 * MIB:
            self.skipTest("the machine's /usr/lib is too small to fill memory with")
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        self.exec(box, f"cat {' '.join(map(str, paths))} | head -c 300M > /dev/null")
        self.assertGreater(self.get(box, "/stats").json()["memory_bytes"], 50 * MIB)
        self.changed(box, memory_bytes=40 * MIB)
        self.assertLessEqual(self.get(box, "/stats").json()["memory_bytes"], 40 * MIB)
        self.assertEqual(self.exec(box, "echo alive").json()["stdout"], "alive\n")

    def test_files_in_memory_are_not_taken_away(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        fill = "head -c 60M /dev/zero > /dev/shm/big; wc -c < /dev/shm/big"
        self.assertEqual(self.exec(box, fill).json()["stdout"], f"{60 * MIB}\n")
        self.refused(self.change(box, memory_bytes=64 * MIB), 409, "limit_in_use")
        self.assertEqual(self.exec(box, "rm /dev/shm/big; echo gone").json()["stdout"], "gone\n")
        self.changed(box, memory_bytes=64 * MIB)

    def test_processes_are_lowered_and_raised_up_to_what_they_were(self):
        box = self.create(limits={"processes": 64})["id"]
        many = "for i in $(seq 30); do sleep 5 & done 2>/dev/null; kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; echo end"
        self.assertEqual(self.exec(box, many).json()["stdout"], "end\n")
        self.changed(box, processes=10)
        self.assertNotEqual(self.exec(box, many).json()["stdout"], "end\n")
        self.changed(box, processes=64)
        self.assertEqual(self.exec(box, many).json()["stdout"], "end\n")
        self.refused(self.change(box, processes=65), 400, "limit_fixed")

    def quota(self, box):
        """What the kernel has, in thousandths of a processor."""
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"cpu*/lmsb-*/{box}/cpu.cfs_quota_us"):
            return int(path.read_text()) // 100
        for path in pathlib.Path("/sys/fs/cgroup").rglob(f"lmsb-*/{box}/cpu.max"):
            return int(path.read_text().split()[0]) // 100
        return None

    def test_processors_are_shared_out_anew(self):
        box = self.create(limits={"cpus": 1})["id"]
        self.assertEqual(self.quota(box), 1000)
        self.changed(box, cpus=0.1)
        self.assertEqual(self.quota(box), 100)

    def memory(self, box):
        """The limit that the kernel has."""
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"memory/lmsb-*/{box}/memory.limit_in_bytes"):
            return int(path.read_text())
        for path in pathlib.Path("/sys/fs/cgroup").rglob(f"lmsb-*/{box}/memory.max"):
            return int(path.read_text())
        return None

    def test_a_client_that_goes_away_leaves_them_whole(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        for size in range(64, 74):
            connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
            connection.request("PATCH", f"/v1/sandboxes/{box}", json.dumps({"limits": {"memory_bytes": size * MIB}}),
                               {"Content-Type": "application/json"})
            connection.close()
        self.changed(box, cpus=0.25)
        self.assertEqual(self.quota(box), 250)
        told = lambda: self.get(box).json()["limits"]["memory_bytes"]
        lmsb.wait_until(lambda: told() == self.memory(box) == told(), "what is said is what the kernel has")

    def test_many_changes_at_once_leave_what_one_of_them_said(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        calls = [InBackground(lambda n=n: self.change(box, cpus=n / 100, memory_bytes=(64 + n) * MIB)) for n in range(10, 22)]
        self.assertEqual({call.result().status for call in calls}, {200})
        limits = self.get(box).json()["limits"]
        number = self.quota(box) // 10
        self.assertEqual((limits["cpus"], limits["memory_bytes"]), (number / 100, (64 + number) * MIB))

    def test_those_of_many_sandboxes_are_changed_at_once(self):
        boxes = [self.create(limits={"memory_bytes": 256 * MIB})["id"] for _ in range(10)]
        calls = [InBackground(lambda box=box: self.change(box, memory_bytes=64 * MIB)) for box in boxes]
        self.assertEqual([call.result().status for call in calls], [200] * 10)
        self.assertEqual([self.memory(box) for box in boxes], [64 * MIB] * 10)

    def test_one_that_is_deleted_meanwhile_is_gone(self):
        box = self.create(limits={"memory_bytes": 512 * MIB})["id"]
        calls = [InBackground(lambda n=n: self.change(box, memory_bytes=(64 + n) * MIB)) for n in range(10)]
        self.remove(box)
        self.assertLessEqual({call.result().status for call in calls}, {200, 404, 503})
        self.assertEqual(self.get(box).status, 404)

    def test_what_cannot_be_changed_says_so(self):
        box = self.create()["id"]
        now = self.get(box).json()["limits"]
        self.refused(self.change(box, disk_bytes=now["disk_bytes"] * 2), 400, "limit_fixed")
        self.changed(box, disk_bytes=now["disk_bytes"])
        self.refused(self.change(box, shm_bytes=now["shm_bytes"] * 2), 400, "limit_fixed")
        self.refused(self.change(box, memory_bytes=1), 400, "limit_out_of_bounds")
        self.refused(self.change(box, cpus=1000), 403, "policy_denied")
        self.assertEqual(self.get(box).json()["limits"], now)

    def test_those_of_a_paused_one_are_changed_too(self):
        box = self.create()["id"]
        self.pause(box)
        self.changed(box, memory_bytes=64 * MIB)
        self.resume(box)
        self.assertEqual(self.outcome(box, 100), "oom_killed")


class Told(LifecycleTest):
    def test_what_it_uses(self):
        box = self.create()["id"]
        before = self.get(box, "/stats").json()
        self.start(box, "python3 -c 'x = bytearray(64 << 20); print(1, flush=True); import time; time.sleep(1000)'")
        lmsb.wait_until(lambda: self.get(box, "/stats").json()["memory_bytes"] > before["memory_bytes"] + (60 << 20),
                        "64 MiB")
        after = self.get(box, "/stats").json()
        self.assertGreaterEqual(after["processes"], before["processes"] + 1)
        self.assertGreaterEqual(after["cpu_ms"], before["cpu_ms"])
        self.assertGreaterEqual(after["max_memory_bytes"], after["memory_bytes"])
        self.assertEqual(after["limits"]["processes"], 1024)

    def test_what_goes_through_its_network(self):
        nothing = {"received_bytes": 0, "received_packets": 0, "sent_bytes": 0, "sent_packets": 0}
        box = self.create()["id"]
        self.exec(box, "python3 -m http.server 8123 >/dev/null 2>&1 & sleep 0.5; bash -c 'echo >/dev/tcp/127.0.0.1/8123'")
        self.assertEqual(self.get(box, "/stats").json()["network"], nothing, "loopback is counted")
        inside = ["nsenter", "-t", str(lmsb.guest_of(box)), "-n"]


        def ip(*words, check=True):
            return subprocess.run([*inside, "ip", "link", *words], capture_output=True, text=True, check=check)

        made = ip("add", "one", "type", "veth", "peer", "name", "other", check=False)
        if made.returncode != 0:
            self.skipTest("no interface can be made: " + made.stderr)
        for end in ("one", "other"):
            ip("set", end, "up")
        send = ("import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('one', 0));"
                "[s.send(b'\\xff' * 12 + b'\\x88\\xb5' + b'x' * 986) for _ in range(10)]")
        subprocess.run([*inside, "/usr/bin/python3", "-c", send], check=True)

        def counted():
            text = subprocess.run([*inside, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True).stdout
            rows = [line.split(":")[1].split() for line in text.splitlines() if line.split(":")[0].strip() in ("one", "other")]
            return dict(zip(nothing, (sum(int(row[column]) for row in rows) for column in (0, 1, 8, 9))))

        lmsb.wait_until(lambda: self.get(box, "/stats").json()["network"] == counted(), "the kernel's numbers")
        told = self.get(box, "/stats").json()["network"]
        self.assertGreaterEqual(told["sent_bytes"], 10_000)
        self.assertGreaterEqual(told["received_packets"], 10)
        ip("del", "one")
        self.assertEqual(self.get(box, "/stats").json()["network"], nothing)
        if self.do(box, "stop", {"grace_ms": 0}).status == 200:
            self.assertEqual(self.get(box, "/stats").json()["network"], dict.fromkeys(nothing))

    def test_what_happened_in_its_order_and_to_whom_was_away(self):
        events = Events(self.daemon)
        self.addCleanup(events.close)
        box = self.create(name="told")["id"]
        self.daemon.request("PATCH", "/v1/sandboxes/" + box, {"labels": {"x": "1"}})
        self.pause(box)
        self.resume(box)
        self.remove(box)
        kinds = ["created", "updated", "paused", "resumed", "removed"]
        seen = [events.next() for _ in kinds]
        self.assertEqual([event["type"] for event in seen], ["sandbox." + kind for kind in kinds])
        self.assertEqual({(event["sandbox_id"], event["name"]) for event in seen}, {(box, "told")})
        again = Events(self.daemon, f"?after={seen[1]['id']}&sandbox={box}")
        self.addCleanup(again.close)
        self.assertEqual([again.next()["type"] for _ in range(3)], [event["type"] for event in seen[2:]])
        self.refused(self.daemon.request("GET", "/v1/events?sandbox=nobody"), 404, "sandbox_not_found")
        self.refused(self.daemon.request("GET", "/v1/events?after=abc"), 400, "invalid_request")

    def test_a_change_of_nothing_is_not(self):
        events = Events(self.daemon)
        self.addCleanup(events.close)
        box = self.create()["id"]
        self.daemon.request("PATCH", "/v1/sandboxes/" + box, {})
        self.remove(box)
        self.assertEqual([events.next()["type"] for _ in range(2)], ["sandbox.created", "sandbox.removed"])

    def test_all_of_it_is_in_the_audit_log(self):
        with lmsb.Daemon() as daemon:
            box = daemon.post("/v1/sandboxes", {}).json()["id"]
            daemon.post(f"/v1/sandboxes/{box}/pause", None)
            daemon.stop()
            path = pathlib.Path(daemon.data_dir) / "audit/audit.log"
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            self.assertEqual([(line["sandbox_id"], line["event"]) for line in lines],
                             [(box, "sandbox.created"), (box, "sandbox.paused"), (box, "sandbox.stopped")])
            self.assertEqual((lines[0]["by"], lines[2]["by"]), (lines[0]["owner"], "daemon"))
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_of_another_life_of_the_daemon_everything_that_is_known(self):
        box = self.create()["id"]
        events = Events(self.daemon, "?after=1&sandbox=" + box)
        self.addCleanup(events.close)
        self.assertTrue(events.armed["restarted"])
        self.assertEqual(events.next(), {"type": "lost", "missed": None})
        self.assertEqual(events.next()["type"], "sandbox.created")

    def test_the_end_of_its_guest(self):
        events = Events(self.daemon)
        self.addCleanup(events.close)
        box = self.create()["id"]
        self.pause(box)
        for mount in lmsb.cgroup_hierarchies():
            for file in pathlib.Path(mount).glob(f"lmsb-*/{box}/cgroup.kill"):
                file.write_text("1")
        failed = events.until("failed")
        self.assertEqual((failed["sandbox_id"], failed["by"]), (box, "guest"))
        self.assertEqual(self.get(box).json()["state"], "failed")
        self.refused(self.do(box, "resume"), 409, "sandbox_not_running")
        self.refused(self.exec(box, "true"), 503, "sandbox_lost")


class CommandLine(LifecycleTest):
    def cli(self, *words, status=0):
        done = subprocess.run([lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", *words],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_pauses_resumes_and_updates(self):
        box = self.cli("create", "--name", "cli", "--timeout", "7d").strip()
        self.addCleanup(self.remove, box)
        made = self.get(box).json()
        self.assertEqual((made["timeout_ms"], made["idle_ms"]), (7 * 86_400_000, 0))
        self.assertEqual(self.cli("pause", "cli"), "cli\n")
        self.assertIn("paused", self.cli("ls"))
        self.cli("exec", "cli", "true", status=125)
        self.assertEqual(self.cli("resume", "cli"), "cli\n")
        self.cli("update", "cli", "--timeout", "none", "--idle", "1h", "--label", "a=b")
        changed = self.get(box).json()
        self.assertEqual((changed["expires_at"], changed["idle_ms"], changed["labels"]), (None, 3_600_000, {"a": "b"}))
        self.cli("pause", "nobody", status=1)
        self.cli("update", "cli", status=2)

    def test_shows_what_sandboxes_use(self):
        self.create(name="used")
        nameless = self.create()["id"]
        header, *rows = self.cli("stats").splitlines()
        self.assertTrue(header.startswith("SANDBOX"))
        self.assertLessEqual({"used", nameless}, {row.split()[0] for row in rows})
        self.assertEqual(json.loads(self.cli("stats", "--json", "used"))["state"], "running")

    def test_follows_events(self):
        command = [lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", "events", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
            self.addCleanup(following.kill)
            armed = threading.Event()
            told = InBackground(lambda: (armed.set(), json.loads(following.stdout.readline()))[1])
            armed.wait()
            while told.is_alive():  # until it is connected nothing is told
                self.create()
                told.join(0.2)
            self.assertEqual(told.result()["type"], "sandbox.created")
            following.kill()


if __name__ == "__main__":
    lmsb.main()
