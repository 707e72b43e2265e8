#!/usr/bin/python3
"""API keys that administrators make: what each may do, see and have, and that it opens nothing once it is gone."""
import base64
import concurrent.futures
import contextlib
import http.client
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
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_disks import launcher_of
from test_staying import StayingTest
from websocket import Refused, WebSocket

MIB = 1 << 20
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class KeyTest(StayingTest):
    def make(self, *scopes, status=201, **fields):
        """Returns (id, key)."""
        made = self.daemon.post("/v1/keys", {**({"scopes": list(scopes)} if scopes else {}), **fields})
        self.assertEqual(made.status, status, made.body)
        return (made.json()["id"], made.json()["key"]) if status == 201 else made.json()["error"]["code"]

    def by(self, key, method, path, body=None, **more):
        return self.daemon.request(method, path, body, headers={"Authorization": f"Bearer {key}", **more})

    def box(self, key, **fields):
        made = self.by(key, "POST", "/v1/sandboxes", fields)
        self.assertEqual(made.status, 201, made.body)
        return made.json()["id"]

    def revoke(self, key):
        self.assertEqual(self.daemon.request("DELETE", f"/v1/keys/{key}").status, 204)

    def listed(self, key=None, what="sandboxes"):
        headers = {"X-API-Key": key} if key else {}
        return {one["id"] for one in self.daemon.request("GET", f"/v1/{what}", headers=headers).json()["data"]}

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (status, code), answer.body)


