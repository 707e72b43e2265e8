"""A WebSocket client as small as tests need it (RFC 6455): whole messages, no extensions."""
import base64
import hashlib
import json
import os
import socket
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:200]}")
        self.status, self.body = status, body


class WebSocket:
    def __init__(self, host, port, target, headers=None, timeout=60, tls=None):
        """`tls`: an SSLContext, for a server that speaks it."""
        self.socket = socket.create_connection((host, port), timeout=timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.close_code = None
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                  "Sec-WebSocket-Version": "13", **(headers or {})}
        head = f"GET {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket.sendall((head + "\r\n").encode())
        self.file = self.socket.makefile("rb")
        status = int(self.file.readline().split()[1])
        answer = {}
        while line := self.file.readline().strip():
            name, value = line.decode().split(":", 1)
            answer[name.lower()] = value.strip()
        if status != 101:
            raise Refused(status, self.file.read(int(answer.get("content-length", 0))))
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert answer["sec-websocket-accept"] == wanted, answer

    def _frame(self, kind, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | kind])
        head += bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size) if size < 65536 \
            else bytes([0x80 | 127]) + struct.pack(">Q", size)
        self.socket.sendall(head + mask + bytes(octet ^ mask[i % 4] for i, octet in enumerate(data)))

    def type(self, text):
        self._frame(BINARY, text.encode() if isinstance(text, str) else text)

    def say(self, value):
        self._frame(TEXT, json.dumps(value).encode())

    def _read_frame(self):
        head = self.file.read(2)
        if len(head) < 2:
            raise EOFError("the connection ended without a goodbye")
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.file.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.file.read(8))[0]
        return head[0] & 0x0F, bool(head[0] & 0x80), self.file.read(size)

    def read(self):
        """The next message: bytes, a JSON value for a text, None at the end."""
        parts, first = b"", None
        while True:
            kind, is_last, data = self._read_frame()
            if kind == CLOSE:
                self.close_code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                self._frame(CLOSE, data[:2])
                return None
            if kind == PING:
                self._frame(PONG, data)
            elif kind != PONG:
                first, parts = first or kind, parts + data
                if is_last:
                    return json.loads(parts) if first == TEXT else parts

    def read_until(self, text):
        """What the terminal shows until `text` is in it."""
        seen = b""
        while text.encode() not in seen:
            message = self.read()
            if message is None:
                raise AssertionError(f"closed with {self.close_code} before {text!r}: {seen!r}")
            if isinstance(message, bytes):
                seen += message
        return seen.decode(errors="replace")

    def read_result(self):
        while (message := self.read()) is not None:
            if isinstance(message, dict) and message["type"] == "result":
                return message
        raise AssertionError(f"closed with {self.close_code} before the result")

    def drop(self):
        self.file.close()
        self.socket.close()
