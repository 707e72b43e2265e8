#!/usr/bin/python3
"""When detached processes have written what they have written: told, and chosen by, on the command line too, before and
after whatever ends the daemon."""
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_processes import ProcessTest
from test_staying import ENDS, StayingTest

ECHO = "while read -r line; do echo $line; done"
STEP = 0.02  # seconds between moments that are told apart: the clock shows milliseconds


def text_of(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def read(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def next_moment():
    """One that is after all that has come, and before all that is still to come."""
    moment = time.time() + STEP
    lmsb.wait_until(lambda: time.time() > moment + STEP, "the clock")
    return moment


def parts(events):
    return [(event["type"], event["text"]) for event in events if event["type"] != "result"]


class Times:
    """Of a process of `self.sandbox` that says what it hears: two lines, and a moment between them."""

    def say(self, process, line):
        before = self.output(process)["end"]
        said = self.daemon.post(f"{self.path_of(process)}/stdin", {"data": line + "\n"})
        self.assertEqual(said.status, 204, said.body)
        self.assertEqual(self.output(process, offset=before, wait_ms=30_000)["text"], line + "\n")

    def begin(self, cmd=ECHO, **fields):
        started = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec",
                                   {"cmd": cmd, "detach": True, "keep_stdin": True, **fields})
        self.assertEqual(started.status, 201, started.body)
        return started.json()

    def two_lines(self):
        process = self.begin()
        self.say(process, "one")
        between = next_moment()
        self.say(process, "two")
        return process, text_of(between)

    def path_of(self, process):
        return f"/v1/sandboxes/{self.sandbox}/processes/{process['id']}"

    def ask(self, path, accept="application/json", **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.daemon.request("GET", f"{path}?{text}", headers={"Accept": accept})

    def output(self, process, **query):
        answer = self.ask(self.path_of(process) + "/output", **query)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def events(self, path, **query):
        answer = self.ask(path, "application/x-ndjson", **query)
        self.assertEqual(answer.status, 200, answer.body)
        return [json.loads(line) for line in answer.body.splitlines()]

    def timed(self, process):
        """Its lines, and when they came."""
        events = self.events(self.path_of(process) + "/output", timestamps="true")
        return [(event["text"], event["at"]) for event in events if event["type"] != "result"]


class Output(Times, ProcessTest):
    def test_is_chosen_by_time(self):
        process, between = self.two_lines()
        self.assertEqual(self.output(process)["text"], "one\ntwo\n")
        since = self.output(process, since=between)
        self.assertEqual((since["text"], since["offset"], since["missing_bytes"]), ("two\n", 4, 0))
        until = self.output(process, until=between)
        self.assertEqual((until["text"], until["next_offset"], until["end"], until["ended"]), ("one\n", 4, 8, True))
        self.assertEqual(self.output(process, since="1h")["text"], "one\ntwo\n")
        self.assertEqual(self.output(process, until="1h")["text"], "")
        self.assertEqual(self.output(process, since=between, until=between)["text"], "")
        self.assertEqual(self.output(process, since=between, offset=6)["text"], "o\n")
        self.assertEqual(self.output(process, stream="stderr", since="1h")["text"], "")

    def test_is_followed_and_taken_as_octets_from_a_time_on(self):
        process, between = self.two_lines()
        path = self.path_of(process) + "/output"
        self.assertEqual(parts(self.events(path, since=between)), [("stdout", "two\n")])
        self.assertEqual(parts(self.events(path, until=between)), [("stdout", "one\n")])
        self.assertEqual(self.ask(path, "application/octet-stream", since=between).body, b"two\n")
        self.assertEqual(self.ask(path, "application/octet-stream", until=between).body, b"one\n")
        followed = self.follow("GET", f"/processes/{process['id']}/output?follow=true&since={between}")
        self.assertEqual(next(followed)["text"], "two\n")
        self.say(process, "three")
        self.assertEqual(next(followed)["text"], "three\n")

    def test_says_when_it_came_and_is_cut_by_that(self):
        began = time.time()
        process, between = self.two_lines()
        ended = time.time()
        first, second = self.timed(process)
        self.assertEqual((first[0], second[0]), ("one\n", "two\n"))
        moments = [began - 0.002, read(first[1]), read(between), read(second[1]), ended + 0.002]
        self.assertEqual(moments, sorted(moments))
        piece = self.output(process, timestamps="true")
        self.assertEqual((piece["text"], piece["next_offset"], piece["ended"]), ("one\n", 4, False))
        self.assertLess(abs(read(piece["at"]) - read(first[1])), 0.002)
        self.assertEqual(self.output(process, timestamps="true", offset=4)["text"], "two\n")
        self.assertNotIn("at", self.output(process, timestamps="true", offset=8))
        self.assertNotIn("at", self.output(process))
        for at in (first[1], second[1]):  # what is told is what is found
            self.assertIn("two\n", self.output(process, since=at)["text"])

    def test_of_a_sandboxs_log_is_chosen_by_time(self):
        self.sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", f"/v1/sandboxes/{self.sandbox}")
        first, between = self.two_lines()
        second = self.begin()
        self.say(second, "three")
        path = f"/v1/sandboxes/{self.sandbox}/logs"
        since = self.events(path, since=between, timestamps="true")
        self.assertEqual([(event["process"], event["text"]) for event in since],
                         [(first["id"], "two\n"), (second["id"], "three\n")])
        self.assertTrue(all(event["at"] > between for event in since), since)
        tails = self.ask(path, until=between).json()["data"]
        self.assertEqual([(tail["process"], tail["text"]) for tail in tails], [(first["id"], "one\n")])

    def test_what_a_shell_would_have_said_came_with_the_end(self):
        before = text_of(next_moment())
        process = self.daemon.post(self.at("/exec"), {"cmd": ["no-such-program"], "detach": True}).json()
        self.get(process)
        said = self.output(process, stream="stderr", timestamps="true", since=before)
        self.assertIn("not found", said["text"])
        self.assertLess(abs(read(said["at"]) - read(self.get(process)["ended_at"])), 1)
        self.assertEqual(self.output(process, stream="stderr", until=before)["text"], "")
        path = self.path_of(process) + "/output"
        self.assertEqual(self.events(path, until=before)[0]["type"], "result")
        self.assertIn("at", self.events(path, timestamps="true")[0])

    def test_of_a_flood_is_whole_with_times_that_never_go_back(self):
        process = self.begin("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done")
        self.get(process)
        timed = self.timed(process)
        self.assertEqual("".join(text for text, _ in timed), "".join(f"{i}\n" for i in range(1, 20_001)))
        self.assertEqual([at for _, at in timed], sorted(at for _, at in timed))
        middle = timed[len(timed) // 2][1]
        since = self.events(self.path_of(process) + "/output", since=middle, timestamps="true")
        self.assertIn(timed[-1][0], since[-2]["text"])
        self.assertTrue(since[-2]["text"].endswith("20000\n"))

    def test_refuses_times_that_make_no_sense(self):
        process = self.begin("true")
        path = self.path_of(process) + "/output"
        for query in ({"since": "10"}, {"until": "yesterday"}, {"since": "2026-01-31"}, {"until": "1h", "wait_ms": 1}):
            refused = self.ask(path, **query)
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (400, "invalid_request"), query)


class CommandLine(Times, ProcessTest):
    def cli(self, *words, status=0):
        environment = {**os.environ, "LM_SANDBOX_HOST": f"http://{self.daemon.host}:{self.daemon.port}"}
        done = subprocess.run([lmsb.BIN / "lm-sandbox", *words], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def test_chooses_by_time_and_prints_it(self):
        self.sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", f"/v1/sandboxes/{self.sandbox}")
        first, between = self.two_lines()
        self.assertEqual(self.cli("logs", self.sandbox), "one\ntwo\n")
        self.assertEqual(self.cli("logs", "--since", between, self.sandbox), "two\n")
        self.assertEqual(self.cli("logs", "--until", between, self.sandbox), "one\n")
        self.assertEqual(self.cli("logs", "--since", "1h", "--until", between, self.sandbox, first["id"]), "one\n")
        self.assertEqual(self.cli("logs", "--tail", "1", "--until", between, self.sandbox), "one\n")
        self.assertEqual(self.cli("logs", "--tail", "1", "--since", "1h", self.sandbox), "two\n")
        self.assertEqual(self.cli("logs", "--tail", "5", "--since", between, self.sandbox), "two\n")
        self.assertEqual(self.cli("logs", "--until", "1h", self.sandbox), "")
        times = [at for _, at in self.timed(first)]
        printed = [line.split(" ") for line in self.cli("logs", "-t", self.sandbox).splitlines()]
        self.assertEqual([line for _, line in printed], ["one", "two"])
        for (at, _), told in zip(printed, times):
            self.assertLess(abs(read(at) - read(told)), 0.002)
        self.assertIn('"at":"', self.cli("logs", "-t", "--json", self.sandbox))
        second = self.begin()
        self.say(second, "three")
        self.assertRegex(self.cli("logs", "-t", "--since", between, self.sandbox),
                         rf"==> {first['id']} <==\n[0-9TZ:.-]+ two\n\n==> {second['id']} <==\n[0-9TZ:.-]+ three\n")

    def test_refuses_what_is_no_time(self):
        self.assertIn("--since: not a time", self.cli("logs", "--since", "10", self.sandbox, status=2))
        self.assertIn("not both", self.cli("logs", "-f", "--until", "1h", self.sandbox, status=2))


class Staying(Times, StayingTest):
    def test_is_known_as_before_whatever_ends_what_is_ours(self):
        self.sandbox = self.create()
        process, between = self.two_lines()
        before = self.timed(process)
        for what, how in ENDS.items():
            with self.subTest(what):
                self.again(how)
                self.assertEqual(self.output(process, since=between)["text"], "two\n")
                self.assertEqual(self.output(process, until=between)["text"], "one\n")
                for (text, at), (same, told) in zip(before, self.timed(process), strict=True):
                    self.assertEqual(text, same)
                    self.assertLess(abs(read(at) - read(told)), 0.002)
        self.say(process, "three")
        self.assertGreater(self.timed(process)[2][1], before[1][1])

    def test_is_known_of_what_came_while_there_was_no_daemon(self):
        self.sandbox = self.create()
        process = self.begin("echo early; while ! test -e /tmp/go; do sleep 0.01; done; echo late")
        self.output(process, wait_ms=30_000)
        self.begin("sleep 2; touch /tmp/go")
        self.daemon.stop()
        self.assertTrue(lmsb.sandbox_processes(b"touch /tmp/go"), "it waits: what comes late comes without a daemon")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"/tmp/go"), "what comes meanwhile")
        gone = text_of(next_moment())
        self.daemon.start()
        self.assertEqual(self.output(process, offset=6, wait_ms=30_000)["text"], "late\n")
        self.assertEqual(self.output(process, until=gone)["text"], "early\nlate\n")
        self.assertEqual(self.output(process, since=gone)["text"], "")
        self.assertLess(read(self.timed(process)[1][1]), read(gone))

    def test_is_known_as_before_once_a_sandbox_was_paused(self):
        self.sandbox = self.create()
        process, between = self.two_lines()
        before = self.timed(process)
        self.move(self.sandbox, "pause", "paused")
        paused = text_of(next_moment())
        self.move(self.sandbox, "resume", "running")
        self.say(process, "three")
        after = self.timed(process)
        self.assertEqual([text for text, _ in after], ["one\n", "two\n", "three\n"])
        for (_, at), (_, told) in zip(before, after):
            self.assertLess(abs(read(at) - read(told)), 0.002)
        self.assertEqual(self.output(process, since=paused)["text"], "three\n")
        self.assertEqual(self.output(process, since=between, until=paused)["text"], "two\n")


if __name__ == "__main__":
    lmsb.main()
