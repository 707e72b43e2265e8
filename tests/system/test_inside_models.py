#!/usr/bin/python3
"""Models from inside a sandbox: programs in it ask those that it was made with, on loopback, without a network, within its
budget, and nothing else of the daemon is there. The model is a fixture with random weights, its server a real one."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from models import make_model
from test_keys import KeyTest
from test_staying import kill_all_of_ours

BASE = "http://127.0.0.1:11434"
CHAT = "/v1/chat/completions"
VARIABLES = {"OPENAI_BASE_URL": BASE + "/v1", "OPENAI_API_KEY": "sandbox", "ANTHROPIC_BASE_URL": BASE,
             "ANTHROPIC_API_KEY": "sandbox", "OLLAMA_HOST": "127.0.0.1:11434", "LM_SANDBOX_MODEL": "tiny"}

# Programs inside. Each prints lines of JSON.
ASK = """
import http.client, json, sys
method, path, body = json.loads(sys.argv[1])
connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=100)
try:
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    print(json.dumps([answer.status, dict(answer.headers), answer.read().decode()]))
except OSError as error:
    print(json.dumps([0, {}, type(error).__name__]))
"""
CONNECT = """
import errno, json, socket, sys
for host, port in json.loads(sys.argv[1]):
    with socket.socket() as s:
        s.settimeout(10)
        print(json.dumps(errno.errorcode.get(s.connect_ex((host, port)), "connected")))
"""
# Opens a thousand connections and keeps them; some of them say a little.
HOLD = """
import json, socket, time
held, failed = [], 0
for i in range(1000):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", 11434))
    held.append(s)
time.sleep(1)
for i, s in enumerate(held):
    try:
        if i % 3 == 1: s.send(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: localhost\\r\\nX-Slow: ")
        if i % 3 == 2: s.send(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\n"
                              b"Content-Length: 4000000\\r\\n\\r\\n" + b"x" * 50000)
    except OSError:
        failed += 1
print(json.dumps("held"), flush=True)
time.sleep(1000)
"""
# Asks with 4 MiB of JSON each time, by two connections, for so long; says for how long, and how often it was answered.
FLOOD = """
import http.client, json, sys, threading, time
body = json.dumps({"model": "nope", "messages": [{"role": "user", "content": x} for x in 4000 * ["x" * 1000]]})
begun, answers = time.monotonic(), []
def ask():
    while time.monotonic() < begun + json.loads(sys.argv[1]):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=100)
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            answers.append(connection.getresponse().status)
        except OSError:
            answers.append(0)
threads = [threading.Thread(target=ask) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([time.monotonic() - begun, answers]))
"""
# Four streams without an end, again and again, none of which is read.
HOG = """
import json, socket, time
body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 4000, "stream": True}).encode()
head = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
held = []
for i in range(8):
    s = socket.create_connection(("127.0.0.1", 11434))
    s.sendall(head % len(body) + body)
    held.append(s)
held[0].recv(100)
print(json.dumps("held"), flush=True)
time.sleep(1000)
"""
# Reads streams to their end, and says after each event how many there were.
LISTEN = """
import http.client, json
body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 4000, "stream": True})
events = 0
while True:
    connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=100)
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    for line in connection.getresponse():
        if line.startswith(b"data: {"):
            events += 1
            print(events, flush=True)
"""
# What the door says to what is no request, or too much of one.
RUDE = """
import json, socket
def say(octets):
    with socket.create_connection(("127.0.0.1", 11434), timeout=60) as s:
        try:
            s.sendall(octets)
        except OSError:
            pass
        got = b""
        try:
            while part := s.recv(65536): got += part
        except OSError:
            pass
        return got.split(b"\\r\\n")[0].decode(errors="replace")
head = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\n"
print(json.dumps([say(head + b"X: " + b"y" * 100000 + b"\\r\\n\\r\\n"),
                  say(head + b"Content-Length: 99999999\\r\\n\\r\\n"),
                  say(b"GET /v1/models HTTP/1.1\\r\\nHost: evil.test\\r\\nConnection: close\\r\\n\\r\\n"),
                  say(b"hello\\r\\n\\r\\n")]))
"""
# Asks until it is answered, while the daemon comes and goes.
KEEP_ASKING = """
import http.client, json, socket, time
def rob():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 11434))
        print(json.dumps("robbed"), flush=True)
