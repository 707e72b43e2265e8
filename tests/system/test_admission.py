#!/usr/bin/python3
"""What does not fit into the memory for sandboxes waits its turn, for so long, or is told to come again."""
import asyncio
import hashlib
import http.client
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

MIB = 1 << 20
CALLERS = ("many", "some", "few")  # also their keys
KEYS = ",".join(hashlib.sha256(caller.encode()).hexdigest() for caller in CALLERS)
STRICT = {"LM_SANDBOX_LIMITS__MEMORY_OVERCOMMIT": "1", "LM_SANDBOX_AUTH__KEY_SHA256": KEYS}


class Asking:
    """One request on a connection of its own."""

    async def send(self, daemon, caller, body):
        self.caller = caller
        self.reader, self.writer = await asyncio.open_connection(daemon.host, daemon.port)
        octets = json.dumps(body).encode()
        self.writer.write(b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: %s\r\n"
                          b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" %
                          (caller.encode(), len(octets), octets))
        return self

    async def answer(self):
        head, body = (await self.reader.read()).split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        self.json = json.loads(body)
        self.writer.close()
        return self

    def go_away(self):
        self.writer.close()


def most_at_once(times):
    at_once = most = 0
    for _, change in sorted([(begin, 1) for begin, _ in times] + [(end, -1) for _, end in times]):
        at_once += change
        most = max(most, at_once)
    return most


class Flood(lmsb.SystemTest):
    """Memory for ten."""

    AT_ONCE = 10
    PLACES = 400
    ASKED = {"many": 700, "some": 200, "few": 100}
    LIMITS = {"memory_bytes": 64 * MIB}
    # Uses most of what it may, and says from when to when, on the machine's clock.
    USE = ("import time; begin = time.monotonic(); held = b'x' * (40 << 20); time.sleep(0.05)\n"
           "print(begin, time.monotonic())")
    env = {**STRICT, "LM_SANDBOX_LIMITS__MEMORY": str(AT_ONCE * 64 * MIB), "LM_SANDBOX_LIMITS__MAX_RUNNING": "100",
           "LM_SANDBOX_LIMITS__MAX_WAITING": str(PLACES), "LM_SANDBOX_LIMITS__MAX_WAIT_MS": "300000"}

    def info(self):
        return self.daemon.request("GET", "/v1/info").json()

    async def ask_all(self):
        """All at once, while as many as there is memory for stand in the way; these go when all the others are there."""
        hold = {"cmd": "sleep 1000", "limits": self.LIMITS}
        holding = await asyncio.gather(*(Asking().send(self.daemon, "many", hold) for _ in range(self.AT_ONCE)))
        await self.come_true(lambda info: info["running"] == self.AT_ONCE)
        use = {"cmd": ["python3", "-c", self.USE], "limits": self.LIMITS}
        asked = [caller for caller, count in self.ASKED.items() for _ in range(count)]
        asking = [asyncio.create_task(self.ask(caller, use)) for caller in asked]
        turned_away = sum(self.ASKED.values()) - self.PLACES
        while sum(task.done() for task in asking) < turned_away:
            await asyncio.sleep(0.02)
        info = await asyncio.to_thread(self.info)
        self.assertEqual((info["running"], info["waiting"]), (self.AT_ONCE, self.PLACES))
        self.assertEqual(info["memory"], {"budget_bytes": 640 * MIB, "held_bytes": 640 * MIB, "overcommit": 1})
        for one in holding:
            one.go_away()
        return await asyncio.gather(*asking)

    async def ask(self, caller, body):
        asking = await Asking().send(self.daemon, caller, body)
        return await asking.answer()

    async def come_true(self, condition):
        while not condition(await asyncio.to_thread(self.info)):
            await asyncio.sleep(0.02)

    def test_a_thousand_at_once_with_memory_for_ten(self):
        answers = asyncio.run(self.ask_all())
        done = [answer for answer in answers if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 429]
        self.assertEqual((len(answers), len(done), len(refused)), (1000, self.PLACES, 600))

        for answer in refused:
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
            self.assertEqual((answer.json["error"]["code"], answer.json["error"]["retryable"]), ("no_memory", True))
        for answer in done:  # each had its memory: nothing was killed for having been admitted
            self.assertEqual((answer.json["outcome"], answer.json["exit_code"], answer.json["oom_killed"]), ("exited", 0, False))
            self.assertGreater(answer.json["usage"]["queue_ms"], 0)

        times = {answer: tuple(float(time) for time in answer.json["stdout"].split()) for answer in done}
        self.assertLessEqual(most_at_once(times.values()), self.AT_ONCE)
        self.assertGreater(most_at_once(times.values()), 1)

        # Each had the same part of the queue, as far as he wanted it, whoever came first.
        counts = {caller: sum(answer.caller == caller for answer in done) for caller in CALLERS}
        self.assertEqual(counts["few"], 100)
        self.assertAlmostEqual(counts["many"], 150, delta=1)
        # And of the turns, as long as he waited: ten at once may overtake each other on their way.
        order = [answer.caller for answer in sorted(done, key=lambda answer: times[answer][0])]
        for begin in range(0, 270, 30):
            turns = [order[:begin + 30].count(caller) for caller in CALLERS]
            self.assertLessEqual(max(turns) - min(turns), self.AT_ONCE, turns)

        lmsb.wait_until(lambda: self.info()["memory"]["held_bytes"] == 0, "all given back")
        metrics = self.daemon.request("GET", "/metrics").body.decode()
        self.assertIn('lmsb_refused_requests_total{for="memory"} 600', metrics)
        self.assertIn('lmsb_waiting_requests{for="memory"} 0', metrics)


