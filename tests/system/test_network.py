#!/usr/bin/python3
"""Networks of sandboxes: what a policy allows is reached, and nothing else, whatever programs inside try. The servers are
real ones in a network namespace (support/world.py); what they heard is what has come out."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import capture
import lmsb
import world
from test_disks import launcher_of

GOOD, OTHER = world.GOOD, world.OTHER
RESOLVERS = {"LM_SANDBOX_NETWORK__RESOLVERS": GOOD}

# Programs inside. Each prints one line of JSON.
CONNECT = """
import socket, sys, json
def attempt(host, port, send=b"", wait=5):
    try:
        s = socket.create_connection((host, port), timeout=wait)
        if send: s.sendall(send)
        got = b""
        while True:
            part = s.recv(65536)
            if not part: break
            got += part
            if len(got) > 200: break
            if b"\\n" in got and not send.startswith(b"GET") and not send.startswith(b"POST"): break
        return got.decode(errors="replace") or "closed"
    except OSError as error:
        return type(error).__name__ + " " + str(error)
"""

WORLD = world.OfTheModule()
setUpModule, tearDownModule = WORLD.begin, WORLD.end


def python(program):
    return "python3 -c " + shlex.quote(program)


def only_gate():
    """That of a test before may be about to end."""
    lmsb.wait_until(lambda: len(lmsb.gates()) == 1, "one gate")
    return lmsb.gates()[0]


class NetworkTest(lmsb.SystemTest):
    env = RESOLVERS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        WORLD.forget()

    def setUp(self):
        WORLD.forget()

    def run_in(self, cmd, egress, **fields):
        answer = self.daemon.post("/v1/run", {"cmd": cmd, "egress": egress, **fields})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def attempts(self, egress, *attempts):
        """What happens to each (host, port[, octets to send])."""
        program = CONNECT + f"print(json.dumps([attempt(*a) for a in {list(attempts)!r}]))"
        result = self.run_in(python(program), egress)
        self.assertEqual(result["exit_code"], 0, result["stderr"])
        return json.loads(result["stdout"])

    def create(self, egress=None, **fields):
        return self.make_sandbox(**fields, **({"egress": egress} if egress else {}))

    def patch(self, sandbox, egress, status=200):
        answer = self.daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": egress})
        self.assertEqual(answer.status, status, answer.body)
        return answer.json()

    def assert_refused(self, said):
        self.assertRegex(said, "ConnectionRe(set|fused)Error|closed|gaierror")

    def assert_nothing_reached(self):
        self.assertEqual([line for line in WORLD.heard() if line["kind"] != "name"], [])

    # ---- What is allowed

    def test_there_is_no_network_unless_it_is_asked_for(self):
        said, = self.attempts({"mode": "none"}, (GOOD, 80))
        self.assertIn("Network is unreachable", said)
        self.assertEqual(self.run_in("cat /proc/net/route | wc -l", {})["stdout"].strip(), "1")
        self.assertEqual(WORLD.heard(), [])

    def test_listed_names_are_reached_by_http_and_https(self):
        result = self.run_in("curl -sS http://good.test/a && curl -skS https://good.test/b && curl -skS https://sub.wild.test/c",
                             {"allow": ["good.test", "*.wild.test:443"]})
        self.assertEqual(result["stdout"], f"{GOOD} good.test /a{GOOD} good.test /b{GOOD} sub.wild.test /c", result["stderr"])

    def test_other_names_are_not_even_asked_for(self):
        result = self.run_in("for n in other.test wild.test evil.good.test good.test.evil.test; do getent hosts $n; done; "
                             "curl -sS -m5 http://other.test", {"allow": ["good.test", "*.wild.test"]})
        self.assertEqual(result["stdout"], "")
        self.assertIn("Could not resolve host", result["stderr"])
        self.assertEqual(WORLD.heard(), [])

    def test_a_name_with_a_port_is_reached_there_by_any_protocol(self):
        raw, web, other = self.attempts({"allow": [f"raw.test:{world.RAW}"]}, ("raw.test", world.RAW),
                                        ("raw.test", 80, b"GET / HTTP/1.1\r\nHost: raw.test\r\n\r\n"), ("raw.test", 8443))
        self.assertEqual(raw, GOOD + "\n")
        self.assert_refused(web)
        self.assert_refused(other)
        self.assertEqual([line["kind"] for line in WORLD.heard() if line["kind"] != "name"], ["raw"])

    def test_an_address_with_a_port_is_reached_there(self):
        allowed, other, port = self.attempts({"allow": [f"{GOOD}/32:{world.RAW}"]}, (GOOD, world.RAW), (OTHER, world.RAW),
                                             (GOOD, 8080, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        self.assertEqual(allowed, GOOD + "\n")
        self.assert_refused(other)
        self.assert_refused(port)

    def test_open_reaches_whatever_is_public(self):
        result = self.run_in("curl -sS http://good.test/a && curl -skS https://other.test:8443/b && curl -sS http://45.67.0.3:8080/",
                             {"mode": "open"})
        self.assertEqual(result["stdout"], f"{GOOD} good.test /a{OTHER} other.test:8443 /b{OTHER} 45.67.0.3:8080 /", result["stderr"])

    def test_large_bodies_go_through_both_ways(self):
        program = ("import urllib.request,hashlib\nbody=b'y'*3000000\n"
                   "r=urllib.request.urlopen(urllib.request.Request('http://good.test/5000000',data=body)).read()\n"
                   "print(len(r), set(r)=={120})")
        result = self.run_in(python(program), {"allow": ["good.test"]})
        self.assertEqual(result["stdout"].strip(), "5000000 True", result["stderr"])
        self.assertEqual(len(WORLD.heard(kind="http")[0]["body"]), 3000000)

    def test_loopback_is_the_sandboxs_own(self):
        program = CONNECT + """
import threading
own = socket.create_server(("0.0.0.0", 8000))
def serve():
    while True:
        c, _ = own.accept(); c.sendall(b"own\\n"); c.close()
