#!/usr/bin/python3
"""Checks a running daemon against its HTTP contract, as a client sees it: the original's endpoints, /v1, the doors.

Usage: http_contract.py BASE        for example http://127.0.0.1:8000
Every JSON answer is also checked against the daemon's own /openapi.json. A model and an upstream need not be there:
then their error shapes are checked. Nothing but Python's standard library is used.
"""
import base64
import http.client
import json
import socket
import sys
import urllib.parse
import uuid

from openapi_check import Document

JSON = {"Content-Type": "application/json"}


class Answer:
    def __init__(self, response, raw):
        self.status = response.status
        self.headers = response.headers
        self.raw = raw
        try:
            self.json = json.loads(raw)
        except ValueError:
            self.json = None


class Client:
    """Sends requests; keeps what the document has against the answers."""

    def __init__(self, base):
        parts = urllib.parse.urlsplit(base)
        self.host, self.port = parts.hostname, parts.port or 80
        self.document = None
        self.complaints = []

    def send(self, method, path, body=None, headers=None):
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=180)
        connection.request(method, path, raw, dict(JSON if raw and headers is None else headers or {}))
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        if self.document and answer.json is not None:
            plain = path.partition("?")[0]
            self.complaints += self.document.faults_of_answer(method, plain, answer.status, answer.json)
        return answer

    def post(self, path, body, headers=None):
        return self.send("POST", path, body, headers)

    def run(self, cmd, **fields):
        answer = self.post("/v1/run", {"cmd": cmd, **fields})
        assert answer.status == 200, f"{answer.status} {answer.raw[:300]}"
        return answer.json


CHECKS = []


def check(sentence):
    def keep(function):
        CHECKS.append((sentence, function))
        return function
    return keep


def equal(is_, want):
    assert is_ == want, f"got {is_!r}, want {want!r}"


def detail_of(answer, status=422):
    equal(answer.status, status)
    return answer.json["detail"]


# ---- the original's endpoints

@check("/run-bash/ runs a command as user, and answers output and error")
def _(c):
    answer = c.post("/run-bash/", {"cmd": "whoami"})
    equal(answer.status, 200)
    equal((answer.json["output"], answer.json["error"]), ("user\n", ""))
    equal((answer.json["exit_code"], answer.json["outcome"]), (0, "exited"))


@check("/run-bash without the last slash is the same")
def _(c):
    equal(c.post("/run-bash", {"cmd": "echo hi"}).json["output"], "hi\n")


@check("/run-bash/ keeps the streams apart and tells the exit status")
def _(c):
    answer = c.post("/run-bash/", {"cmd": "echo out; echo err >&2; exit 3"}).json
    equal((answer["output"], answer["error"], answer["exit_code"]), ("out\n", "err\n", 3))


@check("/run-bash/ runs an empty command")
def _(c):
    answer = c.post("/run-bash/", {"cmd": ""}).json
    equal((answer["output"], answer["exit_code"]), ("", 0))


@check("/run-bash/ leaves nothing behind for the next call")
def _(c):
    first = c.post("/run-bash/", {"cmd": "echo x > /tmp/left && ls /tmp/left"}).json
    second = c.post("/run-bash/", {"cmd": "ls /tmp/left"}).json
    equal((first["exit_code"], second["exit_code"] != 0), (0, True))
    assert first["sandbox_id"] != second["sandbox_id"]


@check("an empty body is FastAPI's 422")
def _(c):
    for path in ("/run-bash/", "/ollama/", "/llama-cpp/"):
        want = [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]
        equal(detail_of(c.send("POST", path)), want)


@check("a body without cmd is FastAPI's 422")
def _(c):
    want = [{"type": "missing", "loc": ["body", "cmd"], "msg": "Field required", "input": {"x": 1}}]
    equal(detail_of(c.post("/run-bash/", {"x": 1})), want)


@check("a cmd that is no string is FastAPI's 422")
def _(c):
    want = [{"type": "string_type", "loc": ["body", "cmd"], "msg": "Input should be a valid string", "input": ["a"]}]
    equal(detail_of(c.post("/run-bash/", {"cmd": ["a"]})), want)


@check("a body that is no object is FastAPI's 422")
def _(c):
    (fault,) = detail_of(c.post("/run-bash/", b'["a"]'))
    equal((fault["type"], fault["loc"], fault["input"]), ("model_attributes_type", ["body"], ["a"]))


