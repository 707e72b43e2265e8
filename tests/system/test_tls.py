#!/usr/bin/python3
"""HTTPS: every kind of route by it, certificates that change or are wrong, and clients that are slow, old, plain or gone."""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from certificates import Authority
from websocket import WebSocket

MIB = 1 << 20
SERVERS = (pathlib.Path(__file__).parents[1] / "support" / "port_servers.py").read_text()
BEGUN = b"\x16\x03\x01\x02\x00"  # of a handshake


class TlsDaemon(lmsb.Daemon):
    def __init__(self, authority, certificate, key, *flags, **more):
        super().__init__("--tls-cert", str(certificate), "--tls-key", str(key), *flags, **more)
        self.authority = authority

    def connection(self, timeout):
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.authority.context())

    def certificate(self):
        """The one that is shown now."""
        with socket.create_connection((self.host, self.port), timeout=30) as plain:
            with self.authority.context().wrap_socket(plain, server_hostname=self.host) as shown:
                return shown.getpeercert(True)


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lmsb.require_root()
        cls.before = lmsb.leftovers()
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-tls-"))  # for root alone
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.authority = Authority(cls.dir)
        cls.cert, cls.key = cls.dir / "cert.pem", cls.dir / "key.pem"
        cls.authority.make(cls.cert, cls.key)
        cls.daemon = TlsDaemon(cls.authority, cls.cert, cls.key).start()
        cls.sandbox = cls.daemon.post("/v1/sandboxes", {"name": "box", "limits": {"disk_bytes": 1 << 30}}).json()["id"]

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        lmsb.wait_until_clean(cls.before)

    def url(self, path):
        return f"https://localhost:{self.daemon.port}{path}"

    def of_sandbox(self, path):
        return self.url(f"/v1/sandboxes/{self.sandbox}{path}")

    def curl(self, *words, status=0):
        done = subprocess.run(["curl", "--silent", "--show-error", "--cacert", self.authority.pem, *map(str, words)],
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, status, done)
        return done.stderr.decode() if status else done.stdout

    def serve_inside(self):
        """At port 8000 of the sandbox."""
        started = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec",
                                   {"cmd": ["python3", "-", "web", "8000"], "stdin": SERVERS, "detach": True})
        self.assertLess(started.status, 300, started.body)
        ports = f"/v1/sandboxes/{self.sandbox}/ports"
        lmsb.wait_until(lambda: any(p["port"] == 8000 for p in self.daemon.request("GET", ports).json()["data"]), "the server")

    def reload(self, event="settings.reloaded"):
        before = self.daemon.log_text().count(event)
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        lmsb.wait_until(lambda: self.daemon.log_text().count(event) > before, event)


