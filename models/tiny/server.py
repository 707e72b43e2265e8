"""A llama-server on a free port, from the built image `llama`, as an ordinary process that ends with the `with` block."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

DATA = pathlib.Path(os.environ.get("LMSB_TEST_DATA", "/var/cache/lm-sandbox-test"))
SCRIPT = ('mount --bind "$0" "$1" && mount -t tmpfs none "$1/tmp" && cp "$2" "$1/tmp/m.gguf" && chmod 644 "$1/tmp/m.gguf" && '
          'exec chroot --userspec=65534:65534 "$1" /usr/bin/llama-server -m /tmp/m.gguf --host 127.0.0.1 --port "$3" -c 4096 -np 1 '
          '-t 1 -tb 1 --no-ui '
          # What the daemon's runner says for this model, too (src/control/llama_server.cc, kEndLoops).
          '--dry-multiplier 20 --dry-base 2 --dry-allowed-length 9 --dry-penalty-last-n 20 --dry-sequence-breaker none')
TOOL = {"type": "function", "function": {
    "name": "bash", "description": "Runs a command in the sandbox and returns what it printed.",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}


class Server:
    def __init__(self, model, image=None):
        self.model, self.image = pathlib.Path(model).resolve(), image or DATA / "images/llama/rootfs"
        self.spent = {"tokens": 0, "ms": 0.0}

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tiny-model-"))
        (self.directory / "root").mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        begin = time.monotonic()
        self.log = open(self.directory / "log", "wb")
        command = ["unshare", "--mount", "sh", "-c", SCRIPT, self.image, self.directory / "root", self.model, str(self.port)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        while not self.is_healthy():
            if self.process.poll() is not None:
                raise RuntimeError("llama-server did not start: " + self.log_text()[-2000:])
            time.sleep(0.01)
        self.load_seconds = time.monotonic() - begin
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory)

    def log_text(self):
        return (self.directory / "log").read_text(errors="replace")

    def is_healthy(self):
        try:
            return self.request("GET", "/health")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, body=body and json.dumps(body), headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def chat(self, messages, has_tool=True, **fields):
        """The assistant's message; ValueError if the server could not make one of what the model wrote."""
        body = {"messages": messages, "max_tokens": 200, **({"tools": [TOOL]} if has_tool else {}), **fields}
        status, text = self.request("POST", "/v1/chat/completions", body)
        if status != 200:
            raise ValueError(text)
        answer = json.loads(text)
        timings = answer.get("timings", {})
        self.spent["tokens"] += timings.get("predicted_n", 0)
        self.spent["ms"] += timings.get("predicted_ms", 0)
        return answer["choices"][0]["message"]

    def streamed(self, messages):
        """The message put together from a stream, and how many pieces it came in."""
        body = {"messages": messages, "max_tokens": 200, "tools": [TOOL], "stream": True}
        _, text = self.request("POST", "/v1/chat/completions", body)
        pieces = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        deltas = [choice["delta"] for piece in pieces for choice in piece["choices"]]
        calls = [call["function"] for delta in deltas for call in delta.get("tool_calls") or []]
        message = {"content": "".join(delta.get("content") or "" for delta in deltas)}
        if calls:
            function = {key: "".join(call.get(key) or "" for call in calls) for key in ("name", "arguments")}
            message["tool_calls"] = [{"function": function}]
        return message, len(deltas)


def command_of(message):
    """The command of a call (None: it is no call). ValueError if the call is not what the tool's schema asks for."""
    calls = message.get("tool_calls")
    if not calls:
        return None
    arguments = json.loads(calls[0]["function"]["arguments"])
    names = [call["function"]["name"] for call in calls]
    if names != ["bash"] or set(arguments) != {"command"} or not isinstance(arguments["command"], str):
        raise ValueError(f"not a call of bash: {calls}")
    return arguments["command"]


def call_turns(command, result, number=1):
    """The two messages that a client adds after it has run a command."""
    arguments = json.dumps({"command": command}, ensure_ascii=False)
    call = {"id": f"call_{number}", "type": "function", "function": {"name": "bash", "arguments": arguments}}
    return [{"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result}]
