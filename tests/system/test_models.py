#!/usr/bin/python3
"""A real llama.cpp runner in its sandbox, and a real second one over TCP as the upstream. The model is mostly a fixture
with random weights: its words mean nothing. Those of the demonstration model do."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest, RawServer, can_connect, make_model

# Enough that an endless answer is never over before the test is.
LONG = {"LM_SANDBOX_MODEL__MAX_TOKENS": "1000000", "LM_SANDBOX_MODEL__CONTEXT": "262144"}


class Models(ModelTest):
    image = "llama"

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
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            answers = []
            caller = threading.Thread(target=lambda: answers.append(daemon.post("/llama-cpp/", {"cmd": "endless"})))
            caller.start()
            lmsb.wait_until(lambda: self.is_loaded(daemon), "the loaded model")
            first = self.runner()
            self.assertTrue(caller.is_alive())  # its answer is on its way
            os.kill(first, signal.SIGKILL)
            caller.join(60)
            self.assert_detail(answers[0], (502, 503), "runner has ended", "next request starts a new one")
            self.assertFalse(self.is_loaded(daemon))
            self.pull(daemon)
            self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "next"}).status, 200)
            self.assertNotIn(self.runner(), (None, first))

    def test_a_client_that_goes_away_ends_its_answer_and_not_the_runner(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            client = socket.create_connection((daemon.host, daemon.port))
            body = json.dumps({"cmd": "endless"}).encode()
            client.sendall(b"POST /llama-cpp/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)
            lmsb.wait_until(lambda: self.is_loaded(daemon) and self.carriers(), "the request in the sandbox")
            runner = self.runner()
            client.close()
            lmsb.wait_until(lambda: not self.carriers(), "the end of what carried the request")
            self.assertEqual(self.runner(), runner)

    def carriers(self):
        """Our processes in the runner's sandbox that carry requests to it."""
        runner = self.runner()
        if not runner:
            return []
        user = os.stat(f"/proc/{runner}").st_uid
        return lmsb.processes(lambda entry: entry.stat().st_uid == user and int(entry.name) != runner)

    def test_the_demonstration_model_answers_by_its_name_until_there_is_another(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            answer = daemon.post("/llama-cpp/", {"cmd": "What is AI?"})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual((answer.json()["model"], answer.json()["error"]), ("demonstration", ""))
            self.assertIn("artificial intelligence", answer.json()["output"])
            self.assertIn("demonstration model", daemon.post("/llama-cpp/", {"cmd": "Introduce yourself."}).json()["output"])
            self.assertEqual(self.models(daemon), {"demonstration": (True, True)})
            self.assertIn("demonstration only", lm_sandbox("model", "ls", "--host", f"unix:{daemon.run_dir}/api.sock").stdout)
            self.pull(daemon)
            self.assertEqual(self.models(daemon), {"tiny": (False, True), "demonstration": (True, False)})
            self.assertNotIn("model", daemon.post("/llama-cpp/", {"cmd": "x"}).json())

    def models(self, daemon):
        """id -> (is the demonstration model, is the default)"""
        listed = daemon.request("GET", "/v1/models").json()["data"]
        return {model["id"]: (model["demonstration"], model["default"]) for model in listed}

    def test_the_demonstration_model_never_stands_in_for_one_that_was_asked_for(self):
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__DEFAULT": "wanted"}) as daemon:
            missing = daemon.post("/llama-cpp/", {"cmd": "x"})
            self.assertIn(missing.status, (502, 503))
            self.assertIn("wanted", missing.json()["detail"])
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__DEFAULT": "demonstration"}) as daemon:
            self.pull(daemon)
            self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "x"}).json()["model"], "demonstration")

    def test_the_demonstration_model_never_stands_in_for_one_that_is_damaged(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            (self.data / "models/tiny/model.gguf").write_bytes(b"damaged")
            answer = daemon.post("/llama-cpp/", {"cmd": "x"})
            self.assertEqual(answer.status, 503, answer.body)
            self.assertIn("models/tiny/model.gguf", answer.json()["detail"])
            self.assertEqual(self.models(daemon), {"demonstration": (True, False)})

    def test_several_models_and_broken_files_are_clear_errors(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
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

    def test_a_prompt_that_does_not_fit_is_the_requests_fault(self):
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__CONTEXT": "256"}) as daemon:
            self.pull(daemon)
            long = daemon.post("/llama-cpp/", {"cmd": "too long " * 500})
            self.assert_detail(long, (400,), "[model] context")
            runner = self.runner()
            self.assertEqual(daemon.post("/llama-cpp/", {"cmd": "x"}).status, 200)
            self.assertEqual(self.runner(), runner)


class Pull(ModelTest):
    """Bringing models, which needs no image."""

    def stored(self):
        return sorted(entry.name for entry in (self.data / "models").iterdir())

    def test_the_cli_pulls_what_its_caller_may_open_and_the_daemon_may_not(self):
        home = self.directory / "home"
        home.mkdir(mode=0o700)
        make_model(home / "own.gguf")
        os.chmod(home / "own.gguf", 0o600)
        with lmsb.Daemon(data_dir=self.data) as daemon:
            refused = daemon.post("/v1/models/pull", {"source": str(home / "own.gguf")})
            self.assertEqual(refused.status, 403)
            self.assertIn("lm-sandbox on this machine", refused.json()["error"]["hint"])
            socket_url = f"unix:{daemon.run_dir}/api.sock"
            pulled = lm_sandbox("model", "pull", "--host", socket_url, home / "own.gguf")
            self.assertEqual((pulled.returncode, pulled.stdout), (0, "own\n"), pulled.stderr)
            self.assertEqual(self.stored(), ["own"])
            self.assertEqual(os.stat(self.data / "models/own/model.gguf").st_size, os.stat(home / "own.gguf").st_size)
            missing = lm_sandbox("model", "pull", "--host", socket_url, home / "none.gguf")
            self.assertIn("No such file", missing.stderr)
            directory = lm_sandbox("model", "pull", "--host", socket_url, home)
            self.assertIn("no regular file", directory.stderr)
            self.assertEqual(self.stored(), ["own"])

    def test_a_private_daemon_pulls_what_its_caller_may_open(self):
        home = self.directory / "home"
        home.mkdir(mode=0o700)
        make_model(home / "own.gguf")
        pulled = lm_sandbox("model", "pull", "--data-dir", self.data, "--name", "mine", home / "own.gguf")
        self.assertEqual((pulled.returncode, pulled.stdout), (0, "mine\n"), pulled.stderr)
        self.assertEqual(self.stored(), ["mine"])

    def test_a_handle_that_nobody_gave_is_refused(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            for handle in ("0" * 32, "x", "../../etc/passwd"):
                answer = daemon.post("/v1/models/pull", {"source": "/a.gguf", "handle": handle})
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (404, "no_such_handle"))

    def test_what_a_killed_pull_left_is_swept_once_nobody_has_gone_on_with_it_for_a_week(self):
        def half_a_model(connection):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nGGUF" + bytes(1000))
            server.done.wait()

        with RawServer(half_a_model) as server:
            daemon = lmsb.Daemon(data_dir=self.data).start()
            caller = threading.Thread(target=lambda: post_and_lose(daemon, f"http://127.0.0.1:{server.port}/big.gguf"))
            caller.start()
            lmsb.wait_until(lambda: any(name.startswith(".part-") for name in self.stored()), "the unfinished pull")
            os.kill(daemon.daemon_pid(), signal.SIGKILL)
            daemon.process.wait(60)
            caller.join(60)
        daemon.__exit__()
        left, = self.stored()
        with lmsb.Daemon(data_dir=self.data):
            self.assertEqual(self.stored(), [left])
        long_ago = time.time() - 8 * 86400
        os.utime(self.data / "models" / left / "model.gguf", (long_ago, long_ago))
        with lmsb.Daemon(data_dir=self.data) as again:
            self.assertEqual(self.stored(), [])
            self.assertIn("model.swept", again.log_text())


def lm_sandbox(*words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LM_SANDBOX_")}
    return subprocess.run([lmsb.BIN / "lm-sandbox", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120, env=environment, check=False)


def post_and_lose(daemon, source):
    try:
        daemon.post("/v1/models/pull", {"source": source})
    except OSError:
        pass
    except Exception as error:  # http.client's own, of a connection that ended
        assert "closed connection" in str(error), error


if __name__ == "__main__":
    lmsb.main()
