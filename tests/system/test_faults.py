#!/usr/bin/python3
"""Starting badly and running out: each is one clear line that says what failed, on what, and what to do."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lmsb.require_root()

    def setUp(self):
        self.before = lmsb.leftovers()

    def tearDown(self):
        lmsb.wait_until(lambda: lmsb.leftovers() == self.before, f"a clean machine: {lmsb.describe(lmsb.leftovers())}")

    def refusal(self, *command, **kw):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, **kw)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_taken_port_names_its_holder(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            daemon = lmsb.Daemon("--listen", f"127.0.0.1:{holder.getsockname()[1]}")
            with self.assertRaisesRegex(RuntimeError, "the port is taken by .*uid 0.*--listen"):  # all that it may see
                daemon.start()

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            blocked = pathlib.Path(directory, "file")
            blocked.write_text("")
            with self.assertRaisesRegex(RuntimeError, "file/data"):
                lmsb.Daemon(data_dir=blocked / "data").start()

    def test_an_unknown_key_in_the_configuration_names_the_nearest(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write("[pool]\nsise = 3\n")
            config.flush()
            with self.assertRaisesRegex(RuntimeError, f"{config.name}:2.*pool.size"):
                lmsb.Daemon("--config", config.name).start()

    def test_an_unknown_flag_is_refused(self):
        self.assertIn("--nonsense", self.refusal(lmsb.BIN / "lm-sandbox", "serve", "--nonsense"))

    def test_without_root_it_says_what_to_do(self):
        with tempfile.TemporaryDirectory(prefix="lmsb-bin-", dir="/var/tmp") as directory:
            os.chmod(directory, 0o755)
            for name in ("lm-sandbox", "lm-sandbox-launcher", "lm-sandbox-guest"):
                os.link(lmsb.BIN / name, f"{directory}/{name}") if same_device(lmsb.BIN, directory) else copy(lmsb.BIN / name, directory)
            said = self.refusal("setpriv", "--reuid=65534", "--clear-groups", f"{directory}/lm-sandbox", "serve")
            self.assertIn("sudo lm-sandbox serve", said)

    def test_listening_beyond_loopback_without_a_key_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "API key"):
            lmsb.Daemon("--listen", "0.0.0.0:0").start()

    def test_a_full_data_directory_fails_the_pull_and_nothing_else(self):
        with tempfile.TemporaryDirectory(prefix="lmsb-full-") as directory:
            os.chmod(directory, 0o755)
            data = pathlib.Path(directory, "data")
            data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", data], check=True)
            try:
                model = pathlib.Path(directory, "m.gguf")
                subprocess.run(["/usr/bin/python3", lmsb.ROOT / "tests/fixtures/make_tiny_gguf.py", model], check=True, stdout=subprocess.DEVNULL)
                with lmsb.Daemon(data_dir=data) as daemon:
                    answer = daemon.post("/v1/models/pull", {"source": str(model)})
                    self.assertGreaterEqual(answer.status, 400)
                    self.assertIn("No space left", answer.json()["error"]["message"])
                    self.assertEqual([p.name for p in (data / "models").iterdir()], [])
                    self.assertEqual(daemon.post("/run-bash/", {"cmd": "echo on"}).json()["output"], "on\n")
            finally:
                subprocess.run(["umount", data], check=True)

    def test_a_foreign_host_or_origin_is_refused(self):
        with lmsb.Daemon() as daemon:
            body = {"cmd": "echo x"}
            self.assertEqual(daemon.post("/run-bash/", body, headers={"Host": "evil.example"}).status, 421)
            self.assertEqual(daemon.post("/run-bash/", body, headers={"Origin": "https://evil.example"}).status, 403)
            self.assertEqual(daemon.request("POST", "/run-bash/", b'{"cmd":"x"}', headers={"Content-Type": "text/plain"}).status, 415)


def same_device(a, b):
    return os.stat(a).st_dev == os.stat(b).st_dev


def copy(source, directory):
    subprocess.run(["cp", source, directory], check=True)


if __name__ == "__main__":
    lmsb.main()
