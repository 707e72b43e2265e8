#!/usr/bin/python3
"""Credentials of the operator's: a sandbox asks http://NAME.internal, and a real TLS server in a network namespace
(support/world.py) gets the header; the sandbox, the log and the API never have what is in it."""
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
import world
from test_lifecycle import InBackground

SECRET = "s3cret-" + uuid.uuid4().hex
RESOLVERS = {"LM_SANDBOX_NETWORK__RESOLVERS": world.GOOD}
FULL_AT_640_MIB = {"LM_SANDBOX_LIMITS__MEMORY": str(640 << 20), "LM_SANDBOX_LIMITS__MEMORY_OVERCOMMIT": "1"}
WORLD = world.OfTheModule()
setUpModule, tearDownModule = WORLD.begin, WORLD.end


class CredentialTest(unittest.TestCase):
    """Of one daemon, whose configuration a test may change."""

    def setUp(self):
        before = lmsb.leftovers()
        self.addCleanup(lambda: lmsb.wait_until_clean(before))
        directory = tempfile.TemporaryDirectory(prefix="lmsb-credentials-")
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        self.dir.chmod(0o755)
        self.token = self.file("token", SECRET + "\n")
        self.authority = self.file("ca.pem", WORLD.certificate.with_suffix(".crt").read_text(), 0o644)
        self.config = self.file("config.toml", "")
        self.say([f"api=https://good.test Authorization: Bearer @{self.token}"])
        WORLD.forget()

    def file(self, name, text, mode=0o600):
        path = self.dir / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def say(self, credentials, ca=None, more=""):
        self.file("config.toml", f"[network]\ncredentials = {credentials!r}\ncredential_ca_file = '{ca or self.authority}'\n{more}")

    def daemon(self, **kw):
        return lmsb.Daemon("--config", self.config, env=RESOLVERS, **kw)

    def reload(self, daemon):
        before = daemon.log_text().count("settings.reloaded")
        os.kill(daemon.process.pid, signal.SIGHUP)
        lmsb.wait_until(lambda: daemon.log_text().count("settings.reloaded") > before, "settings.reloaded")

    def create(self, daemon, allow=("credential:api",), **fields):
        answer = daemon.post("/v1/sandboxes", {"egress": {"allow": list(allow)}, **fields})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()["id"]

    def exec(self, daemon, sandbox, cmd):
        answer = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": cmd})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def report(self, daemon, sandbox):
        return daemon.request("GET", f"/v1/sandboxes/{sandbox}/egress").json()

    def wait_for_event(self, daemon, sandbox, verdict):
        find = lambda: [e for e in self.report(daemon, sandbox)["events"] if e["verdict"] == verdict]
        lmsb.wait_until(find, verdict)
        return find()[-1]

    def asked(self):
        return [(line["host"], line["request"].split()[1], line["fields"].get("authorization")) for line in WORLD.heard(kind="tls")]


