#!/usr/bin/python3
"""Many kept sandboxes, fifty at a time: afterwards the machine and the daemon are as they were. LMSB_MANY (500)."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import launcher_of

COUNT = int(os.environ.get("LMSB_MANY", "500"))
AT_ONCE = 50
ALLOWED_GROWTH_KIB = 8192  # of the resident memory of daemon and launcher, after the first fifty
NAMESPACES = ("cgroup", "ipc", "mnt", "pid", "user", "uts")  # leftovers() counts those of networks


def held_by_launcher(pid):
    """But for the user namespaces of ranges of ids: it keeps them for those who have a range next."""
    links = []
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(descriptor))
    return {**lmsb.held_by(pid), "descriptors": len([link for link in links if not link.startswith("user:")])}


class Many(lmsb.SystemTest):
    def ask(self, method, path, body=None, kind="application/json"):
        """On a connection of the calling thread."""
        if not hasattr(self.mine, "connection"):
            self.mine.connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=300)
        octets = body if isinstance(body, bytes) or body is None else json.dumps(body)
        self.mine.connection.request(method, path, octets, {"Content-Type": kind})
        answer = self.mine.connection.getresponse()
        return answer.status, answer.read()

    def live(self, number):
        """One life; returns what was wrong with it."""
        status, body = self.ask("POST", "/v1/sandboxes", {"labels": {"number": str(number)}})
        if status != 201:
            return f"create: {status} {body[:200]}"
        box = "/v1/sandboxes/" + json.loads(body)["id"]
        wrong = []

        def expect(wanted, status, body):
            if not wanted:
                wrong.append((status, body[:300]))

        status, body = self.ask("PUT", box + "/files?path=in", b"%d" % number, "application/octet-stream")
        expect(status == 200, status, body)
        status, body = self.ask("POST", box + "/exec", {"cmd": "cat in; (setsid sleep 1000 &); exit 7"})
        expect(status == 200 and json.loads(body)["exit_code"] == 7 and json.loads(body)["stdout"] == str(number), status, body)
        status, body = self.ask("POST", box + "/exec", {"cmd": "sleep 1000", "detach": True})
        expect(status == 201, status, body)
        if number % 5 == 0:
            status, body = self.ask("POST", box + "/pause")
            expect(status == 200, status, body)
        status, body = self.ask("DELETE", box)
        expect(status == 204, status, body)
        return wrong or None

    def use(self, count):
        self.mine = threading.local()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
            wrong = [w for w in threads.map(self.live, range(count)) if w]
        self.assertEqual(wrong[:5], [])

    def test_sandboxes_leave_nothing_behind(self):
        prepared = lmsb.wait_full_pool(self.daemon)
        self.use(AT_ONCE)

        def held():
            daemon, launcher = lmsb.settled(self.daemon, prepared), launcher_of(self.daemon)
            # What it holds for a moment, for what it is just doing, is not in all looks.
            looks = []
            for _ in range(50):
                looks.append(held_by_launcher(launcher))
                time.sleep(0.02)
            return [daemon, min(looks, key=lambda one: one["descriptors"])]

        def counts():
            found = {**lmsb.leftovers(), **{f"{kind} namespaces": lmsb.namespaces(kind) for kind in NAMESPACES}}
            return {what: len(items) for what, items in found.items()}

        first, expected = held(), counts()  # the pool's; later others, as many
        self.use(COUNT)
        for last, before in zip(held(), first):
            self.assertEqual((last["descriptors"], last["threads"]), (before["descriptors"], before["threads"]), (last, before))
            self.assertLess(last["resident_kib"], before["resident_kib"] + ALLOWED_GROWTH_KIB)
        lmsb.wait_until(lambda: counts() == expected, lambda: f"as many as before: {counts()}, not {expected}")


if __name__ == "__main__":
    lmsb.main()