class KeptTest(lmsb.SystemTest):
    """A gibibyte for created sandboxes, counted in full."""

    env = {**STRICT, "LM_SANDBOX_LIMITS__MEMORY": "1g"}

    def held(self):
        return self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"] // MIB

    def create(self, mib, **fields):
        return self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": mib * MIB}, **fields})

    def made(self, mib):
        answer = self.create(mib)
        self.assertEqual(answer.status, 201, answer.body)
        box = "/v1/sandboxes/" + answer.json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", box)
        return box

    def assert_no_memory(self, answer):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (429, "no_memory"), answer.body)
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)

    def set_memory(self, box, mib):
        return self.daemon.request("PATCH", box, {"limits": {"memory_bytes": mib * MIB}})


class OfTheMachine(KeptTest):
    """The memory of the machine itself, where somebody may wait for five minutes, and something is always there."""

    env = {"LM_SANDBOX_LIMITS__MAX_WAIT_MS": "300000"}

    def test_what_can_never_fit_is_refused_at_once(self):
        self.made(512)
        budget = self.daemon.request("GET", "/v1/info").json()["memory"]["budget_bytes"]
        answer = self.daemon.post("/v1/run", {"cmd": "true", "limits": {"memory_bytes": budget + MIB}})
        error = answer.json()["error"]
        self.assertEqual((answer.status, error["code"], error["retryable"]), (403, "policy_denied", False))
        self.assertIn("all sandboxes may count for", error["message"])