class Routes(TlsTest):
    def test_answers_json_by_http_1_1_and_a_certificate_that_is_checked(self):
        said = self.curl(self.url("/v1/info"), "--http2", "-w", "\n%{http_version} %{ssl_verify_result}", "-D", "-").decode()
        head, rest = said.split("\r\n\r\n", 1)
        body, versions = rest.rsplit("\n", 1)
        self.assertIn("sandboxes", json.loads(body))
        self.assertEqual(versions, "1.1 0")
        self.assertNotIn("strict-transport-security", head.lower())

    def test_is_refused_by_who_does_not_know_its_authority(self):
        done = subprocess.run(["curl", "-sS", self.url("/v1/info")], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 60, done)

    def test_says_that_it_is_https_where_it_is_printed(self):
        self.assertRegex(self.daemon.log_text(), rf"daemon\.listening.*https://127\.0\.0\.1:{self.daemon.port}")
        self.assertNotIn("PRIVATE KEY", self.daemon.log_text())

    def test_streams_events_as_they_come(self):
        said = self.curl("-N", self.of_sandbox("/exec"), "-H", "Content-Type: application/json", "-H", "Accept: text/event-stream",
                         "-d", '{"cmd":"for i in 1 2 3; do echo line $i; sleep 0.1; done"}').decode()
        for part in ("line 1", "line 2", "line 3", '"outcome":"exited"'):
            self.assertIn(part, said)

    def test_a_follower_hears_what_happens_while_it_listens(self):
        with subprocess.Popen(["curl", "-sSN", "--cacert", self.authority.pem, "-H", "Accept: application/x-ndjson",
                               self.url("/v1/events")], stdout=subprocess.PIPE) as follower:
            try:
                self.assertIn(b'"armed"', follower.stdout.readline())
                made = self.daemon.post("/v1/sandboxes", {}).json()["id"]
                self.assertIn(made.encode(), follower.stdout.readline())
            finally:
                follower.kill()

    def test_carries_a_hundred_mib_there_and_back(self):
        file = self.dir / "large"
        file.write_bytes(os.urandom(MIB) * 100)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        self.curl("-T", file, self.of_sandbox("/files?path=large"), "-H", "Content-Type: application/octet-stream", "-o", "/dev/null", "-f")
        self.assertEqual(self.daemon.post(f"/v1/sandboxes/{self.sandbox}/exec", {"cmd": "sha256sum large"}).json()["stdout"].split()[0],
                         digest)
        self.assertEqual(hashlib.sha256(self.curl(self.of_sandbox("/files?path=large"))).hexdigest(), digest)

    def test_carries_what_a_command_writes(self):
        octets = self.curl(self.of_sandbox("/exec"), "-H", "Content-Type: application/json", "-H", "Accept: application/octet-stream",
                           "-d", '{"cmd":"seq 1 3000000"}')
        self.assertEqual(octets, b"".join(b"%d\n" % i for i in range(1, 3000001)))

    def test_speaks_web_socket(self):
        terminal = WebSocket("localhost", self.daemon.port, f"/v1/sandboxes/{self.sandbox}/pty?cmd=exec%20sh",
                             tls=self.authority.context())
        self.addCleanup(terminal.drop)
        self.assertEqual(terminal.read()["type"], "started")
        terminal.type("echo $((6*7))\n")
        terminal.read_until("42\r\n")
        terminal.type("seq 1 20000; echo do''ne\n")
        self.assertIn("20000\r\n", terminal.read_until("done\r\n"))
        terminal.type("exit 3\n")
        self.assertEqual(terminal.read_result()["exit_code"], 3)
        self.assertIsNone(terminal.read())
        self.assertEqual(terminal.close_code, 1000)

    def test_leads_to_ports_and_previews(self):
        self.serve_inside()
        self.assertIn(b"X-Forwarded-Proto: https", self.curl(self.of_sandbox("/ports/8000/x")))

        name = f"8000-{self.sandbox}.localhost"
        self.authority.make(self.cert, self.key, names=f"DNS:localhost,IP:127.0.0.1,DNS:{name}")
        self.reload()
        link = self.daemon.post(f"/v1/sandboxes/{self.sandbox}/previews", {"port": 8000}, headers={"Host": f"localhost:{self.daemon.port}"})
        url = link.json()["url"]
        self.assertTrue(url.startswith(f"https://{name}:{self.daemon.port}/"), url)
        to_it = ["--connect-to", f"{name}::127.0.0.1:"]
        self.assertIn(b"X-Forwarded-Proto: https", self.curl(*to_it, url))
        head = self.curl(*to_it, "-D", "-", "-o", "/dev/null", "-H", "Accept: text/html", url).decode()
        self.assertRegex(head, r"(?i)set-cookie: lmsb_preview=[^;]+; Path=/; HttpOnly; SameSite=Lax; Max-Age=\d+; Secure")
        self.assertNotIn("strict-transport-security", head.lower())

    def test_the_unix_socket_stays_plain(self):
        said = self.curl("--unix-socket", f"{self.daemon.run_dir}/api.sock", "http://localhost/v1/info")
        self.assertIn("sandboxes", json.loads(said))