while True:
    try:
        rob()
    except OSError:
        pass
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=60)
        connection.request("GET", "/v1/models")
        print(json.dumps(connection.getresponse().status), flush=True)
    except OSError as error:
        print(json.dumps(type(error).__name__), flush=True)
    except http.client.HTTPException as error:
        print(json.dumps("broken off"), flush=True)
    time.sleep(0.05)
"""
UNTIL_REFUSED = """
import socket, time
while True:
    try:
        socket.create_connection(("127.0.0.1", 11434)).close()
    except ConnectionRefusedError:
        break
    time.sleep(0.05)
"""


def say(text="x", **fields):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 5, **fields}


class InsideTest(KeyTest):
    image = "host"

    def setUp(self):
        lmsb.require_image("llama")
        super().setUp()
        self.pull("tiny")

    def pull(self, name, *flags):
        path = self.daemon.dir / (name + ".gguf")
        make_model(path, *flags)
        pulled = self.daemon.post("/v1/models/pull", {"source": str(path), "name": name})
        self.assertEqual(pulled.status, 201, pulled.body)

    def run_inside(self, sandbox, program, *words):
        done = self.do(sandbox, "exec", {"cmd": ["python3", "-c", program, *map(json.dumps, words)]})
        self.assertEqual(done.status, 200, done.body)
        result = done.json()
        self.assertEqual((result["exit_code"], result["stderr"]), (0, ""), result)
        return [json.loads(line) for line in result["stdout"].splitlines()]

    def ask(self, sandbox, method, path, body=None):
        """What a program in the sandbox hears: status, and the answer."""
        (status, headers, text), = self.run_inside(sandbox, ASK, [method, path, body])
        is_json = headers.get("Content-Type", "").startswith("application/json")
        return status, json.loads(text) if is_json else text

    def chat(self, sandbox, **fields):
        status, answer = self.ask(sandbox, "POST", CHAT, say(**fields))
        self.assertEqual(status, 200, answer)
        return answer

    def code(self, sandbox, body, path=CHAT, method="POST"):
        """Of an answer that is a refusal, in OpenAI's shape or ours."""
        status, answer = self.ask(sandbox, method, path, body)
        return status, answer["error"]["code"]

    def used(self, sandbox):
        return self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/stats").json()["models"]

    def wait_written(self):
        """What the one sandbox there is has used is in its row a second later; the daemon has the database locked."""
        state = self.daemon.data_dir / "state"
        lmsb.wait_until(lambda: any(b"completion_tokens" in file.read_bytes() for file in state.glob("sandboxes.db*")), "the row")

    def variables(self, sandbox):
        lines = (line.partition("=") for line in self.output(sandbox, "env").splitlines())
        return {name: value for name, _, value in lines if name in VARIABLES}


