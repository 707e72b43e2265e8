#!/usr/bin/python3
"""What holds a sandbox's network is killed again and again while it is used: no packet that the policy does not allow gets out,
in no moment. The kernel of the servers' side counts (nftables), and all interfaces are watched (support/capture.py)."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import capture
import lmsb
import world
from test_staying import StayingTest, kill, kill_all_of_ours, kill_daemon, kill_launcher

GOOD, OTHER = world.GOOD, world.OTHER
ALLOW = ["good.test", f"raw.test:{world.RAW}"]
PORTS = (80, 443, world.RAW)  # at GOOD, and names
SECONDS = float(os.environ.get("LMSB_FAIL_CLOSED", "6"))

# Tries what is allowed, and all the time what is not.
TRAFFIC = f"""
import os, socket, time
def tcp(host, port, octets=b""):
    s = socket.socket()
    s.settimeout(0.5)
    try:
        s.connect((host, port))
        if octets: s.sendall(octets)
        return s.recv(100)
    except OSError:
        return b""
    finally:
        s.close()
def udp(host, port):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b"out", (host, port))
    except OSError:
        pass
for number in range(4):
    if os.fork() == 0: break
reached = 0
while True:
    if number == 0:
        try: reached += b" good.test " in tcp("good.test", 80, b"GET /a HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n")
        except OSError: pass
        print(reached, flush=True)
        time.sleep(0.05)
        continue
    time.sleep(0.02)
    for host in ({OTHER!r}, {world.PRIVATE!r}, {world.METADATA!r}, {world.MACHINE!r}, "127.0.0.1"):
        tcp(host, 80, b"GET /secret HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n")
        tcp(host, {world.RAW})
        udp(host, 443)
    tcp({GOOD!r}, 8080, b"GET /secret HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n")
    try: socket.gethostbyname("secret.evil.test")
    except OSError: pass