@check("a body that is no JSON is FastAPI's 422 with the place")
def _(c):
    want = [{"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {},
             "ctx": {"error": "Expecting value"}}]
    equal(detail_of(c.post("/run-bash/", b"nope")), want)


@check("a cmd with NUL and one of 10 MB are 422 and the answer stays small")
def _(c):
    for cmd in ("a\0b", "x" * 10_000_000):
        answer = c.post("/run-bash/", {"cmd": cmd})
        equal(detail_of(answer)[0]["type"], "value_error")
        assert len(answer.raw) < 20_000


@check("a body of invalid UTF-8 is refused as FastAPI does")
def _(c):
    equal(detail_of(c.post("/run-bash/", b'{"cmd":"\xff"}'), 400), "There was an error parsing the body")


@check("a body without its content type is 415 that names the header")
def _(c):
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = c.post("/run-bash/", b'{"cmd":"whoami"}', headers)
        assert "Content-Type: application/json" in detail_of(answer, 415)


@check("GET on the original's endpoints is 405 with Allow")
def _(c):
    for path in ("/run-bash/", "/ollama/", "/llama-cpp/"):
        answer = c.send("GET", path)
        equal((detail_of(answer, 405), answer.headers["Allow"]), ("Method Not Allowed", "POST"))


@check("/llama-cpp/ answers output and error, or says what to do without a model")
def _(c):
    answer = c.post("/llama-cpp/", {"cmd": "What is AI?"})
    if answer.status == 200:
        fields = dict(answer.json)
        model = fields.pop("model", "demonstration")  # only that one is named: it says what it is
        equal((sorted(fields), type(fields["output"]), model), (["error", "output"], str, "demonstration"))
    else:
        assert answer.status in (503, 504) and isinstance(answer.json["detail"], str), answer.raw


@check("/ollama/ answers the upstream's completion object, or says what to do without one")
def _(c):
    answer = c.post("/ollama/", {"cmd": "Introduce yourself."})
    if answer.status == 200:
        assert answer.json["choices"][0]["message"]["role"] == "assistant"
    else:
        assert answer.status in (502, 503, 504) and isinstance(answer.json["detail"], str), answer.raw


# ---- /v1/run

@check("/v1/run tells everything about how a command ended")
def _(c):
    result = c.run("echo out; echo err >&2; exit 7")
    equal((result["outcome"], result["exit_code"], result["signal"]), ("exited", 7, None))
    equal((result["stdout"], result["stderr"]), ("out\n", "err\n"))
    equal(result["truncated"], {"stdout_bytes": 0, "stderr_bytes": 0, "spill_path": None})
    assert result["usage"]["wall_ms"] > 0 and result["image_digest"]


@check("/v1/run takes an argument vector without a shell")
def _(c):
    equal(c.run(["echo", "$HOME", "a b"])["stdout"], "$HOME a b\n")


@check("/v1/run tells a signal")
def _(c):
    result = c.run("kill -SEGV $$")
    equal((result["outcome"], result["exit_code"], result["signal"]), ("signaled", 139, "SIGSEGV"))


@check("/v1/run ends a command at its time limit and returns what it wrote")
def _(c):
    result = c.run("echo begun; sleep 60", timeout_ms=3000)
    equal((result["outcome"], result["timed_out"], result["stdout"]), ("timed_out", True, "begun\n"))


@check("/v1/run passes environment, directory and stdin")
def _(c):
    equal(c.run("cat; pwd; echo $A", env={"A": "1"}, cwd="/tmp", stdin="in\n")["stdout"], "in\n/tmp\n1\n")


@check("a request that is too large is refused in the words that its path is spoken to with")
def _(c):
    def refusal(path):
        connection = http.client.HTTPConnection(c.host, c.port, timeout=60)
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found
    equal(refusal("/run-bash/")[1].keys(), {"detail"})
    for path in ("/v1/run", "/v1/chat/completions"):
        status, body = refusal(path)
        equal((status, body["error"]["code"]), (413, "request_too_large"))


