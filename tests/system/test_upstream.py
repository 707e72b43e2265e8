#!/usr/bin/python3
"""/ollama/ against a second, real llama-server over TCP; and against upstreams that are no such thing."""
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest, RawServer, make_model


class Upstream(ModelTest):
    image = "llama"

    def test_the_upstream_is_a_second_real_server(self):
        upstream = SecondServer(self.directory)
        try:
            with lmsb.Daemon("--upstream", f"http://127.0.0.1:{upstream.port}/v1", data_dir=self.data) as daemon:
                answer = daemon.post("/ollama/", {"cmd": "Introduce yourself."})
                self.assertEqual(answer.status, 200, answer.body)
                self.assertEqual(answer.json()["object"], "chat.completion")
                self.assertIn("content", answer.json()["choices"][0]["message"])
        finally:
            upstream.stop()

    def test_the_originals_other_two_lines_typed_as_they_stand_answer_as_the_original_did(self):
        upstream = SecondServer(self.directory)
        try:
            with lmsb.Daemon("--upstream", f"http://127.0.0.1:{upstream.port}", data_dir=self.data) as daemon:  # gets /v1
                self.assertEqual(self.pull(daemon).status, 201)
                answer = daemon.typed("""curl -X POST "http://localhost:8000/ollama/" -H "Content-Type: application/json" -d '{"cmd":"Introduce yourself."}'""")
                self.assertIn("content", answer["choices"][0]["message"])
                answer = daemon.typed("""curl -X POST "http://localhost:8000/llama-cpp/" -H "Content-Type: application/json" -d '{"cmd":"What is AI?"}'""")
                self.assertEqual((sorted(answer), answer["error"]), (["error", "output"], ""))
        finally:
            upstream.stop()


class BadUpstream(ModelTest):
    """Each fault is an answer that names the address and says what to do; the daemon goes on."""

    def ask(self, act, env=None):
        with RawServer(act) as server:
            address = f"http://127.0.0.1:{server.port}"
            with lmsb.Daemon("--upstream", address + "/v1", data_dir=self.data, env=env or {}) as daemon:
                answer = daemon.post("/ollama/", {"cmd": "x"})
                self.assertEqual(daemon.request("GET", "/healthz").status, 200)
        return answer, address

    def test_one_that_is_down(self):
        with lmsb.Daemon("--upstream", "http://127.0.0.1:9/v1", data_dir=self.data) as daemon:
            self.assert_detail(daemon.post("/ollama/", {"cmd": "x"}), (502,), "http://127.0.0.1:9", "[upstream] base_url")

    def test_one_that_answers_a_page(self):
        def page(connection):
            connection.recv(65536)
            body = b"<!doctype html><title>A web server</title>"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        answer, address = self.ask(page)
        self.assert_detail(answer, (502,), address, "not JSON", "<!doctype html>", "[upstream] base_url")

    def test_one_that_says_nothing(self):
        done = threading.Event()
        try:
            answer, address = self.ask(lambda connection: done.wait(), {"LM_SANDBOX_UPSTREAM__TIMEOUT_MS": "300"})
        finally:
            done.set()
        self.assert_detail(answer, (504,), address, "300 ms", "[upstream] timeout_ms")

    def test_one_that_cuts_the_connection_midway(self):
        def cut(connection):
            connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"choices"')

        answer, address = self.ask(cut)
        self.assert_detail(answer, (502,), address, "[upstream] base_url")

    def test_one_that_closes_without_a_word(self):
        answer, address = self.ask(lambda connection: connection.recv(65536))
        self.assert_detail(answer, (502,), address, "[upstream] base_url")

    def test_one_that_speaks_no_http(self):
        answer, address = self.ask(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n"))
        self.assert_detail(answer, (502,), address, "[upstream] base_url")

    def test_one_that_answers_without_end(self):
        def flood(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")

        answer, address = self.ask(flood)
        self.assert_detail(answer, (502,), address, "[upstream] base_url")


class SecondServer:
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


if __name__ == "__main__":
    lmsb.main()
