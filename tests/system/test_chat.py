#!/usr/bin/python3
"""OpenAI's API over a real llama.cpp runner, and `lm-sandbox chat`, which speaks it. Where words matter the model is the
demonstration model; where an answer must not end by itself it is a fixture with random weights."""
import http.client
import json
import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest

CHAT = "/v1/chat/completions"
LONG = {"LM_SANDBOX_MODEL__CONTEXT": "262144"}
BASH = {"type": "function", "function": {"name": "bash", "description": "Run a command", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}


def user(text, **fields):
    return {"messages": [{"role": "user", "content": text}], **fields}


class ChatTest(ModelTest):
    image = "llama"

    def stream(self, daemon, body, path=CHAT, room=None):
        """The payloads of a streamed answer, one at a time, as they come; `room` is of the socket that receives them."""
        connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=120)
        self.addCleanup(connection.close)
        if room:
            connection.sock = socket.socket()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            connection.sock.settimeout(120)
            connection.sock.connect((daemon.host, daemon.port))
        connection.request("POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertTrue(response.headers["Content-Type"].startswith("text/event-stream"))
        for line in response:
            if line.startswith(b"data: "):
                yield line[len(b"data: "):].strip().decode()

    def deltas(self, daemon, body):
        """What a streamed answer comes to: text, tool calls, why it ended."""
        text, calls, ended = "", {}, None
        payloads = list(self.stream(daemon, body))
        self.assertEqual(payloads[-1], "[DONE]")
        for payload in map(json.loads, payloads[:-1]):
            for choice in payload["choices"]:
                text += choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls", []):
                    known = calls.setdefault(call["index"], {"name": "", "arguments": ""})
                    for field in known:
                        known[field] += call["function"].get(field) or ""
                ended = choice["finish_reason"] or ended
        return text, list(calls.values()), ended

    @staticmethod
    def carriers(runner):
        user_id = os.stat(f"/proc/{runner}").st_uid
        return lmsb.processes(lambda entry: entry.stat().st_uid == user_id and int(entry.name) != runner)

    @staticmethod
    def is_idle(pid):
        def ticks():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        before = ticks()
        time.sleep(0.5)
        return ticks() - before <= 2

    def assert_error(self, answer, status, code, *parts):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.json()["error"]
        self.assertEqual((set(error), error["code"]), ({"message", "type", "param", "code"}, code))
        for part in parts:
            self.assertIn(part, error["message"])


class OpenAi(ChatTest):
    def test_an_answer_is_the_same_whole_and_streamed(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            whole = daemon.post(CHAT, user("What is AI?"))
            self.assertEqual(whole.status, 200, whole.body)
            answer = whole.json()
            self.assertEqual((answer["object"], answer["model"]), ("chat.completion", "demonstration"))
            self.assertGreater(answer["usage"]["completion_tokens"], 0)
            choice = answer["choices"][0]
            self.assertIn("artificial intelligence", choice["message"]["content"])
            self.assertEqual(self.deltas(daemon, user("What is AI?")), (choice["message"]["content"], [], "stop"))
            named = daemon.post(CHAT, user("What is AI?", model="demonstration")).json()
            self.assertEqual((named["model"], named["choices"]), ("demonstration", answer["choices"]))

    def test_a_tool_is_called(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            body = user("Which kernel is running?", tools=[BASH])
            message = daemon.post(CHAT, body).json()["choices"][0]["message"]
            command = json.loads(message["tool_calls"][0]["function"]["arguments"])["command"]
            self.assertIn("uname", command)
            text, calls, ended = self.deltas(daemon, body)
            self.assertEqual((text, calls[0]["name"], ended), ("", "bash", "tool_calls"))
            self.assertEqual(json.loads(calls[0]["arguments"]), {"command": command})

    def test_a_text_is_continued(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            answer = daemon.post("/v1/completions", {"model": "tiny", "prompt": "once", "max_tokens": 5}).json()
            self.assertEqual((answer["object"], answer["usage"]["completion_tokens"]), ("text_completion", 5))
            several = daemon.post("/v1/completions", {"model": "tiny", "prompt": ["a", "b"], "max_tokens": 2})
            self.assertEqual([choice["index"] for choice in several.json()["choices"]], [0, 1])
            events = list(self.stream(daemon, {"model": "tiny", "prompt": "once", "max_tokens": 5}, "/v1/completions"))
            self.assertEqual(events[-1], "[DONE]")

    def test_embeddings_are_made_by_a_runner_of_their_own_beside_the_one_that_answers(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon, "--embedder")
            for _ in range(2):
                made = daemon.post("/v1/embeddings", {"model": "tiny", "input": ["one", [2, 3]]})
                self.assertEqual(made.status, 200, made.body)
                self.assertEqual([len(one["embedding"]) for one in made.json()["data"]], [64, 64])
                answer = daemon.post("/v1/completions", {"model": "tiny", "prompt": "once", "max_tokens": 5})
                self.assertEqual(answer.status, 200, answer.body)
                self.assertEqual(len(lmsb.sandbox_processes(b"llama-server")), 2)

    def test_a_model_that_makes_no_embeddings_keeps_no_runner_for_them(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon)
            refused = daemon.post("/v1/embeddings", {"model": "tiny", "input": "one"})
            self.assert_error(refused, 501, "model_unable", "made for embeddings")
            lmsb.wait_until(lambda: self.runner() is None, "the end of the runner that was good for nothing")
            self.assert_error(daemon.post("/v1/embeddings", {"model": "tiny", "input": "two"}), 501, "model_unable", "made for embeddings")
            self.assertEqual(daemon.log_text().count("model.loaded"), 1, "none is started for that again")
            self.assert_error(daemon.post("/v1/embeddings", {"model": "none", "input": "one"}), 404, "model_not_found")

    def test_a_text_that_is_too_long_for_an_embedding_is_refused_and_not_cut(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.pull(daemon, "--embedder")
            refused = daemon.post("/v1/embeddings", {"model": "tiny", "input": "word " * 1000})
            self.assert_error(refused, 400, "prompt_refused", "too large")
            self.assertEqual(daemon.post("/v1/embeddings", {"model": "tiny", "input": "word " * 400}).status, 200)

    def test_a_response_is_the_same_whole_and_streamed(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            whole = daemon.post("/v1/responses", {"input": "What is AI?"}).json()
            events = [json.loads(event) for event in self.stream(daemon, {"input": "What is AI?"}, "/v1/responses")]
            self.assertEqual([event["sequence_number"] for event in events], list(range(len(events))))
            self.assertEqual(events[-1]["type"], "response.completed")
            text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
            self.assertEqual(text, whole["output"][0]["content"][0]["text"])

    def test_many_streams_at_once_are_as_one_alone(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            questions = ["What is AI?", "Introduce yourself.", "Hello", "What is a sandbox?"]
            alone = {question: self.deltas(daemon, user(question)) for question in questions}
            got = []
            threads = [threading.Thread(target=lambda q=q: got.append((q, self.deltas(daemon, user(q))))) for q in 4 * questions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(120)
            self.assertEqual(len(got), len(threads))
            for question, deltas in got:
                self.assertEqual(deltas, alone[question])

    def test_errors_come_in_its_shape(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            self.assert_error(daemon.post(CHAT, user("x", model="gpt-4o")), 404, "model_not_found", "gpt-4o", "model")
            self.assert_error(daemon.post(CHAT, {"model": 5}), 400, "invalid_request", "model")
            self.assert_error(daemon.post(CHAT, {"messages": "x"}), 400, "prompt_refused", "messages")
            self.pull(daemon)
            for fields in ({}, {"stream": True}):
                answer = daemon.post(CHAT, user("word " * 20000, model="tiny", **fields))
                self.assert_error(answer, 400, "context_length_exceeded", "context")
                self.assertEqual(answer.headers["x-should-retry"], "false")
            self.assert_error(daemon.request("GET", CHAT), 405, "method_not_allowed")
            self.assertEqual(daemon.request("GET", "/v1/models/demonstration").json()["id"], "demonstration")
            self.assertEqual(daemon.request("GET", "/v1/models/gpt-4o").status, 404)

    def test_a_runner_killed_mid_stream_is_said_in_the_stream_and_the_next_request_gets_a_new_one(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            events = self.stream(daemon, user("endless"))
            for _ in range(3):
                json.loads(next(events))
            first = self.runner()
            os.kill(first, signal.SIGKILL)
            last = json.loads(list(events)[-1])
            self.assertEqual((last["error"]["code"], last["error"]["type"]), ("runner_died", "server_error"))
            events = self.stream(daemon, user("again"))
            json.loads(next(events))
            self.assertNotIn(self.runner(), (None, first))
            self.doCleanups()  # closes the connections: the daemon waits for answers that are being read

    def test_a_client_that_goes_away_ends_its_stream_and_not_the_runner(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            events = self.stream(daemon, user("endless"))
            next(events)
            runner = self.runner()
            lmsb.wait_until(lambda: len(self.carriers(runner)) == 1, "what carries the stream, alone")
            self.doCleanups()  # closes the connection
            lmsb.wait_until(lambda: not self.carriers(runner), "the end of what carried the stream")
            lmsb.wait_until(lambda: self.is_idle(runner), "a server that works no more")
            self.assertEqual(self.runner(), runner)

    def test_a_reader_that_stands_still_stops_the_server_and_loses_nothing(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            tokens = 1000  # of some 20 KiB, which is more than all buffers on the way hold
            body = user("endless", max_tokens=tokens, stream_options={"include_usage": True}, logprobs=True, top_logprobs=200)
            events = self.stream(daemon, body, room=4096)
            next(events)
            lmsb.wait_until(lambda: self.is_idle(self.runner()), "a server that waits for its reader", seconds=45)
            self.assertTrue(self.carriers(self.runner()), "it waits in the middle of the answer")
            payloads = list(events)
            self.assertEqual(payloads[-1], "[DONE]")
            self.assertEqual(json.loads(payloads[-2])["usage"]["completion_tokens"], tokens)

    def test_the_model_that_was_not_asked_for_longest_makes_room_and_no_other(self):
        with lmsb.Daemon(data_dir=self.data, env={"LM_SANDBOX_MODEL__MAX_LOADED": "2"}) as daemon:
            for name in ("one", "two", "three"):
                self.pull(daemon, name=f"{name}.gguf")

            def ask(name):
                answer = daemon.post("/v1/completions", {"model": name, "prompt": "x", "max_tokens": 1})
                self.assertEqual(answer.status, 200, answer.body)
            for name in ("one", "two", "one", "three"):
                ask(name)
            models = daemon.request("GET", "/v1/models").json()["data"]
            self.assertEqual({model["id"] for model in models if model["loaded"]}, {"one", "three"})

    def test_no_more_models_are_loaded_than_may_be_and_none_at_work_is_let_go(self):
        with lmsb.Daemon(data_dir=self.data, env={**LONG, "LM_SANDBOX_MODEL__MAX_LOADED": "1"}) as daemon:
            self.pull(daemon, "--endless")
            self.assertEqual(daemon.post(CHAT, user("Hello", model="demonstration")).status, 200)
            events = self.stream(daemon, user("endless", model="tiny"))
            next(events)
            loaded = {model["id"] for model in daemon.request("GET", "/v1/models").json()["data"] if model["loaded"]}
            self.assertEqual(loaded, {"tiny"})
            refused = daemon.post(CHAT, user("Hello", model="demonstration"))
            self.assert_error(refused, 429, "models_busy", "max_loaded")
            self.doCleanups()  # closes the connection
            lmsb.wait_until(lambda: daemon.post(CHAT, user("Hello", model="demonstration")).status == 200, "room for another model")


class Chat(ChatTest):
    def chat(self, daemon, *words, stdin=""):
        return subprocess.run([lmsb.BIN / "lm-sandbox", "chat", "--host", f"unix:{daemon.run_dir}/api.sock", *words],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)

    def test_one_question_from_the_words_or_from_a_pipe(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            asked = self.chat(daemon, "demonstration", "What", "is AI?")
            self.assertEqual(asked.returncode, 0, asked.stderr)
            self.assertIn("artificial intelligence", asked.stdout)
            self.assertIn("this is the demonstration model", asked.stderr)
            self.assertEqual(self.chat(daemon, stdin="What is AI?\n").stdout, asked.stdout)
            self.assertEqual(self.chat(daemon, "demonstration", "What is", stdin="AI?").stdout, asked.stdout)
            missing = self.chat(daemon, "gpt-4o", "x")
            self.assertEqual(missing.returncode, 1)
            self.assertIn("gpt-4o", missing.stderr)
            empty = self.chat(daemon, stdin="")
            self.assertEqual((empty.returncode, empty.stdout), (1, ""))

    def test_it_needs_no_daemon(self):
        asked = subprocess.run([lmsb.BIN / "lm-sandbox", "chat", "--data-dir", self.data, "demonstration", "What is AI?"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                               env={**os.environ, "XDG_RUNTIME_DIR": str(self.directory)})
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.assertIn("no daemon is running; using a private one", asked.stderr)
        self.assertIn("artificial intelligence", asked.stdout)


class Terminal:
    """`lm-sandbox chat` at a terminal of the test's own."""

    def __init__(self, daemon):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            program = str(lmsb.BIN / "lm-sandbox")
            os.execve(program, [program, "chat", "--host", f"unix:{daemon.run_dir}/api.sock"], {**os.environ, "NO_COLOR": "1"})
        self.text = ""

    def type(self, text):
        self.text = ""
        os.write(self.fd, text.encode())

    def wait_for(self, text):
        """Reads until `text` is there."""
        while text not in self.text:
            self.read_more(f"{text!r} never came")
        return self.text

    def wait_for_some(self, size):
        while len(self.text) < size:
            self.read_more(f"{size} characters never came")

    def read_more(self, complaint):
        ready, _, _ = select.select([self.fd], [], [], 60)
        if not ready:
            raise AssertionError(f"{complaint}: {self.text[-2000:]!r}")
        self.text += os.read(self.fd, 65536).decode(errors="replace")

    def status(self):
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass  # EIO: nobody is at the other end any more
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class AtATerminal(ChatTest):
    def test_a_conversation(self):
        with lmsb.Daemon(data_dir=self.data) as daemon:
            terminal = Terminal(daemon)
            self.assertIn("this is the demonstration model", terminal.wait_for(">>> "))
            terminal.type("What is AI?\n")
            terminal.wait_for("artificial intelligence")
            terminal.wait_for("\n>>> ")
            terminal.type('"""What is\nAI?"""\n')
            terminal.wait_for("... ")
            terminal.wait_for("\n>>> ")
            terminal.type("/nonsense\n")
            terminal.wait_for("there is no /nonsense")
            terminal.type("/help\n")
            terminal.wait_for("Ctrl-D")
            terminal.type("/clear\n")
            terminal.wait_for(">>> ")
            terminal.type("/bye\n")
            self.assertEqual(terminal.status(), 0)

    def test_ctrl_c_ends_the_answer_and_ctrl_d_the_conversation(self):
        with lmsb.Daemon(data_dir=self.data, env=LONG) as daemon:
            self.pull(daemon, "--endless")
            terminal = Terminal(daemon)
            terminal.wait_for(">>> ")
            terminal.type("go on\n")
            terminal.wait_for_some(200)
            terminal.type("\x03")
            terminal.wait_for("\n>>> ")
            terminal.type("half a question\x03")
            terminal.wait_for("\n>>> ")
            runner = self.runner()
            lmsb.wait_until(lambda: not self.carriers(runner), "the end of the one before")
            os.kill(runner, signal.SIGSTOP)  # nothing comes of the next answer
            terminal.type("go on\n")
            lmsb.wait_until(lambda: self.carriers(runner), "a question on its way")
            terminal.type("\x03")
            terminal.wait_for("\n>>> ")
            os.kill(runner, signal.SIGCONT)
            terminal.type("again\n")
            terminal.wait_for_some(200)
            terminal.type("\x03")
            terminal.wait_for("\n>>> ")
            terminal.type("\x04")
            self.assertEqual(terminal.status(), 0)


if __name__ == "__main__":
    lmsb.main()