threading.Thread(target=serve, daemon=True).start()
print(json.dumps([attempt("127.0.0.1", 8000), attempt("localhost", 8000), attempt("192.0.0.8", 8000), attempt("45.67.0.2", 8000)]))
"""
        result = self.run_in(python(program), {"allow": ["good.test"]})
        *own, outside = json.loads(result["stdout"])
        self.assertEqual(own, ["own\n"] * 3)
        self.assert_refused(outside)

    # ---- What is tried

    def test_a_connection_goes_to_who_it_is_for_and_not_to_the_address_that_was_dialled(self):
        said, = self.attempts({"allow": ["good.test"]}, (OTHER, 80, b"GET /a HTTP/1.1\r\nHost: good.test\r\n\r\n"))
        self.assertIn(f"{GOOD} good.test /a", said)
        self.assertEqual([line["address"] for line in WORLD.heard(kind="http")], [GOOD])

    def test_hosts_that_are_not_listed_are_not_reached_by_any_spelling(self):
        heads = ["GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", "GET http://other.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost: good.test\r\nHost: other.test\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
                 "CONNECT other.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n", "GET / HTTP/1.1\r\nHost: good.test.other.test\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost: evilgood.test\r\n\r\n", "GET / HTTP/1.1\r\nHost: good.test@other.test\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: {OTHER}\r\n\r\n", "GET / HTTP/1.1\r\nHost: good.test\n Host: other.test\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost: good.test\0.other.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH-2.0-x\r\n"]
        said = self.attempts({"allow": ["good.test"]}, *((OTHER, 80, head.encode()) for head in heads))
        for head, answer in zip(heads, said):
            with self.subTest(head=head):
                self.assert_refused(answer)
        self.assert_nothing_reached()

    def test_tls_needs_one_listed_name(self):
        script = """
for name in other.test evilgood.test; do curl -skS -m5 --connect-to ::good.test:443 https://$name/ ; done
curl -skS -m5 https://45.67.0.2/
curl -sS -m5 http://good.test:443/
echo plain | timeout 5 python3 -c 'import socket;s=socket.create_connection(("good.test",443));s.sendall(b"plain"*100);print(s.recv(9))'
"""
        result = self.run_in(script, {"allow": ["good.test"]})
        self.assertEqual(result["stdout"], "")
        self.assert_nothing_reached()
        result = self.run_in("curl -skS -m5 --connect-to ::other-address:443 --resolve other-address:443:45.67.0.3 https://good.test/x",
                             {"allow": ["good.test"]})
        self.assertEqual(result["stdout"], f"{GOOD} good.test /x", "its own resolution of the name")

    def test_a_second_request_on_a_connection_goes_nowhere(self):
        for first in ("GET /1 HTTP/1.1\r\nHost: good.test\r\n\r\n", "POST /1 HTTP/1.1\r\nHost: good.test\r\nContent-Length: 2\r\n\r\nab",
                      "POST /1 HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                      "GET /1 HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"):
            WORLD.forget()
            self.attempts({"allow": ["good.test"]}, ("good.test", 80, (first + "GET /2 HTTP/1.1\r\nHost: other.test\r\n\r\n").encode()))
            heard = WORLD.heard(kind="http")
            self.assertEqual([line["request"].split()[1] for line in heard], ["/1"], first)
            self.assertNotIn("upgrade", heard[0]["fields"])

    def test_private_and_special_addresses_are_never_reached(self):
        targets = [*world.INSIDE, world.MACHINE, "127.0.0.2", "0.0.0.0", "192.0.0.9", "198.18.0.77", "255.255.255.255", "224.0.0.1"]
        ports = [80, world.RAW, self.daemon.port]
        everything = [(target, port, b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n" if port != world.RAW else b"") for target in targets
                      for port in ports if not target.startswith(("127.", "0."))]
        allow = [f"{half}:{port}" for half in ("0.0.0.0/1", "128.0.0.0/1") for port in ports]
        for egress in ({"mode": "open"}, {"allow": allow}):
            WORLD.forget()
            with socket.create_server((world.MACHINE, world.RAW)) as own:
                own.settimeout(0.2)
                for attempt, answer in zip(everything, self.attempts(egress, *everything)):
                    with self.subTest(attempt=attempt):
                        self.assertRegex(answer, "Error|closed|timeout")
                with self.assertRaises(TimeoutError):
                    own.accept()
            self.assert_nothing_reached()

    def test_names_that_lead_inside_are_not_followed(self):
        names = ["inner.test", "metadata.test", "mixed.test", "own.test", "local.test"]
        for egress in ({"mode": "open"}, {"allow": [*names, f"*.test:{world.RAW}"]}):
            WORLD.forget()
            for answer in self.attempts(egress, *((name, world.RAW) for name in names),
                                        *((GOOD, 80, f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()) for name in names if "allow" in egress)):
                self.assert_refused(answer)
            self.assert_nothing_reached()

    def test_a_name_that_changes_its_address_is_looked_at_each_time(self):
        program = CONNECT + f"""
import time
said = []
for _ in range(4):
    said.append(attempt("rebind.test", {world.RAW}))
    time.sleep(1.1)
print(json.dumps(said))
"""
        result = self.run_in(python(program), {"allow": [f"rebind.test:{world.RAW}"]})
        self.assertIn(GOOD + "\n", json.loads(result["stdout"]))
        self.assertEqual({line["address"] for line in WORLD.heard(kind="raw")}, {GOOD})

    def test_nothing_but_tcp_and_questions_for_addresses_gets_out(self):
        program = """
import socket, json
said = {}
def note(name, body):
    try: said[name] = repr(body())
    except OSError as error: said[name] = type(error).__name__
