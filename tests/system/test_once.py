#!/usr/bin/python3
"""What is asked for with an Idempotency-Key is made once, whatever ends the daemon and whenever: the same request to the next
one gets what the first has made, and makes it where nothing was."""
import contextlib
import pathlib
import sqlite3
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_injected import Injected, Tracer
from test_staying import ENDS, StayingTest

KILLS = 8  # for each thing that is made


class OnceTest(StayingTest):
    image = "host"

    def setUp(self):
        super().setUp()
        self.box = self.create(name="box")

    def ask(self, what, key):
        """Makes it, or gets what was made before."""
        path, body = {"sandbox": ("/v1/sandboxes", {"image": "host", "name": "made"}),
                      "snapshot": ("/v1/sandboxes/box/snapshot", {"name": "made"}),
                      "fork": ("/v1/sandboxes/box/fork", {"count": 3}),
                      "volume": ("/v1/volumes", {"name": "made"})}[what]
        return self.daemon.post(path, body, headers={"Idempotency-Key": key})

    def made(self, what):
        """The ids of what there is of it."""
        path = {"snapshot": "/v1/snapshots", "volume": "/v1/volumes"}.get(what, "/v1/sandboxes")
        listed = self.daemon.request("GET", path + "?limit=1000").json()["data"]
        return sorted(one["id"] for one in listed if one["name"] not in ("box", "untouched", "kept"))

    @staticmethod
    def told(answer):
        told = answer.json()
        return sorted(one["id"] for one in told.get("data", [told]))

    def remove(self, what):
        path = {"snapshot": "/v1/snapshots/", "volume": "/v1/volumes/"}.get(what, "/v1/sandboxes/")
        for one in self.made(what):
            self.assertEqual(self.daemon.request("DELETE", path + one).status, 204)


class Answered(OnceTest):
    def test_the_next_daemon_answers_as_the_first_whatever_ended_that(self):
        for what in ("sandbox", "snapshot", "fork", "volume"):
            for how, end in ENDS.items():
                with self.subTest(what, how=how):
                    key = uuid.uuid4().hex
                    first = self.ask(what, key)
                    self.assertEqual(first.status, 201, first.body)
                    self.assertIsNone(first.headers["Idempotent-Replayed"])
                    self.again(end)
                    second = self.ask(what, key)
                    self.assertEqual((second.status, second.body), (201, first.body))
                    self.assertEqual(second.headers["Idempotent-Replayed"], "true")
                    self.assertEqual(self.made(what), self.told(first))
                    self.remove(what)

    def test_a_key_is_for_one_request_also_of_the_next_daemon(self):
        self.assertEqual(self.ask("volume", "key").status, 201)
        self.again()
        other = self.daemon.post("/v1/volumes", {"name": "other"}, headers={"Idempotency-Key": "key"})
        self.refused(other, 409, "idempotency_key_reused")

    def test_what_was_refused_is_carried_out_by_the_next_daemon(self):
        blocking = self.create(name="made")
        self.refused(self.ask("sandbox", "key"), 409, "name_taken")
        self.daemon.request("DELETE", "/v1/sandboxes/" + blocking)
        self.again()
        made = self.ask("sandbox", "key")
        self.assertEqual(made.status, 201, made.body)
        self.assertIsNone(made.headers["Idempotent-Replayed"])

    def test_a_request_without_a_key_leaves_nothing(self):
        self.create()
        self.assertEqual(self.daemon.post("/v1/run", {"cmd": "true", "image": "host"}).status, 200)
        self.daemon.stop()
        with contextlib.closing(sqlite3.connect(self.daemon.data_dir / "state" / "sandboxes.db")) as database:
            self.assertEqual(database.execute("SELECT * FROM answers").fetchall(), [])
        self.daemon.start()


class Killed(Injected, OnceTest):
    """At each of the calls of the daemon that are chosen it is killed; whether it had made something is its secret."""

    def places_of(self, what):
        log = self.daemon.dir / "calls"
        with Tracer(self.daemon.daemon_pid(), "-o", str(log)):
            self.assertEqual(self.ask(what, uuid.uuid4().hex).status, 201)
        self.remove(what)
        times = {}
        for line in log.read_text().splitlines():
            words = line.split()
            call = words[1].split("(")[0] if len(words) > 1 and "(" in words[1] else None
            if call in ("pwrite64", "write", "sendmsg", "sendto", "writev", "recvmsg", "fdatasync", "futex"):
                times[call] = times.get(call, 0) + 1
        every = [(call, n) for call, most in sorted(times.items()) for n in range(1, most + 1)]
        return [every[i * len(every) // KILLS] for i in range(min(KILLS, len(every)))]

    def attempt_of(self, what, key):
        try:
            return self.ask(what, key)
        except (OSError, lmsb.http.client.HTTPException):
            return None

    def test_nothing_is_made_twice(self):
        killed = 0
        for what in ("sandbox", "snapshot", "fork", "volume"):
            for call, n in self.places_of(what):
                with self.subTest(what, call=call, time=n):
                    key = uuid.uuid4().hex
                    pid = self.daemon.daemon_pid()
                    with Tracer(pid, "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                f"inject={call}:signal=KILL:when={n}"):
                        first = self.attempt_of(what, key)
                    killed += first is None
                    self.revive(pid)
                    second = self.ask(what, key)
                    self.assertEqual(second.status, 201, second.body)
                    if first is not None and first.status == 201:
                        self.assertEqual(second.body, first.body)
                    self.assertEqual(self.made(what), self.told(second))
                    self.assertEqual(self.ask(what, key).body, second.body)
                    self.remove(what)
                    self.wait_quiet()
        self.assertGreater(killed, KILLS)


if __name__ == "__main__":
    lmsb.main()
