#!/usr/bin/python3
"""Commands that keep the locks of the pipes they write to, or read from: they hold up nobody but themselves."""
import concurrent.futures
import http.client
import json
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

SOON = 30  # seconds, in which others are answered: a daemon that is held up answers nobody
AT_ONCE = 4  # of the places among the commands that run, of which there are 8 at least
WRITTEN = "x" * 10
CALLS = {"splice": "os.splice(a.fileno(), {fd}, 65536)", "sendfile": "os.sendfile({fd}, a.fileno(), None, 65536)"}


def holder(call, fd=1):
    """Writes a little, so that there is something to read, and then waits for a socket with the pipe's lock."""
    lines = ("import os, socket", "a, b = socket.socketpair()", f"os.write({fd}, b'{WRITTEN}')", CALLS[call].format(fd=fd))
    return ["python3", "-c", "\n".join(lines)]


def text_of(events):
    return "".join(event["text"] for event in events if event["type"] == "stdout")


class HeldPipes(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.daemon.post("/v1/sandboxes", {}).json()["id"]
        cls.threads = cls.count_threads()

    @classmethod
    def count_threads(cls):
        return len(list(pathlib.Path(f"/proc/{cls.daemon.daemon_pid()}/task").iterdir()))

    def setUp(self):
        self.sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]

    def tearDown(self):
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{self.sandbox}").status, 204)
        # No hand is left in a pipe: a few are kept for the next piece.
        lmsb.wait_until(lambda: self.count_threads() <= self.threads + 4, "the return of the daemon's hands")

    def exec(self, cmd, headers=None, **fields):
        return self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": cmd, **fields}, headers=headers, timeout=60)

    def slowest_other(self, over=None):
        """Until then, and three times at least: how long somebody else waited at most."""
        slowest, rounds = 0, 0
        while rounds < 3 or (over and not over.wait(0.02)):
            begin = time.monotonic()
            self.assertEqual(self.daemon.request("GET", "/healthz", timeout=60).status, 200)
            said = self.daemon.post(f"/v1/sandboxes/{self.other}/exec", {"cmd": "echo on"}, timeout=60).json()
            self.assertEqual(said["stdout"], "on\n")
            slowest, rounds = max(slowest, time.monotonic() - begin), rounds + 1
        return slowest

    def while_others_go_on(self, calls):
        """What those give that are called at once."""
        over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(len(calls) + 1) as pool:
            others = pool.submit(self.slowest_other, over)
            try:
                answers = [one.result() for one in [pool.submit(call) for call in calls]]
            finally:
                over.set()
        self.assertLess(others.result(), SOON)
        return answers

    def hold(self, call, fd=1, headers=None, **fields):
        fields = {"timeout_ms": 5000, **fields}
        return [lambda: self.exec(holder(call, fd), headers, **fields)] * AT_ONCE

    def test_output_that_is_waited_for(self):
        for call in CALLS:
            for fd, stream in ((1, "stdout"), (2, "stderr")):
                for answer in self.while_others_go_on(self.hold(call, fd)):
                    result = answer.json()
                    self.assertEqual((result["outcome"], result[stream]), ("timed_out", WRITTEN))

    def test_output_of_a_one_shot(self):
        call = lambda: self.daemon.post("/v1/run", {"cmd": holder("splice"), "timeout_ms": 5000}, timeout=60)
        for answer in self.while_others_go_on([call] * AT_ONCE):
            self.assertEqual((answer.json()["outcome"], answer.json()["stdout"]), ("timed_out", WRITTEN))

    def test_output_as_octets(self):
        for call in CALLS:
            for answer in self.while_others_go_on(self.hold(call, headers={"Accept": "application/octet-stream"})):
                self.assertEqual(answer.body.decode(), WRITTEN)

    def test_output_as_events(self):
        for call in CALLS:
            for answer in self.while_others_go_on(self.hold(call, headers={"Accept": "application/x-ndjson"})):
                events = [json.loads(line) for line in answer.body.splitlines()]
                self.assertEqual(text_of(events), WRITTEN)
                self.assertEqual(events[-1]["outcome"], "timed_out")

    def test_a_command_that_waits_so_goes_on_when_octets_come(self):
        lines = ("import os, socket, threading, time", "a, b = socket.socketpair()", "def send():",
                 "    while not os.path.exists('/tmp/go'): time.sleep(0.02)", "    b.send(b'later')",
                 "threading.Thread(target=send).start()", "open('/tmp/holds', 'w').close()", "os.splice(a.fileno(), 1, 65536)")

        def let_go():
            lmsb.wait_until(lambda: self.exec("test -e /tmp/holds").json()["exit_code"] == 0, "the command", seconds=30)
            self.slowest_other()
            self.exec("touch /tmp/go")

        answer, _ = self.while_others_go_on([lambda: self.exec(["python3", "-c", "\n".join(lines)]), let_go])
        self.assertEqual((answer.json()["outcome"], answer.json()["stdout"]), ("exited", "later"))

    def test_what_a_command_leaves_is_ended_where_it_keeps_the_output(self):
        lines = ("import os, socket, sys, time", "os.write(1, b'mine ')", "r, w = os.pipe()",
                 "if os.fork(): os.read(r, 1); time.sleep(1); os._exit(3)", "a, b = socket.socketpair()",
                 f"os.write(1, b'{WRITTEN}')", "os.write(w, b'.')", CALLS["splice"].format(fd=1))
        leaver = ["python3", "-c", "\n".join(lines)]
        for headers in (None, {"Accept": "application/x-ndjson"}):
            answer, = self.while_others_go_on([lambda: self.exec(leaver, headers)])
            events = [json.loads(line) for line in answer.body.splitlines()] if headers else [answer.json()]
            text = text_of(events) if headers else events[0]["stdout"]
            self.assertEqual(text, "mine " + WRITTEN)
            self.assertEqual((events[-1]["outcome"], events[-1]["exit_code"]), ("exited", 3))
            # It is left alone where all that was written had been read when it took the lock.
            self.assertRegex(events[-1]["hint"], "^a background process (that kept the output locked was killed|still runs)$")

    def test_an_output_that_has_ended_and_is_opened_again(self):
        """By a descriptor that counts for neither end: nobody has one when the daemon looks, and somebody has later."""
        lines = ("import os, socket, time", "there, said = os.pipe()", "again = os.open('/proc/self/fd/1', os.O_PATH)", "os.close(1)",
                 "if os.fork():", "    os.close(said); os.read(there, 1); time.sleep(0.5); os._exit(3)",
                 "time.sleep(0.5)", "out = os.open(f'/proc/self/fd/{again}', os.O_WRONLY)", "a, b = socket.socketpair()",
                 "os.write(said, b'x')", "os.close(2)", CALLS["splice"].format(fd="out"))
        leaver = ["python3", "-c", "\n".join(lines)]
        for headers in (None, {"Accept": "application/x-ndjson"}):
            answer, = self.while_others_go_on([lambda: self.exec(leaver, headers)])
            self.assertIn(b'"exit_code":3', answer.body)
            self.while_others_go_on([lambda: time.sleep(1)])

    def test_a_client_that_goes(self):
        def begin():
            connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
            connection.request("POST", f"/v1/sandboxes/{self.sandbox}/exec", json.dumps({"cmd": holder("sendfile")}),
                               {"Accept": "application/octet-stream", "Content-Type": "application/json"})
            answer = connection.getresponse()
            time.sleep(1)
            connection.close()
            return answer.status

        self.assertEqual(self.while_others_go_on([begin] * AT_ONCE), [200] * AT_ONCE)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sendfile"), "the end of the commands")

    def test_an_output_that_cannot_be_opened_for_reading(self):
        lines = ("import os", "os.write(os.open('/dev/stdout', os.O_WRONLY), b'mine')", "for how in (os.O_RDONLY, os.O_RDWR):",
                 "    try: os.open('/dev/stdout', how); print('open')", "    except PermissionError: pass",
                 "try: os.chmod('/dev/stdout', 0o600); print('mine')", "except PermissionError: pass")
        self.assertEqual(self.exec(["python3", "-c", "\n".join(lines)]).json()["stdout"], "mine")

    def test_input(self):
        """Of a detached process, whose guest writes it: the guest is held up, and with it this sandbox alone."""
        lines = ("import os, socket", "a, b = socket.socketpair()", "b.setblocking(False)", "try:",
                 "    while True: b.send(b'x' * 4096)", "except BlockingIOError: b.setblocking(True)",
                 "print('full', flush=True)", "os.splice(0, b.fileno(), 65536)")
        box = f"/v1/sandboxes/{self.sandbox}"
        started = self.daemon.post(box + "/exec", {"cmd": ["python3", "-c", "\n".join(lines)], "detach": True,
                                                   "keep_stdin": True}).json()

        def write():
            return self.daemon.post(f"{box}/processes/{started['id']}/stdin", {"data": "y" * 1000}, timeout=60).status

        self.while_others_go_on([write])
        self.while_others_go_on([lambda: time.sleep(1)])


class TheEnd(unittest.TestCase):
    def test_of_a_daemon_comes_although_commands_keep_its_hands(self):
        lmsb.require_root()
        before = lmsb.leftovers()
        with lmsb.Daemon() as daemon, concurrent.futures.ThreadPoolExecutor(2) as pool:
            box = daemon.post("/v1/sandboxes", {}).json()["id"]
            for path in ("/v1/run", f"/v1/sandboxes/{box}/exec"):
                pool.submit(daemon.post, path, {"cmd": holder("splice"), "timeout_ms": 100_000}, timeout=60)
            lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"splice")) == 2, "two commands")
            time.sleep(0.5)
            self.assertEqual(daemon.stop(), 0)  # within a minute
        lmsb.wait_until_clean(before)


if __name__ == "__main__":
    lmsb.main()