def udp(address, port, octets=b"x"):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect((address, port)); s.send(octets); return s.recv(512)
note("quic", lambda: udp("45.67.0.2", 443))
note("ntp", lambda: udp("45.67.0.2", 123))
note("garbage to dns", lambda: udp("45.67.0.2", 53))
note("v6", lambda: socket.create_connection(("2606:4700::1111", 80), 2))
note("mapped", lambda: socket.create_connection(("::ffff:10.9.9.9", 80), 2).recv(9))
note("nat64", lambda: socket.create_connection(("64:ff9b::a09:909", 80), 2))
note("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
note("ping", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1))
note("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
note("sctp", lambda: socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132))
q = lambda name, kind: b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\\0\\0" + bytes([kind]) + b"\\0\\1"
answer = lambda name, kind: (lambda a: (a[3] & 15, a[7]))(udp("8.8.8.8", 53, q(name, kind)))
for kind, number in {"A": 1, "TXT": 16, "AAAA": 28, "ANY": 255, "HTTPS": 65, "NULL": 10}.items():
    note("listed " + kind, lambda: answer("good.test", number))
    note("unlisted " + kind, lambda: answer("secret-data.evil.test", number))
print(json.dumps(said))
"""
        result = self.run_in(python(program), {"allow": ["good.test"]})
        self.assertEqual(result["exit_code"], 0, result["stderr"])
        said = json.loads(result["stdout"])
        self.assertEqual(said.pop("listed A"), "(0, 1)")
        for kind in ("TXT", "AAAA", "ANY", "HTTPS", "NULL"):
            self.assertEqual(said.pop("listed " + kind), "(0, 0)")
        for kind in ("A", "TXT", "AAAA", "ANY", "HTTPS", "NULL"):
            self.assertEqual(said.pop("unlisted " + kind), "(3, 0)")
        for what, answer in said.items():
            with self.subTest(what=what):
                self.assertRegex(answer, "Error|timeout|^b''$")
        self.assertEqual({line["name"] for line in WORLD.heard()}, {"good.test"})

    # What open leads to is all public addresses by TCP over IPv4; every packet of the machine is looked at meanwhile.
    def test_open_lets_no_udp_out_but_questions_of_its_name_server_and_has_no_ipv6(self):
        program = """
import socket, json, os
def udp(address, port, octets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20); s.connect((address, port))
        try: s.send(octets); return s.recv(512)[:4].hex()
        except OSError as error: return type(error).__name__
def v6(kind):
    try:
        with socket.socket(socket.AF_INET6, kind) as s: s.settimeout(3); s.connect(("2606:4700::1111", 443)); return "connected"
    except OSError as error: return type(error).__name__
routes = open("/proc/net/ipv6_route").read().split("\\n") if os.path.exists("/proc/net/ipv6_route") else []
question = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4good\\4test\\0\\0\\1\\0\\1"
print(json.dumps({"udp": [udp(address, port, b"x") for address in ("%s", "9.9.9.9") for port in (443, 123, 5353)],
                  "name": udp("9.9.9.9", 53, question), "v6": [v6(socket.SOCK_STREAM), v6(socket.SOCK_DGRAM)],
                  "ways": sorted({route.split()[-1] for route in routes if route})}))
""" % GOOD

        def is_a_question(packet):
            ends = {packet.source, packet.target} == {world.MACHINE, GOOD}
            return packet.is_the_kernels() or (ends and packet.protocol == socket.IPPROTO_UDP and 53 in (packet.port, packet.source_port))

        watching = capture.Capture(is_fine=is_a_question)
        result = self.run_in(python(program), {"mode": "open"})
        self.assertEqual(watching.end(), [])
        said = json.loads(result["stdout"])
        self.assertEqual(said["name"], "12348180", "it is answered, and by nobody who was asked: by its own name server")
        self.assertEqual({line["name"] for line in WORLD.heard()}, {"good.test"})
        self.assertEqual(set(said["udp"]), {"ConnectionRefusedError"})
        self.assertNotIn("connected", said["v6"])
        self.assertIn(said["ways"], ([], ["lo"]))

    def test_a_sandbox_cannot_change_its_network(self):
        result = self.run_in("ip route add default via 1.2.3.4; ip link add x type dummy; ip addr add 1.2.3.4/32 dev lo; nft flush ruleset; "
                             "unshare -Urn true && echo unshared; echo done", {"allow": ["good.test"]})
        self.assertEqual(result["stdout"], "done\n")
        self.assertIn("Operation not permitted", result["stderr"])

    # ---- While it runs

    def output(self, sandbox, process):
        answer = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process}/output")
        return answer.body.decode()

    def held_connection(self, sandbox, host="raw.test", port=world.RAW, send=""):
        program = f"""
import socket, time
s = socket.create_connection(("{host}", {port}), timeout=10)
s.sendall({send.encode()!r})
print(s.recv(1000).decode().strip(), flush=True)
s.settimeout(100)
try: print("cut" if not s.recv(100) else "octets", flush=True)
except OSError as error: print("cut", flush=True)
"""
        process = self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": ["python3", "-c", program], "detach": True}).json()["id"]
        lmsb.wait_until(lambda: GOOD in self.output(sandbox, process), "the connection")
        return process

    def fetch(self, sandbox):
        return self.exec_in(sandbox, "curl -sS -m 8 http://good.test/a")["stdout"]

    def test_a_change_cuts_what_it_does_not_allow_and_nothing_else(self):
        raw = f"raw.test:{world.RAW}"
        sandbox = self.create({"allow": ["good.test", raw]})
        held = self.held_connection(sandbox)
        self.assertEqual(self.patch(sandbox, {"allow": [raw]})["egress"], {"mode": "allowlist", "allow": [raw]})
        self.assertEqual(self.fetch(sandbox), "")
        self.assertNotIn("cut", self.output(sandbox, held))
        self.patch(sandbox, {"allow": ["good.test"]})
        lmsb.wait_until(lambda: "cut" in self.output(sandbox, held), "the end of the connection")
        self.assertEqual(self.fetch(sandbox), f"{GOOD} good.test /a")
        self.patch(sandbox, {"mode": "none"})
        self.assertEqual(self.fetch(sandbox), "")
        self.patch(sandbox, {"mode": "open"})
        self.assertEqual(self.fetch(sandbox), f"{GOOD} good.test /a")

    def test_what_nobody_looked_at_is_cut_when_a_list_comes(self):
        raw = f"raw.test:{world.RAW}"
        sandbox = self.create({"allow": ["good.test", raw]})
        given = self.exec_in(sandbox, "getent ahostsv4 good.test")["stdout"].split()[0]
        self.assertRegex(given, r"198\.1[89]\.")
        self.patch(sandbox, {"mode": "open"})
        front = self.held_connection(sandbox, given, 80, "GET /a HTTP/1.1\r\nHost: other.test\r\n\r\n")
        named = self.held_connection(sandbox)
        self.assertIn("other.test /a", self.output(sandbox, front))
        self.patch(sandbox, {"allow": ["good.test", f"{GOOD}/32:{world.RAW}"]})
        lmsb.wait_until(lambda: "cut" in self.output(sandbox, front), "the end of the connection")
        self.assertNotIn("cut", self.output(sandbox, named))

    def sockets_to(self, port):
        """Those of the machine: also what no process has any more. Without those whose end has been acknowledged."""
        states = ["state", "connected", "exclude", "time-wait"]
        said = subprocess.run(["ss", "-Hatn", *states, "dst", f"{GOOD}:{port}"], capture_output=True, text=True, check=True).stdout
        return said.splitlines()

    def talk_to_late(self, sandbox, talk):
        program = f"""
