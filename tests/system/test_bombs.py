#!/usr/bin/python3
"""Bombs (support/bombs.py) in one sandbox: each meets its own limit, its neighbour is answered meanwhile and rightly, the daemon
does not grow, and afterwards everything is as it was. How fast the neighbour is answered: docs/reliability.md."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import bombs
import lmsb
from neighbour import Neighbour

SECONDS = float(os.environ.get("LMSB_BOMB", "0.5"))  # that each has once it was refused something
ALLOWED_GROWTH = 16 << 20  # of the daemon: two of its buffers for what a command writes, and some


class Bombs(lmsb.SystemTest):
    def create(self, **fields):
        return self.make_sandbox(image="host", **fields)

    def start(self, sandbox, name):
        started = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": bombs.command(name), "detach": True})
        self.assertEqual(started.status, 201, started.body)
        return f"/v1/sandboxes/{sandbox}/processes/{started.json()['id']}"

    def refusal(self, process):
        """What it was refused with, once it was; the end of memory is the end of all of it sometimes."""
        ended = self.daemon.request("GET", process).json()["result"]
        refused = bombs.refusal(self.daemon.request("GET", process + "/output?stream=stderr").json()["text"])
        return refused and refused["refused"] or ended and {"oom_killed": "SIGKILL"}.get(ended["outcome"], str(ended))

    def set_off(self, name, target):
        process = self.start(target, name)
        if bombs.REFUSED[name] is not None:
            lmsb.wait_until(lambda: self.refusal(process), "a refusal", seconds=120)
            self.assertIn(self.refusal(process), bombs.REFUSED[name])
        time.sleep(SECONDS)
        self.assertEqual(self.daemon.request("DELETE", process).status, 204)

    def test_each_meets_its_limit_and_its_neighbour_is_answered(self):
        for name in bombs.REFUSED:
            with self.subTest(name):
                target, neighbour = self.create(limits=bombs.LIMITS), self.create()
                self.exec_in(neighbour, "true")
                with lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH):
                    with Neighbour(self.exec_in, neighbour) as asked:
                        self.set_off(name, target)
                self.assertEqual(asked.wrong, [])
                self.assertGreater(asked.answers, 0)
                # Nothing of it goes on, and there is room again for who comes next.
                self.assertEqual(self.exec_in(target, "echo after; rm -rf /workspace/* /dev/shm/bomb /dev/shm/inodes")["stdout"], "after\n")
                lmsb.wait_until(lambda: len(lmsb.processes_of(target)) == 2, "the guest and its next command's process alone")

    # The kernel counts them for who made the sandbox's user namespace, too: together these have more than root may.
    def test_watchers_of_sandboxes_are_none_of_roots_and_none_of_each_others(self):
        limit = int(pathlib.Path("/proc/sys/user/max_inotify_instances").read_text())
        share = min(lmsb.user_max()["max_inotify_instances"], limit)
        if limit >= 4 * share:
            self.skipTest(f"root may have {limit} watchers here (/proc/sys/user/max_inotify_instances): more than four sandboxes get")
        program = "import ctypes, time\nmake = ctypes.CDLL(None).inotify_init1\nprint(sum(make(0) >= 0 for _ in range(200)), flush=True)\ntime.sleep(1000)"
        holding = {}
        for _ in range(4):
            sandbox = self.create(limits=bombs.LIMITS)
            process = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": ["python3", "-c", program], "detach": True}).json()["id"]
            holding[sandbox] = f"/v1/sandboxes/{sandbox}/processes/{process}/output"
        got = lambda path: self.daemon.request("GET", path).json()["text"].strip()
        lmsb.wait_until(lambda: all(map(got, holding.values())), "what each got")
        self.assertEqual({got(path) for path in holding.values()}, {str(share)})
        os.close(bombs.call(bombs.libc.inotify_init1, 0))  # root has some yet

    def test_one_of_output_ends_with_its_time_and_the_daemon_keeps_what_it_may(self):
        with lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH):
            result = self.exec_in(self.create(limits=bombs.LIMITS), bombs.command("output"), timeout_ms=1500)
        self.assertEqual(result["outcome"], "timed_out")
        self.assertLess(len(result["stdout"]), (1 << 20) + 100)
        self.assertGreater(result["truncated"]["stdout_bytes"], 0)

    def test_all_of_them_at_once_end_with_their_sandboxes(self):
        targets, neighbour = {name: self.create(limits=bombs.LIMITS) for name in bombs.REFUSED}, self.create()
        with lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH), Neighbour(self.exec_in, neighbour) as asked:
            for name, target in targets.items():
                self.start(target, name)
            before = asked.answers
            lmsb.wait_until(lambda: asked.answers > before + 20, "answers meanwhile", seconds=200)
            for target in targets.values():
                self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{target}").status, 204)
        self.assertEqual(asked.wrong, [])
        self.assertEqual(self.daemon.request("GET", "/v1/ledger").json()["findings"], [])


if __name__ == "__main__":
    lmsb.main()
