#!/usr/bin/python3
"""What ordinary libraries ask the kernel for, and go without badly: the refusals of the filter are to be the ones that
they take well."""
import json
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

# getifaddrs(3) as every library calls it: names and addresses. Each call makes a socket of netlink and closes it.
INTERFACES = """
import ctypes, json
libc = ctypes.CDLL(None, use_errno=True)
class Address(ctypes.Structure): pass
Address._fields_ = [("next", ctypes.POINTER(Address)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint)]
found = set()
for _ in range(200):
    first = ctypes.POINTER(Address)()
    if libc.getifaddrs(ctypes.byref(first)) != 0:
        raise OSError(ctypes.get_errno(), "getifaddrs")
    at = first
    while at:
        found.add(at.contents.name.decode())
        at = at.contents.next
    libc.freeifaddrs(first)
print(json.dumps(sorted(found)))
"""

SOCKETS = """
import errno, json, os, socket
def make(flags=0):
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | flags, 0)
plain, held = make(), []
try:
    while True: held.append(make(socket.SOCK_NONBLOCK))
except OSError as e:
    refused = errno.errorcode[e.errno]
count = len(held) + 1
held[0].bind((0, 0))
held.pop().close()
again = make()
try:
    held[0].recv(1)
except BlockingIOError:
    blocks = False
print(json.dumps([count, refused, os.get_inheritable(plain.fileno()), blocks]))
"""

LOOPS = """
import os, socket
for _ in range(3):  # no more than may have one at once, with one that is being made
    if os.fork() == 0:
        while True:
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
print("on", flush=True)
os.wait()
"""

# Some ask from threads of the least priority; then others come to their processor and never rest.
STARVED = """
import os, socket, time
crowded = {min(os.sched_getaffinity(0))}
def fork(work):
    if os.fork() == 0:
        os.sched_setaffinity(0, crowded)
        work()
def ask():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
        except OSError: pass  # there are as many as there may be
def spin():
    while True: pass
for _ in range(8): fork(ask)
time.sleep(0.3)
for _ in range(60): fork(spin)
time.sleep(0.3)
print("on", flush=True)
os.wait()
"""

# The C library's resolver, asked to look where the sandbox's user may listen.
NAMES = """
import ctypes, socket, struct, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
def serve():
    question, client = server.recvfrom(512)
    end = question.index(b"\\0", 12) + 5
    record = b"\\xc0\\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 192, 0, 2, 7)
    server.sendto(question[:2] + b"\\x81\\x80" + struct.pack(">4H", 1, 1, 0, 0) + question[12:end] + record, client)
threading.Thread(target=serve, daemon=True).start()
libc = ctypes.CDLL(None)
state = ctypes.create_string_buffer(4096)
assert getattr(libc, "__res_ninit")(state) == 0
struct.pack_into("=ii", state, 0, 5, 1)   # seconds, tries
struct.pack_into("=iH", state, 16, 1, socket.AF_INET)  # one server
struct.pack_into(">H4s", state, 22, server.getsockname()[1], socket.inet_aton("127.0.0.1"))
answer = ctypes.create_string_buffer(512)
size = libc.res_nquery(state, b"name.example", 1, 1, answer, 512)
print(socket.inet_ntoa(answer.raw[size - 4:size]) if size > 0 else "no answer")
"""

NOBODY_LISTENS = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_IP, 11, 1)  # IP_RECVERR
s.connect(("127.0.0.1", 9))
s.settimeout(10)
try:
    s.send(b"x")
    s.recv(1)
except ConnectionRefusedError:
    print("refused")
"""


class Libraries(lmsb.SystemTest):
    def output(self, program):
        result = self.daemon.run(program, image="host")
        self.assertEqual((result["outcome"], result["stderr"]), ("exited", ""))
        return result["stdout"]

    def test_network_interfaces_are_listed_and_each_list_gives_back_what_it_took(self):
        self.assertEqual(json.loads(self.output(["python3", "-c", INTERFACES])), ["lo"])

    def test_a_sandbox_has_a_few_sockets_of_netlink_and_those_that_are_closed_make_room(self):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0x7fffffff)
            largest = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        count = max(4, min(32, (32 << 20) // largest))
        self.assertEqual(json.loads(self.output(["python3", "-c", SOCKETS])), [count, "ENOTSUP", False, False])

    def test_node_lists_the_network_interfaces(self):
        if not pathlib.Path("/usr/bin/node").exists():
            raise unittest.SkipTest("this machine has no Node")
        program = "console.log(Object.keys(require('os').networkInterfaces()).join())"
        self.assertEqual(self.output(["node", "-e", program]), "lo\n")

    def test_names_are_asked_for_by_udp(self):
        self.assertEqual(self.output(["python3", "-c", NAMES]), "192.0.2.7\n")

    def test_a_datagram_for_nobody_is_an_error_of_its_socket(self):
        self.assertEqual(self.output(["python3", "-c", NOBODY_LISTENS]), "refused\n")

    def start(self, program):
        """In a sandbox of its own: the sandbox's path, and that of the process, which has said that it is on."""
        path = "/v1/sandboxes/" + self.daemon.post("/v1/sandboxes", {"image": "host"}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", path)
        started = self.daemon.post(path + "/exec", {"cmd": ["python3", "-c", program], "detach": True}).json()
        process = f"{path}/processes/{started['id']}"
        lmsb.wait_until(lambda: "on" in self.daemon.request("GET", process + "/output?stream=stdout").json()["text"], "its loops")
        return path, process

    def test_who_waits_for_a_socket_of_netlink_is_paused_and_killed_as_others_are(self):
        path, process = self.start(LOOPS)
        for move in ("pause", "resume", "pause", "resume"):
            self.assertEqual(self.daemon.request("POST", f"{path}/{move}").status, 200, move)
        self.assertEqual(self.daemon.post(path + "/exec", {"cmd": ["python3", "-c", INTERFACES]}).json()["stdout"], '["lo"]\n')
        self.assertLess(self.daemon.request("DELETE", process).status, 300)

    def test_nobody_else_waits_for_a_thread_that_hardly_runs_and_asks_for_a_socket_of_netlink(self):
        path, process = self.start(STARVED)
        for _ in range(10):  # were it the guest's to wait, each would for half a minute
            self.assertEqual(self.daemon.request("POST", path + "/exec", {"cmd": "echo here"}, timeout=20).json()["stdout"], "here\n")
        self.assertLess(self.daemon.request("DELETE", process, timeout=30).status, 300)
        self.assertEqual(self.daemon.post(path + "/exec", {"cmd": ["python3", "-c", INTERFACES]}).json()["stdout"], '["lo"]\n')


if __name__ == "__main__":
    lmsb.main()
