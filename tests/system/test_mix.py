#!/usr/bin/python3
"""Many one-shots at once, of every kind: each gets exactly its own verdict. LMSB_MIX sets how many (700)."""
import collections
import http.client
import itertools
import json
import os
import pathlib
import signal
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

COUNT = int(os.environ.get("LMSB_MIX", "700"))
CONNECTIONS = 64

# name, request, what the answer must say
KINDS = [
    ("ok", {"cmd": "echo fine"}, {"outcome": "exited", "exit_code": 0, "stdout": "fine\n"}),
    ("exit 3", {"cmd": "echo x >&2; exit 3"}, {"outcome": "exited", "exit_code": 3, "stderr": "x\n"}),
    ("segfault", {"cmd": "kill -SEGV $$"}, {"outcome": "signaled", "exit_code": 139, "signal": "SIGSEGV"}),
    ("memory", {"cmd": ["python3", "-c", "x = bytearray(10 ** 9)"], "limits": {"memory_bytes": 32 << 20}}, {"outcome": "oom_killed", "oom_killed": True}),
    ("time", {"cmd": "sleep 60", "timeout_ms": 500}, {"outcome": "timed_out", "timed_out": True, "exit_code": 137}),
    ("flood", {"cmd": "head -c 3000000 /dev/zero"}, {"outcome": "exited", "exit_code": 0}),
    ("forks", {"cmd": "f(){ f|f& f; }; f; sleep 60", "timeout_ms": 700, "limits": {"processes": 64}}, {"outcome": "timed_out"}),
]


class Mix(unittest.TestCase):
    def setUp(self):
        lmsb.require_root()
        self.before = lmsb.leftovers()

    def run_all(self, daemon, count, on_progress=lambda done: None):
        """Returns how often which kind was answered wrongly, how, and how many calls ended in an error."""
        wrong, errors, lost = collections.Counter(), collections.Counter(), collections.Counter()
        numbers, lock, done = itertools.count(), threading.Lock(), itertools.count(1)

        def caller():
            connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=300)
            while (number := next(numbers)) < count:
                name, request, expected = KINDS[number % len(KINDS)]
                try:
                    connection.request("POST", "/v1/run", json.dumps(request), {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                except (OSError, http.client.HTTPException):
                    with lock:
                        errors[name] += 1
                    connection.close()
                    continue
                with lock:
                    if response.status != 200:
                        errors[f"{name}: {response.status} {str(answer)[:200]}"] += 1
                    elif answer["outcome"] == "lost":
                        lost[name] += 1
                    else:
                        for key, value in expected.items():
                            if answer[key] != value:
                                wrong[f"{name}: {key} {str(answer[key])[:60]!r} (outcome {answer['outcome']}, {answer['exit_code']}, {answer['stderr'][:80]!r})"] += 1
                    on_progress(next(done))

        threads = [threading.Thread(target=caller) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return wrong, errors, lost

    def test_every_verdict_is_right(self):
        with lmsb.Daemon() as daemon:
            wrong, errors, lost = self.run_all(daemon, COUNT)
            self.assertEqual((dict(wrong), dict(errors), dict(lost)), ({}, {}, {}))
        lmsb.wait_until_clean(self.before)

    def test_a_daemon_killed_midway_gives_lost_or_an_error_and_never_a_wrong_verdict(self):
        daemon = lmsb.Daemon().start()

        def kill_midway(done):
            if done == COUNT // 4:
                os.kill(daemon.daemon_pid(), signal.SIGKILL)

        wrong, errors, _ = self.run_all(daemon, COUNT // 2, kill_midway)
        daemon.stop()
        self.assertEqual(dict(wrong), {})
        self.assertTrue(errors)
        lmsb.wait_until_clean(self.before)


if __name__ == "__main__":
    lmsb.main()