class Kept(KeptTest):
    """For which nobody waits longer than two seconds."""

    env = {**KeptTest.env, "LM_SANDBOX_LIMITS__MAX_WAIT_MS": "2000"}

    def test_a_sandbox_counts_from_its_creation_to_its_end(self):
        box = self.made(512)
        self.assertEqual(self.held(), 512)
        self.assertEqual(self.daemon.post(box + "/pause", None).status, 200)
        self.assertEqual(self.held(), 512)
        self.assertEqual(self.daemon.request("DELETE", box).status, 204)
        self.assertEqual(self.held(), 0)

    def test_who_does_not_fit_waits_and_is_then_refused(self):
        self.made(768)
        self.assert_no_memory(self.create(512))
        self.assert_no_memory(self.daemon.post("/v1/run", {"cmd": "true"}))  # of 1 GiB
        self.assertEqual(self.daemon.run("echo in", limits={"memory_bytes": 128 * MIB})["stdout"], "in\n")

    def test_what_can_never_fit_is_refused_at_once(self):
        answer = self.create(1025)
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "policy_denied"))
        self.assertIn("[limits] memory", answer.json()["error"]["hint"])

    def test_what_was_not_asked_for_is_no_more_than_can_fit(self):
        created = self.daemon.post("/v1/sandboxes", {})
        self.assertEqual(created.status, 201, created.body)
        self.addCleanup(self.daemon.request, "DELETE", "/v1/sandboxes/" + created.json()["id"])
        self.assertLessEqual(created.json()["limits"]["memory_bytes"], 1024 * MIB)

    def test_other_limits_count_for_more_or_less(self):
        box = self.made(256)
        other = self.made(512)
        self.assertEqual(self.set_memory(box, 512).status, 200)
        self.assertEqual(self.held(), 1024)
        self.assert_no_memory(self.set_memory(box, 640))
        self.assertEqual(self.held(), 1024)
        self.assertEqual(self.daemon.request("GET", box).json()["limits"]["memory_bytes"], 512 * MIB)
        self.assertEqual(self.set_memory(box, 128).status, 200)
        self.assertEqual(self.held(), 640)
        self.assertEqual(self.set_memory(other, 896).status, 200)

    def test_a_stopped_one_counts_for_nothing(self):
        box = self.made(768)
        if not self.daemon.request("GET", box).json()["keeps_disk"]:
            self.skipTest("needs a store of disks")
        self.assertEqual(self.daemon.post(box + "/stop", None).status, 200)
        self.assertEqual(self.held(), 0)
        other = self.made(512)
        self.assert_no_memory(self.daemon.post(box + "/start", None))
        self.assertEqual(self.daemon.request("GET", box).json()["state"], "stopped")
        self.assertEqual(self.daemon.request("DELETE", other).status, 204)
        self.assertEqual(self.daemon.post(box + "/start", None).status, 200)
        self.assertEqual(self.held(), 768)

    def test_exports_and_imports_count_as_long_as_their_processes_live(self):
        box = self.made(64)
        if not self.daemon.request("GET", box).json()["keeps_disk"]:
            self.skipTest("needs a store of disks")
        filled = self.daemon.post(box + "/exec", {"cmd": "head -c 20M /dev/urandom >/tmp/a"}).json()  # more than pipes hold
        self.assertEqual(filled["exit_code"], 0, filled)
        snapshot = "/v1/snapshots/" + self.daemon.post(box + "/snapshot", {}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", snapshot)
        reader = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        reader.request("GET", snapshot + "/export")
        answer = reader.getresponse()
        self.assertEqual((answer.status, self.held()), (200, 64 + 128))  # an eighth of the budget
        file = answer.read()
        reader.close()
        lmsb.wait_until(lambda: self.held() == 64, "the end of the export's process")
        other = self.made(900)  # leaves less than an eighth
        self.assert_no_memory(self.daemon.request("GET", snapshot + "/export"))
        octets = {"Content-Type": "application/octet-stream"}
        self.assert_no_memory(self.daemon.request("POST", "/v1/snapshots/import", file, octets))
        self.assertEqual(self.daemon.request("DELETE", other).status, 204)
        imported = self.daemon.request("POST", "/v1/snapshots/import", file, octets)
        self.assertEqual(imported.status, 201, imported.body)
        self.daemon.request("DELETE", "/v1/snapshots/" + imported.json()["id"])
        self.assertEqual(self.held(), 64)

    def test_one_that_is_rolled_back_keeps_its_memory(self):
        box = self.made(768)
        if not self.daemon.request("GET", box).json()["keeps_disk"]:
            self.skipTest("needs a store of disks")
        snapshot = self.daemon.post(box + "/snapshot", {}).json()["id"]
        later = []
        thread = threading.Thread(target=lambda: later.append(self.create(1024)))
        thread.start()
        lmsb.wait_until(lambda: self.daemon.request("GET", "/v1/info").json()["waiting"] == 1, "one that waits")
        answer = self.daemon.post(box + "/rollback", {"snapshot": snapshot})
        self.assertEqual((answer.status, answer.json().get("state")), (200, "running"), answer.body)
        thread.join()
        self.assert_no_memory(later[0])
        self.assertEqual(self.held(), 768)


class Patient(KeptTest):
    """Where who waits has all the time that a busy machine needs."""

    env = {**KeptTest.env, "LM_SANDBOX_LIMITS__MAX_WAIT_MS": "120000"}

    def test_who_waits_has_his_turn_when_one_is_deleted(self):
        box = self.made(1024)
        later = []
        thread = threading.Thread(target=lambda: later.append(self.create(1024)))
        thread.start()
        lmsb.wait_until(lambda: self.daemon.request("GET", "/v1/info").json()["waiting"] == 1, "one that waits")
        self.assertEqual(self.daemon.request("DELETE", box).status, 204)
        thread.join()
        self.assertEqual(later[0].status, 201, later[0].body)
        self.daemon.request("DELETE", "/v1/sandboxes/" + later[0].json()["id"])

    def test_a_start_that_waits_does_not_keep_its_sandbox_from_being_deleted(self):
        box = self.made(768)
        if not self.daemon.request("GET", box).json()["keeps_disk"]:
            self.skipTest("needs a store of disks")
        self.assertEqual(self.daemon.post(box + "/stop", None).status, 200)
        other = self.made(512)
        started = []
        thread = threading.Thread(target=lambda: started.append(self.daemon.post(box + "/start", None)))
        thread.start()
        lmsb.wait_until(lambda: self.daemon.request("GET", "/v1/info").json()["waiting"] == 1, "one that waits")
        self.assertEqual(self.daemon.request("DELETE", box).status, 204)
        self.assertTrue(thread.is_alive())
        self.daemon.request("DELETE", other)  # now it has its turn
        thread.join()
        self.assertEqual(started[0].status, 404)

    def test_a_client_that_goes_away_waits_no_more(self):
        self.made(1024)

        async def ask_and_go():
            asking = await Asking().send(self.daemon, "few", {"cmd": "true"})
            await asyncio.to_thread(lmsb.wait_until, lambda: waiting() == 1, "one that waits")
            asking.go_away()
            await asyncio.to_thread(lmsb.wait_until, lambda: waiting() == 0, "none that waits")

        def waiting():
            return self.daemon.request("GET", "/v1/info").json()["waiting"]

        asyncio.run(ask_and_go())


class Little(lmsb.SystemTest):
    """Memory for little."""

    env = {"LM_SANDBOX_LIMITS__MEMORY": "256m"}

    def test_a_large_disk_goes_out_and_comes_in(self):
        box = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 128 * MIB}}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", box)
        if not self.daemon.request("GET", box).json()["keeps_disk"]:
            self.skipTest("needs a store of disks")
        filled = self.daemon.post(box + "/exec", {"cmd": "head -c 200M /dev/urandom >/tmp/a"}).json()
        self.assertEqual(filled["exit_code"], 0, filled)
        snapshot = "/v1/snapshots/" + self.daemon.post(box + "/snapshot", {}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", snapshot)
        file = self.daemon.request("GET", snapshot + "/export")
        self.assertEqual(file.status, 200, file.body[:500])
        imported = self.daemon.request("POST", "/v1/snapshots/import", file.body, {"Content-Type": "application/octet-stream"})
        self.assertEqual(imported.status, 201, imported.body)
        self.daemon.request("DELETE", "/v1/snapshots/" + imported.json()["id"])


class Stalled(lmsb.SystemTest):
    """Two places for commands, for which nobody waits longer than fifteen seconds."""

    env = {"LM_SANDBOX_LIMITS__MAX_RUNNING": "2", "LM_SANDBOX_LIMITS__MAX_WAIT_MS": "15000"}
    LAST = 3_000_000

    def begin(self, path, accept, fields=()):
        """A request whose answer nobody reads, and which fills whatever lies on its way."""
        asking = socket.socket()
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.connect((self.daemon.host, self.daemon.port))
        self.addCleanup(asking.close)
        body = json.dumps({"cmd": f"seq {self.LAST}", "timeout_ms": 120_000, **dict(fields)}).encode()
        asking.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: %s\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (path.encode(), accept.encode(), len(body), body))
        return asking

    def test_readers_who_take_nothing_keep_nobody_from_running(self):
        box = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 64 * MIB}}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", box)
        once = {"limits": {"memory_bytes": 64 * MIB}}
        octets = self.begin(box + "/exec", "application/octet-stream")
        self.begin(box + "/exec", "text/event-stream")
        self.begin("/v1/run", "text/event-stream", once.items())
        self.begin("/v1/run", "application/x-ndjson", once.items())
        lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"seq\0")) == 4, "more of them than places", seconds=30)
        self.assertEqual(self.daemon.run("echo in", **once)["stdout"], "in\n")
        response = http.client.HTTPResponse(octets)
        response.begin()
        text = response.read()  # whoever reads on has it all
        self.assertEqual([int(n) for n in text.split()], list(range(1, self.LAST + 1)))


class Overcommitted(lmsb.SystemTest):
    """The default: what stays counts for a 64th of its limit."""

    def test_idle_sandboxes_leave_room_for_others(self):
        before = self.daemon.request("GET", "/v1/info").json()["memory"]
        self.assertEqual((before["held_bytes"], before["overcommit"]), (0, 64))
        self.assertGreater(before["budget_bytes"], 0)
        box = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 512 * MIB}}).json()["id"]
        self.assertEqual(self.daemon.request("GET", "/v1/info").json()["memory"]["held_bytes"], 8 * MIB)
        self.assertEqual(self.daemon.request("DELETE", box).status, 204)


if __name__ == "__main__":
    lmsb.main()
