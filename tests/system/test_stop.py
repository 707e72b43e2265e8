#!/usr/bin/python3
"""Stopping a sandbox: what runs in it is asked to end, has time for it, and is killed only then."""
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_lifecycle import Events, InBackground
from test_staying import StayingTest, kill_daemon
from websocket import WebSocket

ORDERLY = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
STUBBORN = "trap '' TERM HUP; echo ready; while :; do sleep 0.02; done"

LONG = 600_000  # of grace, and more than a test waits for an answer: who has one has waited for ends alone


class StopTest(StayingTest):
    def ready(self, sandbox, cmd, **fields):
        process = self.detach(sandbox, cmd, **fields)
        self.assertEqual(self.piece(sandbox, process)["text"], "ready\n")
        return process

    def stop(self, sandbox, grace=60_000):
        stopped = self.do(sandbox, "stop", {"grace_ms": grace})
        self.assertEqual((stopped.status, stopped.json().get("state")), (200, "stopped"), stopped.body)

    def in_background(self, sandbox, cmd, **fields):
        """A command that somebody waits for, once it has made /tmp/here."""
        running = InBackground(self.do, sandbox, "exec", {"cmd": f"touch /tmp/here; {cmd}", **fields})
        lmsb.wait_until(lambda: self.exec(sandbox, "rm /tmp/here")["exit_code"] == 0, "the command")
        return running

    def follow(self, sandbox, process):
        """All that is told of a process, to its end."""
        answer = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process['id']}/output?follow=true",
                                     headers={"Accept": "application/x-ndjson"})
        return [json.loads(line) for line in answer.body.splitlines()]

    def stopping(self, sandbox, grace):
        stopping = InBackground(self.do, sandbox, "stop", {"grace_ms": grace})
        lmsb.wait_until(lambda: self.do(sandbox, "exec", {"cmd": "true"}).status == 409, "the stop to begin")
        return stopping