class Keys(KeyTest):
    def test_open_the_doors_to_whom_nothing_else_does_in_both_spellings(self):
        _, key = self.make(name="ci")
        for spelling in (key, "e2b_" + key.removeprefix("lmsb_")):
            for header in (f"Authorization: Bearer {spelling}", f"X-API-Key: {spelling}"):
                done = subprocess.run([*NOBODY, "curl", "--silent", "-H", header, "-H", "Content-Type: application/json", "-d",
                                       '{"cmd":"whoami"}', f"http://{self.daemon.host}:{self.daemon.port}/run-bash/"],
                                      capture_output=True, text=True, timeout=60, check=True)
                self.assertEqual(json.loads(done.stdout)["output"], "user\n")
        for url in (f"/v1/info?api_key={key}", f"/v1/info?X-API-Key={key}&key={key}"):
            done = subprocess.run([*NOBODY, "curl", "--silent", f"http://{self.daemon.host}:{self.daemon.port}{url}"],
                                  capture_output=True, text=True, timeout=60, check=True)
            self.assertEqual(json.loads(done.stdout)["error"]["code"], "key_required")

    def test_see_what_they_made_and_nothing_of_another(self):
        (one_id, one), (_, two) = self.make(), self.make()
        mine, other, roots = self.box(one, name="mine"), self.box(two), self.create()
        self.assertEqual(self.listed(one), {mine})
        self.assertEqual(self.listed(two), {other})
        self.assertLessEqual({mine, other, roots}, self.listed())
        for box in (other, roots, other[:8]):
            self.refused(self.by(one, "GET", f"/v1/sandboxes/{box}"), 404, "sandbox_not_found")
            self.refused(self.by(one, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "true"}), 404, "sandbox_not_found")
            self.refused(self.by(one, "DELETE", f"/v1/sandboxes/{box}"), 404, "sandbox_not_found")
            self.refused(self.by(one, "POST", f"/v1/sandboxes/{box}/previews", {"port": 80}), 404, "sandbox_not_found")
        shot = self.daemon.post(f"/v1/sandboxes/{roots}/snapshot", {}).json()["id"]
        self.refused(self.by(one, "GET", f"/v1/snapshots/{shot}"), 404, "snapshot_not_found")
        self.refused(self.by(one, "POST", "/v1/sandboxes", {"snapshot": shot}), 404, "snapshot_not_found")
        _, chief = self.make("admin")
        self.assertLessEqual({mine, other, roots}, self.listed(chief))
        self.assertIn(one_id, self.listed(chief, "keys"))

    def test_make_no_keys_unless_they_are_an_administrators(self):
        _, key = self.make("read", "write", "models")
        _, part = self.make("admin", labels={"team": "a"})
        for one in (key, part):
            self.refused(self.by(one, "POST", "/v1/keys", {"scopes": ["admin"]}), 403, "permission_denied")
            self.refused(self.by(one, "GET", "/v1/keys"), 403, "permission_denied")
            self.refused(self.by(one, "DELETE", "/v1/keys/none"), 403, "permission_denied")
            self.refused(self.by(one, "GET", "/v1/ledger"), 403, "permission_denied")
            self.refused(self.by(one, "POST", "/v1/models/pull", {"source": "/etc/hostname"}), 403, "permission_denied")
        _, chief = self.make("admin")
        self.assertEqual(self.by(chief, "POST", "/v1/keys", {}).status, 201)
        self.refused(self.by(chief, "POST", "/v1/keys", {"scopes": []}), 400, "invalid_scope")

    def test_of_administrators_that_are_bounded_make_none_that_are_not(self):
        (_, short), (_, small) = self.make("admin", expires_in_s=600), self.make("admin", quota={"sandboxes": 1})
        for fields in ({}, {"expires_in_s": 700}):
            self.refused(self.by(short, "POST", "/v1/keys", fields), 403, "key_limited")
        self.assertEqual(self.by(short, "POST", "/v1/keys", {"expires_in_s": 500}).status, 201)
        self.refused(self.by(small, "POST", "/v1/keys", {"quota": {"sandboxes": 1}}), 403, "key_limited")

    def test_that_are_gone_make_nobody_an_administrator(self):
        (gone_id, gone), (_, brief) = self.make(), self.make(expires_in_s=1)
        self.revoke(gone_id)
        for key in (gone, "e2b_" + gone.removeprefix("lmsb_")):  # which root, who sends it, does not need
            self.refused(self.by(key, "GET", "/v1/sandboxes"), 401, "key_unknown")
        for header, value in (("Authorization", gone), ("Authorization", f"Token {gone}"), ("X-API-Key", f"Bearer {gone}"),
                              ("Authorization", "Basic " + base64.b64encode(f"me:{gone}".encode()).decode())):
            self.refused(self.daemon.request("GET", "/v1/sandboxes", headers={header: value}), 401, "key_unknown")
        lmsb.wait_until(lambda: self.by(brief, "GET", "/v1/sandboxes").status == 401, "the key's end")
        self.refused(self.by(brief, "GET", "/v1/sandboxes"), 401, "key_expired")
        self.assertEqual(self.by("sk-anything", "GET", "/v1/sandboxes").status, 200)

    def test_do_what_their_scopes_say(self):
        _, writer = self.make("write")
        box = self.box(writer)
        (_, reader), (_, asker) = self.make("read"), self.make("models")
        self.refused(self.by(reader, "POST", "/v1/sandboxes", {}), 403, "scope_missing")
        self.refused(self.by(reader, "POST", "/v1/run", {"cmd": "true"}), 403, "scope_missing")
        self.assertEqual(self.by(reader, "POST", "/run-bash/", {"cmd": "true"}).status, 403)
        self.assertEqual(self.by(reader, "GET", "/v1/sandboxes").status, 200)
        self.refused(self.by(asker, "GET", "/v1/sandboxes"), 403, "scope_missing")
        self.assertEqual(self.by(asker, "GET", "/v1/models").status, 200)
        chat = self.by(writer, "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
        self.assertEqual((chat.status, chat.json()["error"]["code"]), (403, "scope_missing"))
        self.assertEqual(self.by(writer, "POST", "/llama-cpp/", {"cmd": "x"}).status, 403)
        self.assertEqual(self.by(writer, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "true"}).status, 200)
        with self.assertRaises(Refused) as pty:
            WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{box}/pty", {"X-API-Key": reader})
        self.assertEqual(pty.exception.status, 403)

    def test_outlive_the_daemon_and_so_does_their_end(self):
        (gone_id, gone), (_, stays) = self.make(), self.make(labels={"team": "a"})
        box = self.box(stays)
        self.by(gone, "GET", "/v1/sandboxes")
        self.revoke(gone_id)
        self.again()
        self.refused(self.by(gone, "GET", "/v1/sandboxes", Forwarded="for=_x"), 401, "key_unknown")
        self.assertEqual(self.listed(stays), {box})
        self.assertEqual(self.by(stays, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "echo on"}).json()["stdout"], "on\n")

    def test_two_at_once_are_none(self):
        _, key = self.make("admin")
        for second in (f"Authorization: Bearer {key}", f"X-API-Key: {key}", "authorization: Bearer x", "Authorization : x",
                       f"Authorization:\tBearer {key}"):
            with socket.create_connection((self.daemon.host, self.daemon.port), timeout=30) as client:
                client.sendall(f"GET /v1/keys HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: x\r\nAuthorization: Bearer {key}\r\n"
                               f"{second}\r\nConnection: close\r\n\r\n".encode())
                answer = client.makefile("rb").read().decode()
            self.assertRegex(answer, r"^HTTP/1.1 (401|400) ", second)

    def test_leave_no_secret_anywhere_and_a_trail_of_who_made_them(self):
        id_, key = self.make(name="trail")
        box = self.box(key)
        self.by(key, "GET", "/v1/sandboxes/none?x=1")
        self.daemon.request("GET", f"/v1/info?api_key={key}", headers={"Origin": "http://evil.example"})
        self.revoke(id_)
        digits = key.removeprefix("lmsb_")
        for file in [self.daemon.dir / "log", *pathlib.Path(self.daemon.data_dir, "state").iterdir(),
                     *pathlib.Path(self.daemon.data_dir, "audit").iterdir()]:
            self.assertNotIn(digits.encode(), file.read_bytes(), file)
        trail = [json.loads(line) for line in pathlib.Path(self.daemon.data_dir, "audit", "audit.log").read_text().splitlines()]
        mine = [(line["event"], line["by"]) for line in trail if id_ in (line.get("key_id"), line["by"].removeprefix("key:"))]
        self.assertEqual(mine, [("key.created", "local:0"), ("sandbox.created", f"key:{id_}"), ("key.removed", "local:0")])
        self.assertIn(box, {line.get("sandbox_id") for line in trail})


