"""What the unit tests share: a server that does exactly what a test says, on a free port of this machine."""
import json
import pathlib
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import lm_sandbox


class Exchange:
    """One connection of a client, as the server has it."""

    def __init__(self, connection):
        self.socket = connection
        self.file = connection.makefile("rb")

    def head(self):
        """Reads the head of a request: its first line and its fields. None: the client has gone."""
        line = self.file.readline().decode().strip()
        if not line:
            return None
        fields = {}
        while field := self.file.readline().decode().strip():
            name, _, value = field.partition(": ")
            fields[name.lower()] = value
        return line, fields

    def request(self):
        """Reads a whole request; returns its first line, fields and body. None: the client has gone."""
        head = self.head()
        if head is None:
            return None
        line, fields = head
        if fields.get("transfer-encoding") == "chunked":
            return line, fields, b"".join(self.chunks())
        size = int(fields.get("content-length", 0))
        body = self.file.read(size)
        return (line, fields, body) if len(body) == size else None

    def chunks(self):
        while size := int(self.file.readline(), 16):
            yield self.file.read(size)
            self.file.readline()
        self.file.readline()

    def send(self, octets):
        self.socket.sendall(octets)

    def answer(self, fields, status="200 OK", more=""):
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """Calls `serve(exchange, number)` for each connection, in a thread of its own; closes it when that returns."""

    def __init__(self, serve, port=0):
        self.serve = serve
        self.connections = 0
        self.failures = []
        self.threads = []
        self.listening = socket.create_server(("127.0.0.1", port))
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            thread = threading.Thread(target=self.carry_out, args=(Exchange(connection), number))
            self.threads.append(thread)
            thread.start()

    def carry_out(self, exchange, number):
        try:
            self.serve(exchange, number)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone, as some tests want
        except Exception as error:
            self.failures.append(error)
        finally:
            exchange.close()

    def close(self):
        if self.listening.fileno() >= 0:
            self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
        self.accepting.join()
        for thread in self.threads:
            thread.join()


class ServerTest(unittest.TestCase):
    def serve(self, serve, **options):
        """A client of a server that does this."""
        self.server = Server(serve)
        client = lm_sandbox.Client(self.server.url, api_key="", **options)
        self.addCleanup(self.no_failures)
        self.addCleanup(self.server.close)
        self.addCleanup(client.abort)
        return client

    def no_failures(self):
        self.assertEqual(self.server.failures, [])


def verdict(stdout="", **more):
    """A result as the daemon writes it."""
    return {"outcome": "exited", "exit_code": 0, "stdout": stdout, "stderr": "", "files": {}, **more}


def refusal(code, message="refused", hint=None):
    return {"error": {"code": code, "message": message, "cause": None, "hint": hint, "retryable": True}}


def info(id):
    return lm_sandbox.SandboxInfo(id)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it never came true")
        time.sleep(0.001)