class Channel(InsideTest):
    def test_programs_find_their_models_and_nothing_else(self):
        sandbox = self.create(models=["tiny"])
        told = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}").json()
        self.assertEqual((told["models"], told["model_limits"], told["egress"]["mode"]),
                         (["tiny"], {"tokens": None, "requests_per_minute": None}, "none"))
        self.assertEqual(self.variables(sandbox), VARIABLES)
        self.assertEqual(self.used(sandbox), {"requests": 0, "refused": 0, "prompt_tokens": 0, "completion_tokens": 0})

        status, models = self.ask(sandbox, "GET", "/v1/models")
        self.assertEqual((status, [model["id"] for model in models["data"]]), (200, ["tiny"]))
        answer = self.chat(sandbox, model="tiny")
        unnamed = self.chat(sandbox)  # the daemon has another one, too
        self.assertEqual((answer["model"], unnamed["model"]), ("tiny", "tiny"))
        status, completed = self.ask(sandbox, "POST", "/v1/completions", {"prompt": "once", "max_tokens": 3})
        self.assertEqual((status, completed["usage"]["completion_tokens"]), (200, 3))
        usages = [each["usage"] for each in (answer, unnamed, completed)]
        # Of the first stream nobody says what it used: as much as the second, as both go on to the last token they may have.
        status, text = self.ask(sandbox, "POST", CHAT, say(stream=True, ignore_eos=True))
        payloads = [line[len("data: "):] for line in text.splitlines() if line.startswith("data: ")]
        self.assertEqual((status, payloads[-1]), (200, "[DONE]"))
        status, text = self.ask(sandbox, "POST", CHAT, say(stream=True, ignore_eos=True, stream_options={"include_usage": True}))
        events = [json.loads(line[len("data: "):]) for line in text.splitlines() if line.startswith("data: {")]
        usages += 2 * [next(event["usage"] for event in events if event.get("usage"))]
        self.assertEqual(self.used(sandbox), {"requests": 5, "refused": 0,
                                              "prompt_tokens": sum(u["prompt_tokens"] for u in usages),
                                              "completion_tokens": sum(u["completion_tokens"] for u in usages)})

        self.assertEqual(self.code(sandbox, say(model="demonstration")), (404, "model_not_found"))
        self.assertEqual(self.code(sandbox, None, "/v1/models/demonstration", "GET"), (404, "model_not_found"))
        for method, path in (("GET", "/v1/sandboxes"), ("POST", "/v1/sandboxes"), ("POST", "/v1/run"), ("GET", "/v1/info"),
                             ("POST", "/v1/models/pull"), ("GET", "/metrics"), ("GET", "/"), ("POST", "/run-bash/")):
            self.assertIn(self.ask(sandbox, method, path, {} if method == "POST" else None)[0], (404, 405), path)
        self.assertEqual(self.used(sandbox)["refused"], 1)

        self.assertEqual(self.run_inside(sandbox, CONNECT, [["127.0.0.1", self.daemon.port], ["192.0.2.1", 80], ["10.0.0.1", 53]]),
                         ["ECONNREFUSED", "ENETUNREACH", "ENETUNREACH"])
        bind = "import socket; s = socket.socket(); s.setsockopt(1, 15, 1); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', 11434))"
        taken = self.exec(sandbox, f'python3 -c "{bind}"')
        self.assertIn("Address already in use", taken["stderr"], "its place is nobody else's")

    def test_what_is_asked_in_other_words_is_counted_too(self):
        sandbox = self.create(models=["tiny"])
        question = {"input": "x", "max_output_tokens": 20}
        status, whole = self.ask(sandbox, "POST", "/v1/responses", question)
        self.assertEqual(status, 200, whole)
        status, text = self.ask(sandbox, "POST", "/v1/responses", {**question, "stream": True})
        events = [json.loads(line[len("data: "):]) for line in text.splitlines() if line.startswith("data: ")]
        self.assertEqual((status, events[-1]["type"]), (200, "response.completed"))
        usages = [whole["usage"], events[-1]["response"]["usage"]]
        question = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 20}
        status, whole = self.ask(sandbox, "POST", "/v1/messages", question)
        self.assertEqual(status, 200, whole)
        status, text = self.ask(sandbox, "POST", "/v1/messages", {**question, "stream": True})
        events = [json.loads(line[len("data: "):]) for line in text.splitlines() if line.startswith("data: ")]
        self.assertEqual((status, events[-1]["type"]), (200, "message_stop"))
        usages += [whole["usage"], events[-2]["usage"]]
        status, count = self.ask(sandbox, "POST", "/v1/messages/count_tokens", question)
        of_all = [{**u, "input_tokens": u["input_tokens"] + u.get("cache_read_input_tokens", 0)} for u in usages]
        self.assertEqual((status, count), (200, {"input_tokens": of_all[-1]["input_tokens"]}))
        self.assertEqual(self.used(sandbox), {"requests": 5, "refused": 0, "prompt_tokens": sum(u["input_tokens"] for u in of_all),
                                              "completion_tokens": sum(u["output_tokens"] for u in of_all)})
        question = {"messages": question["messages"], "options": {"num_predict": 20}}
        status, whole = self.ask(sandbox, "POST", "/api/chat", {**question, "stream": False})
        self.assertEqual(status, 200, whole)
        status, text = self.ask(sandbox, "POST", "/api/chat", question)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual((status, lines[-1]["done"]), (200, True))
        of_all += [{"input_tokens": u["prompt_eval_count"], "output_tokens": u["eval_count"]} for u in (whole, lines[-1])]
        status, loaded = self.ask(sandbox, "POST", "/api/generate", {"stream": False})
        self.assertEqual((status, loaded["done_reason"]), (200, "load"))
        self.assertEqual(self.used(sandbox), {"requests": 8, "refused": 0, "prompt_tokens": sum(u["input_tokens"] for u in of_all),
                                              "completion_tokens": sum(u["output_tokens"] for u in of_all)})
        status, refused = self.ask(sandbox, "POST", "/v1/messages", {**question, "model": "demonstration"})
        self.assertEqual((status, refused["error"]["code"]), (404, "model_not_found"))
        self.assertEqual(self.code(sandbox, {"input": ["a", "b"]}, "/v1/embeddings"), (400, "several_answers"))
        self.assertEqual(self.code(sandbox, {"input": "a"}, "/v1/embeddings"), (501, "model_unable"))
        self.assertEqual(self.code(sandbox, {"input": "a", "model": "demonstration"}, "/v1/embeddings"), (404, "model_not_found"))

    def test_who_has_none_finds_none(self):
        other = self.create(models=["tiny"])
        sandbox = self.create()
        self.assertEqual(self.variables(sandbox), {})
        self.assertEqual(self.run_inside(sandbox, CONNECT, [["127.0.0.1", 11434]]), ["ECONNREFUSED"])
        self.assertIsNone(self.used(sandbox))
        self.assertEqual(self.chat(other)["model"], "tiny")

    def test_a_callers_own_variables_win(self):
        sandbox = self.create(models=["tiny"], env={"OPENAI_API_KEY": "mine"})
        self.assertEqual(self.variables(sandbox), {**VARIABLES, "OPENAI_API_KEY": "mine"})

    def test_one_shots_have_them_too(self):
        done = self.daemon.run(["python3", "-c", ASK, json.dumps(["POST", CHAT, say()])], image="host", models=["tiny"])
        self.assertEqual(json.loads(done["stdout"])[0], 200, done)
        done = self.daemon.run("env; exec 3<>/dev/tcp/127.0.0.1/11434", image="host", shell="/bin/bash")
        self.assertNotIn("LM_SANDBOX_MODEL", done["stdout"])
        self.assertIn("refused", done["stderr"])
        ran = subprocess.run([lmsb.BIN / "lm-sandbox", "run", "--host", f"http://127.0.0.1:{self.daemon.port}", "--model", "tiny",
                              "--model-tokens", "100", "host", "python3", "-c", ASK, json.dumps(["POST", CHAT, say()])],
                             capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual((ran.returncode, json.loads(ran.stdout or "[0]")[0]), (0, 200), ran.stderr)

    def test_without_a_daemon_a_private_one_serves_them(self):
        self.daemon.stop()
        env = {name: value for name, value in os.environ.items() if name != "LM_SANDBOX_HOST"}
        ran = subprocess.run([lmsb.BIN / "lm-sandbox", "run", "--data-dir", self.daemon.data_dir, "--model", "tiny", "host", "python3",
                              "-c", ASK, json.dumps(["POST", CHAT, say()])],
                             capture_output=True, text=True, timeout=300, check=False, env=env)
        self.assertEqual((ran.returncode, json.loads(ran.stdout or "[0]")[0]), (0, 200), ran.stderr)
        self.daemon.start()

    def test_what_cannot_be_is_said_at_once(self):
        def create(**fields):
            return self.daemon.post("/v1/sandboxes", {"image": "host", **fields})
        self.refused(create(models=["nope"]), 404, "model_not_found")
        self.refused(create(models=["tiny", "tiny"]), 400, "invalid_models")
        self.refused(create(model_limits={"tokens": 5}), 400, "invalid_models")
        self.refused(create(models="tiny"), 400, "invalid_request")
        self.refused(create(models=["tiny"], model_limits={"tokens": 0}), 400, "invalid_request")
        self.assertEqual(self.daemon.request("GET", "/v1/sandboxes").json()["data"], [])

    def test_a_budget_ends(self):
        sandbox = self.create(models=["tiny"], model_limits={"tokens": 10})
        first = self.chat(sandbox)["usage"]
        self.assertGreaterEqual(first["total_tokens"], 10)
        (status, headers, text), = self.run_inside(sandbox, ASK, ["POST", CHAT, say()])
        error = json.loads(text)["error"]
        self.assertEqual((status, error["code"], headers.get("x-should-retry")), (403, "model_tokens_used", "false"))
        self.assertIn("model_limits.tokens", error["message"])
        self.assertEqual(self.ask(sandbox, "GET", "/v1/models")[0], 200)
        self.assertEqual((self.used(sandbox)["requests"], self.used(sandbox)["refused"]), (1, 1))
        self.wait_written()
        self.again(kill_all_of_ours)
        self.until_served(sandbox)
        self.assertEqual(self.code(sandbox, say()), (403, "model_tokens_used"))

    def test_all_answers_are_of_one_budget(self):
        sandbox = self.create(models=["tiny"], model_limits={"tokens": 150})
        used = []
        while sum(used) < 150:
            used.append(self.chat(sandbox)["usage"]["total_tokens"])
        self.assertGreater(len(used), 1, used)
        self.assertEqual(self.code(sandbox, say()), (403, "model_tokens_used"))

    def test_one_answer_a_request(self):
        sandbox = self.create(models=["tiny"])
        for fields in ({"prompt": ["a", "b", "c"]}, {"prompt": [[1], [2]]}, {"prompt": "a", "n": 2}):
            for stream in (False, True):
                code = self.code(sandbox, {"max_tokens": 3, "stream": stream, **fields}, "/v1/completions")
                self.assertEqual(code, (400, "several_answers"), fields)
        self.assertEqual(self.code(sandbox, say(n=2)), (400, "several_answers"))
        self.assertEqual(self.used(sandbox)["requests"], 0)
        status, answer = self.ask(sandbox, "POST", "/v1/completions", {"prompt": [65, 66], "max_tokens": 3})
        self.assertEqual((status, answer["usage"]["completion_tokens"]), (200, 3))
        self.assertEqual(self.daemon.post("/v1/completions", {"prompt": ["a", "b"], "model": "tiny", "stream": True, "max_tokens": 3}).status,
                         200, "the daemon's own clients may")

    def test_so_many_in_a_minute(self):
        sandbox = self.create(models=["tiny"], model_limits={"requests_per_minute": 2})
        for _ in range(2):
            self.chat(sandbox)
        (status, headers, text), = self.run_inside(sandbox, ASK, ["POST", CHAT, say()])
        self.assertEqual((status, json.loads(text)["error"]["code"]), (429, "model_rate_limited"))
        self.assertGreater(int(headers["Retry-After"]), 0)

    def test_a_stream_that_is_left_counts_as_far_as_it_came(self):
        self.pull("endless", "--endless")
        sandbox = self.create(models=["endless"])
        program = ASK.replace("answer.read().decode()", "answer.read1(300).decode()")
        self.run_inside(sandbox, program, ["POST", CHAT, {**say(stream=True), "max_tokens": 4000}])
        lmsb.wait_until(lambda: self.used(sandbox)["completion_tokens"] > 0, "the bill")
        self.assertGreater(self.used(sandbox)["prompt_tokens"], 0)
        self.assertLess(self.used(sandbox)["completion_tokens"], 4000)

    def until_served(self, sandbox):
        lmsb.wait_until(lambda: self.ask(sandbox, "GET", "/v1/models")[0] == 200, "the model channel")


class Life(InsideTest):
    until_served = Channel.until_served

    def test_what_is_on_its_way_is_counted_when_the_daemon_ends(self):
        self.pull("endless", "--endless")
        sandbox = self.create(models=["endless"])
        listening = self.detach(sandbox, ["python3", "-c", LISTEN])
        lmsb.wait_until(lambda: self.piece(sandbox, listening)["text"].count("\n") > 100, "events")
        self.again(lambda daemon: daemon.stop())
        heard = int(self.piece(sandbox, listening)["text"].split()[-1])
        used = self.used(sandbox)
        self.assertGreaterEqual(used["prompt_tokens"] + used["completion_tokens"], heard, used)

    def test_it_is_there_again_whatever_ended_the_daemon(self):
        sandbox = self.create(models=["tiny"])
        used = self.chat(sandbox)["usage"]
        asking = self.detach(sandbox, ["python3", "-c", KEEP_ASKING])
        lmsb.wait_until(lambda: "200" in self.piece(sandbox, asking)["text"], "an answer")
        self.detach(sandbox, ["python3", "-c", UNTIL_REFUSED, "until-refused"])
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"until-refused"), "who is to be refused")
        self.wait_written()
        self.again(self.kill_until_refused)
        self.until_served(sandbox)
        self.assertEqual(self.used(sandbox)["prompt_tokens"], used["prompt_tokens"])
        before = self.piece(sandbox, asking)["end"]
        lmsb.wait_until(lambda: self.piece(sandbox, asking, before)["text"].count("200") > 1, "answers again")
        said = set(self.piece(sandbox, asking)["text"].split())
        self.assertLessEqual(said, {"200", '"ConnectionRefusedError"', '"ConnectionResetError"', '"RemoteDisconnected"',
                                    '"BrokenPipeError"', '"broken', 'off"', "503"})
        self.chat(sandbox)
        self.assertEqual(self.used(sandbox)["requests"], 2)
        self.again(lambda daemon: daemon.stop())
        self.until_served(sandbox)
        self.assertEqual(self.used(sandbox)["requests"], 2)

    def kill_until_refused(self, daemon):
        """Without a daemon nobody hangs: the next one starts only when the sandbox has seen that."""
        kill_all_of_ours(daemon)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"until-refused"), "a refusal")

    def test_it_stops_starts_and_pauses_with_its_sandbox(self):
        sandbox = self.create(models=["tiny"], model_limits={"tokens": 100000})
        self.chat(sandbox)
        self.move(sandbox, "stop", "stopped")
        self.assertEqual(self.used(sandbox)["requests"], 1)
        self.move(sandbox, "start", "running")
        self.assertEqual(self.chat(sandbox)["model"], "tiny")
        self.assertEqual(self.used(sandbox)["requests"], 2)
        self.move(sandbox, "pause", "paused")
        self.move(sandbox, "resume", "running")
        self.assertEqual(self.chat(sandbox)["model"], "tiny")
        told = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}").json()
        self.assertEqual((told["models"], told["model_limits"]["tokens"]), (["tiny"], 100000))

    def test_copies_have_what_their_creation_names(self):
        sandbox = self.create(models=["tiny"], env={"KEPT": "1"})
        fork, = self.do(sandbox, "fork").json()["data"]
        self.assertEqual((fork["models"], self.variables(fork["id"])), ([], {}))
        self.assertEqual(self.run_inside(fork["id"], CONNECT, [["127.0.0.1", 11434]]), ["ECONNREFUSED"])
        self.assertEqual(self.output(fork["id"], "echo $KEPT"), "1\n")
        snapshot = self.do(sandbox, "snapshot").json()["id"]
        made = self.daemon.post("/v1/sandboxes", {"snapshot": snapshot, "models": ["tiny"]})
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(self.chat(made.json()["id"])["model"], "tiny")
        self.assertEqual(self.used(made.json()["id"])["requests"], 1, "what the other one used is not its own")

    def test_it_goes_with_its_sandbox(self):
        sandbox = self.create(models=["tiny"])
        asking = self.detach(sandbox, ["python3", "-c", HOLD])
        lmsb.wait_until(lambda: "held" in self.piece(sandbox, asking)["text"], "connections")
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}").status, 204)
        fds = pathlib.Path(f"/proc/{self.daemon.daemon_pid()}/fd")

        def held():
            def port_of(fd):
                with contextlib.suppress(OSError):
                    return os.readlink(fd)
                return ""
            return sum(port_of(fd).startswith("socket:") for fd in fds.iterdir())
        lmsb.wait_until(lambda: held() < 40, "the end of its connections")