import socket, time
s = socket.create_connection(("late.test", {world.LATE}), timeout=10)
{talk}
"""
        result = self.exec_in(sandbox, python(program))
        self.assertEqual(result["exit_code"], 0, result["stderr"])

    def test_what_has_ended_leaves_nothing_that_the_kernel_goes_on_sending(self):
        allow = [f"late.test:{world.LATE}"]
        sandbox = self.create({"allow": allow})
        for end in ("policy", "gate"):
            with self.subTest(end=end):
                self.talk_to_late(sandbox, "s.recv(100); s.sendall(b'n' * 300000)  # which its server does not take")
                self.assertEqual(len(self.sockets_to(world.LATE)), 1)
                gate = only_gate()
                if end == "gate":
                    os.kill(int(gate), signal.SIGKILL)
                    lmsb.wait_until(lambda: lmsb.gates() and lmsb.gates() != [gate], "another gate")
                else:
                    self.patch(sandbox, {"mode": "none"})
                self.assertEqual(self.sockets_to(world.LATE), [])
                self.patch(sandbox, {"allow": allow})

    def test_a_connection_whose_client_is_gone_ends_also_where_its_server_takes_nothing(self):
        sandbox = self.create({"allow": [f"late.test:{world.LATE}"]})
        self.talk_to_late(sandbox, """
s.sendall(b"n")
s.setblocking(False)
for _ in range(10):
    try:
        while True: s.send(b"n" * 50000)
    except BlockingIOError: time.sleep(0.1)
