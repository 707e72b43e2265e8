#!/usr/bin/python3
"""[policy] holds whatever the dialect: each way to ask for something, at its ceiling and above it."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_staying import StayingTest

MIB = 1 << 20
CEILINGS = """
[policy]
memory = "256m"
cpus = 0.5
processes = 64
disk = "128m"
timeout_ms = 60000
max_snapshots = 1
root = false
"""
WITHIN = {"memory_bytes": 256 * MIB, "cpus": 0.5, "processes": 64, "disk_bytes": 128 * MIB}
# What is asked for, and how the command line says it.
ABOVE = [("memory_bytes", 256 * MIB + 4096, ("-m", "257m")), ("cpus", 0.501, ("--cpus", "0.501")),
         ("processes", 65, ("--pids", "65")), ("disk_bytes", 128 * MIB + 1, ("--disk", "129m")),
         ("shm_bytes", 256 * MIB + 1, ("--shm-size", "257m"))]
FLAGS = ("-m", "256m", "--cpus", "0.5", "--pids", "64", "--disk", "128m")


class Ceilings(StayingTest):
    @classmethod
    def setUpClass(cls):
        cls.config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        cls.config.write(CEILINGS)
        cls.config.flush()
        cls.flags = ("--config", cls.config.name)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.config.close()

    def ask(self, method, path, body):
        return self.daemon.request(method, path, body)

    def box(self):
        made = self.ask("POST", "/v1/sandboxes", {"limits": WITHIN})
        self.assertEqual(made.status, 201, made.body)
        return made.json()["id"]

    def cli(self, *words):
        return subprocess.run([lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", *words],
                              capture_output=True, text=True, timeout=120, check=False)

    def denied(self, answer):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "policy_denied"), answer.body)

    def test_of_limits_hold_for_all_that_takes_limits(self):
        box = self.box()
        ways = {
            "run": lambda limits: self.ask("POST", "/v1/run", {"cmd": "true", "limits": limits}),
            "run, followed": lambda limits: self.daemon.request(
                "POST", "/v1/run", {"cmd": "true", "limits": limits}, headers={"Accept": "application/x-ndjson"}),
            "run, its plan": lambda limits: self.ask("POST", "/v1/run", {"cmd": "true", "limits": limits, "dry_run": True}),
            "create": lambda limits: self.ask("POST", "/v1/sandboxes", {"limits": limits}),
            "create, from a snapshot": lambda limits: self.ask("POST", "/v1/sandboxes", {"snapshot": shot, "limits": limits}),
            "update": lambda limits: self.ask("PATCH", f"/v1/sandboxes/{box}", {"limits": limits}),
        }
        shot = self.ask("POST", f"/v1/sandboxes/{box}/snapshot", {}).json()["id"]
        for way, ask in ways.items():
            for name, value, _ in ABOVE:
                with self.subTest(way, limit=name):
                    self.denied(ask({**WITHIN, name: value}))
            with self.subTest(way, limit="all at their ceilings"):
                self.assertIn(ask(WITHIN).status, (200, 201))
        self.denied(self.ask("POST", "/v1/volumes", {"size_bytes": 128 * MIB + 1}))
        volume = self.ask("POST", "/v1/volumes", {"size_bytes": 128 * MIB}).json()["id"]
        self.denied(self.ask("PATCH", f"/v1/volumes/{volume}", {"size_bytes": 128 * MIB + 1}))

    def test_of_root_hold_for_all_that_makes_a_sandbox(self):
        box = self.box()
        shot = self.ask("POST", f"/v1/sandboxes/{box}/snapshot", {})
        shots = self.ask("GET", "/v1/snapshots", None).json()["data"]  # one there may be, of this test or another
        self.assertTrue(shots, shot.body)
        ways = {"run": ("/v1/run", {"cmd": "true", "limits": WITHIN}), "create": ("/v1/sandboxes", {"limits": WITHIN}),
                "run, its plan": ("/v1/run", {"cmd": "true", "limits": WITHIN, "dry_run": True}),
                "create, from a snapshot": ("/v1/sandboxes", {"snapshot": shots[0]["id"], "limits": WITHIN})}
        for way, (path, body) in ways.items():
            with self.subTest(way):
                self.denied(self.ask("POST", path, {**body, "profile": "root"}))
                self.assertIn(self.ask("POST", path, {**body, "profile": "user"}).status, (200, 201))
        followed = self.daemon.request("POST", "/v1/run", {"cmd": "true", "profile": "root"}, headers={"Accept": "application/x-ndjson"})
        self.denied(followed)
        for words in (("run", "--root", *FLAGS, "--", "true"), ("create", "--root", *FLAGS)):
            self.assertIn("above what the operator allows", self.cli(*words).stderr, words)

    def test_of_limits_hold_for_the_command_line(self):
        for words in (("run", *FLAGS), ("create", *FLAGS)):
            for name, _, flags in ABOVE:
                with self.subTest(words[0], limit=name):
                    done = self.cli(*words, *flags, *(("--", "true") if words[0] == "run" else ()))
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn("above what the operator allows", done.stderr)
        self.assertEqual(self.cli("run", *FLAGS, "--", "true").returncode, 0)
        self.assertIn("above what the operator allows", self.cli("volume", "create", "--size", "129m").stderr)

    def test_of_time_hold_for_all_that_takes_a_time(self):
        box = self.box()
        ways = {
            "run": ("/v1/run", {"cmd": "true", "limits": WITHIN}),
            "exec": (f"/v1/sandboxes/{box}/exec", {"cmd": "true"}),
            "exec, detached": (f"/v1/sandboxes/{box}/exec", {"cmd": "true", "detach": True}),
            "exec, in a session": (f"/v1/sandboxes/{box}/exec", {"cmd": "true", "session": "s"}),
        }
        for way, (path, body) in ways.items():
            with self.subTest(way):
                self.denied(self.ask("POST", path, {**body, "timeout_ms": 60001}))
                self.assertIn(self.ask("POST", path, {**body, "timeout_ms": 60000}).status, (200, 201))
        followed = self.daemon.request("POST", f"/v1/sandboxes/{box}/exec", {"cmd": "true", "timeout_ms": 60001},
                                       headers={"Accept": "application/x-ndjson"})
        self.denied(followed)
        for words in (("run", *FLAGS, "--timeout", "61", "--", "true"), ("exec", "--timeout", "61", box, "true")):
            self.assertIn("above what the operator allows", self.cli(*words).stderr, words)

    def test_are_kept_to_where_nothing_is_asked_for(self):
        """Nobody's default is above what the operator allows: it is cut down to that."""
        for method, path, body in (("POST", "/run-bash/", {"cmd": "true"}), ("POST", "/v1/run", {"cmd": "true"}),
                                   ("POST", "/v1/sandboxes", {}), ("POST", "/v1/volumes", {})):
            with self.subTest(path):
                answer = self.ask(method, path, body)
                self.assertIn(answer.status, (200, 201), answer.body)

    def test_of_snapshots_hold(self):
        box = self.box()
        for shot in self.ask("GET", "/v1/snapshots", None).json()["data"]:
            self.daemon.request("DELETE", f"/v1/snapshots/{shot['id']}")
        self.assertEqual(self.ask("POST", f"/v1/sandboxes/{box}/snapshot", {}).status, 201)
        second = self.ask("POST", f"/v1/sandboxes/{box}/snapshot", {})
        self.assertEqual((second.status, second.json()["error"]["code"]), (429, "too_many_snapshots"))
        self.assertIn("max_snapshots", self.cli("snapshot", box).stderr)


if __name__ == "__main__":
    lmsb.main()