class Bounds(InsideTest):
    def test_a_hostile_client_holds_up_nobody_but_itself(self):
        hostile, other = self.create(models=["tiny"]), self.create(models=["tiny"])
        holding = self.detach(hostile, ["python3", "-c", HOLD])
        lmsb.wait_until(lambda: "held" in self.piece(hostile, holding)["text"], "connections")
        for _ in range(3):
            self.assertEqual(self.daemon.request("GET", "/v1/sandboxes").status, 200)
            self.assertEqual(self.daemon.post(CHAT, say(model="tiny")).status, 200)
            self.assertEqual(self.chat(other)["model"], "tiny")
        sockets = [fd for fd in pathlib.Path(f"/proc/{self.daemon.daemon_pid()}/fd").iterdir()]
        self.assertLess(len(sockets), 400, "not all of a thousand are taken")
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{hostile}/processes/{holding['id']}").status, 204)
        lmsb.wait_until(lambda: self.ask(hostile, "GET", "/v1/models")[0] == 200, "an answer for the hostile one, too")

    def test_large_requests_are_taken_up_slowly(self):
        sandbox = self.create(models=["tiny"])
        (took, answers), = self.run_inside(sandbox, FLOOD, 6)
        self.assertEqual(set(answers), {404})
        self.assertLess(len(answers), took * 100 / 120 + 5, "a second of it is a moment of the daemon's")
        self.assertEqual(self.chat(sandbox)["model"], "tiny")

    def test_who_does_not_read_holds_up_no_model(self):
        self.pull("endless", "--endless")
        hostile, other = self.create(models=["endless"]), self.create(models=["endless"])
        holding = self.detach(hostile, ["python3", "-c", HOG])
        lmsb.wait_until(lambda: "held" in self.piece(hostile, holding)["text"], lambda: "streams: " + str(
            (self.piece(hostile, holding, stream="stderr")["text"], self.used(hostile))))
        lmsb.wait_until(lambda: self.used(hostile)["requests"] == 4, "four of them")
        for _ in range(3):
            self.assertEqual(self.daemon.post(CHAT, say(model="endless")).status, 200)
            self.assertEqual(self.chat(other)["model"], "endless")

    def test_what_is_no_request_is_refused(self):
        sandbox = self.create(models=["tiny"])
        (lines), = self.run_inside(sandbox, RUDE)
        self.assertEqual([line.split(" ")[1] for line in lines], ["431", "413", "421", "400"])
        self.assertEqual(self.chat(sandbox)["model"], "tiny")


