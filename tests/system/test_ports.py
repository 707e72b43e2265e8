#!/usr/bin/python3
"""Ports: real servers inside sandboxes without network, reached by path, by host name, by token and as octets."""
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from websocket import Refused, WebSocket

SOURCE = (pathlib.Path(__file__).parents[1] / "support" / "port_servers.py").read_text()
# A server that, once it is told to, has each process that it gets, until it ends.
TAKES_ALL_PROCESSES = """
import os, signal, socket, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
server = socket.socket()
server.bind(("127.0.0.1", 8000))
server.listen()
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
is_full = False
while True:
    try:
        if os.fork() == 0: signal.pause()
    except OSError:
        if not is_full: print("full", flush=True)
        is_full = True
        time.sleep(0.001)
"""
MEMBER = 65534  # a user of the machine who may not use the daemon, but where a test says so


class PortsTest(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = cls.make_sandbox()
        cls.serve("web", 8000)

    @classmethod
    def make_sandbox(cls, **fields):
        answer = cls.daemon.post("/v1/sandboxes", fields)
        assert answer.status == 201, answer.body
        return answer.json()["id"]

    @classmethod
    def serve(cls, name, port, sandbox=None):
        """Starts one of support/port_servers.py and waits until it listens."""
        sandbox = sandbox or cls.sandbox
        started = {"cmd": ["python3", "-", name, str(port)], "stdin": SOURCE, "detach": True}
        answer = cls.daemon.post(f"/v1/sandboxes/{sandbox}/exec", started)
        assert answer.status in (200, 201, 202), answer.body
        lmsb.wait_until(lambda: port in cls.listening(sandbox), f"{name} at port {port}")
        return f"/v1/sandboxes/{sandbox}/processes/{answer.json()['id']}/signal"

    @classmethod
    def listening(cls, sandbox=None):
        answer = cls.daemon.request("GET", f"/v1/sandboxes/{sandbox or cls.sandbox}/ports")
        assert answer.status == 200, answer.body
        return {entry["port"]: entry for entry in answer.json()["data"]}

    def by_path(self, path, port=8000, sandbox=None):
        return f"/v1/sandboxes/{sandbox or self.sandbox}/ports/{port}{path}"

    def get(self, path, port=8000, method="GET", body=None, **more):
        return self.daemon.request(method, self.by_path(path, port), body, **more)

    def host(self, port=8000, sandbox=None):
        return f"{port}-{sandbox or self.sandbox}.localhost:{self.daemon.port}"

    def get_by_host(self, path, port=8000, headers=None, method="GET", body=None, **more):
        return self.daemon.request(method, path, body, headers={"Host": self.host(port), **(headers or {})}, **more)

    @contextlib.contextmanager
    def server(self, name, port=9000):
        """One that is there for a while."""
        stop = self.serve(name, port)
        try:
            yield
        finally:
            self.daemon.post(stop, {"signal": "KILL"})
            lmsb.wait_until(lambda: port not in self.listening(), f"port {port} is free")

    def assert_error(self, answer, status, code):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code), answer.body)

    def open_descriptors(self):
        return lmsb.held_by(self.daemon.daemon_pid())["descriptors"]

    def quiet_descriptors(self):
        """Those of a daemon that nobody asks anything: connections that have just ended take a moment."""
        looks = []
        for _ in range(25):
            looks.append(self.open_descriptors())
            time.sleep(0.02)
        return min(looks)