@check("what is no whole request is answered with a code all the same")
def _(c):
    for head, status, code in (("GET /v1/sandboxes/%zz HTTP/1.1\r\nHost: localhost", 400, "malformed_request"), ("hello", 400, "malformed_request"),
                               ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX: " + "x" * 40000, 431, "header_too_large"),
                               ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close", 421, "host_not_allowed"),
                               ("GET /v1/info HTTP/1.1\r\nHost: localhost\r\nExpect: more", 417, "unsupported_expectation")):
        with socket.create_connection((c.host, c.port), timeout=30) as connection, connection.makefile("rb") as answer:
            connection.sendall(head.encode() + b"\r\n\r\n")
            said, _, body = answer.read().partition(b"\r\n\r\n")
        error = json.loads(body)["error"]
        equal((int(said.split()[1]), error["code"], error["retryable"]), (status, code, False))
        assert error["hint"], error


@check("/v1/run takes files in and gives files out, text as text and octets as base64")
def _(c):
    octets = base64.b64encode(bytes(range(256))).decode()
    result = c.run("cat a b | tr a-z A-Z > c; cp b d", files={"a": "text", "b": {"base64": octets}},
                   collect=["a", "d", "missing"])
    equal(result["files"], {"a": "text", "d": {"base64": octets}})
    equal({path: why["code"] for path, why in result["left_out"].items()}, {"missing": "file_not_found"})


@check("output that is not UTF-8 comes as U+FFFD and as base64")
def _(c):
    result = c.run(r"printf 'a\377b'; echo fine >&2")
    equal((result["stdout"], base64.b64decode(result["stdout_base64"])), ("a\ufffdb", b"a\xffb"))
    assert "stderr_base64" not in result


@check("output over the cap keeps head and tail and counts what is missing")
def _(c):
    result = c.run("echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")
    missing = result["truncated"]["stdout_bytes"]
    assert missing > 1_500_000, missing
    assert result["stdout"].startswith("first\n") and result["stdout"].endswith("\nlast\n")
    assert f"[... {missing} bytes missing ...]" in result["stdout"]
    kept = len(result["stdout"]) - len(f"\n[... {missing} bytes missing ...]\n")
    equal(kept + missing, len("first\n") + 3_000_000 + len("\nlast\n"))


@check("a dry run prints the plan and starts nothing")
def _(c):
    assert c.post("/v1/run", {"cmd": "true", "dry_run": True}).json["plan"]


@check("/v1/run names every wrong field at once, and unknown ones")
def _(c):
    answer = c.post("/v1/run", {"cmd": 5, "timeout_ms": "x", "limits": {"cpus": -1}, "comand": "x"})
    equal((answer.status, answer.json["error"]["code"]), (400, "invalid_request"))
    paths = {fault["path"] for fault in answer.json["error"]["fields"]}
    equal(paths, {"cmd", "timeout_ms", "limits.cpus", "comand"})


@check("/v1 says why a body is no JSON")
def _(c):
    for body in (None, b"nope"):
        equal(c.send("POST", "/v1/run", body, JSON).json["error"]["code"], "invalid_json")


# ---- /v1/sandboxes

@check("a sandbox is created, shown, listed, used, keeps its files, and is deleted")
def _(c):
    name = "contract-" + uuid.uuid4().hex[:8]
    made = c.post("/v1/sandboxes", {"name": name, "labels": {"contract": name}})
    equal((made.status, made.json["state"], made.json["egress"]), (201, "running", {"mode": "none", "allow": []}))
    path = "/v1/sandboxes/" + made.json["id"]
    equal(made.headers["Location"], path)
    try:
        equal(c.send("GET", path).json["name"], name)
        equal(c.send("GET", "/v1/sandboxes/" + name).json["id"], made.json["id"])
        listed = c.send("GET", "/v1/sandboxes?state=running&label=contract%3D" + name).json
        equal([one["id"] for one in listed["data"]], [made.json["id"]])
        equal(c.post(path + "/exec", {"cmd": "echo kept > ~/f"}).json["exit_code"], 0)
        equal(c.post(path + "/exec", {"cmd": ["cat", "f"], "cwd": "/home/user"}).json["stdout"], "kept\n")
    finally:
        equal(c.send("DELETE", path).status, 204)
    for answer in (c.send("GET", path), c.send("DELETE", path), c.post(path + "/exec", {"cmd": "true"})):
        equal((answer.status, answer.json["error"]["code"]), (404, "sandbox_not_found"))