class Rights(InsideTest):
    def test_nobody_asks_by_a_sandbox_who_may_not_ask_himself(self):
        _, both = self.make("read", "write", "models", labels={"team": "a"})
        _, writer = self.make("read", "write", labels={"team": "a"})
        _, plain = self.make("read", "write")
        _, admin = self.make("admin")
        sandbox = self.box(both, image="host", models=["tiny"])
        for key in (writer, plain):
            self.refused(self.by(key, "POST", CHAT, say(model="tiny")), 403, "scope_missing")
            self.refused(self.by(key, "POST", f"/v1/sandboxes/{sandbox}/exec", {"cmd": "true"}), 404, "sandbox_not_found")
        self.assertEqual(self.by(admin, "POST", CHAT, say(model="tiny")).status, 200)
        self.assertEqual(self.by(admin, "POST", f"/v1/sandboxes/{sandbox}/exec", {"cmd": "true"}).status, 200)

    def test_a_key_without_the_scope_makes_no_sandbox_with_models(self):
        _, writer = self.make("read", "write")
        self.refused(self.by(writer, "POST", "/v1/sandboxes", {"image": "host", "models": ["tiny"]}), 403, "scope_missing")
        self.refused(self.by(writer, "POST", "/v1/run", {"cmd": "true", "models": ["tiny"]}), 403, "scope_missing")
        _, both = self.make("read", "write", "models")
        sandbox = self.box(both, image="host", models=["tiny"])
        asked = self.by(both, "POST", f"/v1/sandboxes/{sandbox}/exec",
                        {"cmd": ["python3", "-c", ASK, json.dumps(["POST", CHAT, say()])]}).json()
        self.assertEqual(json.loads(asked["stdout"])[0], 200, asked)

    def test_the_operator_may_allow_none(self):
        sandbox = self.create(models=["tiny"])
        self.daemon.env["LM_SANDBOX_POLICY__MODELS"] = "false"
        self.again()
        self.refused(self.daemon.post("/v1/sandboxes", {"image": "host", "models": ["tiny"]}), 403, "policy_denied")
        lmsb.wait_until(lambda: self.ask(sandbox, "GET", "/v1/models")[0] == 200, "the model channel")
        words = {"messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x"}
        for path in (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens",
                     "/api/chat", "/api/generate", "/api/embed", "/api/embeddings"):
            status, told = self.ask(sandbox, "POST", path, words)
            self.assertEqual(status, 403, path)
            self.assertIn("policy", json.dumps(told), path)


if __name__ == "__main__":
    lmsb.main()
