#!/usr/bin/python3
"""llama-servers that are not of our image: a real one elsewhere on the machine, and hostile ones. Each runs in a sandbox,
and none harms the daemon."""
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from models import ModelTest

LOADER = b"/lib64/ld-linux-x86-64.so.2\0"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class ForeignServer(ModelTest):
    """The image's llama-server with all its libraries, copied to a folder of the machine that no sandbox shows."""

    image = "llama"

    def setUp(self):
        super().setUp()
        self.root = lmsb.TEST_DATA / "images/llama/rootfs"
        self.data = self.directory / "no-images"
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="lm-", dir="/opt"))
        os.chmod(self.place, 0o755)

    def tearDown(self):
        shutil.rmtree(self.place)
        super().tearDown()

    def copy_server(self, programs, libraries):
        """Puts it together as a build leaves it. Its own loader comes along: the machine's C library may be older."""
        for folder in {programs, libraries}:
            (self.place / folder).mkdir(exist_ok=True)
        backends = [f"/{LIBRARIES}/ggml/backends0/{b.name}" for b in (self.root / LIBRARIES / "ggml/backends0").iterdir()]
        listed = subprocess.run(["chroot", self.root, "/usr/bin/ldd", "/usr/bin/llama-server", *backends],
                                stdout=subprocess.PIPE, text=True, check=True).stdout
        needed = {word for line in listed.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}
        for path in needed:
            real = subprocess.run(["chroot", self.root, "readlink", "-f", path], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            shutil.copy(self.root / real.lstrip("/"), self.place / libraries / pathlib.Path(path).name)
        for backend in backends:
            shutil.copy(self.root / backend.lstrip("/"), self.place / programs)
        loader = str(self.place / libraries / "ld-linux-x86-64.so.2").encode()
        short = self.place / "ld"
        shutil.copy(loader.decode(), short)
        program = (self.root / "usr/bin/llama-server").read_bytes()
        self.assertEqual(program.count(LOADER), 1)
        server = self.place / programs / "llama-server"
        server.write_bytes(program.replace(LOADER, str(short).encode().ljust(len(LOADER), b"\0")))
        server.chmod(0o755)
        return server

    def assert_in_a_sandbox(self, pid, server):
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), str(server))
        self.assertGreaterEqual(os.stat(f"/proc/{pid}").st_uid, lmsb.FIRST_SANDBOX_ID)
        links = pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        self.assertEqual([line.split(":")[0].strip() for line in links], ["lo"])
        self.assertIn("CapEff:\t0000000000000000", pathlib.Path(f"/proc/{pid}/status").read_text())
        self.assertFalse(os.path.exists(f"/proc/{pid}/root/etc/shadow"))
        mounts = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        ours = [line.split()[4:6] for line in mounts if str(self.place) in line.split()[4]]
        self.assertTrue(ours)
        self.assertTrue(all(options.startswith("ro,nosuid,nodev") for _, options in ours), ours)

    def ask(self, server, **daemon):
        with lmsb.Daemon(data_dir=self.data, **daemon) as running:
            self.assertEqual(self.pull(running).status, 201)
            answer = running.post("/llama-cpp/", {"cmd": "What is AI?"})
            self.assertEqual(answer.status, 200, answer.body)
            self.assertTrue(answer.json()["output"])
            self.assert_in_a_sandbox(self.runner(), server)

    def test_one_named_in_the_configuration_finds_its_libraries_beside_its_folder(self):
        server = self.copy_server("bin", "lib")
        self.ask(server, env={"LM_SANDBOX_MODEL__LLAMA_SERVER": str(server)})

    def test_one_on_path_is_found_behind_a_link_with_its_libraries_in_one_folder(self):
        server = self.copy_server("all", "all")
        links = self.directory / "links"
        links.mkdir()
        (links / "llama-server").symlink_to(server)
        self.ask(server, env={"PATH": f"{links}:{os.environ['PATH']}"})