class CommandLine(TlsTest):
    def cli(self, *words, ca=True, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LM_SANDBOX_", "XDG_", "SSL_"))}
        env["LM_SANDBOX_HOST"] = f"https://localhost:{self.daemon.port}"
        if ca:
            env["LM_SANDBOX_CA"] = str(self.authority.pem)
        return subprocess.run([lmsb.BIN / "lm-sandbox", *map(str, words)], capture_output=True, env=env, timeout=120, **more)

    def test_works_by_https_with_an_authority_of_its_own(self):
        self.assertIn(b"box", self.cli("ls").stdout)
        self.assertIn(b"box", self.cli("ls", "--ca", self.authority.pem, ca=False).stdout)
        self.assertIn(b"box", self.cli("--ca", self.authority.pem, "ls", ca=False).stdout)
        done = self.cli("exec", "-i", "box", "--", "sh", "-c", "cat; echo err >&2; exit 7", input=b"in\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, b"in\n", b"err\n"))
        file = self.dir / "copied"
        file.write_bytes(os.urandom(3 * MIB))
        self.assertEqual(self.cli("cp", file, "box:copied").returncode, 0)
        self.assertEqual(self.cli("cp", "box:copied", self.dir / "back").returncode, 0)
        self.assertEqual((self.dir / "back").read_bytes(), file.read_bytes())

    def test_connects_to_nobody_whom_it_does_not_trust(self):
        for words, ca, parts in ((["ls"], False, (b"the certificate is not trusted", b"--ca FILE")),
                                 (["--ca", "/dev/null", "ls"], False, (b"/dev/null: no certificates can be read from it",)),
                                 (["--host", "unix:/x", "--ca", "/y", "ls"], True, (b"--ca /y has no meaning here",))):
            done = self.cli(*words, ca=ca)
            self.assertNotEqual(done.returncode, 0, done)
            self.assertEqual(done.stdout, b"")
            for part in parts:
                self.assertIn(part, done.stderr)

    def test_hears_what_is_spoken_there(self):
        done = self.cli("--host", f"http://localhost:{self.daemon.port}", "ls")
        self.assertIn(b"this port speaks HTTPS", done.stderr)

    def test_has_terminals(self):
        near, far = pty.openpty()
        env = {**os.environ, "LM_SANDBOX_HOST": f"https://localhost:{self.daemon.port}", "LM_SANDBOX_CA": str(self.authority.pem)}
        with subprocess.Popen([lmsb.BIN / "lm-sandbox", "exec", "-it", "box", "--", "sh"], stdin=far, stdout=far, stderr=far,
                              env=env, start_new_session=True) as shell:
            os.close(far)
            os.write(near, b"echo $((6*7)); exit 5\n")
            seen = b""
            while b"42\r\n" not in seen:
                seen += os.read(near, 4096)
            self.assertEqual(shell.wait(timeout=60), 5, seen)
        os.close(near)

    def test_leads_ports_here(self):
        self.serve_inside()
        env = {**os.environ, "LM_SANDBOX_HOST": f"https://localhost:{self.daemon.port}", "LM_SANDBOX_CA": str(self.authority.pem)}
        with subprocess.Popen([lmsb.BIN / "lm-sandbox", "port", "box", "0:8000"], stdout=subprocess.PIPE, env=env) as forward:
            try:
                address = forward.stdout.readline().split()[0].decode()
                data = os.urandom(5 * MIB)
                file = self.dir / "sent"
                file.write_bytes(data)
                for _ in range(3):
                    said = self.curl("--data-binary", f"@{file}", f"http://{address}/count").decode()
                    self.assertIn(f"{len(data)} {hashlib.sha256(data).hexdigest()}", said)
            finally:
                forward.send_signal(signal.SIGINT)


class Clients(TlsTest):
    def test_slow_handshakes_keep_nobody_out(self):
        slow = [socket.create_connection((self.daemon.host, self.daemon.port), timeout=60) for _ in range(200)]
        for client in slow:
            client.sendall(BEGUN)
        for _ in range(20):
            self.assertEqual(self.daemon.request("GET", "/healthz").status, 200)
        # All but those that may be under way are over by now, and those end by their time.
        for client in slow[:136]:
            client.settimeout(0)
            self.assertEqual(self.end_of(client), b"")
        for client in slow:
            self.end_of(client)
            client.close()

    @staticmethod
    def end_of(client):
        try:
            return client.recv(1)
        except ConnectionError:
            return b""

    def test_who_speaks_plain_http_is_told(self):
        said = subprocess.run(["curl", "-sS", "-i", f"http://localhost:{self.daemon.port}/v1/info"], capture_output=True, timeout=60)
        self.assertIn(b"HTTP/1.1 400", said.stdout)
        self.assertIn(b"this port speaks HTTPS", said.stdout)

    def test_old_versions_are_refused_by_the_server(self):
        said = self.curl("--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", self.url("/healthz"), status=35)
        self.assertIn("alert protocol version", said)
        for version in ("1.2", "1.3"):
            self.curl(f"--tlsv{version}", "--tls-max", version, self.url("/healthz"))

    def test_who_breaks_off_in_a_body_leaves_nothing(self):
        for is_orderly in (True, False):
            plain = socket.create_connection((self.daemon.host, self.daemon.port), timeout=60)
            client = self.authority.context().wrap_socket(plain, server_hostname="localhost")
            client.sendall(f"PUT /v1/sandboxes/{self.sandbox}/files?path=part HTTP/1.1\r\nHost: localhost\r\n"
                           "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 5000)
            if is_orderly:
                with contextlib.suppress(OSError):
                    client.unwrap()  # says goodbye
            client.close()
            answer = self.daemon.request("GET", f"/v1/sandboxes/{self.sandbox}/files?path=part")
            self.assertEqual(answer.status, 404, answer.body)

    def test_an_answer_that_ends_with_the_connection_ends_with_a_goodbye(self):
        plain = socket.create_connection((self.daemon.host, self.daemon.port), timeout=60)
        context = self.authority.context()
        with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as client:
            client.sendall(b"GET /v1/info HTTP/1.0\r\nHost: localhost\r\n\r\n")
            said = b""
            while more := client.recv(65536):  # raises where there is none
                said += more
        self.assertIn(b"200 OK", said)


class Certificates(TlsTest):
    def test_new_ones_are_shown_to_new_connections_and_open_ones_go_on(self):
        first = self.daemon.certificate()
        kept = self.daemon.connection(60)
        self.addCleanup(kept.close)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        self.authority.make(self.cert, self.key)
        self.reload()
        self.assertNotEqual(self.daemon.certificate(), first)
        kept.request("GET", "/healthz")
        self.assertEqual(kept.getresponse().read(), b'{"status":"ok"}')
        self.assertRegex(self.daemon.log_text(), r"tls\.certificate.*expires_at")

    def test_wrong_ones_leave_the_old_in_force(self):
        shown = self.daemon.certificate()
        kept = self.cert.read_bytes(), self.key.read_bytes()
        wrong = {"no certificate in it": lambda: self.cert.write_text("x"),
                 "the key is not that of": lambda: self.authority.make(self.cert, self.dir / "another"),
                 "the certificate has expired": lambda: self.authority.make(self.cert, self.key, days=-1),
                 "No such file": self.key.unlink}
        for part, do in wrong.items():
            event = "settings.reload_failed" if part == "No such file" else "tls.reload_failed"
            with self.subTest(part):
                do()
                self.reload(event)
                said = [line for line in self.daemon.log_text().splitlines() if event in line][-1]
                self.assertIn(part, said)
                self.assertEqual(self.daemon.certificate(), shown)
                self.cert.write_bytes(kept[0])
                self.key.write_bytes(kept[1])
                self.key.chmod(0o600)
        self.reload()


class Start(TlsTest):
    def refusal(self, *flags):
        with self.assertRaises(RuntimeError) as raised:
            with lmsb.Daemon(*flags):
                pass
        return str(raised.exception)

    def test_needs_both_files(self):
        self.assertIn("is given without tls.key_file", self.refusal("--tls-cert", str(self.cert)))
        self.assertIn("is given without tls.cert_file", self.refusal("--tls-key", str(self.key)))

    def test_says_what_is_wrong_with_them(self):
        other, passphrase, expired = self.dir / "other", self.dir / "passphrase", self.dir / "expired"
        self.authority.make(other, self.dir / "other.key")
        self.authority.make(passphrase, self.dir / "passphrase.key", passphrase="secret")
        self.authority.make(expired, self.dir / "expired.key", days=-1)
        for cert, key, part in ((other, self.key, f"tls.key_file: {self.key}: the key is not that of the certificate in tls.cert_file: {other}"),
                                (self.key, self.cert, f"tls.cert_file: {self.key}: there is no certificate in it"),
                                (self.dir / "no", self.key, "tls.cert_file: open"),
                                (passphrase, self.dir / "passphrase.key", "the key has a passphrase, and nobody is there to type it"),
                                (expired, self.dir / "expired.key", "the certificate has expired: 20")):
            said = self.refusal("--tls-cert", str(cert), "--tls-key", str(key))
            self.assertIn(part, said)
            self.assertIn("; ", said)  # and what to do
            self.assertNotIn("PRIVATE KEY-----\nM", said)

    def test_warns_of_a_key_that_others_can_read(self):
        key = self.dir / "open.key"
        self.authority.make(self.dir / "open", key)
        key.chmod(0o604)
        with TlsDaemon(self.authority, self.dir / "open", key) as daemon:
            self.assertIn(f"everyone on this machine can read {key}", daemon.log_text())


if __name__ == "__main__":
    lmsb.main()