@check("a create takes the runtime and the egress that there are, and where its commands start")
def _(c):
    made = c.post("/v1/sandboxes", {"runtime": "native", "egress": {"mode": "none"}, "cwd": "/tmp"})
    equal((made.status, made.json["runtime"], made.json["expires_at"]), (201, "native", None))
    path = "/v1/sandboxes/" + made.json["id"]
    try:
        equal(c.post(path + "/exec", {"cmd": "pwd", "detach": False}).json["stdout"], "/tmp\n")
    finally:
        c.send("DELETE", path)


@check("a sandbox may be given models, within limits")
def _(c):
    model = c.send("GET", "/v1/models").json["data"][0]["id"]
    made = c.post("/v1/sandboxes", {"models": [model], "model_limits": {"tokens": 1000, "requests_per_minute": 60}})
    equal((made.status, made.json["models"]), (201, [model]))
    equal(made.json["model_limits"], {"tokens": 1000, "requests_per_minute": 60})
    path = "/v1/sandboxes/" + made.json["id"]
    try:
        equal(c.post(path + "/exec", {"cmd": "echo $LM_SANDBOX_MODEL $OPENAI_BASE_URL"}).json["stdout"],
              f"{model} http://127.0.0.1:11434/v1\n")
        equal(c.send("GET", path + "/stats").json["models"],
              {"requests": 0, "refused": 0, "prompt_tokens": 0, "completion_tokens": 0})
    finally:
        c.send("DELETE", path)
    for body, status, code in (({"models": ["there-is-no-such-model"]}, 404, "model_not_found"),
                               ({"models": [model, model]}, 400, "invalid_models"),
                               ({"model_limits": {"tokens": 1}}, 400, "invalid_models")):
        refused = c.post("/v1/sandboxes", body)
        equal((refused.status, refused.json["error"]["code"]), (status, code))
        refused = c.post("/v1/run", {"cmd": "true", **body})
        equal((refused.status, refused.json["error"]["code"]), (status, code))


@check("a sandbox is paused, resumed, changed and measured")
def _(c):
    made = c.post("/v1/sandboxes", {"timeout_ms": 3_600_000, "on_timeout": "pause"})
    equal((made.status, made.json["timeout_ms"], made.json["on_timeout"]), (201, 3_600_000, "pause"))
    assert made.json["expires_at"], made.raw
    path = "/v1/sandboxes/" + made.json["id"]
    try:
        equal(c.send("POST", path + "/pause").json["state"], "paused")
        refused = c.post(path + "/exec", {"cmd": "true"})
        equal((refused.status, refused.json["error"]["code"]), (409, "sandbox_paused"))
        equal(c.send("GET", path + "/stats").json["state"], "paused")
        equal(c.send("POST", path + "/resume").json["state"], "running")
        changed = c.send("PATCH", path, b'{"labels": {"a": "1"}, "timeout_ms": 0}', JSON)
        equal((changed.json["labels"], changed.json["expires_at"]), ({"a": "1"}, None))
        wrong = c.send("PATCH", path, b'{"on_idle": "sleep", "limits": {"cpus": -1}}', JSON)
        equal((wrong.status, [fault["path"] for fault in wrong.json["error"]["fields"]]), (400, ["on_idle", "limits.cpus"]))
    finally:
        c.send("DELETE", path)


@check("what is still to come is 400 that says so")
def _(c):
    for path, body in (("/v1/sandboxes", {"runtime": "oci"}),
                       ("/v1/run", {"cmd": "true", "pty": {"cols": 80, "rows": 24}})):
        answer = c.post(path, body)
        equal(answer.status, 400)
        assert answer.json["error"]["fields"][0]["message"].startswith("not yet: "), answer.raw


@check("what does not go together is 400 that says so")
def _(c):
    for path, field, body in (("/v1/run", "detach", {"cmd": "true", "detach": True}),
                              ("/v1/sandboxes/x/exec", "pty", {"cmd": "true", "pty": {"cols": 80, "rows": 24}}),
                              ("/v1/sandboxes/x/exec", "keep_stdin", {"cmd": "true", "keep_stdin": True}),
                              ("/v1/sandboxes/x/exec", "session", {"cmd": "true", "session": "a", "detach": True})):
        answer = c.post(path, body)
        equal((answer.status, [fault["path"] for fault in answer.json["error"]["fields"]]), (400, [field]))