class Revoked(KeyTest):
    """What was open when its key went."""

    def setUp(self):
        super().setUp()
        self.take_another()

    def take_another(self, **fields):
        self.id, self.key = self.make(**fields)
        self.sandbox = self.box(self.key)
        self.auth = {"Authorization": f"Bearer {self.key}"}

    def open(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=30)
        fields = {**self.auth, **({"Content-Type": "application/json"} if body else {}), **headers}
        connection.request(method, path, json.dumps(body) if body else None, fields)
        return connection, connection.getresponse()

    def end_of(self, read):
        """Whether it comes once the key is gone."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ending = pool.submit(read)
            time.sleep(0.3)
            self.assertFalse(ending.done(), "it goes on while the key is there")
            self.revoke(self.id)
            return ending.result(20)

    @staticmethod
    def read_to_end(response):
        try:
            return response.read()
        except (http.client.IncompleteRead, ConnectionError) as cut:
            return cut

    def test_a_command_that_is_waited_for_ends_and_is_killed(self):
        answers = []
        def ask():
            try:
                answers.append(self.by(self.key, "POST", f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "sleep 7777"}).status)
            except (http.client.HTTPException, ConnectionError) as cut:
                answers.append(type(cut))
        asking = threading.Thread(target=ask)
        asking.start()
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"7777"), "the command")
        self.revoke(self.id)
        asking.join(20)
        self.assertFalse(asking.is_alive())
        self.assertNotEqual(answers, [200])
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"7777"), "the command's end")

    def test_streams_of_output_and_of_events_end(self):
        for method, path, body, headers in (
                ("POST", f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "echo a; sleep 7777"}, {"Accept": "application/x-ndjson"}),
                ("GET", "/v1/events", None, {})):
            with self.subTest(path):
                connection, response = self.open(method, path, body, **headers)
                self.assertEqual(response.status, 200)
                self.end_of(lambda r=response: self.read_to_end(r))
                connection.close()
            self.take_another()

    def test_terminals_and_tunnels_end(self):
        terminal = WebSocket(self.daemon.host, self.daemon.port, f"/v1/sandboxes/{self.sandbox}/pty", self.auth)
        self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec", {
            "cmd": "python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", 8000)); c = s.accept(); time.sleep(7777)'",
            "detach": True})
        lmsb.wait_until(lambda: self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/ports").json()["data"], "the server")
        tunnel = socket.create_connection((self.daemon.host, self.daemon.port), timeout=30)
        tunnel.sendall(f"GET /v1/sandboxes/{self.sandbox}/tunnel?port=8000 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                       f"Upgrade: tcp\r\nX-API-Key: {self.key}\r\n\r\n".encode())
        self.assertIn(b" 101 ", tunnel.recv(4096))
        def both():
            rest = b"x"
            while rest:
                try:
                    rest = tunnel.recv(4096)
                except ConnectionError:
                    break
            try:
                while terminal.read() is not None:
                    pass
            except (EOFError, ConnectionError, ValueError):
                pass
            return True
        self.assertTrue(self.end_of(both))
        tunnel.close()
        terminal.drop()

    def test_previews_that_it_made_open_nothing(self):
        self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "python3 -m http.server 8000", "detach": True})
        lmsb.wait_until(lambda: self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/ports").json()["data"], "the server")
        token = self.by(self.key, "POST", f"/v1/sandboxes/{self.sandbox}/previews", {"port": 8000}).json()["token"]
        ask = [*NOBODY, "curl", "--silent", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"X-Preview-Token: {token}", "-H",
               f"Host: 8000-{self.sandbox}.localhost", f"http://{self.daemon.host}:{self.daemon.port}/"]
        self.assertEqual(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=60).stdout, "200")
        self.revoke(self.id)
        self.assertEqual(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=60).stdout, "403")

    def test_what_it_started_goes_on_and_is_an_administrators(self):
        started = self.by(self.key, "POST", f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "sleep 7777", "detach": True})
        self.assertEqual(started.status, 201)
        self.revoke(self.id)
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"7777"), "the command")
        self.assertIn(self.sandbox, self.listed())
        _, other = self.make(name="next")
        self.assertEqual(self.listed(other), set(), "no key takes the place of one that is gone")

    def test_one_that_has_expired_is_as_one_that_is_gone(self):
        self.id, self.key = self.make(expires_in_s=10)
        self.auth = {"Authorization": f"Bearer {self.key}"}
        connection, response = self.open("GET", "/v1/events")
        self.assertEqual(response.status, 200)
        self.read_to_end(response)
        connection.close()
        self.refused(self.by(self.key, "GET", "/v1/sandboxes", Forwarded="for=_x"), 401, "key_expired")


class Labels(KeyTest):
    def test_are_on_all_that_a_key_makes_and_stay_there(self):
        _, key = self.make(labels={"team": "a"})
        box = self.box(key, labels={"x": "1"})
        self.assertEqual(self.by(key, "GET", f"/v1/sandboxes/{box}").json()["labels"], {"team": "a", "x": "1"})
        for labels in ({"team": "b"}, {"team": None}):
            self.refused(self.by(key, "PATCH", f"/v1/sandboxes/{box}", {"labels": labels}), 403, "label_fixed")
        self.refused(self.by(key, "POST", "/v1/sandboxes", {"labels": {"team": "b"}}), 403, "label_fixed")
        forked = self.by(key, "POST", f"/v1/sandboxes/{box}/fork", {"count": 1}).json()["data"][0]
        self.assertEqual(forked["labels"], {"team": "a", "x": "1"})
        shot = self.by(key, "POST", f"/v1/sandboxes/{box}/snapshot", {}).json()["id"]
        again = self.box(key, snapshot=shot)
        self.assertEqual(self.by(key, "GET", f"/v1/sandboxes/{again}").json()["labels"], {"team": "a"})

    def test_hide_what_has_them_no_more(self):
        _, key = self.make(labels={"team": "a"})
        box, volume = self.box(key), self.by(key, "POST", "/v1/volumes", {"name": "data", "size_bytes": 16 * MIB}).json()["id"]
        self.daemon.request("PATCH", f"/v1/sandboxes/{box}", {"labels": {"team": "b"}})
        self.daemon.request("PATCH", f"/v1/volumes/{volume}", {"labels": {"team": None}})
        self.assertEqual(self.listed(key), set())
        self.assertEqual(self.listed(key, "volumes"), set())
        self.refused(self.by(key, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "true"}), 404, "sandbox_not_found")
        for name in (volume, "data"):
            self.refused(self.by(key, "POST", "/v1/sandboxes", {"volumes": [{"volume": name, "target": "/data"}]}), 404,
                         "volume_not_found")
            self.refused(self.by(key, "POST", "/v1/run", {"cmd": "true", "volumes": [{"volume": name, "target": "/data"}]}), 404,
                         "volume_not_found")

    def test_that_a_sandbox_has_no_more_close_the_previews_of_it(self):
        _, key = self.make(labels={"team": "a"})
        box = self.box(key)
        token = self.by(key, "POST", f"/v1/sandboxes/{box}/previews", {"port": 8000}).json()["token"]
        ask = lambda: self.daemon.request("GET", "/", headers={"Host": f"8000-{box}.localhost", "X-Preview-Token": token,
                                                               "Forwarded": "for=_x"})
        self.refused(ask(), 502, "port_not_listening")
        self.daemon.request("PATCH", f"/v1/sandboxes/{box}", {"labels": {"team": "b"}})
        self.refused(ask(), 403, "preview_token_invalid")

    def test_of_an_administrator_are_his_part(self):
        _, head = self.make("admin", labels={"team": "a"})
        a, b = self.create(labels={"team": "a"}), self.create(labels={"team": "b"})
        self.assertEqual(self.listed(head), {a})
        self.assertEqual(self.by(head, "POST", f"/v1/sandboxes/{a}/exec", {"cmd": "true"}).status, 200)
        self.refused(self.by(head, "DELETE", f"/v1/sandboxes/{b}"), 404, "sandbox_not_found")


class Quotas(KeyTest):
    LIMITS = {"memory_bytes": 64 * MIB, "cpus": 0.5, "disk_bytes": 64 * MIB}

    def ask(self, key, **limits):
        return self.by(key, "POST", "/v1/sandboxes", {"limits": {**self.LIMITS, **limits}})

    def exceeds(self, answer):
        self.refused(answer, 429, "quota_exceeded")

    def test_of_requests_are_so_many_a_minute(self):
        _, key = self.make(quota={"requests_per_minute": 5})
        statuses = [self.by(key, "GET", "/v1/info").status for _ in range(8)]
        self.assertEqual(statuses[:5], [200] * 5)
        self.assertIn(429, statuses[5:])
        refused = self.by(key, "GET", "/v1/info")
        self.refused(refused, 429, "rate_limited")
        self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        _, other = self.make()
        self.assertEqual(self.by(other, "GET", "/v1/info").status, 200)

    def test_of_sandboxes_count_those_on_their_way(self):
        _, key = self.make(quota={"sandboxes": 3})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = sorted(a.status for a in pool.map(lambda _: self.ask(key), range(8)))
        self.assertEqual(statuses, [201] * 3 + [429] * 5)
        self.exceeds(self.by(key, "POST", "/v1/run", {"cmd": "true"}))
        self.assertEqual(self.by(key, "POST", "/run-bash/", {"cmd": "true"}).status, 429)
        gone = self.listed(key).pop()
        self.by(key, "DELETE", f"/v1/sandboxes/{gone}")
        self.assertEqual(self.by(key, "POST", "/v1/run", {"cmd": "echo"}).status, 200)
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{self.listed(key).pop()}/fork", {"count": 2}))
        self.assertEqual(len(self.listed(key)), 2, "all or none")
        self.assertEqual(self.ask(key).status, 201)

    def test_of_memory_and_cpus_are_of_what_runs(self):
        _, key = self.make(quota={"memory_bytes": 128 * MIB, "cpus": 1})
        one, two = (self.ask(key).json()["id"] for _ in range(2))
        self.exceeds(self.ask(key))
        self.exceeds(self.by(key, "POST", "/v1/run", {"cmd": "true", "limits": {"memory_bytes": MIB * 16, "cpus": 0.1}}))
        self.exceeds(self.by(key, "PATCH", f"/v1/sandboxes/{one}", {"limits": {"memory_bytes": 65 * MIB}}))
        self.exceeds(self.by(key, "PATCH", f"/v1/sandboxes/{one}", {"limits": {"cpus": 0.6}}))
        self.assertEqual(self.by(key, "POST", f"/v1/sandboxes/{one}/stop", {}).status, 200)
        three = self.ask(key)
        self.assertEqual(three.status, 201, "what is stopped has none")
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{one}/start", {}))
        self.exceeds(self.daemon.post(f"/v1/sandboxes/{one}/start", {}))
        self.by(key, "DELETE", f"/v1/sandboxes/{two}")
        self.assertEqual(self.by(key, "POST", f"/v1/sandboxes/{one}/start", {}).status, 200)
        self.again()
        self.exceeds(self.ask(key))

    def test_of_memory_are_of_the_gates_of_networks_too(self):
        _, key = self.make(quota={"memory_bytes": 127 * MIB})
        memory = {"memory_bytes": 64 * MIB}
        run = lambda **fields: self.by(key, "POST", "/v1/run", {"cmd": "true", "limits": memory, **fields})
        change = lambda box, **fields: self.by(key, "PATCH", f"/v1/sandboxes/{box}", fields)
        network = {"egress": {"mode": "open"}}
        self.exceeds(run(**network))
        self.assertEqual(run().status, 200)
        self.exceeds(self.by(key, "POST", "/v1/sandboxes", {"limits": self.LIMITS, **network}))
        box = self.ask(key).json()["id"]
        self.exceeds(change(box, **network))
        self.assertEqual(self.by(key, "GET", f"/v1/sandboxes/{box}").json()["egress"]["mode"], "none")
        move = lambda to: self.by(key, "POST", f"/v1/sandboxes/{box}/{to}", {})
        self.assertEqual(move("stop").status, 200)
        self.assertEqual(change(box, **network).status, 200)
        self.exceeds(move("start"))
        self.assertEqual(change(box, limits={"memory_bytes": 63 * MIB}).status, 200)
        self.assertEqual(move("start").status, 200)
        self.exceeds(change(box, limits=memory))
        self.exceeds(self.by(key, "POST", "/v1/run", {"cmd": "true", "limits": {"memory_bytes": 16 * MIB}}))

    @contextlib.contextmanager
    def nothing_ends(self):
        launcher = launcher_of(self.daemon)
        os.kill(launcher, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(launcher, signal.SIGCONT)

    def test_are_of_what_is_deleted_until_it_is_gone(self):
        _, key = self.make(quota={"disk_bytes": 200 * MIB, "memory_bytes": 127 * MIB})
        box = self.ask(key).json()["id"]
        shot = self.by(key, "POST", f"/v1/sandboxes/{box}/snapshot", {}).json()["id"]
        disk = lambda size: self.by(key, "POST", "/v1/volumes", {"size_bytes": size * MIB})
        run = lambda size: self.by(key, "POST", "/v1/run", {"cmd": "true", "limits": {"memory_bytes": size * MIB}})
        with concurrent.futures.ThreadPoolExecutor() as pool:
            with self.nothing_ends():
                deleted = [pool.submit(self.by, key, "DELETE", path) for path in (f"/v1/sandboxes/{box}", f"/v1/snapshots/{shot}")]
                lmsb.wait_until(lambda: not self.listed(key) and not self.listed(key, "snapshots"), "both to be deleted")
                self.exceeds(pool.submit(disk, 73).result(20))  # what is not refused waits for the launcher
                self.exceeds(pool.submit(run, 64).result(20))
            self.assertEqual([one.result(60).status for one in deleted], [204, 204])
        self.assertEqual(disk(200).status, 201)
        self.assertEqual(run(127).status, 200)

    def test_of_memory_are_of_what_is_put_back_all_the_while(self):
        _, key = self.make(quota={"memory_bytes": 127 * MIB})
        box = self.ask(key).json()["id"]
        shot = self.by(key, "POST", f"/v1/sandboxes/{box}/snapshot", {}).json()["id"]
        run = lambda: self.by(key, "POST", "/v1/run", {"cmd": "sleep 0.2", "limits": {"memory_bytes": 64 * MIB}})
        state = lambda: self.by(key, "GET", f"/v1/sandboxes/{box}").json()["state"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            with self.nothing_ends():
                back = pool.submit(self.by, key, "POST", f"/v1/sandboxes/{box}/rollback", {"snapshot": shot})
                lmsb.wait_until(lambda: state() == "stopped", "the sandbox to be stopped")
                self.exceeds(pool.submit(run).result(20))
            while not back.done():
                self.exceeds(run())
            self.assertEqual(back.result().status, 200)
        self.assertEqual(state(), "running")

    def test_of_memory_are_held_to_whatever_changes_at_the_same_time(self):
        _, key = self.make(quota={"memory_bytes": 128 * MIB})
        box = self.ask(key).json()["id"]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for _ in range(10):
                self.by(key, "POST", f"/v1/sandboxes/{box}/stop", {"grace_ms": 0})
                self.by(key, "PATCH", f"/v1/sandboxes/{box}", {"limits": {"memory_bytes": 64 * MIB}})
                started = pool.submit(self.by, key, "POST", f"/v1/sandboxes/{box}/start", {})
                raised = pool.submit(self.by, key, "PATCH", f"/v1/sandboxes/{box}", {"limits": {"memory_bytes": 256 * MIB}})
                both = (started.result().status, raised.result().status)
                self.assertIn(both, ((200, 429), (429, 200)))
                now = self.by(key, "GET", f"/v1/sandboxes/{box}").json()
                self.assertTrue(now["state"] == "stopped" or now["limits"]["memory_bytes"] <= 128 * MIB, now)

    def test_of_disk_are_of_no_less_than_what_is_held(self):
        _, key = self.make(quota={"disk_bytes": 300 * MIB})
        volume = self.by(key, "POST", "/v1/volumes", {"name": "data", "size_bytes": 64 * MIB}).json()["id"]
        box = self.box(key, limits={**self.LIMITS, "disk_bytes": 64 * MIB}, volumes=[{"volume": "data", "target": "/data"}])
        fill = "head -c 32M /dev/urandom >/data/a && head -c 32M /dev/urandom >~/a"
        self.assertEqual(self.by(key, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": fill}).json()["exit_code"], 0)
        shrink = lambda size: self.by(key, "PATCH", f"/v1/volumes/{volume}", {"size_bytes": size * MIB})
        self.refused(shrink(16), 409, "limit_in_use")
        self.assertEqual(self.by(key, "GET", f"/v1/volumes/{volume}").json()["size_bytes"], 64 * MIB)
        more = self.by(key, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "head -c 16M /dev/urandom >/data/b"}).json()
        self.assertEqual(more["exit_code"], 0, more)
        self.assertEqual(shrink(56).json()["size_bytes"], 56 * MIB)
        self.assertNotEqual(self.by(key, "POST", f"/v1/sandboxes/{box}/exec", {"cmd": "head -c 16M /dev/urandom >/data/c"}).json()["exit_code"], 0)
        shot = self.by(key, "POST", f"/v1/sandboxes/{box}/snapshot", {}).json()["id"]
        self.refused(self.by(key, "POST", "/v1/sandboxes", {"snapshot": shot, "limits": {"disk_bytes": 16 * MIB}}), 409, "limit_in_use")
        made = self.by(key, "POST", "/v1/sandboxes", {"snapshot": shot, "limits": {"disk_bytes": 80 * MIB}})
        self.assertEqual((made.status, made.json()["limits"]["disk_bytes"]), (201, 80 * MIB))

    def test_of_a_fork_are_asked_for_before_anything_is_copied(self):
        _, key = self.make(quota={"disk_bytes": 256 * MIB})
        box = self.ask(key).json()["id"]
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{box}/fork", {"count": 3}))
        self.assertNotIn("sandbox.forked", self.daemon.log_text())
        self.assertEqual(len(self.by(key, "POST", f"/v1/sandboxes/{box}/fork", {"count": 2}).json()["data"]), 2)
        self.assertIn("sandbox.forked", self.daemon.log_text())
        self.assertEqual(self.ask(key).status, 201, "the copy that they were made from counts no more")

    def test_of_disk_are_of_sandboxes_and_volumes_and_outlive_the_daemon(self):
        _, key = self.make(quota={"disk_bytes": 200 * MIB})
        box = self.ask(key, disk_bytes=100 * MIB).json()["id"]
        volume = self.by(key, "POST", "/v1/volumes", {"size_bytes": 60 * MIB}).json()["id"]
        self.exceeds(self.ask(key))
        self.exceeds(self.by(key, "POST", "/v1/volumes", {"size_bytes": 41 * MIB}))
        self.exceeds(self.by(key, "PATCH", f"/v1/volumes/{volume}", {"size_bytes": 101 * MIB}))
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{box}/fork", {}))
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{box}/snapshot", {}))
        small = self.ask(key, disk_bytes=20 * MIB).json()["id"]
        shot = self.by(key, "POST", f"/v1/sandboxes/{small}/snapshot", {}).json()["id"]
        self.exceeds(self.by(key, "POST", f"/v1/sandboxes/{small}/snapshot", {}))
        self.by(key, "DELETE", f"/v1/sandboxes/{small}")
        self.by(key, "DELETE", f"/v1/snapshots/{shot}")
        self.assertEqual(self.by(key, "POST", f"/v1/sandboxes/{box}/stop", {}).status, 200)
        self.again()
        self.exceeds(self.ask(key))
        self.by(key, "DELETE", f"/v1/volumes/{volume}")
        self.assertEqual(self.ask(key).status, 201)


class CommandLine(KeyTest):
    def cli(self, *words, status=0, key=None):
        env = {**os.environ, **({"LM_SANDBOX_API_KEY": key} if key else {})}
        done = subprocess.run([lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", *words],
                              capture_output=True, text=True, timeout=60, check=False, env=env)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def test_makes_lists_and_removes_them(self):
        made = self.cli("key", "create", "--scope", "write", "--label", "team=a", "--expires", "30d", "--sandboxes", "2", "ci")
        key = made.stdout.strip()
        self.assertRegex(key, r"^lmsb_[0-9a-f]{40}$")
        self.assertIn("not shown again", made.stderr)
        self.assertNotIn(key, made.stderr)
        box = self.cli("create", "--name", "by-key", key=key).stdout.strip()
        self.assertIn("by-key", self.cli("ls", key=key).stdout)
        self.assertIn("scope admin", self.cli("key", "ls", key=key, status=1).stderr)
        table = self.cli("key", "ls").stdout
        self.assertRegex(table, r"(?m)^key_\S+ +ci +write +\S+ +local:0 +\S+ +\d\S+$")
        self.assertNotIn(key, table)
        self.assertEqual(self.cli("key", "rm", "ci").stdout, "ci\n")
        self.cli("key", "rm", "ci", status=1)
        self.cli("key", "rm", "-f", "ci")
        self.assertIn(box, self.cli("ls").stdout, "root sees it")


if __name__ == "__main__":
    lmsb.main()
