"""A small internet for tests: a network namespace with a name server and real servers at public addresses, and the test
itself in another one, as the machine. Nothing of the real network is touched, or needed."""
import ctypes
import json
import os
import pathlib
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import lmsb

MACHINE = "45.67.0.1"
GOOD, OTHER = "45.67.0.2", "45.67.0.3"
PRIVATE, METADATA, SHARED, DOCUMENTATION = "10.9.9.9", "169.254.169.254", "100.100.100.200", "203.0.113.7"
INSIDE = [PRIVATE, METADATA, SHARED, DOCUMENTATION]
RAW = 5432
LATE = 5433
ZONE = {"good.test": [GOOD], "other.test": [OTHER], "sub.wild.test": [GOOD], "wild.test": [GOOD], "inner.test": [PRIVATE],
        "metadata.test": [METADATA], "mixed.test": [GOOD, PRIVATE], "own.test": [MACHINE], "local.test": ["127.0.0.1"],
        "raw.test": [GOOD], "late.test": [GOOD], "closed.test": [OTHER], "void.test": []}


class World:
    """Makes the calling process live on a machine of its own, next to that internet. Once in a process, before threads."""

    def __init__(self):
        if os.environ.get("LMSB_CAPTURE"):
            raise unittest.SkipTest("its packets are meant to leave: it captures what it must by itself")
        clone_newnet = 0x40000000
        if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.dir = tempfile.TemporaryDirectory(prefix="lmsb-world-")
        self.log = pathlib.Path(self.dir.name) / "log"
        self.certificate = pathlib.Path(self.dir.name) / "both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                        "2", "-subj", "/CN=good.test", "-addext", "subjectAltName=DNS:good.test", "-keyout", self.certificate, "-out", self.certificate.with_suffix(".crt")],
                       check=True, stderr=subprocess.DEVNULL)
        with open(self.certificate, "ab") as both:
            both.write(self.certificate.with_suffix(".crt").read_bytes())
        ip("link", "set", "lo", "up")
        self.process = subprocess.Popen([sys.executable, __file__, self.log, self.certificate], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # it is in its namespace
        ip("link", "add", "world", "type", "veth", "peer", "name", "wan", "netns", str(self.process.pid))
        ip("addr", "add", f"{MACHINE}/24", "dev", "world")
        ip("link", "set", "world", "up")
        ip("route", "add", "default", "via", GOOD)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.stdout.readline()  # its servers listen

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.dir.cleanup()

    def heard(self, **wanted):
        """What its servers have heard so far: {"kind": "name"|"http"|"tls"|"raw"|"late", ...}."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if wanted.items() <= line.items()]

    def forget(self):
        self.log.write_text("")


class OfTheModule:
    """One for all tests of a module: `WORLD = OfTheModule()`, `setUpModule, tearDownModule = WORLD.begin, WORLD.end`."""

    def begin(self):
        lmsb.require_root()
        self.world = World()

    def __getattr__(self, name):
        if name == "world":
            raise AttributeError("the world has not begun")
        return getattr(self.world, name)

    def end(self):
        self.world.end()


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


# ---- The servers

def note(**what):
    with open(LOG, "a", encoding="utf8") as log:
        log.write(json.dumps(what) + "\n")


class Names(socketserver.BaseRequestHandler):
    flips = 0

    def handle(self):
        query, sock = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name = ".".join(labels).lower()
        note(kind="name", name=name)
        addresses = ZONE.get(name)
        if name == "rebind.test":
            Names.flips += 1
            addresses = [GOOD if Names.flips % 2 else PRIVATE]
        if name == "silent.test":
            return
        code = 3 if addresses is None else 0
        head = query[:2] + bytes([0x81, 0x80 | code]) + struct.pack(">HHHH", 1, len(addresses or []), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(a) for a in addresses or [])
        sock.sendto(head + query[12:at + 5] + records, self.client_address)


class Http(socketserver.StreamRequestHandler):
    """Answers each request of a connection, says whom it was for, and never closes of itself."""
    kind = "http"

    def handle(self):
        here = self.connection.getsockname()[0]
        while line := self.rfile.readline(65536):
            fields = {}
            while (field := self.rfile.readline(65536).decode().strip()):
                name, value = field.split(":", 1)
                fields[name.lower()] = value.strip()
            body = self.rfile.read(int(fields.get("content-length", 0)))
            note(kind=self.kind, address=here, host=fields.get("host", ""), request=line.decode().strip(), body=body.decode(),
                 fields=fields)
            if line.split()[1] == b"/never":
                try:
                    has_left = not self.rfile.read(1)
                except OSError:
                    has_left = True  # reset
                if has_left:
                    note(kind="left")
                return
            if line.split()[1].startswith(b"/to/"):
                self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: http://" + line.split()[1][4:] + b"/\r\nContent-Length: 0\r\n\r\n")
                return
            if line.split()[1] == b"/part":  # of an answer that does not say where it ends
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
                self.connection.shutdown(socket.SHUT_WR)  # of TLS without its goodbye
                while self.connection.recv(4096):  # to close before would take back what was sent
                    pass
                return
            size = int(line.split()[1][1:]) if line.split()[1][1:].isdigit() else 0
            text = b"x" * size or f"{here} {fields.get('host', '')} {line.decode().split()[1]}".encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            if fields.get("connection") == "close":
                return


class Https(Http):
    kind = "tls"

    def setup(self):
        self.request = CONTEXT.wrap_socket(self.request, server_side=True)
        super().setup()


class Raw(socketserver.StreamRequestHandler):
    """Says where it is, then echoes."""

    def handle(self):
        here = self.connection.getsockname()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # many that nobody reads do not fill the machine
        note(kind="raw", address=here[0], port=here[1])
        self.wfile.write(here[0].encode() + b"\n")
        while octets := self.connection.recv(65536):
            self.wfile.write(octets)


class Late(socketserver.BaseRequestHandler):
    """Says where it is and that this was all, and what it then gets is `n`, never to read on, or what it reads after a while."""

    def handle(self):
        here = self.request.getsockname()[0]
        self.request.sendall(here.encode() + b"\n")
        self.request.shutdown(socket.SHUT_WR)
        if self.request.recv(1, socket.MSG_PEEK) == b"n":
            threading.Event().wait()
        time.sleep(1)  # meanwhile all has been said on the other side
        size = 0
        try:
            while octets := self.request.recv(65536):
                size += len(octets)
        except OSError:
            size = -1
        note(kind="late", octets=size)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        pass  # a client that goes is none of its business


def serve():
    clone_newnet = 0x40000000
    ctypes.CDLL(None).unshare(clone_newnet)
    print(flush=True)
    sys.stdin.readline()
    ip("link", "set", "lo", "up")
    ip("link", "set", "wan", "up")
    ip("addr", "add", f"{GOOD}/24", "dev", "wan")
    for address in [OTHER, *INSIDE]:
        ip("addr", "add", f"{address}/32", "dev", "wan")
    servers = [socketserver.ThreadingUDPServer((GOOD, 53), Names), Server(("", 80), Http), Server(("", 443), Https),
               Server(("", RAW), Raw), Server(("", LATE), Late), Server(("", 8443), Https), Server(("", 8080), Http)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(flush=True)
    signal.pause()


if __name__ == "__main__":
    LOG = sys.argv[1]
    open(LOG, "w", encoding="utf8").close()
    CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CONTEXT.load_cert_chain(sys.argv[2])
    serve()