@check("what a detached process wrote is told, chosen by time, and says when it came")
def _(c):
    path = "/v1/sandboxes/" + c.post("/v1/sandboxes", {}).json["id"]
    try:
        process = c.post(path + "/exec", {"cmd": "echo out; echo err >&2", "detach": True}).json["id"]
        c.send("GET", f"{path}/processes/{process}?wait_ms=30000")
        piece = c.send("GET", f"{path}/processes/{process}/output?since=1h&timestamps=true").json
        equal((piece["text"], piece["missing_bytes"], piece["ended"]), ("out\n", 0, True))
        assert piece["at"], piece
        assert "at" not in c.send("GET", f"{path}/processes/{process}/output").json
        equal(c.send("GET", f"{path}/processes/{process}/output?until=1h").json["text"], "")
        tails = c.send("GET", path + "/logs?since=1h").json["data"]
        equal([(one["process"], one["text"]) for one in tails], [(process, "out\n"), (process, "err\n")])
        for events, schema in ((f"/processes/{process}/output", "CommandEvent"), ("/logs", "LogEvent")):
            lines = c.send("GET", path + events + "?timestamps=true", None, {"Accept": "application/x-ndjson"}).raw
            told = [json.loads(line) for line in lines.splitlines()]
            equal([("at" in event, event["type"] == "result") for event in told], [(True, False)] * 2 + [(False, True)])
            for event in told:
                c.complaints += c.document.faults({"$ref": "#/components/schemas/" + schema}, event, events)
        for query in ("since=10", "until=1h&wait_ms=1"):
            refused = c.send("GET", f"{path}/processes/{process}/output?{query}")
            equal((refused.status, refused.json["error"]["code"]), (400, "invalid_request"))
    finally:
        c.send("DELETE", path)


@check("a create sent twice with one Idempotency-Key makes one sandbox")
def _(c):
    headers = {**JSON, "Idempotency-Key": uuid.uuid4().hex}
    first, second = (c.post("/v1/sandboxes", {}, headers) for _ in range(2))
    try:
        equal((first.json["id"], second.headers["Idempotent-Replayed"]), (second.json["id"], "true"))
        equal(c.post("/v1/sandboxes", {"labels": {"a": "b"}}, headers).status, 409)
    finally:
        c.send("DELETE", "/v1/sandboxes/" + first.json["id"])


@check("a list is paged by its cursor")
def _(c):
    ids = [c.post("/v1/sandboxes", {"labels": {"page": "1"}}).json["id"] for _ in range(2)]
    try:
        first = c.send("GET", "/v1/sandboxes?limit=1&label=page%3D1").json
        cursor = urllib.parse.quote(first["next_cursor"])
        second = c.send("GET", f"/v1/sandboxes?limit=1&label=page%3D1&cursor={cursor}").json
        equal([first["data"][0]["id"], second["data"][0]["id"]], ids)
        equal(second["next_cursor"], None)
    finally:
        for one in ids:
            c.send("DELETE", "/v1/sandboxes/" + one)


@check("a taken name and a malformed one are refused")
def _(c):
    name = "contract-" + uuid.uuid4().hex[:8]
    made = c.post("/v1/sandboxes", {"name": name}).json
    try:
        equal(c.post("/v1/sandboxes", {"name": name}).status, 409)
        equal(c.post("/v1/sandboxes", {"name": "../x"}).status, 400)
    finally:
        c.send("DELETE", "/v1/sandboxes/" + made["id"])


@check("list queries that mean nothing are refused")
def _(c):
    for query in ("state=sleeping", "limit=0", "limit=1001", "label=x", "sort=name"):
        equal(c.send("GET", "/v1/sandboxes?" + query).status, 400)


# ---- the rest

@check("images are listed and one is the default")
def _(c):
    images = c.send("GET", "/v1/images").json["data"]
    equal(sum(image["default"] for image in images), 1)


@check("models are listed in OpenAI's shape")
def _(c):
    models = c.send("GET", "/v1/models").json
    equal(models["object"], "list")
    assert all(model["object"] == "model" for model in models["data"])


@check("pulling a model that is not there is a clear error")
def _(c):
    answer = c.post("/v1/models/pull", {"source": "/no/such/file.gguf"})
    assert 400 <= answer.status < 500 and answer.json["error"]["message"], answer.raw