"""
COUNTERS = f"""
table inet seen {{
  counter allowed {{}}
  counter outside {{}}
  chain arriving {{
    type filter hook prerouting priority -300; policy accept;
    iifname "wan" ip daddr {GOOD} tcp dport {{ {", ".join(map(str, PORTS))} }} counter name allowed accept
    iifname "wan" ip daddr {GOOD} udp dport 53 counter name allowed accept
    iifname "wan" ip saddr {world.MACHINE} ip daddr {GOOD} icmp type destination-unreachable accept
    iifname "wan" counter name outside
  }}
}}
"""
WORLD = None


def setUpModule():
    global WORLD  # pylint: disable=global-statement
    lmsb.require_root()
    if not shutil.which("nft"):
        raise unittest.SkipTest("nft is not installed: apt-get install nftables")
    WORLD = world.World()
    if os.path.exists("/proc/sys/net/ipv6/conf/world"):  # the kernel looks for routers there, by itself
        pathlib.Path("/proc/sys/net/ipv6/conf/world/disable_ipv6").write_text("1")


def tearDownModule():
    WORLD.end()


class Counters:
    """Of what arrives at the servers, by the kernel of their side."""

    def __enter__(self):
        self.nft("-f", "-", told=COUNTERS)
        return self

    def __exit__(self, *_):
        self.nft("delete", "table", "inet", "seen")

    def nft(self, *words, told=None):
        inside = ["nsenter", "-t", str(WORLD.process.pid), "-n", "nft"]
        return subprocess.run([*inside, *words], input=told, stdout=subprocess.PIPE, text=True, check=True).stdout

    def packets(self, name):
        told = json.loads(self.nft("-j", "list", "counter", "inet", "seen", name))
        return next(one["counter"]["packets"] for one in told["nftables"] if "counter" in one)


class FailClosed(StayingTest):
    image = "host"

    def setUp(self):
        super().setUp()
        self.ports = {self.daemon.port}
        # What is refused counts as tried: it is not to leave nothing for what is allowed.
        self.daemon.env = {"LM_SANDBOX_NETWORK__RESOLVERS": GOOD, "LM_SANDBOX_NETWORK__CONNECTIONS_PER_SECOND": "5000"}
        self.daemon.stop()
        self.daemon.start()
        self.ports.add(self.daemon.port)

    def is_fine(self, packet):
        """On the machine's side: what the policy allows, answers to it, and requests to the daemon over loopback."""
        if packet.is_the_kernels():
            return True
        # So says the kernel when a name server's answer comes for who has been killed.
        if packet.protocol == 1 and packet.message == 3:
            return (packet.source, packet.target) == (world.MACHINE, GOOD)
        if packet.interface == "lo":
            return bool({packet.port, packet.source_port} & self.ports) and packet.protocol == 6
        out = (packet.source, packet.target, packet.port), (packet.target, packet.source, packet.source_port)
        wanted = PORTS if packet.protocol == 6 else (53,) if packet.protocol == 17 else ()
        return any(here == world.MACHINE and there == GOOD and port in wanted for here, there, port in out)

    def nothing(self, packet):
        return packet.is_the_kernels() or (packet.interface == "lo" and self.is_fine(packet))

    def is_quiet(self):
        """Longer than a name server's answer is waited for."""
        seen = capture.Capture(is_fine=self.nothing, with_loopback=True)
        time.sleep(2)
        return not seen.end()

    def begin(self, egress):
        sandbox = self.create(egress=egress, limits={"processes": 30})
        process = self.detach(sandbox, "exec python3 -c " + shlex.quote(TRAFFIC))
        return sandbox, process

    def reached(self, sandbox, process):
        text = self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes/{process['id']}/output?stream=stdout").json()["text"]
        return int(text.split()[-1]) if text.split() else 0

    def kill_gate(self, _):
        self.killed = set(lmsb.gates())
        for gate in self.killed:
            kill(gate)

    def start_again(self):
        if self.daemon.process.poll() is None:
            return  # its parent has started launcher and daemon again
        self.daemon.log.close()
        self.daemon.start()
        self.ports.add(self.daemon.port)

    def kill_in_turns(self, boxes, seconds):
        """Until the time is over, and each was killed twice. Returns how often."""
        end, turns = time.monotonic() + seconds, 0
        while time.monotonic() < end or turns < 2:
            for how in (self.kill_gate, self.kill_gate, kill_launcher, self.kill_gate, kill_daemon, kill_all_of_ours):
                time.sleep(0.2)
                how(self.daemon)
                if how == self.kill_gate:
                    lmsb.wait_until(lambda: len(set(lmsb.gates()) - self.killed) == len(boxes), "the next gates")
                    continue
                self.start_again()
            turns += 1
        return turns

    def test_nothing_that_is_not_allowed_gets_out_while_gates_launchers_and_daemons_are_killed(self):
        boxes = [self.begin({"allow": ALLOW}) for _ in range(2)]
        with Counters() as counters:
            lmsb.wait_until(lambda: all(self.reached(*box) for box in boxes), "what is allowed")
            here = capture.Capture(is_fine=self.is_fine, with_loopback=True)
            there = capture.Capture(of_process=WORLD.process.pid, is_fine=lambda p: p.interface == "lo" or self.is_fine(p))
            turns = self.kill_in_turns(boxes, SECONDS)
            before = [self.reached(*box) for box in boxes]
            lmsb.wait_until(lambda: all(self.reached(*box) > count for box, count in zip(boxes, before)), "the network again")
            self.assertEqual((here.end(), there.end()), ([], []))
            self.assertEqual(counters.packets("outside"), 0)
            print(f"{turns * 6} kills; {counters.packets('allowed')} packets that are allowed arrived, and no other; "
                  f"{here.seen} were seen on the machine's interfaces, {there.seen} on the servers'")
        self.assertLessEqual({line["name"] for line in WORLD.heard(kind="name")}, {"good.test", "raw.test"})
        self.assertEqual({line["address"] for line in WORLD.heard(kind="http")}, {GOOD})

    def test_what_was_allowed_and_is_no_more_does_not_get_out_either(self):
        boxes = [self.begin({"allow": ALLOW}) for _ in range(2)]
        with Counters() as counters:
            lmsb.wait_until(lambda: all(self.reached(*box) for box in boxes), "what is allowed")
            for sandbox, _ in boxes:
                answer = self.daemon.request("PATCH", f"/v1/sandboxes/{sandbox}", {"egress": {"mode": "none"}})
                self.assertEqual(answer.status, 200, answer.body)
            lmsb.wait_until(self.is_quiet, "the end of what was on its way")
            here = capture.Capture(is_fine=self.nothing, with_loopback=True)
            before = counters.packets("allowed"), counters.packets("outside")
            for how in (kill_launcher, kill_daemon, kill_all_of_ours):
                self.kill_gate(None)
                time.sleep(0.2)
                how(self.daemon)
                self.start_again()
                time.sleep(0.5)
            self.assertEqual(here.end(), [])
            self.assertEqual((counters.packets("allowed"), counters.packets("outside")), before)

    def test_a_packet_that_is_not_allowed_would_be_seen(self):
        """By counter and captures: one that this test sends itself."""
        with Counters() as counters:
            here = capture.Capture(is_fine=self.is_fine, with_loopback=True)
            there = capture.Capture(of_process=WORLD.process.pid, is_fine=self.is_fine)
            subprocess.run([sys.executable, "-c", f"import socket; s = socket.socket(); s.connect(({OTHER!r}, 80))"], check=True)
            self.assertIn(f"-> {OTHER}:80", "\n".join(here.end()))
            self.assertIn(f"-> {OTHER}:80", "\n".join(there.end()))
            self.assertGreater(counters.packets("outside"), 0)


if __name__ == "__main__":
    lmsb.main()