class What(CredentialTest):
    """What a credential does, and does not."""

    def test_the_host_gets_the_header_and_the_sandbox_never_has_it(self):
        with self.daemon() as daemon:
            sandbox = self.create(daemon)
            said = self.exec(daemon, sandbox, "curl -sS -H 'Authorization: mine' -H 'authorization: again' http://api.internal/a "
                                              "&& curl -sS -d body http://api.internal/b")
            self.assertEqual(said["stdout"], f"{world.GOOD} good.test /a{world.GOOD} good.test /b", said["stderr"])
            self.assertEqual(self.asked(), [("good.test", "/a", f"Bearer {SECRET}"), ("good.test", "/b", f"Bearer {SECRET}")])
            self.assertEqual(WORLD.heard(kind="tls")[1]["body"], "body")
            event = self.wait_for_event(daemon, sandbox, "allowed")
            self.assertEqual((event["kind"], event["name"], event["address"], event["port"], event["credential"]),
                             ("credential", "good.test", world.GOOD, 443, "api"))
            pattern = f"'{SECRET[:-1]}[{SECRET[-1]}]'"  # which is not in the command itself
            look = f"grep -rlsa {pattern} /etc /run /tmp /var/tmp /dev/shm /root; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -ac {pattern}"
            self.assertEqual(self.exec(daemon, sandbox, look)["stdout"], "0\n")
            info = daemon.request("GET", f"/v1/sandboxes/{sandbox}").body
            whole = daemon.log_text() + info.decode() + json.dumps(self.report(daemon, sandbox))
            self.assertNotIn(SECRET, whole)
            gate, = lmsb.gates()
            self.assertNotIn(SECRET.encode(), memory_of(gate))

    def test_without_it_in_the_list_there_is_none(self):
        with self.daemon() as daemon:
            for egress in ({"allow": ["good.test"]}, {"mode": "open"}, {"allow": ["*.internal", "good.test"]}):
                said = daemon.run("curl -sS -m 8 http://api.internal/a; curl -sS -m 8 --resolve api.internal:80:198.18.0.1 http://api.internal/; "
                                  f"curl -sS -m 8 -H 'Host: api.internal' http://{world.GOOD}/; echo ended $?; curl -sS -m 8 http://good.test/c", egress=egress)
                self.assertRegex(said["stdout"], f"ended (0|56)\n{world.GOOD} good.test /c$", said["stderr"])
                self.assertEqual(said["stdout"].count(" good.test /"), 1)
            self.assertEqual(self.asked(), [])
            answer = daemon.post("/v1/run", {"cmd": "true", "egress": {"allow": ["credential:other"]}})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_egress"))

    def test_it_goes_with_mode_open_and_with_lists(self):
        with self.daemon() as daemon:
            for egress in ({"mode": "open", "allow": ["credential:api"]}, {"allow": ["other.test", "credential:api"]}):
                said = daemon.run("curl -sS http://api.internal/a; curl -sS http://other.test/b", egress=egress)
                self.assertEqual(said["stdout"], f"{world.GOOD} good.test /a{world.OTHER} other.test /b", said["stderr"])
            self.assertEqual([line["fields"].get("authorization") for line in WORLD.heard(kind="http")], [None, None])

    def test_the_command_line_gives_one(self):
        with self.daemon() as daemon:
            command = [daemon.programs / "lm-sandbox", "run", "--host", f"http://{daemon.host}:{daemon.port}", "--credential", "api", "host",
                       "curl", "-sS", "http://api.internal/a"]
            said = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
            self.assertEqual(said.stdout, f"{world.GOOD} good.test /a", said.stderr)

    def test_a_host_with_another_certificate_gets_nothing(self):
        self.say([f"api=https://other.test Authorization: Bearer @{self.token}"])
        with self.daemon() as daemon:
            sandbox = self.create(daemon)
            self.check_not_reached(daemon, sandbox)
            self.wait_for_event(daemon, sandbox, "not_trusted")
            other = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
                                    "-keyout", self.dir / "x.key"], check=True, capture_output=True, text=True).stdout
            self.say([f"api=https://good.test Authorization: Bearer @{self.token}"], ca=self.file("other.pem", other, 0o644))
            self.reload(daemon)
            self.check_not_reached(daemon, sandbox)

    def check_not_reached(self, daemon, sandbox):
        said = self.exec(daemon, sandbox, "curl -sS -w %{http_code} http://api.internal/a")
        self.assertIn('"credential_not_reached"', said["stdout"], said["stderr"])
        self.assertTrue(said["stdout"].endswith("502"), said["stdout"])
        self.assertEqual(self.asked(), [])

    def test_hosts_inside_are_not_reached(self):
        self.say([f"api=https://inner.test Authorization: Bearer @{self.token}", f"b=https://own.test X-Key: @{self.token}"])
        with self.daemon() as daemon:
            sandbox = self.create(daemon, ["credential:api", "credential:b"])
            said = self.exec(daemon, sandbox, "curl -sS http://api.internal/a; curl -sS http://b.internal/")["stdout"]
            self.assertEqual(said.count("credential_not_reached"), 2)
            event = self.wait_for_event(daemon, sandbox, "denied_range")
            self.assertEqual((event["kind"], event["address"]), ("credential", None))
            self.assertEqual(self.asked(), [])

    def test_a_redirect_does_not_carry_it_on(self):
        with self.daemon() as daemon:
            said = daemon.run("curl -sSL http://api.internal/to/other.test", egress={"allow": ["credential:api", "other.test"]})
            self.assertEqual(said["stdout"], f"{world.OTHER} other.test /", said["stderr"])
            self.assertEqual([line["fields"].get("authorization") for line in WORLD.heard(kind="http")], [None])

    def test_requests_that_could_be_read_in_two_ways_or_tell_are_refused(self):
        host = "Host: api.internal\r\n"
        tries = ["TRACE / HTTP/1.1\r\n" + host + "\r\n", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",  # the daemon refuses these, the gate the others
                 "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                 "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", "GET / HTTP/1.1\n" + host.replace("\r", "") + "\n",
                 "GET / HTTP/1.1\r\n" + host + "X: a\nY: b\r\n\r\n", "GET http://other.test/ HTTP/1.1\r\n" + host + "\r\n",
                 "GET / HTTP/1.1\r\n" + host + "Host: other.test\r\n\r\n", "CONNECT good.test:443 HTTP/1.1\r\n" + host + "\r\n",
                 "GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n"]
        program = f"""
import socket
for octets in {tries!r}:
    s = socket.create_connection(("api.internal", 80), 10)
    s.settimeout(25)
    s.sendall(octets.encode())
    try: got = s.recv(100).decode()
    except OSError as error: got = type(error).__name__
    print(got.split("\\r")[0] or "closed")
s = socket.create_connection(("api.internal", 80), 10)
s.sendall(b"GET /after HTTP/1.1\\r\\nHost: api.internal\\r\\n\\r\\n")
print(s.recv(100).decode().split("\\r")[0])
"""
        with self.daemon() as daemon:
            said = daemon.run("python3 -c " + shlex.quote(program), egress={"allow": ["credential:api"]}, timeout_ms=120000)
            lines = said["stdout"].splitlines()
            expected = ["HTTP/1.1 403 Forbidden"] * 2 + ["ConnectionResetError"] * (len(tries) - 2) + ["HTTP/1.1 200 OK"]
            self.assertEqual(lines, expected, said["stderr"])
            self.assertEqual([path for _, path, _ in self.asked()], ["/after"])

    def test_a_second_request_on_a_connection_goes_nowhere(self):
        program = """
import socket
s = socket.create_connection(("api.internal", 80), 10)
s.sendall(b"GET /1 HTTP/1.1\\r\\nHost: api.internal\\r\\n\\r\\nGET /2 HTTP/1.1\\r\\nHost: api.internal\\r\\n\\r\\n")
got = b""
while part := s.recv(4096): got += part
print(got.count(b"HTTP/1.1 200"))
"""
        with self.daemon() as daemon:
            said = daemon.run("python3 -c " + shlex.quote(program), egress={"allow": ["credential:api"]})
            self.assertEqual(said["stdout"], "1\n", said["stderr"])
            self.assertEqual([path for _, path, _ in self.asked()], ["/1"])

    def test_other_paths_than_its_own_are_refused(self):
        self.say([f"api=https://good.test/mine X-Key: @{self.token}"])
        with self.daemon() as daemon:
            said = daemon.run("for p in mine mine/a mineral '' mine/../b mine/%2e%2e/b; do curl -sS --path-as-is -o /dev/null -w '%{http_code} ' "
                              "http://api.internal/$p; done", egress={"allow": ["credential:api"]})
            self.assertEqual(said["stdout"].split(), ["200", "200", "403", "403", "403", "403"], said["stderr"])
            self.assertEqual([line["fields"]["x-key"] for line in WORLD.heard(kind="tls")], [SECRET] * 2)

    def test_large_bodies_go_through_both_ways_in_little_memory(self):
        with self.daemon() as daemon:
            peak = lambda: int(pathlib.Path(f"/proc/{daemon.daemon_pid()}/status").read_text().split("VmHWM:")[1].split()[0])
            before = peak()
            said = daemon.run("head -c 3000000 /dev/zero | tr '\\0' y >/tmp/body; curl -sS -T /tmp/body http://api.internal/7 "
                              "&& curl -sS http://api.internal/100000000 | wc -c", egress={"allow": ["credential:api"]})
            self.assertEqual(said["stdout"].strip(), "xxxxxxx100000000", said["stderr"])
            self.assertEqual(len(WORLD.heard(kind="tls")[0]["body"]), 3000000)
            self.assertLess(peak() - before, 16 * 1024)

    def test_a_part_of_an_answer_is_not_taken_for_the_whole(self):
        with self.daemon() as daemon:
            said = daemon.run("curl -sS http://api.internal/part; echo $?", egress={"allow": ["credential:api"]})
            self.assertRegex(said["stdout"], r"^(half)?(56|18)\n$")
            program = """
import socket
for _ in range(20):
    s = socket.create_connection(("api.internal", 80), 10)
    s.sendall(b"GET /part HTTP/1.1\\r\\nHost: api.internal\\r\\n\\r\\n")
    s.shutdown(socket.SHUT_WR)
    got = b""
    try:
        while part := s.recv(4096): got += part
        print("that was all of", got)
    except OSError as error: print(type(error).__name__)
"""
            said = daemon.run("python3 -c " + shlex.quote(program), egress={"allow": ["credential:api"]})
            self.assertEqual(said["stdout"], "ConnectionResetError\n" * 20, said["stderr"])
            self.assertEqual(len(self.asked()), 21)

    def test_the_host_hears_that_whoever_asked_has_gone(self):
        with self.daemon() as daemon:
            sandbox = self.create(daemon)
            self.exec(daemon, sandbox, "curl -sS -m1 http://api.internal/never")
            lmsb.wait_until(lambda: WORLD.heard(kind="left"), "the end of the connection")