class ByPath(PortsTest):
    def test_lists_what_listens(self):
        entry = self.listening()[8000]
        self.assertEqual(entry["address"], "127.0.0.1")
        self.assertEqual(entry["url"], self.by_path("/"))
        processes = self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/processes").json()["data"]
        self.assertEqual((entry["process"], entry["pid"]), ("python3", processes[0]["pid"]))
        empty = self.make_sandbox()
        self.assertEqual(self.listening(empty), {})

    def test_names_roots_servers_too(self):
        sandbox = self.make_sandbox(profile="root")
        self.serve("web", 8000, sandbox)
        self.assertEqual(self.listening(sandbox)[8000]["process"], "python3")

    def detach(self, sandbox, program):
        """Once it has said that it is ready."""
        started = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": program, "detach": True})
        self.assertEqual(started.status, 201, started.body)
        process = f"/v1/sandboxes/{sandbox}/processes/{started.json()['id']}"
        self.wait_for(process, "ready")
        return process

    def wait_for(self, process, said):
        lmsb.wait_until(lambda: said in self.daemon.request("GET", process + "/output").json()["text"], said)

    def test_lists_at_the_limit_of_processes_and_leaves_the_owners_next_command(self):
        sandbox = self.make_sandbox(limits={"processes": 16})
        process = self.detach(sandbox, ["python3", "-c", TAKES_ALL_PROCESSES])
        lmsb.wait_until(lambda: len(lmsb.processes_of(sandbox)) == 3, "the guest, the program, and the next command's process")
        self.daemon.post(process + "/signal", {"signal": "USR1"})
        self.wait_for(process, "full")
        for _ in range(3):
            entry = self.listening(sandbox)[8000]
            self.assertEqual((entry["address"], entry["process"], entry["pid"]), ("127.0.0.1", None, None))
        done = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": ["echo", "here"]})
        self.assertEqual((done.status, done.json().get("stdout")), (200, "here\n"), done.body)

    def test_is_no_company_for_a_command(self):
        sandbox = self.make_sandbox(limits={"disk_bytes": 8 << 20})
        process = self.detach(sandbox, "trap go=1 USR1; echo ready; while ! test $go; do sleep 0.02; done; exec head -c 100m /dev/zero >x")
        self.assertEqual(self.listening(sandbox), {})
        self.daemon.post(process + "/signal", {"signal": "USR1"})
        result = self.daemon.request("GET", process + "?wait_ms=60000").json()["result"]
        self.assertEqual(result["outcome"], "disk_full", result)

    def test_carries_requests_as_they_are(self):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = self.get("/a%20b//c/?q=%2F&x=1+2", method=method)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.body.splitlines()[0].decode(), f"{method} /a%20b//c/?q=%2F&x=1+2")
            self.assertEqual(answer.headers["X-Server"], "inside")

    def test_says_nothing_of_the_caller_but_where_it_is(self):
        said = self.get("/", headers={"Authorization": "Bearer secret", "X-API-Key": "secret", "Cookie": "a=secret",
                                      "X-Access-Token": "secret", "X-Preview-Token": "secret", "Connection": "X-Hop",
                                      "X-Hop": "secret", "TE": "trailers", "X-Mine": "kept"})
        text = said.body.decode()
        self.assertEqual(said.status, 200, text)
        self.assertNotIn("secret", text)
        self.assertIn("X-Mine: kept", text)
        self.assertIn("Host: localhost:8000\n", text)
        self.assertIn("X-Forwarded-For: 127.0.0.1\n", text)
        self.assertIn(f"X-Forwarded-Host: {self.daemon.host}:{self.daemon.port}\n", text)
        self.assertIn(f"X-Forwarded-Prefix: {self.by_path('')}\n", text)

    def test_keeps_what_would_concern_the_whole_origin(self):
        answer = self.get("/cookies")
        self.assertEqual(answer.headers["X-Own"], "kept")
        self.assertEqual(answer.headers.get_all("Content-Security-Policy"), ["sandbox"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        for name in ("Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed", "Keep-Alive",
                     "Access-Control-Allow-Origin"):
            self.assertNotIn(name, answer.headers)

    def test_sends_nobody_to_the_api(self):
        victim = self.make_sandbox()
        for target in (f"/v1/sandboxes/{victim}", f"../../../../{victim}", f"/%2e%2e/%2e%2e/%2e%2e/%2e%2e/{victim}",
                       f"http://{self.daemon.host}:{self.daemon.port}/v1/sandboxes/{victim}",
                       f"//{self.daemon.host}:{self.daemon.port}/v1/sandboxes/{victim}",
                       f"http://localhost:{self.daemon.port}/v1/sandboxes/{victim}",
                       f"{self.by_path('')}/../../../{victim}"):
            path = self.by_path("/redirect?to=" + urllib.parse.quote(target, safe=""))
            url = f"http://{self.daemon.host}:{self.daemon.port}{path}"
            subprocess.run(["curl", "-sLX", "DELETE", "-o", "/dev/null", url], timeout=30, check=True)
            self.assertEqual(self.daemon.request("GET", f"/v1/sandboxes/{victim}").status, 200, target)
        own = self.get("/redirect?to=/a")
        self.assertEqual((own.status, own.headers["Location"]), (307, self.by_path("/a")))

    def test_lets_go_of_clients_that_have_said_too_much(self):
        before = self.quiet_descriptors()
        client = self.ask_and_wait(8000, "/stalls")
        lmsb.wait_until(lambda: b"begun" in client.recv(65536), "the answer has begun")
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4000)
        client.close()
        lmsb.wait_until(lambda: self.open_descriptors() <= before, "no descriptor is left")

    def test_is_not_for_browsers_that_would_run_it(self):
        for dest in ("document", "iframe", "frame", "embed", "object", "script", "style", "worker", "serviceworker",
                     "sharedworker"):
            answer = self.get("/page", headers={"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "same-origin"})
            self.assert_error(answer, 403, "browser_refused")
        ours = {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        self.assertEqual(self.get("/page", headers=ours).status, 200)
        self.assert_error(self.get("/", headers={"Origin": "http://evil.example"}), 403, "origin_not_allowed")
        self.assert_error(self.get("/", headers={"Origin": f"http://{self.host()}"}), 403, "origin_not_allowed")

    def test_passes_bodies_on_in_both_directions(self):
        data = os.urandom(3_000_000)
        wanted = f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
        self.assertEqual(self.get("/count", method="POST", body=data, headers=kind).body, wanted)
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        connection.request("PUT", self.by_path("/count"), body=iter([data[:10], data[10:]]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(connection.getresponse().read(), wanted)
        connection.request("POST", self.by_path("/count"), body=b"")  # on the same connection
        self.assertTrue(connection.getresponse().read().startswith(b"0 "))
        connection.close()

    def test_carries_both_bodies_at_once(self):
        size = 20_000_000  # far more than all buffers on the way hold
        done = subprocess.run(["curl", "-sS", "-N", "--max-time", "60", "-T", "-",
                               f"http://{self.daemon.host}:{self.daemon.port}{self.by_path('/echo')}"],
                              input=b"z" * size, capture_output=True, timeout=90)
        self.assertEqual((done.returncode, len(done.stdout)), (0, size), done.stderr)

    def test_hears_an_answer_that_comes_before_the_request_is_read(self):
        done = subprocess.run(["curl", "-sS", "--max-time", "30", "-H", "Expect:", "-o", "-", "-w", " %{http_code}", "-T",
                               "-", f"http://{self.daemon.host}:{self.daemon.port}{self.by_path('/refuse')}"],
                              input=b"z" * 5_000_000, capture_output=True, timeout=60)
        self.assertIn(b"413", done.stdout, done.stderr)

    def test_answers_heads_and_answers_without_bodies(self):
        head = self.get("/large?size=1234", method="HEAD")
        self.assertEqual((head.status, head.headers["Content-Length"], head.body), (200, "1234", b""))
        nothing = self.get("/nothing")
        self.assertEqual((nothing.status, nothing.body), (204, b""))
        unchanged = self.get("/unchanged")
        self.assertEqual((unchanged.status, unchanged.headers["ETag"]), (304, '"1"'))
        self.assertEqual(self.get("/until-close").body, b"until the end")

    def test_says_go_on_to_who_waits_for_it(self):
        head = f"POST {self.by_path('/count')} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        with socket.create_connection((self.daemon.host, self.daemon.port), timeout=20) as connection:
            connection.sendall((head + "Expect: 100-continue\r\nConnection: close\r\n\r\n").encode())
            self.assertEqual(connection.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b"body")
            self.assertIn(b"4 " + hashlib.sha256(b"body").hexdigest().encode(), connection.makefile("rb").read())

    def test_passes_events_on_as_they_are_written(self):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=20)
        connection.request("GET", self.by_path("/events"))
        answer = connection.getresponse()
        for _ in range(3):
            self.assertTrue(answer.readline().startswith(b"data: "))
            answer.readline()
            self.get("/go")
        self.assertEqual(answer.read(), b"")
        connection.close()

    def test_tells_apart_a_whole_answer_and_a_part_of_one(self):
        for path in ("/dies", "/dies-in-chunks"):
            sandbox = self.make_sandbox()
            self.serve("web", 8080, sandbox)
            with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                self.daemon.request("GET", self.by_path(path, 8080, sandbox))
        with self.server("lies-short"), self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            self.get("/", 9000)
        with self.server("bad-chunks"):  # seen before anything of it was passed on
            self.assert_error(self.get("/", 9000), 502, "port_bad_answer")

    def test_survives_hostile_servers(self):
        for name in ("garbage", "huge-header", "many-headers", "switches", "two-lengths", "both-framings",
                     "endless-interims"):
            with self.subTest(name), self.server(name):
                self.assert_error(self.get("/", 9000), 502, "port_bad_answer")
        with self.server("closes"):
            self.assert_error(self.get("/", 9000), 502, "port_no_answer")
        for name, body in (("lies-long", b"four"), ("interim", b"ok")):
            with self.subTest(name), self.server(name):
                self.assertEqual(self.get("/", 9000).body, body)
        with self.server("splits"):
            self.assertNotIn("X-Injected", self.get("/", 9000).headers)
        self.assertEqual(self.get("/").status, 200)

    def test_lets_go_of_servers_that_never_answer_when_the_client_goes(self):
        for name in ("silent", "endless-header"):
            with self.subTest(name), self.server(name):
                before = self.quiet_descriptors()
                clients = [self.ask_and_wait(9000) for _ in range(20)]
                lmsb.wait_until(lambda: self.open_descriptors() >= before + 40, "connections inside")
                for client in clients:
                    client.close()
                lmsb.wait_until(lambda: self.open_descriptors() <= before, "no descriptor is left")

    def ask_and_wait(self, port, path="/"):
        client = socket.create_connection((self.daemon.host, self.daemon.port))
        client.sendall(f"GET {self.by_path(path, port)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client

    def test_says_which_ports_listen_where_none_does(self):
        answer = self.get("/", 81)
        self.assert_error(answer, 502, "port_not_listening")
        self.assertIn("8000", answer.json()["error"]["hint"])
        for port in ("0", "65536", "x", "-1"):
            self.assert_error(self.get("/", port), 400, "invalid_port")

    def test_gives_up_on_servers_that_never_accept(self):
        sandbox = self.make_sandbox()
        self.serve("deaf", 7007, sandbox)
        lmsb.wait_until(lambda: 7008 in self.listening(sandbox), "its queue is full")
        self.assert_error(self.daemon.request("GET", self.by_path("/", 7007, sandbox)), 504, "port_timeout")

    def test_finds_servers_of_either_family(self):
        self.serve("web6", 8600)
        self.assertEqual(self.listening()[8600]["address"], "::1")
        self.assertEqual(self.get("/", 8600).status, 200)

    def test_serves_many_at_once_and_keeps_nothing(self):
        self.get("/")
        before = self.quiet_descriptors()
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda i: self.get(f"/large?size={i * 1000}"), range(300)))
        self.assertEqual([len(a.body) for a in answers], [i * 1000 for i in range(300)])
        lmsb.wait_until(lambda: self.open_descriptors() <= before, f"{before} descriptors again")

    def test_bounds_the_connections_to_a_sandbox(self):
        with self.server("silent"):
            clients = [self.ask_and_wait(9000) for _ in range(256)]
            lmsb.wait_until(lambda: self.get("/").status != 200, "all places are taken")
            answer = self.get("/")
            self.assert_error(answer, 429, "too_many_port_connections")
            self.assertEqual(answer.headers["Retry-After"], "1")
            for client in clients:
                client.close()
            lmsb.wait_until(lambda: self.get("/").status == 200, "room again")


class InConstantMemory(PortsTest):
    SIZE = 200_000_000

    def peak(self):
        status = pathlib.Path(f"/proc/{self.daemon.daemon_pid()}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))

    def test_downloads(self):
        self.get("/large?size=1000000")
        before = self.peak()
        url = f"http://{self.daemon.host}:{self.daemon.port}{self.by_path(f'/large?size={self.SIZE}')}"
        done = subprocess.run(f"curl -sS --fail {url} | wc -c", shell=True, capture_output=True, timeout=100)
        self.assertEqual(int(done.stdout), self.SIZE, done.stderr)
        self.assertLess(self.peak() - before, 8192)

    def test_uploads(self):
        self.get("/large?size=1000000")
        before = self.peak()
        url = f"http://{self.daemon.host}:{self.daemon.port}{self.by_path('/count')}"
        done = subprocess.run(f"head -c {self.SIZE} /dev/zero | curl -sS --fail -H 'Expect:' -T - {url}", shell=True,
                              capture_output=True, timeout=100)
        self.assertTrue(done.stdout.startswith(f"{self.SIZE} ".encode()), (done.stdout, done.stderr))
        self.assertLess(self.peak() - before, 8192)

    def test_waits_for_readers_that_are_slow(self):
        before = self.peak()
        with socket.create_connection((self.daemon.host, self.daemon.port), timeout=20) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"GET {self.by_path(f'/large?size={self.SIZE}')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            time.sleep(1)  # in which a proxy without back-pressure would have read all of it
            self.assertLess(self.peak() - before, 8192)


class ByHostName(PortsTest):
    def test_carries_requests_untouched(self):
        answer = self.get_by_host("/v1/sandboxes?x=%20")
        text = answer.body.decode()
        self.assertTrue(text.startswith("GET /v1/sandboxes?x=%20\n"), text)
        self.assertIn(f"Host: {self.host()}\n", text)
        self.assertIn(f"X-Forwarded-Host: {self.host()}\n", text)
        self.assertEqual(self.get_by_host("/", method="PROPFIND").status, 200)
        self.assertEqual(self.get_by_host("/healthz").headers["X-Server"], "inside")

    def test_leaves_answers_as_they_are(self):
        answer = self.get_by_host("/cookies")
        self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=1; Path=/", "b=2"])
        self.assertEqual(answer.headers["Content-Security-Policy"], "default-src *")
        self.assertNotIn("Keep-Alive", answer.headers)
        text = self.get_by_host("/", headers={"Cookie": "own=1; lmsb_preview=secret", "X-API-Key": "secret",
                                              "X-Preview-Token": "secret"}).body.decode()
        self.assertIn("Cookie: own=1\n", text)
        self.assertNotIn("secret", text)

    def test_has_nothing_of_the_api_and_is_nothing_to_it(self):
        wrong = f"8000-{'z' * 20}.localhost"
        answer = self.daemon.request("GET", "/v1/sandboxes", headers={"Host": wrong})
        self.assert_error(answer, 404, "sandbox_not_found")
        for host in (f"0-{self.sandbox}.localhost", f"8000-{self.sandbox}.localhost.evil.com", f"8000-{self.sandbox}",
                     f"8000-{self.sandbox[:5]}.localhost", f"x.8000-{self.sandbox}.localhost", "evil.localhost"):
            answer = self.daemon.request("GET", "/v1/info", headers={"Host": host})
            self.assertEqual(answer.status, 421, host)
        for path in ("/v1/sandboxes", "/run-bash/", "/healthz", "/metrics", "/v1/models"):
            answer = self.daemon.request("GET", path, headers={"Origin": f"http://{self.host()}"})
            self.assertEqual(answer.status, 403, path)

    def test_lets_only_pages_of_the_same_sandbox_ask(self):
        own = {"Origin": f"http://{self.host()}"}
        self.assertEqual(self.get_by_host("/", headers=own).status, 200)
        self.assertEqual(self.get_by_host("/", headers={"Origin": f"http://{self.host(3000)}"}).status, 200)
        other = f"http://8000-{'z' * 20}.localhost:{self.daemon.port}"
        for origin in (other, "http://evil.example", "null", f"http://localhost:{self.daemon.port}"):
            self.assert_error(self.get_by_host("/", headers={"Origin": origin}), 403, "origin_not_allowed")
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        self.assert_error(self.get_by_host("/", headers=elsewhere), 403, "origin_not_allowed")
        with self.assertRaises(Refused) as refused:
            WebSocket(self.daemon.host, self.daemon.port, "/", {"Host": self.host(), "Origin": "http://evil.example"})
        self.assertEqual(refused.exception.status, 403)


class WebSockets(PortsTest):
    def test_talk_by_path_and_by_host_name(self):
        for target, host in ((self.by_path("/ws"), "localhost"), ("/ws", self.host())):
            client = WebSocket(self.daemon.host, self.daemon.port, target, {"Host": host})
            self.assertEqual(client._read_frame(), (1, True, b"welcome"))  # sent with the head
            for size in (0, 5, 100, 60_000):
                client._frame(2, b"x" * size)
                self.assertEqual(client._read_frame(), (2, True, b"x" * size))
            client._frame(8, b"\x03\xe8")
            self.assertEqual(client._read_frame()[0], 8)
            self.assertEqual(client.file.read(), b"")
            client.drop()

    def test_end_with_their_sandbox(self):
        sandbox = self.make_sandbox()
        self.serve("web", 8080, sandbox)
        client = WebSocket(self.daemon.host, self.daemon.port, self.by_path("/ws", 8080, sandbox))
        client._read_frame()
        with_it = self.quiet_descriptors()
        self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")
        self.assertEqual(client.file.read(), b"")
        # Nothing of it is kept for a client that does not go.
        lmsb.wait_until(lambda: self.open_descriptors() <= with_it - 2, "both ends are closed")
        client.drop()

    def test_leave_nothing(self):
        before = self.quiet_descriptors()
        for _ in range(50):
            client = WebSocket(self.daemon.host, self.daemon.port, self.by_path("/ws"))
            client._read_frame()
            client.drop()
        lmsb.wait_until(lambda: self.open_descriptors() <= before, "no descriptor is left")

    def test_are_not_opened_where_the_server_speaks_none(self):
        with self.server("lies-long"), self.assertRaises(Refused) as refused:
            WebSocket(self.daemon.host, self.daemon.port, self.by_path("/", 9000))
        self.assertEqual(refused.exception.status, 200)


class States(PortsTest):
    def test_refuse_a_paused_sandbox(self):
        sandbox = self.make_sandbox()
        self.serve("web", 8080, sandbox)
        self.daemon.post(f"/v1/sandboxes/{sandbox}/pause", {})
        self.assert_error(self.daemon.request("GET", self.by_path("/", 8080, sandbox)), 409, "sandbox_paused")
        self.assert_error(self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/ports"), 409, "sandbox_paused")
        self.daemon.post(f"/v1/sandboxes/{sandbox}/resume", {})
        self.assertEqual(self.daemon.request("GET", self.by_path("/", 8080, sandbox)).status, 200)

    def test_keep_a_sandbox_in_use(self):
        sandbox = self.make_sandbox()
        at = f"/v1/sandboxes/{sandbox}"
        self.daemon.request("PUT", f"{at}/files?path=server.py", SOURCE, {"Content-Type": "application/octet-stream"})
        # Left behind by its command: a detached process would be a use by itself.
        self.daemon.post(f"{at}/exec", {"cmd": "setsid python3 server.py web 8080 >/dev/null 2>&1 &"})
        lmsb.wait_until(lambda: 8080 in self.listening(sandbox), "a server")
        client = WebSocket(self.daemon.host, self.daemon.port, self.by_path("/ws", 8080, sandbox))
        client._read_frame()
        self.assertEqual(self.daemon.request("PATCH", at, {"idle_ms": 1000}).status, 200)
        state = lambda: self.daemon.request("GET", at).json()["state"]
        time.sleep(2)  # longer than it may be idle
        self.assertEqual(state(), "running")
        client.drop()
        lmsb.wait_until(lambda: state() in ("paused", "stopped"), "its idle limit")

    def test_end_downloads_with_their_sandbox(self):
        sandbox = self.make_sandbox()
        self.serve("web", 8080, sandbox)
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=20)
        connection.request("GET", self.by_path("/for-ever", 8080, sandbox))
        answer = connection.getresponse()
        self.assertTrue(answer.readline())
        self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()


class Tokens(PortsTest):
    """Asked as a user of the machine whom the doors turn away."""

    def preview(self, port=8000, **more):
        answer = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/previews", {"port": port, **more})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def stranger(self, path, port=8000, sandbox=None, *words):
        url = f"http://{self.host(port, sandbox)}{path}"
        to = f"{port}-{sandbox or self.sandbox}.localhost:{self.daemon.port}:127.0.0.1"
        done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", "--resolve", to, *words, url],
                              capture_output=True, user=MEMBER, group=MEMBER, extra_groups=[], timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def assert_code(self, said, status, code):
        self.assertIn(f"HTTP/1.1 {status} ", said)
        self.assertIn(f'"code":"{code}"', said)

    def test_open_their_port(self):
        link = self.preview()
        parts = urllib.parse.urlsplit(link["url"])
        self.assertEqual((parts.netloc, parts.path, parts.query), (self.host(), "/", f"lmsb_preview={link['token']}"))
        self.assert_code(self.stranger("/"), 401, "key_required")
        said = self.stranger("/x", 8000, None, "-H", f"X-Preview-Token: {link['token']}")
        self.assertIn("GET /x\n", said)
        self.assertNotIn(link["token"], said)
        said = self.stranger(f"/x?a=1&lmsb_preview={link['token']}&b=2")
        self.assertIn("GET /x?a=1&b=2\n", said)

    def test_become_a_cookie_of_a_browser(self):
        token = self.preview(expires_in_s=600)["token"]
        said = self.stranger(f"/x?lmsb_preview={token}&b=2", 8000, None, "-H", "Accept: text/html,*/*")
        self.assertIn("HTTP/1.1 303 ", said)
        self.assertIn("Location: /x?b=2\r\n", said)
        cookie = re.search(r"Set-Cookie: (lmsb_preview=[^;]+); Path=/; HttpOnly; SameSite=Lax; Max-Age=(\d+)", said)
        self.assertAlmostEqual(int(cookie.group(2)), 600, delta=30)
        said = self.stranger("/x?b=2", 8000, None, "-b", cookie.group(1) + "; own=1")
        self.assertIn("GET /x?b=2\n", said)
        self.assertIn("Cookie: own=1\n", said)
        self.assertNotIn(token, said)
        said = self.stranger(f"//evil.com/?lmsb_preview={token}", 8000, None, "-H", "Accept: text/html", "--path-as-is")
        self.assertIn("Location: /.//evil.com/\r\n", said)

    def test_open_nothing_else(self):
        token = self.preview()["token"]
        given = ("-H", f"X-Preview-Token: {token}")
        self.serve("web", 8001)
        self.assert_code(self.stranger("/", 8001, None, *given), 403, "preview_token_invalid")
        other = self.make_sandbox()
        self.serve("web", 8000, other)
        self.assert_code(self.stranger("/", 8000, other, *given), 403, "preview_token_invalid")
        api = ["curl", "-sS", "-i", *given, "-b", f"lmsb_preview={token}",
               f"http://127.0.0.1:{self.daemon.port}{self.by_path('/')}?lmsb_preview={token}"]
        said = subprocess.run(api, capture_output=True, user=MEMBER, group=MEMBER, extra_groups=[], timeout=30).stdout
        self.assertIn(b"HTTP/1.1 401 ", said)

    def test_are_forged_by_nobody_and_end(self):
        link = self.preview()
        end, digits = link["token"].split(".")
        forged = [f"{int(end) + 1}.{digits}", f"{end}.{'0' * 64}", end, f"{end}.", "x", f".{digits}", f"{end}.{digits}0",
                  f" {end}.{digits}x"]
        for token in forged:
            said = self.stranger("/", 8000, None, "-H", f"X-Preview-Token: {token}")
            self.assert_code(said, 403, "preview_token_invalid")
        brief = self.preview(expires_in_s=1)["token"]
        time.sleep(2.1)
        self.assert_code(self.stranger("/", 8000, None, "-H", f"X-Preview-Token: {brief}"), 403, "preview_token_invalid")

    def test_have_bounds(self):
        for body in ({"port": 0}, {"port": 65536}, {}, {"port": 80, "expires_in_s": 0}, {"port": 80, "expires_in_s": 604801},
                     {"port": 80, "else": 1}):
            self.assertEqual(self.daemon.post(f"/v1/sandboxes/{self.sandbox}/previews", body).status, 400, body)
        self.assert_error(self.daemon.post("/v1/sandboxes/none/previews", {"port": 80}), 404, "sandbox_not_found")


class OtherOwners(PortsTest):
    """A member of the socket's group sees its own sandboxes alone."""
    flags = ("--socket-group", "nogroup")

    def as_member(self, path, *words):
        url = f"http://127.0.0.1:{self.daemon.port}{path}"
        done = subprocess.run(["curl", "-sS", "-i", "--max-time", "20", *words, url], capture_output=True, user=MEMBER,
                              group=MEMBER, extra_groups=[], timeout=30)
        return done.stdout.decode()

    def test_find_nothing_of_a_sandbox(self):
        self.assertIn("HTTP/1.1 200 ", self.as_member("/v1/info"))
        base = f"/v1/sandboxes/{self.sandbox}"
        json_post = ("-H", "Content-Type: application/json", "-d", '{"port":8000}')
        upgrade = ("-H", "Connection: Upgrade", "-H", "Upgrade: tcp")
        for path, words in (("/ports", ()), ("/ports/8000/", ()), ("/tunnel?port=8000", upgrade), ("/previews", json_post)):
            said = self.as_member(base + path, *words)
            self.assertIn("HTTP/1.1 404 ", said)
            self.assertIn("sandbox_not_found", said)
        self.assertIn("sandbox_not_found", self.as_member("/", "-H", f"Host: {self.host()}"))


class Octets(PortsTest):
    def tunnel(self, port, sandbox=None, protocol="tcp"):
        connection = socket.create_connection((self.daemon.host, self.daemon.port), timeout=20)
        self.addCleanup(connection.close)
        connection.sendall((f"GET /v1/sandboxes/{sandbox or self.sandbox}/tunnel?port={port} HTTP/1.1\r\nHost: localhost\r\n"
                            f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n\r\nahead").encode())
        return connection, connection.makefile("rb")

    def test_go_both_ways_to_the_end_of_each_half(self):
        self.serve("echo", 7000)
        connection, file = self.tunnel(7000)
        self.assertTrue(file.readline().startswith(b"HTTP/1.1 101 "))
        while file.readline().strip():
            pass
        self.assertEqual(file.read(5), b"ahead")
        data = os.urandom(5_000_000)
        threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR))).start()
        self.assertEqual(file.read(), data + b"end")

    def test_need_the_upgrade(self):
        answer = self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/tunnel?port=8000")
        self.assert_error(answer, 426, "upgrade_required")
        self.assertEqual(answer.headers["Upgrade"], "tcp")
        _, file = self.tunnel(1)
        self.assertIn(b" 502 ", file.readline())


class FromTheCommandLine(PortsTest):
    def cli(self, *words, **more):
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        return subprocess.run([str(lmsb.BIN / "lm-sandbox"), *map(str, words)], capture_output=True, env=env, timeout=60,
                              text=True, **more)

    def forward(self, *words):
        env = {**os.environ, "LM_SANDBOX_HOST": f"unix:{self.daemon.run_dir}/api.sock"}
        process = subprocess.Popen([str(lmsb.BIN / "lm-sandbox"), "port", *map(str, words)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=env, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process, process.stdout.readline()

    def test_forwards_until_it_is_interrupted(self):
        process, line = self.forward(self.sandbox, "0:8000")
        port = int(re.search(r"127\.0\.0\.1:(\d+)", line).group(1))
        for _ in range(3):
            said = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/x"], capture_output=True, timeout=20).stdout
            self.assertTrue(said.startswith(b"GET /x\n"), said)
        big = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/large?size=20000000"], capture_output=True, timeout=60)
        self.assertEqual(len(big.stdout), 20_000_000)
        before = socket.create_connection(("127.0.0.1", port), timeout=10)
        before.sendall(b"GET /for-ever HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(before.recv(10))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=20), 0, process.stderr.read())
        while before.recv(65536):
            pass
        before.close()

    def test_lists_and_makes_urls(self):
        self.assertRegex(self.cli("port", self.sandbox).stdout, r"PORT +ADDRESS.*\n8000 +127\.0\.0\.1")
        self.assertEqual(json.loads(self.cli("port", self.sandbox, "--json").stdout)["data"][0]["port"], 8000)
        url = self.cli("port", self.sandbox, "8000", "--url").stdout.strip()
        self.assertRegex(url, rf"^http://8000-{self.sandbox}\.localhost:{self.daemon.port}/\?lmsb_preview=\d+\.[0-9a-f]{{64}}$")

    def test_says_who_has_the_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.cli("port", self.sandbox, f"{port}:8000")
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(port), done.stderr)
            self.assertIn(str(os.getpid()), done.stderr)


if __name__ == "__main__":
    lmsb.main()
