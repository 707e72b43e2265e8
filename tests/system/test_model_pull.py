#!/usr/bin/python3
"""Models are pulled by their names, from servers of ours that speak as Hugging Face and Ollama's registry do, and as
such servers fail: they cut connections, send other octets, lead elsewhere, stand still."""
import fcntl
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from hub import PIECE, TOKEN, Hub
from models import ModelTest, make_model

class Pulling(ModelTest):
    image = "llama"

    def setUp(self):
        super().setUp()
        make_model(self.directory / "tiny.gguf")
        tiny = (self.directory / "tiny.gguf").read_bytes()
        # Behind the tensors there may be anything: the one is a megabyte, the other another model.
        self.usual, self.other = tiny + bytes(1 << 20), tiny + bytes(8)
        self.hub = self.enterContext(Hub({"small-Q4_K_M.gguf": self.usual, "small-Q8_0.gguf": self.other}))

    def daemon(self, **more):
        return lmsb.Daemon(data_dir=self.data, env={**self.hub.environment, **more})

    def pull(self, daemon, source, **more):
        return daemon.post("/v1/models/pull", {"source": source, **more})

    def models(self, daemon):
        return {model["id"]: model for model in daemon.request("GET", "/v1/models").json()["data"] if not model["demonstration"]}

    def cli(self, daemon, *words, **variables):
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{daemon.run_dir}/api.sock", **variables}
        return subprocess.Popen([lmsb.BIN / "lm-sandbox", "model", "pull", *words], env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def unfinished(self):
        return sorted(entry.name for entry in (self.data / "models").glob(".*") if entry.name != ".demonstration")

    def is_free(self, directory):
        """Whether nobody pulls what is in it."""
        opened = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(opened)

    def stored(self, name):
        return (self.data / "models" / name / "model.gguf").read_bytes()

    def test_by_the_name_of_a_repository_and_asked_afterwards(self):
        with self.daemon() as daemon:
            pulled = self.pull(daemon, "hf:org/small-GGUF")
            self.assertEqual((pulled.status, pulled.json()["id"]), (201, "small-Q4_K_M"), pulled.body)
            self.assertEqual(self.stored("small-Q4_K_M"), self.usual)
            self.assertEqual([entry.name for entry in (self.data / "models/small-Q4_K_M").iterdir()], ["model.gguf"])
            self.assertEqual(self.pull(daemon, "hf.co/org/small-GGUF:q8_0", name="eight").json()["id"], "eight")
            self.assertEqual(self.stored("eight"), self.other)
            asked = daemon.post("/v1/completions", {"model": "small-Q4_K_M", "prompt": "a", "max_tokens": 2})
            self.assertEqual(asked.status, 200, asked.body)
        self.assertEqual(self.unfinished(), [])

    def test_by_a_name_of_a_registry_and_asked_by_it(self):
        with self.daemon() as daemon:
            pulled = self.pull(daemon, "small:3b")
            self.assertEqual((pulled.status, pulled.json()["id"]), (201, "small:3b"), pulled.body)
            self.assertEqual(self.stored("small:3b"), self.usual)
            asked = daemon.post("/api/generate", {"model": "small:3b", "prompt": "a", "stream": False,
                                                  "options": {"num_predict": 2}})
            self.assertEqual(asked.status, 200, asked.body)
            self.assertEqual(daemon.post("/v1/models/small%3A3b/unload", {}).json()["loaded"], False)

    def test_ollamas_clients_bring_and_remove_it(self):
        with self.daemon() as daemon:
            lines = [json.loads(line) for line in daemon.post("/api/pull", {"model": "small:3b"}).body.splitlines()]
            self.assertEqual((lines[0], lines[-1]), ({"status": "pulling manifest"}, {"status": "success"}))
            digest = self.hub.layer("small-Q4_K_M.gguf")["digest"]
            bringing = [line for line in lines if "digest" in line]
            self.assertEqual({line["digest"] for line in bringing} - {digest}, set())
            self.assertEqual({line["status"] for line in bringing} - {f"pulling {digest[7:19]}"}, set())
            self.assertIn({"status": "verifying sha256 digest"}, lines)
            self.assertEqual(daemon.request("DELETE", "/api/delete", {"model": "small:3b"}).status, 200)
            gone = daemon.request("DELETE", "/api/delete", {"name": "small:3b"})
            self.assertEqual((gone.status, "small:3b" in gone.json()["error"]), (404, True), gone.body)
            whole = daemon.post("/api/pull", {"name": "hf.co/org/small-GGUF:Q8_0", "stream": False})
            self.assertEqual((whole.status, whole.json()), (200, {"status": "success"}))
            self.assertEqual(set(self.models(daemon)), {"small-Q8_0"})
            none = [json.loads(line) for line in daemon.post("/api/pull", {"model": "none"}).body.splitlines()]
            self.assertIn("no model", none[-1]["error"])
            for source in ("/etc/passwd", "http://127.0.0.1/a.gguf"):
                self.assertEqual(daemon.post("/api/pull", {"model": source}).status, 400)

    def test_what_is_not_there_is_said_with_what_is(self):
        with self.daemon() as daemon:
            for source, status, code, part in (("hf:org/small-GGUF:Q2_K", 404, "model_not_there", "small-Q8_0.gguf"),
                                               ("hf:org/none", 404, "not_found", ""), ("none", 404, "model_not_there", "hf:ORG/REPO"),
                                               ("a b", 400, "invalid_source", "llama3.2:3b")):
                answer = self.pull(daemon, source)
                error = answer.json()["error"]
                self.assertEqual((answer.status, error["code"]), (status, code), answer.body)
                self.assertIn(part, error["hint"] or "")
            self.assertEqual(self.models(daemon), {})

    def test_a_token_goes_to_the_hub_and_no_further(self):
        self.hub.needs_token = True
        with self.daemon() as daemon:
            answer = self.pull(daemon, "hf:org/small-GGUF")
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "permission_denied"), answer.body)
            with self.cli(daemon, "hf:org/small-GGUF:Q8_0", HF_TOKEN=TOKEN) as pulling:
                self.assertEqual(pulling.communicate(timeout=60), ("small-Q8_0\n", ""))
            self.assertNotIn(TOKEN, daemon.log_text())
        with self.daemon(LM_SANDBOX_MODEL__HUGGING_FACE_TOKEN=TOKEN) as daemon:
            self.assertEqual(self.pull(daemon, "hf:org/small-GGUF").status, 201)
        for who, _, headers in self.hub.asked:
            if who == "answer_storage":
                self.assertNotIn("Authorization", headers)

    def test_connections_that_break_are_gone_on_from(self):
        self.hub.cut = 5 * PIECE
        with self.daemon() as daemon:
            self.assertEqual(self.pull(daemon, "small:3b").status, 201)
        self.assertEqual(self.stored("small:3b"), self.usual)
        ranges = self.hub.ranges()
        self.assertEqual(ranges[:2], [None, f"bytes={5 * PIECE}-"])
        self.assertGreater(len(ranges), 2)

    def test_other_octets_than_were_said_are_thrown_away(self):
        self.hub.changed["small-Q4_K_M.gguf"] = self.usual[:-1] + b"x"
        with self.daemon() as daemon:
            answer = self.pull(daemon, "hf:org/small-GGUF")
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (503, "wrong_digest"), answer.body)
            self.assertEqual((self.models(daemon), self.unfinished()), ({}, []))
            self.hub.changed.clear()
            self.assertEqual(self.pull(daemon, "hf:org/small-GGUF").status, 201)

    def test_a_daemon_that_is_killed_meanwhile_goes_on_with_its_next_pull(self):
        self.hub.hold_behind = 4 * PIECE
        with self.daemon() as daemon:
            with self.cli(daemon, "small:3b") as pulling:
                part = lambda: next((self.data / "models").glob(".part-*/model.gguf"), None)
                lmsb.wait_until(lambda: part() and part().stat().st_size == 4 * PIECE, "its beginning")
                os.kill(daemon.daemon_pid(), signal.SIGKILL)
                self.assertIn("lm-sandbox: ", pulling.communicate(timeout=60)[1])
                self.assertEqual(pulling.returncode, 1)
        self.hub.hold.set()
        with self.daemon() as daemon:
            self.assertEqual(self.pull(daemon, "small:3b").status, 201)
        self.assertEqual(self.stored("small:3b"), self.usual)
        self.assertEqual(self.hub.ranges()[-1], f"bytes={4 * PIECE}-")

    def test_who_goes_away_ends_it_and_may_go_on(self):
        self.hub.hold_behind = 4 * PIECE
        with self.daemon() as daemon:
            with self.cli(daemon, "hf:org/small-GGUF") as pulling:
                part = lambda: next((self.data / "models").glob(".part-*/model.gguf"), None)
                lmsb.wait_until(lambda: part() and part().stat().st_size == 4 * PIECE, "its beginning")
                again = self.pull(daemon, "hf:org/small-GGUF")
                self.assertEqual((again.status, again.json()["error"]["code"]), (409, "model_being_pulled"), again.body)
                pulling.send_signal(signal.SIGINT)
                pulling.communicate(timeout=60)
            lmsb.wait_until(lambda: self.is_free(part().parent), "its end")
            self.hub.hold.set()
            self.assertEqual(self.pull(daemon, "hf:org/small-GGUF").status, 201)
        self.assertEqual(self.stored("small-Q4_K_M"), self.usual)
        self.assertEqual(self.hub.ranges()[-1], f"bytes={4 * PIECE}-")

    def test_how_far_it_is_comes_as_events(self):
        with self.daemon() as daemon:
            connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=60)
            self.addCleanup(connection.close)
            connection.request("POST", "/v1/models/pull", json.dumps({"source": "hf:org/small-GGUF"}),
                               {"Content-Type": "application/json", "Accept": "application/x-ndjson"})
            events = [json.loads(line) for line in connection.getresponse().read().splitlines()]
            self.assertEqual(events[-1]["type"], "model", events)
            steps = [event["step"] for event in events[:-1]]
            self.assertEqual(steps, sorted(steps, key=["looking", "downloading", "checking"].index))
            self.assertEqual({event["total_bytes"] for event in events if event.get("step") == "checking"}, {len(self.usual)})
            connection.request("POST", "/v1/models/pull", json.dumps({"source": "hf:org/none"}),
                               {"Content-Type": "application/json", "Accept": "application/x-ndjson"})
            last = json.loads(connection.getresponse().read().splitlines()[-1])
            self.assertEqual((last["type"], last["error"]["code"]), ("error", "not_found"))

    def test_a_daemon_that_stops_waits_for_no_server(self):
        self.hub.hold_behind = 0
        with self.daemon() as daemon:
            with self.cli(daemon, "small:3b") as pulling:
                lmsb.wait_until(lambda: self.hub.ranges(), "its question")
                self.assertEqual(daemon.stop(), 0)
                pulling.communicate(timeout=60)

    def test_offline_asks_nobody(self):
        env = {name: "http://hub.example" for name in self.hub.environment}
        with lmsb.Daemon("--offline", data_dir=self.data, env=env) as daemon:
            for source in ("hf:org/small-GGUF", "small:3b", "http://hub.example/a.gguf"):
                answer = self.pull(daemon, source)
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "offline"), answer.body)


if __name__ == "__main__":
    lmsb.main()
