#!/usr/bin/python3
"""A real llama.cpp runner in its sandbox, and a real second one over TCP as the upstream. The model is a fixture with
random weights: its words mean nothing."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

FIXTURE = lmsb.ROOT / "tests/fixtures/make_tiny_gguf.py"


def make_model(path, *flags):
    subprocess.run(["/usr/bin/python3", FIXTURE, path, *flags], check=True, stdout=subprocess.DEVNULL)


def image_data(directory):
    """A data directory of its own that shares the built images (hard links, no copies)."""
    (directory / "data").mkdir()
    subprocess.run(["cp", "-al", lmsb.TEST_DATA / "images", directory / "data/images"], check=True)
    return directory / "data"


class Models(unittest.TestCase):
    def setUp(self):
        lmsb.require_root()
        lmsb.require_image("llama")
        self.before = lmsb.leftovers()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-models-", dir=lmsb.TEST_DATA))
        os.chmod(self.directory, 0o755)
        self.data = image_data(self.directory)

    def tearDown(self):
        shutil.rmtree(self.directory)
        lmsb.wait_until(lambda: lmsb.leftovers() == self.before, f"a clean machine: {lmsb.describe(lmsb.leftovers())}")

    def pull(self, daemon, *flags, name="tiny.gguf"):
        path = self.directory / name
        make_model(path, *flags)
        return daemon.post("/v1/models/pull", {"source": str(path)})

    def runner(self):
        """The llama-server process of the daemon's runner."""
        pids = [p for p in lmsb.sandbox_processes() if b"llama-server" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes()]
        return pids[0] if pids else None

    def test_a_prompt_is_answered_by_a_warm_runner(self):
        for flags in ((), ("--chat-template",)):
            with lmsb.Daemon(data_dir=self.data) as daemon:
                self.assertEqual(self.pull(daemon, *flags).status, 201)
                first = daemon.post("/llama-cpp/", {"cmd": "What is AI?"})
                self.assertEqual(first.status, 200, first.body)
                self.assertTrue(first.json()["output"])
                self.assertEqual(first.json()["error"], "")
                runner = self.runner()
                daemon.post("/llama-cpp/", {"cmd": "again"})
                self.assertEqual(self.runner(), runner)
                listed = daemon.request("GET", "/v1/models").json()["data"]
                self.assertIn("tiny", [m["id"] for m in listed])

    def test_the_runner_has_no_network_and_cannot_write_its_model(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            daemon.post("/llama-cpp/", {"cmd": "x"})
            runner = self.runner()
            links = pathlib.Path(f"/proc/{runner}/net/dev").read_text().splitlines()[2:]
            self.assertEqual([line.split(":")[0].strip() for line in links], ["lo"])
            mounts = [l for l in pathlib.Path(f"/proc/{runner}/mountinfo").read_text().splitlines() if " /model " in l]
            self.assertEqual(len(mounts), 1)
            self.assertIn(" ro,nosuid,nodev", mounts[0])
            status = pathlib.Path(f"/proc/{runner}/status").read_text()
            self.assertIn("CapEff:\t0000000000000000", status)

    def test_a_runner_killed_mid_answer_is_an_error_and_the_next_request_gets_a_new_one(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            daemon.post("/llama-cpp/", {"cmd": "warm"})
            self.pull(daemon, "--endless")
            answers = []
            caller = threading.Thread(target=lambda: answers.append(daemon.post("/llama-cpp/", {"cmd": "endless"})))
            lmsb.wait_until(lambda: self.runner() is None, "the end of the older runner")
            caller.start()
            lmsb.wait_until(self.runner, "the runner")
            os.kill(self.runner(), signal.SIGKILL)
            caller.join(60)
            self.assertIn(answers[0].status, (502, 503))
            self.assertIn("detail", answers[0].json())
            self.pull(daemon)
            self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "next"}).status, 200)

    def test_no_model_several_models_and_broken_files_are_clear_errors(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            missing = daemon.post("/llama-cpp/", {"cmd": "x"})
            self.assertIn(missing.status, (502, 503))
            self.assertIn("model pull", missing.json()["detail"])
            not_gguf = self.directory / "not.gguf"
            not_gguf.write_bytes(b"hello")
            self.assertEqual(daemon.post("/v1/models/pull", {"source": str(not_gguf)}).json()["error"]["code"], "not_a_model")
            make_model(self.directory / "whole.gguf")
            for size in (100, 200_000):
                (self.directory / "cut.gguf").write_bytes((self.directory / "whole.gguf").read_bytes()[:size])
                pulled = daemon.post("/v1/models/pull", {"source": str(self.directory / "cut.gguf")})
                if pulled.status == 201:  # its header is whole: the runner finds the rest missing
                    answer = daemon.post("/llama-cpp/", {"cmd": "x"})
                    self.assertIn(answer.status, (412, 502, 503))
                    self.assertIn("could not be loaded", answer.json()["detail"])
            self.pull(daemon)
            self.pull(daemon, name="second.gguf")
            self.assertIn("several", daemon.post("/llama-cpp/", {"cmd": "x"}).json()["detail"])

    def test_a_model_comes_by_http_too(self):
        make_model(self.directory / "web.gguf")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        server = subprocess.Popen(["/usr/bin/python3", "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", self.directory],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            lmsb.wait_until(lambda: can_connect(port), "the web server")
            with lmsb.Daemon(data_dir=self.data) as daemon:
                self.assertEqual(daemon.post("/v1/models/pull", {"source": f"http://127.0.0.1:{port}/web.gguf"}).status, 201)
                self.assertGreaterEqual(daemon.post("/v1/models/pull", {"source": f"http://127.0.0.1:{port}/none"}).status, 400)
                self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "x"}).status, 200)
        finally:
            server.terminate()
            server.wait()

    def test_the_upstream_is_a_second_real_server(self):
        upstream = Upstream(self.directory)
        try:
            with lmsb.Daemon("--upstream", f"http://127.0.0.1:{upstream.port}/v1", data_dir=self.data) as daemon:
                answer = daemon.post("/ollama/", {"cmd": "Introduce yourself."})
                self.assertEqual(answer.status, 200, answer.body)
                self.assertEqual(answer.json()["object"], "chat.completion")
                self.assertIn("content", answer.json()["choices"][0]["message"])
        finally:
            upstream.stop()

    def test_an_upstream_that_is_down_or_no_model_server_is_a_clear_error(self):
        with lmsb.Daemon("--upstream", "http://127.0.0.1:9/v1", data_dir=self.data) as daemon:
            down = daemon.post("/ollama/", {"cmd": "x"})
            self.assertIn(down.status, (502, 503))
            self.assertIn("127.0.0.1:9", down.json()["detail"])
            html = lmsb.Daemon("--upstream", f"http://127.0.0.1:{daemon.port}", data_dir=self.data)
            with html:  # our own text page is no JSON
                self.assertIn(html.post("/ollama/", {"cmd": "x"}).status, (404, 502, 503))


class Upstream:
    """llama-server on TCP from the llama image, as an ordinary process of nobody's."""

    def __init__(self, directory):
        make_model(directory / "upstream.gguf", "--chat-template")
        root = lmsb.TEST_DATA / "images/llama/rootfs"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        script = ('mount --bind "$0" "$1" && mount -t tmpfs none "$1/tmp" && cp "$2" "$1/tmp/m.gguf" && '
                  'exec chroot --userspec=65534:65534 "$1" /usr/bin/llama-server -m /tmp/m.gguf --host 127.0.0.1 --port "$3" -c 512 --no-ui')
        target = directory / "root"
        target.mkdir()
        self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, root, target, directory / "upstream.gguf", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lmsb.wait_until(self.is_healthy, "the upstream")

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()


def can_connect(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    lmsb.main()
