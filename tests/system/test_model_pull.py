#!/usr/bin/python3
"""Models are pulled by their names, from servers of ours that speak as Hugging Face and Ollama's registry do, and as
such servers fail: they cut connections, send other octets, lead elsewhere, stand still."""
import fcntl
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest, make_model

TOKEN = "hf_secret"
PIECE = 65536


class Hub:
    """One repository, org/small-GGUF, with the models that it is given, and the same as small:3b of a registry. What is
    asked is kept. Files are at another origin, as at Hugging Face; `cut` is how much of one is sent before the connection
    breaks; `hold` lets nothing more go out behind that much until it is set."""

    def __init__(self, files):
        self.files = files
        self.asked = []
        self.cut = self.hold_behind = None
        self.hold = threading.Event()
        self.changed = {}
        self.needs_token = False
        self.front, self.storage = self.serve(self.answer_front), self.serve(self.answer_storage)

    def serve(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler):
                self.asked.append((answer.__name__, handler.path, dict(handler.headers)))
                answer(handler)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hold.set()
        for server in (self.front, self.storage):
            server.shutdown()
            server.server_close()

    @property
    def environment(self):
        url = f"http://127.0.0.1:{self.front.server_port}"
        return {"LM_SANDBOX_MODEL__HUGGING_FACE": url, "LM_SANDBOX_MODEL__REGISTRY": url + "/"}

    def send(self, handler, status, body, **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer_front(self, handler):
        path = handler.path.split("?")[0]
        if self.needs_token and handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(handler, 401, b"")
        if path == "/api/models/org/small-GGUF/tree/main":
            return self.send_list(handler, "page=2" in handler.path)
        if path == "/v2/library/small/manifests/3b":
            layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 1},
                      {"mediaType": "application/vnd.ollama.image.model", **self.layer("small-Q4_K_M.gguf")}]
            return self.send(handler, 200, json.dumps({"schemaVersion": 2, "layers": layers}).encode())
        if found := re.fullmatch(r"/v2/library/small/blobs/sha256:(\w+)", path):
            name = next(name for name, octets in self.files.items() if hashlib.sha256(octets).hexdigest() == found[1])
            return self.lead(handler, name, 307)
        if found := re.fullmatch(r"/org/small-GGUF/resolve/main/(.*)", path):
            return self.lead(handler, found[1], 302)
        return self.send(handler, 404, b"")

    def layer(self, name):
        return {"digest": "sha256:" + hashlib.sha256(self.files[name]).hexdigest(), "size": len(self.files[name])}

    def lead(self, handler, name, status):
        self.send(handler, status, b"", Location=f"http://127.0.0.1:{self.storage.server_port}/stored/{name}?signed=1")

    def send_list(self, handler, is_second):
        """In two pages: the first has none of the models."""
        listed = [{"type": "file", "path": "README.md", "size": 3, "oid": "1"}]
        if is_second:
            listed = [{"type": "file", "path": name, "size": len(octets), "oid": "1",
                       "lfs": {"oid": hashlib.sha256(octets).hexdigest(), "size": len(octets)}}
                      for name, octets in self.files.items()]
        more = {} if is_second else {
            "Link": f'<http://127.0.0.1:{self.front.server_port}/api/models/org/small-GGUF/tree/main?page=2>; rel="next"'}
        self.send(handler, 200, json.dumps(listed).encode(), **more)

    def answer_storage(self, handler):
        name = handler.path.split("?")[0].removeprefix("/stored/")
        octets = self.changed.get(name, self.files[name])
        begin = 0
        if found := re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", "")):
            begin = int(found[1])
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(octets) - 1}/{len(octets)}")
        handler.send_header("Content-Length", str(len(octets) - begin))
        handler.end_headers()
        for at in range(begin, len(octets), PIECE):
            if self.cut is not None and at - begin >= self.cut:
                handler.close_connection = True
                return None
            if self.hold_behind is not None and at >= self.hold_behind:
                handler.wfile.flush()
                self.hold.wait(60)
            try:
                handler.wfile.write(octets[at:at + PIECE])
            except OSError:
                return None
        return None

    def ranges(self):
        """Of what was asked of the storage, in its order."""
        return [headers.get("Range") for who, _, headers in self.asked if who == "answer_storage"]


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