s.close()  # with octets that it has not read: a reset
""")
        lmsb.wait_until(lambda: not self.sockets_to(world.LATE), "the end of the connection")

    def test_what_a_server_reads_after_both_sides_have_ended_is_all(self):
        sandbox = self.create({"allow": [f"late.test:{world.LATE}"]})
        self.talk_to_late(sandbox, "s.recv(100); s.sendall(b'y' * 300000)")
        lmsb.wait_until(lambda: WORLD.heard(kind="late"), "what the server has read")
        self.assertEqual([line["octets"] for line in WORLD.heard(kind="late")], [300000])
        lmsb.wait_until(lambda: not self.sockets_to(world.LATE), "the end of the connection")

    def test_where_names_lead_to_inside_is_not_told(self):
        sandbox = self.create({"allow": ["inner.test", "good.test"]})
        self.exec_in(sandbox, "getent hosts inner.test; curl -sS -m5 -H 'Host: inner.test' http://45.67.0.2/")

        def denied():
            events = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/egress").json()["events"]
            return {(e["kind"], e["name"], e["address"]) for e in events if e["verdict"] == "denied_range"}

        lmsb.wait_until(lambda: len(denied()) == 2, "the events")
        self.assertEqual(denied(), {("name", "inner.test", None), ("connection", "inner.test", None)})
        self.assertEqual([line for line in self.daemon.log_text().splitlines() if "inner.test" in line and world.PRIVATE in line], [])

    def test_a_sandbox_that_was_started_without_gets_none_until_it_is_started_again(self):
        sandbox = self.create(name="fixed")
        error = self.patch(sandbox, {"allow": ["good.test"]}, status=409)["error"]
        self.assertEqual(error["code"], "network_fixed")
        self.assertEqual(self.daemon.post(f"/v1/sandboxes/{sandbox}/stop", {}).status, 200)
        self.patch(sandbox, {"allow": ["good.test"]})
        self.assertEqual(self.daemon.post(f"/v1/sandboxes/{sandbox}/start", {}).status, 200)
        self.assertEqual(self.fetch(sandbox), f"{GOOD} good.test /a")
        ports = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/ports").json()["data"]
        self.assertEqual(ports, [])  # where its guest listens is no server of its user

    def test_without_its_gate_nothing_is_reached_and_another_one_comes(self):
        sandbox = self.create({"allow": ["good.test", f"raw.test:{world.RAW}"]})
        held = self.held_connection(sandbox)
        gate = only_gate()
        os.kill(int(gate), signal.SIGKILL)
        lmsb.wait_until(lambda: "cut" in self.output(sandbox, held), "the end of the connection")
        lmsb.wait_until(lambda: lmsb.gates() and lmsb.gates() != [gate], "another gate")
        lmsb.wait_until(lambda: self.fetch(sandbox) == f"{GOOD} good.test /a", "the network")
        said = self.exec_in(sandbox, "curl -sS -m5 http://other.test/; curl -sS -m5 http://45.67.0.3/")
        self.assertEqual(said["stdout"], "")
        self.assertEqual(WORLD.heard(address=OTHER), [])

    def test_a_gate_that_stands_still_lets_nothing_through(self):
        sandbox = self.create({"allow": ["good.test"]})
        gate = only_gate()
        os.kill(int(gate), signal.SIGSTOP)
        WORLD.forget()
        said = self.exec_in(sandbox, "curl -sS -m2 http://good.test/; curl -sS -m2 http://45.67.0.2/")
        self.assertEqual(said["stdout"], "")
        self.assertEqual(WORLD.heard(), [])
        self.patch(sandbox, {"allow": ["other.test"]})  # it does not answer: it is ended
        lmsb.wait_until(lambda: lmsb.gates() and lmsb.gates() != [gate], "another gate")
        lmsb.wait_until(lambda: "other.test" in self.exec_in(sandbox, "curl -sS -m8 http://other.test/")["stdout"], "the network")
        self.assertEqual(self.fetch(sandbox), "")

    def test_a_policy_is_not_said_to_be_in_force_while_the_gate_of_another_one_is_there(self):
        sandbox = self.create({"allow": ["good.test"]})
        gate = only_gate()
        launcher = int(launcher_of(self.daemon))
        os.kill(int(gate), signal.SIGSTOP)  # it does not answer
        os.kill(launcher, signal.SIGSTOP)  # and is not ended
        try:
            answer = self.daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"allow": ["other.test"]}})
        finally:
            os.kill(launcher, signal.SIGCONT)
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (503, "gate_lost"))
        self.patch(sandbox, {"allow": ["other.test"]})
        self.assertNotIn(gate, lmsb.gates())
        lmsb.wait_until(lambda: "other.test" in self.exec_in(sandbox, "curl -sS -m8 http://other.test/")["stdout"], "the network")
        self.assertEqual(self.fetch(sandbox), "")

    def test_the_server_hears_that_whoever_asked_has_gone(self):
        sandbox = self.create({"allow": ["good.test"]})
        ask = "curl -sS -m1 http://good.test/never"  # a busy machine may not get to the server in its time
        lmsb.wait_until(lambda: self.exec_in(sandbox, ask) and WORLD.heard(kind="left"), "the end of the connection")
        self.assertEqual(self.fetch(sandbox), f"{GOOD} good.test /a")

    def test_what_the_kernel_keeps_for_a_connection_is_bounded(self):
        sandbox = self.create({"allow": [f"raw.test:{world.RAW}"]})
        self.held_connection(sandbox)
        said = subprocess.run(["ss", "-Htmn", "dst", f"{GOOD}:{world.RAW}"], capture_output=True, text=True, check=True).stdout
        sizes = {kind: int(octets) for kind, octets in re.findall(r"\b(rb|tb)(\d+)", said)}
        # Twice what is asked for, or what the kernel lets anybody ask for; what grows by itself begins with less, or more.
        self.assertEqual(set(sizes), {"rb", "tb"}, said)
        for size in sizes.values():
            self.assertTrue(300_000 < size <= 524_288, said)

    def test_a_gate_has_no_power_and_little_of_the_machine(self):
        self.create({"allow": ["good.test"]})
        gate = only_gate()
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{gate}/status").read_text().splitlines() if ":\t" in line)
        self.assertGreaterEqual(int(status["Uid"].split()[0]), 1073741824)
        for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        self.assertNotEqual(os.readlink(f"/proc/{gate}/ns/user"), os.readlink("/proc/self/ns/user"))
        held = set()
        for fd in os.listdir(f"/proc/{gate}/fd"):
            with contextlib.suppress(FileNotFoundError):  # just closed
                held.add(os.readlink(f"/proc/{gate}/fd/{fd}").split(":")[0])
        self.assertLessEqual(held, {"/dev/null", "socket", "anon_inode"})
        self.assertEqual(pathlib.Path(f"/proc/{gate}/environ").read_bytes(), b"")

    def test_what_was_allowed_and_refused_is_told_by_sandbox(self):
        sandbox = self.create({"allow": ["good.test"]})
        self.exec_in(sandbox, "curl -sS http://good.test/100000 >/dev/null; curl -sS http://other.test/; curl -sS -m5 http://45.67.0.3:8080/")

        def report():
            answer = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/egress")
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json()

        lmsb.wait_until(lambda: report()["received_bytes"] >= 100000, "the counts")
        found = report()
        self.assertEqual(found["egress"], {"mode": "allowlist", "allow": ["good.test"]})
        events = [(e["kind"], e["verdict"], e["name"], e["address"], e["port"]) for e in found["events"]]
        self.assertIn(("connection", "allowed", "good.test", GOOD, 80), events)
        self.assertIn(("name", "not_listed", "other.test", None, None), events)
        self.assertIn(("connection", "not_listed", None, OTHER, 8080), events)
        self.assertEqual(found["allowed"], 1)
        self.assertGreaterEqual(found["refused"], 2)
        stats = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/stats").json()
        self.assertGreaterEqual(stats["network"]["received_bytes"], 100000)
        self.assertIn("network.refused", self.daemon.log_text())

    def test_floods_end_at_the_limits_and_others_go_on(self):
        flood = self.create({"allow": ["good.test"]})
        calm = self.create({"allow": ["good.test"]})
        program = """
import socket, time
kept, refused = [], 0
for i in range(600):
    s = socket.socket(); s.settimeout(3)
    try: s.connect(("45.67.0.2", 80)); kept.append(s)
    except OSError: refused += 1
def is_alive(s):
    s.setblocking(False)
    try: return bool(s.recv(1))
    except BlockingIOError: return True
    except OSError: return False
for _ in range(50):  # until what was accepted to be refused has been; those that say nothing end later
    alive = sum(map(is_alive, kept))
    if alive <= 256: break
    time.sleep(0.1)