class Grace(StopTest):
    def test_everything_is_asked_to_end_and_its_end_is_told_as_it_was(self):
        box = self.create()
        detached = self.ready(box, ORDERLY)
        plain = self.detach(box, "exec sleep 1017")
        followed = [InBackground(self.follow, box, process) for process in (detached, plain)]
        waiting = {"own": self.in_background(box, "trap 'echo last; exit 3' TERM; while :; do sleep 0.02; done"),
                   "default": self.in_background(box, "exec sleep 1018"),
                   "session": self.in_background(box, "sleep 1019", session="s")}
        self.exec(box, "(trap 'echo left >/workspace/left; exit' TERM; touch /tmp/is; while :; do sleep 0.02; done) "
                       ">/dev/null 2>&1 & while ! test -e /tmp/is; do sleep 0.01; done")
        self.stop(box, LONG)
        ends = [told.result() for told in followed]
        self.assertEqual("".join(e["text"] for e in ends[0] if e["type"] == "stdout"), "ready\nbye\n")
        self.assertEqual([(e[-1]["outcome"], e[-1]["exit_code"]) for e in ends], [("exited", 7), ("signaled", 143)], ends)
        results = {name: answer.result().json() for name, answer in waiting.items()}
        self.assertEqual((results["own"]["exit_code"], results["own"]["stdout"]), (3, "last\n"))
        self.assertEqual((results["default"]["outcome"], results["default"]["signal"]), ("signaled", "SIGTERM"))
        self.assertEqual((results["session"]["outcome"], results["session"]["signal"]), ("signaled", "SIGTERM"), results)
        self.move(box, "start", "running")
        self.assertEqual(self.output(box, "cat /workspace/left"), "left\n")

    def test_what_sudo_has_left_behind_is_asked_too(self):
        box = self.create(profile="root")
        orderly = "trap 'echo left >/workspace/left; exit' TERM; touch /tmp/is; while :; do sleep 0.02; done"
        served = f'setsid sh -c "{orderly}" & wait'
        script = (f"cat >/tmp/served <<'END'\n{served}\nEND\n"
                  "sudo sh /tmp/served >/dev/null 2>&1 & while ! test -e /tmp/is; do sleep 0.01; done")
        self.assertEqual(self.do(box, "exec", {"cmd": script, "user": "user"}).json()["exit_code"], 0)
        self.stop(box, LONG)
        self.move(box, "start", "running")
        self.assertEqual(self.output(box, "cat /workspace/left"), "left\n")

    def test_terminals_are_hung_up(self):
        box = self.create()
        terminal = WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{box}/pty")
        self.addCleanup(terminal.drop)
        # In a loop: a trap that is due just before bash waits for a line is only run behind that line.
        terminal.type("trap 'echo hung; exit 5' HUP; echo re''ady; while :; do sleep 0.1; done\n")
        terminal.read_until("ready")
        self.stop(box, LONG)  # not for a shell that ignores SIGTERM
        self.assertEqual(terminal.read_result()["exit_code"], 5)

    def test_what_stands_still_by_a_signal_takes_it(self):
        box = self.create()
        process = self.ready(box, ORDERLY)
        followed = InBackground(self.follow, box, process)
        self.do(box, f"processes/{process['id']}/signal", {"signal": "STOP", "tree": True})
        self.stop(box)
        self.assertEqual(followed.result()[-1]["exit_code"], 7)

    def test_what_does_not_end_is_killed_when_the_time_is_over(self):
        box = self.create()
        self.ready(box, STUBBORN)
        begin = time.monotonic()
        self.stop(box, 1200)
        self.assertGreater(time.monotonic() - begin, 1.1)

    def test_nothing_is_waited_for_without_grace_and_in_a_paused_one(self):
        for prepare in (lambda box: None, lambda box: self.do(box, "pause")):
            box = self.create()
            self.ready(box, STUBBORN)
            grace = 0 if prepare(box) is None else LONG
            self.stop(box, grace)

    def test_nothing_starts_meanwhile_and_a_second_stop_cuts_it_short(self):
        box = self.create(name="box")
        process = self.ready(box, STUBBORN)
        listener = self.ready(box, "trap '' TERM HUP; echo ready; read -r word; echo $word; sleep 1022", keep_stdin=True)
        events = Events(self.daemon)
        self.addCleanup(events.close)
        stopping = self.stopping(box, 500_000)
        self.refused(self.do(box, "exec", {"cmd": "true"}), 409, "sandbox_stopping")
        self.refused(self.do(box, "exec", {"cmd": "true", "detach": True}), 409, "sandbox_stopping")
        self.assertEqual(self.do(box, f"processes/{listener['id']}/stdin", {"data": "word\n"}).status, 204)
        self.assertEqual(self.piece(box, listener, offset=6)["text"], "word\n")
        self.assertEqual(self.state(box), "running")
        self.assertEqual(self.piece(box, process)["text"], "ready\n")
        self.stop(box, 0)
        self.assertEqual(stopping.result().status, 200)
        self.assertEqual([events.next()["type"] for _ in range(2)], ["sandbox.stopping", "sandbox.stopped"])

    def test_a_sandbox_can_be_deleted_and_started_meanwhile(self):
        box = self.create()
        self.ready(box, STUBBORN)
        stopping = self.stopping(box, 500_000)
        self.assertLess(self.daemon.request("DELETE", f"/v1/sandboxes/{box}").status, 300)
        self.assertEqual(stopping.result().status, 404)
        box = self.create()
        self.ready(box, STUBBORN)
        stopping = self.stopping(box, 1500)
        self.move(box, "start", "running")
        self.assertEqual(stopping.result().status, 200)
        self.assertEqual(self.processes(box), [])

    def test_a_limit_of_its_life_gives_the_same_grace(self):
        box = self.create()
        self.ready(box, "trap 'echo bye >/workspace/bye; exit' TERM; echo ready; while :; do sleep 0.02; done")
        self.daemon.request("PATCH", "/v1/sandboxes/" + box, {"timeout_ms": 1000, "on_timeout": "stop"})
        lmsb.wait_until(lambda: self.state(box) == "stopped", "the end of its life")
        self.move(box, "start", "running")
        self.assertEqual(self.output(box, "cat /workspace/bye"), "bye\n")

    def test_a_limit_of_its_life_cuts_a_longer_one_short(self):
        box = self.create()
        self.ready(box, STUBBORN)
        self.daemon.request("PATCH", "/v1/sandboxes/" + box, {"timeout_ms": 3000, "on_timeout": "stop"})
        begin = time.monotonic()
        self.stop(box, 500_000)
        self.assertLess(time.monotonic() - begin, 40)

    def test_a_daemon_that_dies_meanwhile_leaves_it_running(self):
        for how in (kill_daemon, lambda daemon: daemon.stop(signal.SIGTERM)):
            box = self.create()
            self.ready(box, STUBBORN)
            orderly = self.ready(box, ORDERLY)
            stopping = InBackground(self.try_to_stop, box)
            self.assertEqual(self.ended(box, orderly)["result"]["exit_code"], 7)
            self.again(how)
            stopping.result()
            self.assertEqual(self.state(box), "running")
            self.assertEqual(self.output(box, "echo on"), "on\n")
            self.assertEqual(self.ended(box, orderly)["result"]["exit_code"], 7)
            self.stop(box, 500)

    def try_to_stop(self, box):
        try:
            return self.do(box, "stop", {"grace_ms": 500_000})
        except OSError:
            return None  # the daemon went away

    def test_the_command_line_has_dockers_letter(self):
        box = self.create()
        self.ready(box, STUBBORN)
        begin = time.monotonic()
        subprocess.run([lmsb.BIN / "lm-sandbox", "stop", "--host", f"http://{self.daemon.host}:{self.daemon.port}", "-t",
                        "1", box], check=True, stdout=subprocess.DEVNULL)
        self.assertGreater(time.monotonic() - begin, 0.9)
        self.assertEqual(self.state(box), "stopped")


class Goodbye(StopTest):
    def test_those_that_end_with_the_daemon_are_asked_to_end_and_one_that_does_not_keeps_it_for_seconds_alone(self):
        self.daemon.flags += ("--stop-sandboxes",)
        self.again(lambda daemon: daemon.stop())
        box, stubborn = self.create(), self.create()
        self.ready(box, "trap 'sleep 0.3; echo saved >/workspace/left; exit' TERM; echo ready; while :; do sleep 0.02; done")
        self.ready(stubborn, "trap '' TERM; echo ready; while :; do sleep 0.02; done")
        self.again(lambda daemon: daemon.stop())
        self.move(box, "start", "running")
        self.assertEqual(self.output(box, "cat /workspace/left"), "saved\n")

    def test_the_daemons_end_waits_for_no_sandbox_in_which_nothing_runs(self):
        self.daemon.flags += ("--stop-sandboxes",)
        self.again(lambda daemon: daemon.stop())
        self.create()
        self.again(lambda daemon: daemon.stop())
        log = (self.daemon.dir / "log").read_text()
        self.assertIn("daemon.stopped", log)
        self.assertNotIn("daemon.not_drained", log)


if __name__ == "__main__":
    lmsb.main()