class Operator(CredentialTest):
    """What the operator changes, and who may give one."""

    def test_a_file_that_is_missing_costs_its_credential_alone_and_a_new_secret_is_taken_up(self):
        self.say([f"api=https://good.test Authorization: Bearer @{self.token}", f"b=https://good.test X-Key: @{self.dir}/b"])
        with self.daemon() as daemon:
            self.assertRegex(daemon.log_text(), r"network\.no_secret.*credential=b")
            sandbox = self.create(daemon, ["credential:api", "credential:b", "other.test"])
            said = self.exec(daemon, sandbox, "curl -sS -w %{http_code} http://b.internal/; curl -sS http://api.internal/a; curl -sS http://other.test/")["stdout"]
            self.assertIn('"credential_no_secret"', said)
            self.assertTrue(said.endswith(f"503{world.GOOD} good.test /a{world.OTHER} other.test /"), said)
            self.wait_for_event(daemon, sandbox, "no_secret")
            self.file("token", "another")
            self.file("b", "third")
            self.reload(daemon)
            self.exec(daemon, sandbox, "curl -sS http://b.internal/; curl -sS http://api.internal/a")
            heard = [line["fields"] for line in WORLD.heard(kind="tls")]
            self.assertEqual((heard[1]["x-key"], heard[2]["authorization"]), ("third", "Bearer another"))

    def held(self, daemon, sandbox):
        process = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "curl -sS http://api.internal/never; echo ended $?", "detach": True}).json()["id"]
        lmsb.wait_until(lambda: [a for a in self.asked() if a[1] == "/never"], "the request")
        return lambda: daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process}/output").body.decode()

    def test_one_that_is_taken_away_cuts_what_goes_on(self):
        with self.daemon() as daemon:
            sandbox = self.create(daemon, ["credential:api", "other.test"])
            output = self.held(daemon, sandbox)
            answer = daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"allow": ["other.test"]}})
            self.assertEqual(answer.status, 200, answer.body)
            lmsb.wait_until(lambda: "ended 56" in output(), "the end of the request")
            lmsb.wait_until(lambda: WORLD.heard(kind="left"), "the end of the connection")
            self.assertIn("Could not resolve", self.exec(daemon, sandbox, "curl -sS http://api.internal/")["stderr"])
            WORLD.forget()
            daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"allow": ["credential:api"]}})
            output = self.held(daemon, sandbox)
            self.say([])
            self.reload(daemon)
            lmsb.wait_until(lambda: "ended 56" in output(), "the end of the request")
            self.assertTrue(self.report(daemon, sandbox)["denied_by_policy"])
            self.say([f"api=https://good.test X-Key: @{self.token}"])
            self.reload(daemon)
            lmsb.wait_until(lambda: "good.test /a" in self.exec(daemon, sandbox, "curl -sS -m 8 http://api.internal/a")["stdout"], "the network")

    def test_one_that_leads_elsewhere_by_now_cuts_what_goes_on(self):
        with self.daemon() as daemon:
            sandbox = self.create(daemon)
            output = self.held(daemon, sandbox)
            self.say([f"api=https://good.test:8443 X-Key: @{self.token}"])
            self.reload(daemon)
            lmsb.wait_until(lambda: "ended" in output(), "the end of the request")
            lmsb.wait_until(lambda: "good.test:8443 /a" in self.exec(daemon, sandbox, "curl -sS -m 8 http://api.internal/a")["stdout"], "the other port")

    def test_only_administrators_give_one_that_is_not_listed(self):
        with self.daemon() as daemon:
            made = daemon.post("/v1/keys", {"name": "k", "scopes": ["read", "write"]})
            self.assertEqual(made.status, 201, made.body)
            headers = {"X-API-Key": made.json()["key"]}
            egress = {"allow": ["credential:api"]}
            for path, body in (("/v1/run", {"cmd": "true", "egress": egress}), ("/v1/sandboxes", {"egress": egress})):
                answer = daemon.post(path, body, headers=headers)
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "credential_denied"))
            own = daemon.post("/v1/sandboxes", {"egress": {"allow": ["good.test"]}}, headers=headers).json()["id"]
            answer = daemon.request("PATCH", f"/v1/sandboxes/{own}", {"egress": egress}, headers=headers)
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "credential_denied"))
            self.say([f"api=https://good.test X-Key: @{self.token}"], more="[policy]\ncredentials = ['api']\n")
            self.reload(daemon)
            answer = daemon.post("/v1/run", {"cmd": "curl -sS http://api.internal/a", "egress": egress}, headers=headers)
            self.assertEqual(answer.json()["stdout"], f"{world.GOOD} good.test /a")

    def test_what_the_policy_lists_no_more_goes_and_what_an_administrator_gave_stays(self):
        listed = "[policy]\ncredentials = ['api']\n"
        entry = [f"api=https://good.test Authorization: Bearer @{self.token}"]
        self.say(entry, more=listed)
        with self.daemon() as daemon:
            headers = {"X-API-Key": daemon.post("/v1/keys", {"name": "k", "scopes": ["read", "write"]}).json()["key"]}
            own = daemon.post("/v1/sandboxes", {"egress": {"allow": ["credential:api"]}}, headers=headers).json()["id"]
            given = daemon.post("/v1/sandboxes", {"egress": {"allow": ["good.test"]}}, headers=headers).json()["id"]
            change = lambda sandbox, allow, **kw: daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"allow": allow}}, **kw)
            self.assertEqual(change(given, ["credential:api"]).status, 200)
            output = self.held(daemon, own)
            self.say(entry)
            self.reload(daemon)
            lmsb.wait_until(lambda: "ended 56" in output(), "the end of the request")
            self.assertEqual([self.report(daemon, sandbox)["denied_by_policy"] for sandbox in (own, given)], [True, False])
            kept = change(given, ["credential:api", "other.test"], headers=headers)
            self.assertEqual(kept.status, 200, kept.body)
            said = self.exec(daemon, given, "curl -sS http://api.internal/a; curl -sS http://other.test/b")
            self.assertEqual(said["stdout"], f"{world.GOOD} good.test /a{world.OTHER} other.test /b", said["stderr"])
            self.assertEqual(change(given, ["other.test"]).status, 200)
            for sandbox in (own, given):
                answer = change(sandbox, ["credential:api", "other.test"], headers=headers)
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "credential_denied"))
            self.say(entry, more=listed)
            self.reload(daemon)
            lmsb.wait_until(lambda: "good.test /a" in self.exec(daemon, own, "curl -sS -m 8 http://api.internal/a")["stdout"], "the network")

    def test_what_the_policy_lists_no_more_is_not_given_to_who_waited_meanwhile(self):
        entry = [f"api=https://good.test Authorization: Bearer @{self.token}"]
        self.say(entry, more="[policy]\ncredentials = ['api']\n")
        with lmsb.Daemon("--config", self.config, env=RESOLVERS | FULL_AT_640_MIB) as daemon:
            headers = {"X-API-Key": daemon.post("/v1/keys", {"name": "k", "scopes": ["read", "write"]}).json()["key"]}
            full = daemon.post("/v1/sandboxes", {"limits": {"memory_bytes": 640 << 20}}).json()["id"]
            with_it = {"egress": {"allow": ["credential:api"]}, "limits": {"memory_bytes": 64 << 20}}
            waiting = [InBackground(lambda path=path: daemon.post(path, {**with_it, **more}, headers=headers))
                       for path, more in (("/v1/sandboxes", {}), ("/v1/run", {"cmd": "true"}))]
            lmsb.wait_until(lambda: daemon.request("GET", "/v1/info").json()["waiting"] == 2, "those that wait")
            self.say(entry)
            self.reload(daemon)
            self.assertEqual(daemon.request("DELETE", f"/v1/sandboxes/{full}").status, 204)
            for one in waiting:
                answer = one.result()
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "credential_denied"))

    def test_settings_that_are_none_end_the_start(self):
        for credentials, more, word in ((["api=http://good.test X: @/f"], "", "https"), ([], "[policy]\ncredentials = ['x']\n", '"x"'),
                                        (["a=https://good.test Host: @/f"], "", "header")):
            self.say(credentials, more=more)
            with self.assertRaises(RuntimeError) as failed:
                with self.daemon():
                    pass
            self.assertIn(word, str(failed.exception))

    def test_a_sandbox_that_outlives_its_daemon_has_it_with_the_next(self):
        first = self.daemon(is_private=False, sandboxes_stay=True)
        first.start()
        try:
            made = first.post("/v1/sandboxes", {"egress": {"allow": ["credential:api"]}}).json()
            if not made["keeps_disk"]:
                self.skipTest("sandboxes do not stay here")
            os.kill(first.daemon_pid(), signal.SIGKILL)
            first.process.wait(60)
            first.log.close()
            first.start()
            fetch = lambda: self.exec(first, made["id"], "curl -sS -m 8 http://api.internal/a")["stdout"]
            lmsb.wait_until(lambda: "good.test /a" in fetch(), "the network")
            self.assertEqual(self.asked()[-1], ("good.test", "/a", f"Bearer {SECRET}"))
            self.assertEqual(first.request("DELETE", f"/v1/sandboxes/{made['id']}").status, 204)
        finally:
            first.stop()
            first.flags += ("--stop-sandboxes",)  # ends what is left
            first.start()
            first.__exit__()


def memory_of(pid):
    octets = b""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            if " rw-p " not in f" {line} ":
                continue
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            try:
                memory.seek(begin)
                octets += memory.read(end - begin)
            except OSError:
                pass
    return octets


if __name__ == "__main__":
    lmsb.main()