# What stands for a llama-server: it says that it is ready, then deals with each prompt as `act` says.
FAKE = r'''#!/usr/bin/python3
import array, os, socket, struct, sys, threading, time
if "--help" in sys.argv:
    print("{help}")
    sys.exit()
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[sys.argv.index("--host") + 1])
server.listen(64)

def say(connection, *parts):
    for part in parts:
        connection.sendall(part)

def act(connection, head):
{act}

def health(connection, head):
{health}

def serve(connection):
    head = b""
    while b"\r\n\r\n" not in head or (b"POST" in head and not head.endswith(b"}")):
        head += connection.recv(65536)
    (health if head.startswith(b"GET /health") else act)(connection, head)
    connection.close()

while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
'''
READY = 'say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")'
HELP = "--host HOST   an address, or a UNIX socket if it ends with .sock"
GOOD = 'body = b\'{"content": "fine"}\'\n' \
       'say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body), body)'

# How a runner that a hostile model has taken over could answer, and what the client then gets.
HOSTILE = {
    "says nothing": ("time.sleep(1000)", (504,)),
    "closes": ("pass", (502,)),
    "speaks no HTTP": ('say(connection, b"hello, world\\r\\n" * 100)', (502,)),
    "answers something else": ('say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n[]")', (502,)),
    "answers without end": ('say(connection, b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")\n'
                            'while True: say(connection, b"10000\\r\\n" + bytes(65536) + b"\\r\\n")', (502,)),
    "answers drop by drop": ('say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n")\n'
                             'while True: say(connection, b"x"), time.sleep(0.05)', (504,)),
    "begins without end": ('while True: say(connection, b"HTTP/1.1 102 Processing\\r\\n\\r\\n" * 1000)', (502,)),
    "sends fields without end": ('say(connection, b"HTTP/1.1 200 OK\\r\\n")\n'
                                 'while True: say(connection, b"X: " + b"y" * 1000 + b"\\r\\n")', (502,)),
    "promises more than there is": ('say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Length: 99999999999\\r\\n\\r\\n")', (502,)),
    "floods its log": ('while True: os.write(1, bytes(65536)), os.write(2, bytes(65536))', (504,)),
    # Closing such a descriptor waits until its peer has read all: whoever receives it hangs.
    "sends a descriptor that hangs who closes it": (
        'listener = socket.socket()\n'
        'listener.bind(("127.0.0.1", 0))\n'
        'listener.listen()\n'
        'full = socket.create_connection(listener.getsockname())\n'
        'full.setblocking(False)\n'
        'try:\n'
        '    while True: full.send(bytes(65536))\n'
        'except BlockingIOError: pass\n'
        'full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))\n'
        'rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [full.fileno()]))]\n'
        'connection.sendmsg([b"HTTP/1.1 200 OK\\r\\nContent-Length: 20\\r\\n\\r\\n"], rights)\n'
        'os.close(full.detach())\n'
        'time.sleep(1000)', (504,)),
    "stops what carries its requests": ("os.kill(-1, 19)\ntime.sleep(1000)", (504,)),
    "kills what carries its requests": ("os.kill(-1, 9)\ntime.sleep(1000)", (502,)),
    "ends": ("os._exit(3)", (502, 503)),
}

EVENTS = 'say(connection, b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")\n' \
         'chunk = lambda data: say(connection, b"%x\\r\\n" % len(data) + data + b"\\r\\n")\n'

# How it could stream, and the code of the error that the client's stream then ends with.
HOSTILE_STREAMS = {
    "stops": ('chunk(b"data: {}\\n\\n")\ntime.sleep(1000)', "runner_timeout"),
    "breaks off": ('chunk(b"data: {}\\n\\ndata: {")', "runner_failed"),
    "ends without its end": ('chunk(b"data: {}\\n\\n")\nsay(connection, b"0\\r\\n\\r\\n")', "runner_failed"),
    "never ends an event": ('while True: chunk(b"x" * 65536)', "runner_failed"),
    "tells of an error": ('chunk(b"data: {\\"error\\":{\\"code\\":400,\\"message\\":\\"no\\"}}\\n\\n")', "prompt_refused"),
    "dies": ('chunk(b"data: {}\\n\\n")\nos._exit(3)', "runner_died"),
}
JSON = {"Content-Type": "application/json"}


