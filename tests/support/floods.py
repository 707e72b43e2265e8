"""Strangers at the daemon's door: connections that hardly move, and requests that are refused. The tests (test_floods.py) and
the figures (bench/faults.py) send them."""
import contextlib
import resource
import socket
import time

HEAD = b"GET /v1/info HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
PAGES = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
# What each begins with; those of a head and a body send an octet a second then.
SLOW = {"head": HEAD, "body": BODY, "silent": b"", "unread": PAGES}

NO_KEY = b"lmsb_" + b"0" * 40
JSON = b"Host: localhost\r\nContent-Type: application/json\r\n"
# Status -> a request that gets it, from root on this machine.
REFUSED = {
    401: b"GET /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + NO_KEY + b"\r\n\r\n",
    403: b"POST /run-bash/ HTTP/1.1\r\n" + JSON + b"Origin: https://evil.example\r\nContent-Length: 14\r\n\r\n{\"cmd\":\"true\"}",
    404: b"GET /v1/sandboxes/nobody HTTP/1.1\r\nHost: localhost\r\n\r\n",
    413: b"POST /v1/run HTTP/1.1\r\n" + JSON + b"Content-Length: 1000000000\r\n\r\n"}


def allow_descriptors(count):
    """For as many sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))


class SlowConnections:
    """So many of each kind at once. tick() is to be called about once a second."""

    def __init__(self, daemon, **counts):
        allow_descriptors(sum(counts.values()) + 512)
        self.begin, self.open, self.ended, self.heard = time.monotonic(), {}, {kind: [] for kind in counts}, {}
        for kind, count in counts.items():
            for _ in range(count):
                connection = socket.socket()
                if kind == "unread":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(30)
                connection.connect((daemon.host, daemon.port))
                connection.sendall(SLOW[kind])
                connection.setblocking(False)
                self.open[connection] = kind

    def tick(self):
        for connection, kind in list(self.open.items()):
            if self.has_ended(connection, kind):
                self.ended[kind].append(time.monotonic() - self.begin)
                connection.close()
                del self.open[connection]

    def has_ended(self, connection, kind):
        try:
            if kind == "unread":  # it reads nothing: an error is how it hears of the end
                return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or state(connection) != 1
            if kind in ("head", "body"):
                connection.send(b"x")
            octets = connection.recv(4096)
            if octets:
                status = int(octets.split()[1])
                self.heard[kind, status] = self.heard.get((kind, status), 0) + 1
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self):
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.close()
        self.open = {}


def state(connection):
    """TCP's: 1 is established."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