print(alive)
for i in range(3000):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4evil\\4test\\0\\0\\1\\0\\1", ("8.8.8.8", 53))
"""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            flooding = pool.submit(self.exec_in, flood, ["python3", "-c", program])
            for _ in range(3):
                self.assertEqual(self.fetch(calm), f"{GOOD} good.test /a")
            result = flooding.result()
        self.assertEqual(result["exit_code"], 0, result["stderr"])
        self.assertLessEqual(int(result["stdout"]), 256)
        self.assertEqual(WORLD.heard(name="evil.test"), [])
        report = lambda: self.daemon.request("GET", f"/v1/sandboxes/{flood}/egress").json()
        lmsb.wait_until(lambda: report()["events_lost"] > 0, "the gate says its counts once a second")
        self.assertLessEqual(len(report()["events"]), 256)

    def test_a_sandbox_from_a_snapshot_begins_without_a_network(self):
        sandbox = self.create({"allow": ["good.test"]})
        snapshot = self.daemon.post(f"/v1/sandboxes/{sandbox}/snapshot", {})
        if snapshot.status != 201:
            self.skipTest("no snapshots here")
        copy = self.create(snapshot=snapshot.json()["id"])
        self.assertEqual(self.fetch(copy), "")
        with_network = self.create({"allow": ["good.test"]}, snapshot=snapshot.json()["id"])
        self.assertEqual(self.fetch(with_network), f"{GOOD} good.test /a")

    def test_what_is_no_policy_is_refused(self):
        for egress in ({"mode": "all"}, {"mode": "open", "allow": ["good.test"]}, {"mode": "allowlist"}, {"allow": ["*"]}, {"allow": ["0.0.0.0/0:22"]}, {"allow": ["a b"]},
                       {"allow": ["::1"]}, {"allow": "good.test"}, {"deny": ["x"]}):
            for path in ("/v1/sandboxes", "/v1/run"):
                answer = self.daemon.post(path, {"cmd": "true", "egress": egress} if path == "/v1/run" else {"egress": egress})
                self.assertEqual(answer.status, 400, (egress, answer.body))


def memory_of(pid):
    """Of its cgroup: the most that it ever held, and how often it came up against a limit."""
    lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    path = {name: line.split(":", 2)[2] for line in lines for name in line.split(":")[1].split(",")}
    is_v1 = "memory" in path
    mount = next(m for m in map(pathlib.Path, lmsb.cgroup_hierarchies()) if (m.name == "memory" if is_v1 else (m / "cgroup.controllers").exists()))
    cgroup = mount / path["memory" if is_v1 else ""].lstrip("/")
    read = lambda name: (cgroup / name).read_text()
    if not is_v1:
        return int(read("memory.peak")), int(re.search(r"^max (\d+)", read("memory.events"), re.M)[1])
    kinds = ["memory", "memory.kmem.tcp"] if (cgroup / "memory.kmem.tcp.failcnt").exists() else ["memory"]
    return sum(int(read(f"{kind}.max_usage_in_bytes")) for kind in kinds), sum(int(read(f"{kind}.failcnt")) for kind in kinds)


class OperatorTest(unittest.TestCase):
    """What the configuration says."""

    def setUp(self):
        lmsb.require_root()
        before = lmsb.leftovers()
        self.addCleanup(lambda: lmsb.wait_until_clean(before))
        WORLD.forget()

    def daemon(self, *flags, **env):
        names = {"LM_SANDBOX_" + name.replace("_", "__", 1).upper(): value for name, value in env.items()}
        return lmsb.Daemon(*flags, env={**RESOLVERS, **names})

    def test_a_request_gets_no_more_than_the_operator_allows(self):
        for most, allowed, refused in (("none", [], [{"allow": ["good.test"]}, {"mode": "open"}]),
                                       ("allowlist", [{"allow": ["good.test"]}],
                                        [{"mode": "open"}, {"allow": ["0.0.0.0/1:80", "128.0.0.0/1:80"]}, {"allow": ["*.test"]}])):
            with self.daemon(policy_network=most) as daemon:
                for egress in allowed:
                    self.assertEqual(daemon.run("curl -sS http://good.test/a", egress=egress)["stdout"], f"{GOOD} good.test /a")
                for egress in refused:
                    for path in ("/v1/run", "/v1/sandboxes"):
                        answer = daemon.post(path, {"egress": egress, **({"cmd": "true"} if path == "/v1/run" else {})})
                        self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "policy_denied"))
                    answer = daemon.post("/v1/run", {"egress": egress, "cmd": "true", "dry_run": True})
                    self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "policy_denied"))
                for egress, line in (*((egress, "end at a gate") for egress in allowed), ({}, "network none: loopback only")):
                    self.assertIn(line, daemon.post("/v1/run", {"egress": egress, "cmd": "true", "dry_run": True}).json()["plan"])

    def test_what_the_operator_allows_no_more_is_reached_no_more_until_he_allows_it_again(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        config = pathlib.Path(directory.name, "config.toml")

        def allow(most):
            config.write_text(f"[policy]\nnetwork = '{most}'\n")
            if daemon.process is None: return
            before = daemon.log_text().count("settings.reloaded")
            os.kill(daemon.process.pid, signal.SIGHUP)
            lmsb.wait_until(lambda: daemon.log_text().count("settings.reloaded") > before, "the settings are taken up")

        def said():
            ask = {"cmd": "curl -sS -m5 http://good.test/a"}
            return daemon.post(f"/v1/sandboxes/{sandbox}/exec", ask).json()["stdout"]

        def report():
            return daemon.request("GET", f"/v1/sandboxes/{sandbox}/egress").json()

        daemon = self.daemon("--config", str(config))
        allow("open")
        with daemon:
            sandbox = daemon.post("/v1/sandboxes", {"egress": {"mode": "open"}}).json()["id"]
            snapshot = daemon.post(f"/v1/sandboxes/{sandbox}/snapshot", {}).json()["id"]
            reached = f"{GOOD} good.test /a"
            self.assertEqual(said(), reached)
            allow("allowlist")
            lmsb.wait_until(lambda: said() == "", "it is refused")
            self.assertEqual((report()["egress"]["mode"], report()["denied_by_policy"]), ("open", True))
            back = daemon.post(f"/v1/sandboxes/{sandbox}/rollback", {"snapshot": snapshot})
            self.assertEqual((back.status, back.json()["error"]["code"]), (403, "policy_denied"), "nothing was ended for it")
            self.assertEqual(daemon.request("GET", f"/v1/sandboxes/{sandbox}").json()["state"], "running")
            wider = daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"mode": "open"}})
            self.assertEqual(wider.status, 403)
            allow("open")
            lmsb.wait_until(lambda: said() == reached, "it is reached again")
            self.assertFalse(report()["denied_by_policy"])
            allow("none")
            lmsb.wait_until(lambda: said() == "", "it is refused")
            less = daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"mode": "none"}})
            self.assertEqual(less.status, 200)
            self.assertFalse(report()["denied_by_policy"])
            daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")
            daemon.request("DELETE", f"/v1/snapshots/{snapshot}")

    def test_a_group_of_the_configuration_stands_for_its_entries(self):
        with self.daemon(network_groups="web=good.test other.test:8080") as daemon:
            self.assertEqual(daemon.run("curl -sS http://good.test/a", egress={"allow": ["@web"]})["stdout"], f"{GOOD} good.test /a")
            for path in ("/v1/run", "/v1/sandboxes"):
                answer = daemon.post(path, {"egress": {"allow": ["@nobody"]}, **({"cmd": "true"} if path == "/v1/run" else {})})
                self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_egress"), answer.body)
        with self.assertRaisesRegex(RuntimeError, "NAME=ENTRY ENTRY"):
            self.daemon(network_groups="web").start()

    def test_a_group_that_is_no_longer_there_leaves_its_sandbox_without_a_network_until_it_is_again(self):
        def said():
            return daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": "curl -sS -m5 http://good.test/a"}).json()["stdout"]

        with_group = {**RESOLVERS, "LM_SANDBOX_NETWORK__GROUPS": "web=good.test"}
        with lmsb.Daemon(env=with_group, is_private=False, sandboxes_stay=True) as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"egress": {"allow": ["@web"]}}).json()["id"]
            for env, is_denied in ((RESOLVERS, True), (with_group, False)):
                daemon.stop()
                daemon.log.close()
                daemon.env = env
                daemon.start()
                report = daemon.request("GET", f"/v1/sandboxes/{sandbox}/egress").json()
                self.assertEqual((report["egress"]["allow"], report["denied_by_policy"]), (["@web"], is_denied))
                if is_denied:
                    self.assertEqual(said(), "")
                else:
                    lmsb.wait_until(lambda: said() == f"{GOOD} good.test /a", "its network")
            daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")

    def test_an_offline_daemon_gives_no_network(self):
        with self.daemon("--offline") as daemon:
            answer = daemon.post("/v1/run", {"cmd": "true", "egress": {"mode": "open"}})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (403, "offline"))

    def test_private_ranges_are_reached_where_the_operator_opens_them_and_a_policy_allows_it(self):
        with self.daemon(network_reachable_private=f"{world.PRIVATE}/32") as daemon:
            say = f"curl -sS -m5 http://{world.PRIVATE}:8080/; curl -sS -m5 http://{world.SHARED}:8080/; curl -sS -m5 http://inner.test:8080/"
            result = daemon.run(say, egress={"allow": ["0.0.0.0/1:8080", "inner.test:8080"]})
            self.assertEqual(result["stdout"], f"{world.PRIVATE} {world.PRIVATE}:8080 /{world.PRIVATE} inner.test:8080 /")
            self.assertEqual(daemon.run(say, egress={"allow": ["good.test"]})["stdout"], "")

    def test_ranges_that_the_operator_closes_are_not_reached(self):
        with self.daemon(network_unreachable=f"{OTHER}/32") as daemon:
            for egress in ({"mode": "open"}, {"allow": ["good.test:8080", "other.test:8080", f"{OTHER}:8080"]}):
                WORLD.forget()
                result = daemon.run("for h in good.test other.test 45.67.0.3; do curl -sS -m5 http://$h:8080/a; done", egress=egress)
                self.assertEqual(result["stdout"], f"{GOOD} good.test:8080 /a")
                self.assertEqual(WORLD.heard(address=OTHER), [])

    def test_bandwidth_and_connections_are_limited(self):
        with self.daemon(network_bytes_per_second="200000", network_max_connections="2") as daemon:
            begin = time.monotonic()
            result = daemon.run("curl -sS http://good.test/1000000 | wc -c", egress={"allow": ["good.test"]})
            self.assertEqual(result["stdout"].strip(), "1000000", result["stderr"])
            self.assertGreater(time.monotonic() - begin, 2)  # 400,000 at once, and 600,000 at that rate: not before 3 s
            program = ("import socket,time\ns=[socket.create_connection(('raw.test',5432),5) for _ in range(2)]\n"
                       "print([x.recv(99) for x in s])\n"
                       "try: print(socket.create_connection(('raw.test',5432),5).recv(9))\nexcept OSError: print('refused')\n"
                       "s[0].close()\nfor _ in range(200):\n try: said=socket.create_connection(('raw.test',5432),5).recv(99)\n"
                       " except OSError: said=b''\n if said: break\n time.sleep(0.1)\nprint(said)")
            result = daemon.run(python(program), egress={"allow": ["raw.test:5432"]})
            self.assertEqual(result["stdout"].splitlines()[1:], ["refused", repr((GOOD + "\n").encode())], result["stderr"])

    def test_one_owners_sandboxes_together_have_no_more_than_half_of_the_connections_that_the_operator_allows(self):
        hold = ("import socket,time\ns=[socket.create_connection(('raw.test',5432),5) for _ in range(4)]\n"
                "print([x.recv(99) for x in s],flush=True)\ntime.sleep(1000)")
        ask = python("import socket\nprint(socket.create_connection(('raw.test',5432),5).recv(99))")
        with self.daemon(network_connections_of_all="8", network_max_connections="4") as daemon:
            egress = {"egress": {"allow": ["raw.test:5432"]}}
            one = "/v1/sandboxes/" + daemon.post("/v1/sandboxes", egress).json()["id"]
            process = daemon.post(f"{one}/exec", {"cmd": ["python3", "-c", hold], "detach": True}).json()["id"]
            output = lambda: daemon.request("GET", f"{one}/processes/{process}/output").body.decode()
            lmsb.wait_until(lambda: GOOD in output(), "four connections")
            lmsb.wait_until(lambda: daemon.request("GET", f"{one}/egress").json()["allowed"] == 4, "the daemon hears of them")
            other = "/v1/sandboxes/" + daemon.post("/v1/sandboxes", egress).json()["id"]
            said = lambda: daemon.post(f"{other}/exec", {"cmd": ask}).json()["stdout"]
            self.assertEqual(said(), "", "all of this owner's are in use")
            lmsb.wait_until(lambda: "too_many_connections" in daemon.log_text(), "a line of it")
            self.assertEqual(daemon.post(f"{one}/processes/{process}/signal", {"signal": "KILL"}).status, 204)
            lmsb.wait_until(lambda: GOOD in said(), "half of them for the other one")

    def test_a_gate_has_room_for_as_many_connections_as_it_allows_when_none_of_them_moves(self):
        program = f"""
