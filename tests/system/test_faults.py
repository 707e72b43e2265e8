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
        lmsb.wait_until_clean(self.before)

    def refusal(self, *command, **kw):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, **kw)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_taken_port_names_its_holder(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            daemon = lmsb.Daemon("--listen", f"127.0.0.1:{holder.getsockname()[1]}")
            named = rf"the port is taken by process {os.getpid()} \([^)]*python3.*--listen"
            with self.assertRaisesRegex(RuntimeError, named):
                daemon.start()

    def test_a_port_of_root_alone_can_be_served(self):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", 81))
            except OSError:
                self.skipTest("port 81 is taken")
        with lmsb.Daemon("--listen", "127.0.0.1:81") as daemon:
            self.assertIn("127.0.0.1:81", daemon.ready["http"])
            # The parent and the launcher keep no copy: a daemon that stops to listen has stopped.
            parent = daemon.process.pid
            children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            self.assertIn(str(daemon.daemon_pid()), children)
            holders = [pid for pid in (str(parent), *children) if listening(81) & descriptors(pid)]
            self.assertEqual(holders, [str(daemon.daemon_pid())])

    # By a directory that it were in it would get below one that is closed to it.
    def test_the_daemon_is_in_no_directory_of_its_callers(self):
        with lmsb.Daemon() as daemon:
            self.assertEqual(os.readlink(f"/proc/{daemon.daemon_pid()}/cwd"), "/")

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            blocked = pathlib.Path(directory, "file")
            blocked.write_text("")
            with self.assertRaisesRegex(RuntimeError, "file/data"):
                lmsb.Daemon(data_dir=blocked / "data").start()

    def test_a_data_directory_that_cannot_be_written_is_named_with_what_to_do(self):
        with tempfile.TemporaryDirectory(prefix="lmsb-ro-") as directory:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", directory], check=True)
            try:
                named = f"data directory {directory}.* cannot be written: Read-only file system; .*--data-dir"
                for data in (directory, directory + "/below"):
                    with self.assertRaisesRegex(RuntimeError, named):
                        lmsb.Daemon(data_dir=data).start()
            finally:
                subprocess.run(["umount", directory], check=True)

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
            for name in ("lm-sandbox", "lm-sandbox-launcher", "lm-sandbox-guest", "lm-sandbox-archiver", "lm-sandbox-gate"):
                os.link(lmsb.BIN / name, f"{directory}/{name}") if same_device(lmsb.BIN, directory) else copy(lmsb.BIN / name, directory)
            said = self.refusal("setpriv", "--reuid=65534", "--clear-groups", f"{directory}/lm-sandbox", "serve")
            self.assertRegex(said, "no line of user nobody; sudo usermod --add-subuids|sudo apt-get install uidmap")

    def test_without_user_namespaces_it_names_the_sysctl(self):
        # In a user namespace of its own, where the limit can be set without touching the machine's.
        script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" serve'
        said = self.refusal("unshare", "--user", "--map-root-user", "sh", "-c", script, lmsb.BIN / "lm-sandbox")
        self.assertEqual(said, "lm-sandbox: sandboxes cannot be made here: user.max_user_namespaces is 0; "
                               "sudo sysctl -w user.max_user_namespaces=65536\n")

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


def descriptors(pid):
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except OSError:
            pass  # closed meanwhile
    return found


def listening(port):
    """The sockets that listen on a port, as /proc/PID/fd shows them."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def same_device(a, b):
    return os.stat(a).st_dev == os.stat(b).st_dev


def copy(source, directory):
    subprocess.run(["cp", source, directory], check=True)


if __name__ == "__main__":
    lmsb.main()