class HostileRunner(ModelTest):
    """Fakes, in the place of a llama-server, in the same kind of sandbox."""

    def fake(self, act="pass", health=READY, help=HELP):  # named as what it stands for
        indent = lambda lines: "\n".join("    " + line for line in lines.splitlines())
        server = self.directory / "llama-server"
        server.write_text(FAKE.replace("{help}", help).replace("{act}", indent(act)).replace("{health}", indent(health)))
        server.chmod(0o755)
        return {"LM_SANDBOX_MODEL__LLAMA_SERVER": str(server)}

    def ask(self, daemon):
        """The answer to a prompt; other requests are answered while it is waited for."""
        answers = []
        caller = threading.Thread(target=lambda: answers.append(daemon.post("/llama-cpp/", {"cmd": "x"}, timeout=60)))
        caller.start()
        while caller.is_alive():
            self.assertEqual(daemon.request("GET", "/healthz", timeout=10).status, 200)
            caller.join(0.05)
        return answers[0]

    def test_a_good_one_is_asked(self):
        with lmsb.Daemon(data_dir=self.data, env=self.fake(GOOD)) as daemon:
            self.pull(daemon)
            self.assertEqual(self.ask(daemon).json(), {"output": "fine", "error": ""})

    def test_whatever_it_answers_the_client_gets_an_error_in_time_and_the_next_request_a_new_runner(self):
        for what, (act, statuses) in HOSTILE.items():
            with self.subTest(runner=what):
                limit = "2500" if statuses == (504,) else "60000"
                env = {**self.fake(act), "LM_SANDBOX_MODEL__ANSWER_TIMEOUT_MS": limit}
                with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
                    self.pull(daemon)
                    self.assert_detail(self.ask(daemon), statuses, "model runner", "(")
                    self.assertFalse(self.is_loaded(daemon))
                    self.fake(GOOD)
                    self.assertEqual(self.ask(daemon).json(), {"output": "fine", "error": ""})

    def stream(self, daemon):
        return daemon.post("/v1/chat/completions", {"messages": [], "stream": True}, timeout=60)

    def test_whatever_it_answers_to_a_streamed_request_the_client_gets_an_error_in_time(self):
        for what, (act, _) in HOSTILE.items():
            with self.subTest(runner=what):
                env = {**self.fake(act), "LM_SANDBOX_MODEL__ANSWER_TIMEOUT_MS": "2500"}
                with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
                    self.pull(daemon)
                    answer = self.stream(daemon)
                    code = answer.json()["error"]["code"]
                    if code == "answer_too_long":  # which the request may have asked for
                        self.assertEqual((answer.status, what), (400, "promises more than there is"))
                        continue
                    self.assertIn(answer.status, (503, 504), answer.body)
                    self.assertTrue(code.startswith("runner_"), answer.body)
                    self.assertFalse(self.is_loaded(daemon))

    def test_however_a_stream_goes_wrong_it_ends_with_an_error(self):
        for what, (act, code) in HOSTILE_STREAMS.items():
            with self.subTest(runner=what):
                env = {**self.fake(EVENTS + act), "LM_SANDBOX_MODEL__ANSWER_TIMEOUT_MS": "2500"}
                with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
                    self.pull(daemon)
                    answer = self.stream(daemon)
                    self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "text/event-stream"))
                    last = answer.body.strip().rsplit(b"\n\n", 1)[-1]
                    self.assertEqual(json.loads(last.removeprefix(b"data: "))["error"]["code"], code)

    def test_a_long_answer_to_one_does_not_take_the_runner_from_the_others(self):
        act = EVENTS + 'for _ in range(100000):\n    chunk(b"data: {}\\n\\n")\n    time.sleep(0.05)'
        silent = 'time.sleep(1000)'
        act = f'if b"silent" in head:\n    {silent}\n' + act
        env = {**self.fake(act), "LM_SANDBOX_MODEL__ANSWER_TIMEOUT_MS": "5000"}
        with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
            self.pull(daemon)
            connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=60)
            self.addCleanup(connection.close)
            connection.request("POST", "/v1/chat/completions", json.dumps({"messages": [], "stream": True}), JSON)
            response = connection.getresponse()
            self.assertEqual(response.readline(), b"data: {}\n")
            late = daemon.post("/v1/chat/completions", {"messages": ["silent"]}, timeout=60)
            self.assertEqual((late.status, late.json()["error"]["code"]), (504, "runner_timeout"))
            self.assertTrue(self.is_loaded(daemon))
            self.assertEqual([response.readline() for _ in range(2)], [b"\n", b"data: {}\n"])
            connection.close()

    def test_places_come_back_when_clients_go(self):
        env = self.fake(EVENTS + 'chunk(b"data: {}\\n\\n")\ntime.sleep(1000)')
        with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
            self.pull(daemon)
            body = json.dumps({"messages": [], "stream": True})
            connections = []

            def ask():
                connections.append(http.client.HTTPConnection(daemon.host, daemon.port, timeout=60))
                connections[-1].request("POST", "/v1/chat/completions", body, JSON)
                return connections[-1]
            for connection in [ask() for _ in range(256)]:
                answer = connection.getresponse()
                self.assertEqual(answer.status, 200, answer.read() if answer.status != 200 else "")
            refused = daemon.post("/v1/chat/completions", {"messages": []})
            self.assertEqual((refused.status, refused.json()["error"]["code"]), (429, "runner_busy"))
            connections[0].close()
            lmsb.wait_until(lambda: ask().getresponse().status == 200, "the place of who has gone")
            for connection in connections:
                connection.close()

    def test_one_that_is_never_ready_is_an_error_in_time(self):
        for what, health in {"says nothing": "time.sleep(1000)", "is busy": 'say(connection, b"HTTP/1.1 503 Busy\\r\\n\\r\\n")',
                             "says nonsense": 'say(connection, b"x")', "floods": "while True: os.write(1, bytes(65536))"}.items():
            with self.subTest(runner=what):
                env = {**self.fake(health=health), "LM_SANDBOX_MODEL__LOAD_TIMEOUT_MS": "5000"}
                with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
                    self.pull(daemon)
                    self.assert_detail(self.ask(daemon), (504,), "tiny was not loaded within 5000 ms", "load_timeout_ms")

    def test_one_that_is_too_old_or_cannot_run_says_so(self):
        with lmsb.Daemon(data_dir=self.data, env=self.fake(help="--host HOST  an address")) as daemon:
            self.pull(daemon)
            self.assert_detail(self.ask(daemon), (503,), "is too old", "image build llama")
            (self.directory / "llama-server").write_text("#!/bin/sh\necho 'error: libgpu.so is missing' >&2\nexit 127\n")
            self.assert_detail(self.ask(daemon), (503,), "libgpu.so is missing", "image build llama")
            (self.directory / "llama-server").write_text("#!/no/such/interpreter\n")
            self.assert_detail(self.ask(daemon), (503,), "No such file")
            (self.directory / "llama-server").chmod(0o644)
            self.assert_detail(self.ask(daemon), (503,), "Permission denied", "image build llama")

    def test_one_that_does_not_even_say_what_it_knows_is_an_error_in_time(self):
        env = {**self.fake(GOOD), "LM_SANDBOX_MODEL__LOAD_TIMEOUT_MS": "1500"}
        (self.directory / "llama-server").write_text("#!/bin/sh\nexec sleep 1000\n")
        with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
            self.pull(daemon)
            self.assert_detail(self.ask(daemon), (503,), "--help it does not end")

    def test_one_where_the_daemon_may_not_look_says_so(self):
        env = self.fake(GOOD)
        with lmsb.Daemon(data_dir=self.data, env=env) as daemon:
            self.pull(daemon)
            for directory in ("/root", "/etc"):
                hidden = pathlib.Path(tempfile.mkdtemp(prefix="lm-", dir=directory))
                try:
                    shutil.copy(self.directory / "llama-server", hidden)
                    os.chmod(hidden, 0o755)
                    with lmsb.Daemon("--llama-server", hidden / "llama-server", "--disks", "memory", data_dir=self.data) as other:
                        self.assert_detail(self.ask(other), (403, 503), str(hidden))
                finally:
                    shutil.rmtree(hidden)


if __name__ == "__main__":
    lmsb.main()
