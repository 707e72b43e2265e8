#!/usr/bin/python3
"""A daemon under mixed use for long: every answer is right, and neither memory nor descriptors nor anything on the
machine grows. LMSB_SOAK seconds (600), LMSB_SEED. Part of make test-all."""
import collections
import http.client
import json
import os
import pathlib
import random
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

SECONDS = float(os.environ.get("LMSB_SOAK", "600"))
SEED = int(os.environ.get("LMSB_SEED", "1"))
CALLERS = 8
WARM_UP = min(20, SECONDS / 4)
ALLOWED_GROWTH_KIB = 4096  # of the daemon's resident memory, after the warm-up


class Caller(threading.Thread):
    """Does one thing after the other on a connection of its own, chosen by chance, until the time is over."""

    def __init__(self, daemon, number, end):
        super().__init__()
        self.daemon_under_test, self.end = daemon, end
        self.random = random.Random(SEED * 1000 + number)
        self.done, self.wrong = collections.Counter(), []
        self.connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=120)

    def run(self):
        things = [self.run_once] * 6 + [self.keep_one] * 3 + [self.time_out, self.flood, self.walk_away]
        while time.monotonic() < self.end:
            thing = self.random.choice(things)
            try:
                thing()
            except Exception as error:  # every failure is a finding, whatever its kind
                self.wrong.append(f"{thing.__name__}: {error!r}")
                self.connection.close()
            self.done[thing.__name__] += 1
        self.connection.close()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise AssertionError(f"{path}: {answer.status} {text[:200]}")
        return json.loads(text) if text else None

    def expect(self, result, **fields):
        for name, value in fields.items():
            if result[name] != value:
                raise AssertionError(f"{name} is {result[name]!r}, not {value!r}")

    def run_once(self):
        status = self.random.randrange(4)
        result = self.ask("POST", "/v1/run", {"cmd": f"cat in; exit {status}", "files": {"in": "hello"}, "collect": ["in"]})
        self.expect(result, outcome="exited", exit_code=status, stdout="hello", files={"in": "hello"})

    def keep_one(self):
        path = "/v1/sandboxes/" + self.ask("POST", "/v1/sandboxes", {})["id"]
        for turn in range(self.random.randrange(1, 5)):
            self.expect(self.ask("POST", path + "/exec", {"cmd": "echo x >> f; wc -l < f; sleep 30 &"}), stdout=f"{turn + 1}\n")
        self.ask("DELETE", path)

    def time_out(self):
        self.expect(self.ask("POST", "/v1/run", {"cmd": "setsid sleep 100 & sleep 100", "timeout_ms": 200}), outcome="timed_out")

    def flood(self):
        result = self.ask("POST", "/v1/run", {"cmd": "head -c 3000000 /dev/zero"})
        self.expect(result, outcome="exited", exit_code=0, truncated={"stdout_bytes": 3000000 - (1 << 20), "stderr_bytes": 0, "spill_path": None})

    def walk_away(self):
        body = b'{"cmd":"sleep 100"}'
        with socket.create_connection((self.daemon_under_test.host, self.daemon_under_test.port)) as client:
            client.sendall(b"POST /run-bash/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


class Soak(unittest.TestCase):
    def use(self, daemon, seconds):
        callers = [Caller(daemon, number, time.monotonic() + seconds) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self.assertEqual([w for caller in callers for w in caller.wrong][:10], [])
        return sum((caller.done for caller in callers), collections.Counter())

    def test_a_daemon_under_mixed_use_grows_in_nothing(self):
        lmsb.require_root()
        before = lmsb.leftovers()
        with lmsb.Daemon() as daemon:
            prepared = lmsb.wait_full_pool(daemon)
            self.use(daemon, WARM_UP)
            first = lmsb.settled(daemon, prepared)
            done = self.use(daemon, SECONDS - WARM_UP)
            last = lmsb.settled(daemon, prepared)
            print(f"{sum(done.values())} uses: {dict(done)}; {first} -> {last}")
            self.assertEqual((last["descriptors"], last["threads"]), (first["descriptors"], first["threads"]))
            self.assertLess(last["resident_kib"], first["resident_kib"] + ALLOWED_GROWTH_KIB)
        lmsb.wait_until_clean(before)


if __name__ == "__main__":
    lmsb.main()