import socket, time
kept, place = [], socket.gethostbyname("raw.test")
for i in range(250):
    s = socket.socket()
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF): s.setsockopt(socket.SOL_SOCKET, option, 8192)
    s.settimeout(30)
    s.connect((place, {world.RAW}))
    s.recv(9)
    s.setblocking(False)
    kept.append(s)
print("open", flush=True)
sent, quiet = 0, 0
while quiet < 10:  # what is sent comes back, and is not read
    before = sent
    for s in kept:
        try:
            while True: sent += s.send(b"x" * 16384)
        except BlockingIOError: pass
    quiet = quiet + 1 if sent == before else 0
    time.sleep(0.1)
print("stalled", sent, flush=True)
time.sleep(1000)
"""
        with self.daemon(network_connections_per_second="1000") as daemon:
            sandbox = daemon.post("/v1/sandboxes", {"egress": {"allow": ["good.test", f"raw.test:{world.RAW}"]}}).json()["id"]
            gate = only_gate()
            path = f"/v1/sandboxes/{sandbox}"
            process = daemon.post(f"{path}/exec", {"cmd": ["python3", "-c", program], "detach": True}).json()["id"]
            output = lambda: daemon.request("GET", f"{path}/processes/{process}/output").body.decode()
            lmsb.wait_until(lambda: "stalled" in output(), "connections that stand still", 120)
            fetched = daemon.post(f"{path}/exec", {"cmd": "curl -sS -m 30 http://good.test/1000000 | wc -c"}).json()
            self.assertEqual(fetched["stdout"].strip(), "1000000", fetched["stderr"])
            self.assertEqual(lmsb.gates(), [gate])
            peak, failures = memory_of(gate)
            self.assertLess(peak, 64 << 20)
            self.assertEqual(failures, 0)

    def test_settings_that_are_none_end_the_start(self):
        for setting, word in (({"network_resolvers": "dns.test"}, "dns.test"), ({"network_reachable_private": "10.0.0.1/8"}, "10.0.0.1/8"),
                              ({"network_reachable_private": "169.254.169.254"}, "169.254.0.0/16"), ({"network_reachable_private": "0.0.0.0/0"}, "0.0.0.0/0"),
                              ({"network_unreachable": "x"}, '"x"')):
            with self.assertRaises(RuntimeError) as failed:
                with self.daemon(**setting):
                    pass
            self.assertIn(word, str(failed.exception))

    def test_a_sandbox_that_outlives_its_daemon_has_a_network_again_with_the_next(self):
        first = lmsb.Daemon(env=RESOLVERS, is_private=False, sandboxes_stay=True)
        first.start()
        try:
            made = first.post("/v1/sandboxes", {"egress": {"allow": ["good.test"]}})
            sandbox = made.json()["id"]
            fetch = {"cmd": "curl -sS -m 8 http://good.test/a; curl -sS -m5 http://45.67.0.3/"}
            if not made.json()["keeps_disk"]:
                self.skipTest("sandboxes do not stay here")
            marker = {"cmd": ["python3", "-c", "import time, subprocess\nwhile True:\n r=subprocess.run(['curl','-sS','-m1','http://45.67.0.2:8080/'],"
                              "capture_output=True,text=True)\n print(r.returncode, flush=True)\n time.sleep(0.2)"], "detach": True}
            self.assertIn(first.post(f"/v1/sandboxes/{sandbox}/exec", marker).status, (200, 201, 202))
            self.assertIn("good.test", first.post(f"/v1/sandboxes/{sandbox}/exec", fetch).json()["stdout"])
            os.kill(first.daemon_pid(), signal.SIGKILL)
            first.process.wait(60)
            first.log.close()
            lmsb.wait_until(lambda: not lmsb.gates(), "the gate's end")
            WORLD.forget()
            first.start()
            lmsb.wait_until(lambda: "good.test" in first.post(f"/v1/sandboxes/{sandbox}/exec", fetch).json()["stdout"], "the network")
            self.assertEqual(WORLD.heard(address=OTHER), [])
            self.assertEqual([line for line in WORLD.heard(kind="http") if line["host"] != "good.test"], [])
            self.assertEqual(first.request("GET", f"/v1/sandboxes/{sandbox}").json()["egress"], {"mode": "allowlist", "allow": ["good.test"]})
            changed = first.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"allow": ["other.test"]}})
            os.kill(first.daemon_pid(), signal.SIGKILL)  # what was answered holds
            self.assertEqual(changed.status, 200, changed.body)
            first.process.wait(60)
            first.log.close()
            first.start()
            self.assertEqual(first.request("GET", f"/v1/sandboxes/{sandbox}").json()["egress"], {"mode": "allowlist", "allow": ["other.test"]})
            fetch["cmd"] = "curl -sS -m 8 http://other.test/a; curl -sS -m5 http://good.test/"
            lmsb.wait_until(lambda: "other.test" in first.post(f"/v1/sandboxes/{sandbox}/exec", fetch).json()["stdout"], "the network")
            self.assertNotIn("good.test", first.post(f"/v1/sandboxes/{sandbox}/exec", fetch).json()["stdout"])
            self.assertEqual(first.request("DELETE", f"/v1/sandboxes/{sandbox}").status, 204)
        finally:
            first.stop()
            first.flags += ("--stop-sandboxes",)  # ends what is left
            first.start()
            first.__exit__()


if __name__ == "__main__":
    lmsb.main()