@check("info, health, readiness, metrics, the document and its page answer")
def _(c):
    equal(c.send("GET", "/v1/info").json["name"], "lm-sandbox")
    equal(c.send("GET", "/healthz").json, {"status": "ok"})
    equal(c.send("GET", "/readyz").json["ready"], True)
    assert b'lmsb_http_requests_total{' in c.send("GET", "/metrics").raw
    page = c.send("GET", "/docs")
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"] and b"<script>" in page.raw
    equal(c.send("GET", "/").status, 200)


@check("HEAD answers as GET without a body")
def _(c):
    answer = c.send("HEAD", "/healthz")
    equal((answer.status, answer.raw), (200, b""))


@check("unknown paths are FastAPI's 404 outside /v1 and ours inside")
def _(c):
    equal(c.send("GET", "/nothing").json, {"detail": "Not Found"})
    equal(c.send("GET", "/v1/nothing").json["error"]["code"], "path_not_found")


@check("a wrong method under /v1 is 405 with Allow")
def _(c):
    answer = c.send("PUT", "/v1/run", b"{}")
    equal((answer.status, answer.headers["Allow"]), (405, "POST"))


@check("foreign hosts are refused")
def _(c):
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost."):
        equal(c.post("/run-bash/", {"cmd": "true"}, {**JSON, "Host": host}).status, 421)


@check("pages of other origins are refused and never told that they may read")
def _(c):
    for origin in ("http://evil.example", "null", f"http://8000-x.localhost:{c.port}"):
        answer = c.post("/run-bash/", {"cmd": "true"}, {**JSON, "Origin": origin})
        equal((answer.status, answer.headers["Access-Control-Allow-Origin"]), (403, None))
    equal(c.send("GET", "/v1/info", None, {"Sec-Fetch-Site": "cross-site"}).status, 403)


@check("a page of the daemon's own may use it")
def _(c):
    origin = f"http://{c.host}:{c.port}"
    equal(c.post("/run-bash/", {"cmd": "true"}, {**JSON, "Origin": origin, "Sec-Fetch-Site": "same-origin"}).status, 200)


@check("a key that is not needed is ignored")
def _(c):
    equal(c.post("/run-bash/", {"cmd": "true"}, {**JSON, "Authorization": "Bearer sk-any"}).status, 200)


# ---- the document

NEVER_ENDING = "/v1/events"
WRONG = [("{}", JSON, ""), ("{", JSON, ""), ("[]", JSON, ""), ('{"nope":1}', JSON, ""), ("x", {"Content-Type": "text/plain"}, ""),
         ("x", {}, ""), ("{}", {**JSON, "Origin": "http://evil.example"}, ""), ("{}", JSON, "?nope=1"),
         ("{}", {**JSON, "Idempotency-Key": "x" * 300}, ""), ("{}", {**JSON, "Accept": "text/html;q=0"}, "")]


def ids_of(c, kind):
    return {entry["id"] for entry in c.send("GET", f"/v1/{kind}?limit=1000").json["data"]}


@check("what is wrong with a request is answered as the document says, at each of its routes")
def _(c):
    before = {kind: ids_of(c, kind) for kind in ("sandboxes", "snapshots", "volumes", "keys")}
    for pattern, item in c.document.document["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or pattern == NEVER_ENDING:
                continue
            box = c.post("/v1/sandboxes", {}).json["id"] if "{id}" in pattern else ""
            for id_ in filter(None, dict.fromkeys([box, "a" * 20 if box else "none"])):
                path = "/".join(part if not part.startswith("{") else id_ if part == "{id}" else "1"
                                for part in pattern.split("/"))
                for body, headers, query in WRONG:
                    c.send(method.upper(), path + query, body.encode() if "requestBody" in operation else None,
                           {name: value for name, value in headers.items() if "requestBody" in operation or name != "Content-Type"})
            if box:
                c.send("DELETE", f"/v1/sandboxes/{box}")
    for kind, known in before.items():
        for made in ids_of(c, kind) - known:
            c.send("DELETE", f"/v1/{kind}/{made}")


@check("every answer so far is as /openapi.json says")
def _(c):
    assert not c.complaints, "; ".join(sorted(set(c.complaints))[:5])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    client = Client(sys.argv[1])
    client.document = Document(client.send("GET", "/openapi.json").json)
    failed = 0
    for sentence, function in CHECKS:
        try:
            function(client)
            print(f"ok    {sentence}")
        except Exception as error:  # whatever it is, the other checks go on
            failed += 1
            print(f"FAIL  {sentence}\n      {type(error).__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
