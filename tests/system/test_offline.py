#!/usr/bin/python3
"""Nobody is called: what a daemon, its command line and its sandboxes send when nothing was asked for that is elsewhere. The
whole of this file runs on a machine of its own, and fails if a packet left it (support/capture.py)."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

# In a program of its own, on a machine of its own: what leaves there is meant to.
WATCHED = f"""
import pathlib, socket, subprocess, sys
sys.path.insert(0, {str(lmsb.ROOT / "tests/support")!r})
import capture, lmsb
capture.leave_for_nowhere()
watching = capture.Capture()
{{}}
print(*watching.end(), sep="\\n")
"""
FAR = "45.67.0.9"


def sent_by(program):
    """What it sent at the interface that leads out, a line for each packet."""
    done = subprocess.run([sys.executable, "-c", WATCHED.format(program)], stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("out: "))


class Witness(unittest.TestCase):
    """Each test below could fail: what is sent is seen."""

    @classmethod
    def setUpClass(cls):
        lmsb.require_root()

    def test_what_a_program_sends_is_seen(self):
        sent = sent_by(f"""
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("{FAR}", 53))
connecting = socket.socket()
connecting.setblocking(False)
connecting.connect_ex(("{FAR}", 443))
near = socket.create_server(("127.0.0.1", 0))
socket.create_connection(near.getsockname()).close()
""")
        self.assertIn(f"-> {FAR}:53, protocol 17", sent)
        self.assertIn(f"-> {FAR}:443, protocol 6", sent)
        self.assertNotIn("127.0.0.1", sent)

    def test_what_a_sandbox_sends_through_a_daemon_that_is_not_offline_is_seen(self):
        sent = sent_by(f"""
with lmsb.Daemon(env={{"LM_SANDBOX_NETWORK__RESOLVERS": "{FAR}"}}) as daemon:
    daemon.run("getent hosts name.test & curl -sS -m5 http://{FAR}:8080/; kill %1", egress={{"allow": ["name.test", "{FAR}:8080"]}})
""")
        self.assertIn(f"-> {FAR}:53, protocol 17", sent)
        self.assertIn(f"-> {FAR}:8080, protocol 6", sent)


class Silent(lmsb.SystemTest):
    """Used as somebody would who wants nothing from elsewhere, of what it offers each a little."""

    flags = ("--offline",)
    # A proxy that somebody's shell names is elsewhere, too.
    env = {"http_proxy": f"http://{FAR}:3128", "https_proxy": f"http://{FAR}:3128", "LM_SANDBOX_NETWORK__RESOLVERS": FAR}

    def cli(self, *words, status=0):
        env = {**os.environ, **self.env, "LM_SANDBOX_HOST": f"http://{self.daemon.host}:{self.daemon.port}"}
        done = subprocess.run([lmsb.BIN / "lm-sandbox", *words], capture_output=True, text=True, env=env, timeout=120, check=False)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done.stdout

    def test_commands_and_sandboxes(self):
        try_out = f"getent hosts example.com; curl -sS -m2 http://{FAR}/ ; exec 3<>/dev/tcp/{FAR}/80; echo done"
        self.assertEqual(self.daemon.run(["bash", "-c", try_out])["stdout"], "done\n")
        self.assertEqual(self.daemon.post("/run-bash/", {"cmd": try_out}).json()["output"], "done\n")
        box = self.cli("create", "--name", "box").strip()
        self.assertEqual(self.cli("exec", "box", "--", "echo", "here"), "here\n")
        self.cli("exec", "box", "--", "bash", "-c", try_out)
        self.cli("pause", "box")
        self.cli("resume", "box")
        self.cli("rm", box)

    def test_what_would_be_elsewhere_is_refused(self):
        for path, body in (("/v1/run", {"cmd": "true", "egress": {"mode": "open"}}),
                           ("/v1/sandboxes", {"egress": {"allow": ["example.com"]}}),
                           ("/v1/models/pull", {"source": f"http://{FAR}/m.gguf"}),
                           ("/v1/models/pull", {"source": "https://models.example/m.gguf"})):
            answer = self.daemon.post(path, body)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "offline"), (path, body))

    def test_what_it_tells_of_itself(self):
        for path in ("/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/info", "/v1/images", "/v1/models",
                     "/v1/ledger", "/v1/keys"):
            self.assertEqual(self.daemon.request("GET", path).status, 200, path)
        self.cli("version")
        self.cli("config", "example")
        self.assertIn("/", self.cli("doctor"))

    def test_its_model(self):
        lmsb.require_image("llama")
        with lmsb.Daemon(*self.flags, data_dir=lmsb.TEST_DATA, env=self.env) as daemon:
            asked = {"messages": [{"role": "user", "content": "What is AI?"}]}
            answer = daemon.post("/v1/chat/completions", asked)
            self.assertEqual(answer.status, 200, answer.body)


class SilentOnItsOwn(Silent):
    """Also one that is not offline, of which nothing is asked that is elsewhere."""

    flags = ()
    test_what_would_be_elsewhere_is_refused = None


if __name__ == "__main__":
    lmsb.main(is_captured=True)
