"""Servers that run inside a sandbox: started there as `python3 - NAME PORT`, with this file as stdin."""
import base64
import hashlib
import http.server
import os
import socket
import socketserver
import struct
import sys
import threading
import time
import urllib.parse

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OCTETS = bytes(range(256)) * 256


class Web(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; some paths do more."""
    protocol_version = "HTTP/1.1"
    go = threading.Semaphore(0)

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece

    def answer(self, text, status=200, **headers):
        octets = text if isinstance(text, bytes) else text.encode()
        self.send_response(status)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), one)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)

    def chunk(self, octets):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(octets), octets))
        self.wfile.flush()

    def begin_chunks(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def handle_any(self):
        path = self.path.split("?")[0]
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.web_socket()
        if path == "/count":
            digest, size = hashlib.sha256(), 0
            for piece in self.body():
                digest.update(piece)
                size += len(piece)
            return self.answer(f"{size} {digest.hexdigest()}")
        if path == "/echo":  # as it comes
            self.begin_chunks("application/octet-stream")
            for piece in self.body():
                self.chunk(piece)
            return self.wfile.write(b"0\r\n\r\n")
        if path == "/refuse":  # before it has read anything
            self.close_connection = True
            return self.answer("too much", 413, Connection="close")
        for _ in self.body():
            pass
        if path == "/large":
            size = int(self.path.split("=")[1])
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            while size > 0:
                size -= self.wfile.write(OCTETS[:min(size, len(OCTETS))])
        elif path == "/events":
            self.begin_chunks("text/event-stream")
            for i in range(3):
                self.chunk(b"data: %d\n\n" % i)
                self.go.acquire()  # it has been read
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/go":
            self.go.release()
            self.answer("")
        elif path == "/for-ever":
            self.begin_chunks("text/event-stream")
            while True:
                self.chunk(b"data: on\n\n")
                time.sleep(0.1)
        elif path == "/dies":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            os._exit(1)
        elif path == "/dies-in-chunks":
            self.begin_chunks("text/plain")
            self.chunk(b"x" * 1000)
            os._exit(1)
        elif path == "/until-close":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"until the end")
            self.close_connection = True
        elif path == "/cookies":
            self.answer("two", Set_Cookie=["a=1; Path=/", "b=2"], Clear_Site_Data='"cookies"',
                        Strict_Transport_Security="max-age=1", Service_Worker_Allowed="/", Keep_Alive="timeout=5",
                        Content_Security_Policy="default-src *", Access_Control_Allow_Origin="*", X_Own="kept")
        elif path == "/redirect":
            self.answer("", 307, Location=urllib.parse.unquote(self.path.split("=", 1)[1]))
        elif path == "/stalls":
            self.begin_chunks("text/plain")
            self.chunk(b"begun")
            time.sleep(3600)
        elif path == "/nothing":
            self.send_response(204)
            self.end_headers()
        elif path == "/unchanged":
            self.send_response(304)
            self.send_header("ETag", '"1"')
            self.end_headers()
        elif path == "/page":
            self.answer("<html><body><h1 id=t>waiting</h1><script>t.textContent='it runs'</script></body></html>",
                        Content_Type="text/html")
        else:
            self.answer(f"{self.command} {self.path}\n{self.headers}", X_Server="inside")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do_PROPFIND = handle_any

    def web_socket(self):
        """Echoes frames of less than 126 octets, until there are no more."""
        self.close_connection = True
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode()).digest())
        # The first message is there before the client has said anything.
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x81\x07welcome")
        while len(head := self.rfile.read(2)) == 2:
            size = head[1] & 127
            if size == 126:
                size = struct.unpack(">H", self.rfile.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.rfile.read(8))[0]
            mask = self.rfile.read(4)
            data = self.rfile.read(size)
            long = data if not any(mask) else bytes(o ^ mask[i % 4] for i, o in enumerate(data))
            length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
            self.wfile.write(bytes([head[0]]) + length + long)
            if head[0] & 15 == 8:
                return


class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True


def web(port):
    Threads(("127.0.0.1", port), Web).serve_forever()


def web6(port):
    class Six(Threads):
        address_family = socket.AF_INET6
    Six(("::1", port), Web).serve_forever()


def accept_all(port, serve):
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def saying(octets, then_close=True):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(octets)
        if then_close:
            connection.close()
        else:
            time.sleep(3600)
    return lambda port: accept_all(port, serve)


def endless_interims(port):
    """Never comes to its answer, and never stops."""
    def serve(connection):
        connection.recv(65536)
        while True:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
    accept_all(port, serve)


def echo(port):
    """Octets as they come, to the end of the sender's half."""
    def serve(connection):
        while octets := connection.recv(65536):
            connection.sendall(octets)
        connection.sendall(b"end")
        connection.close()
    accept_all(port, serve)


def deaf(port):
    """Listens and never accepts; nor does the next port, which says that the queue is full."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(0)
    keep = []
    for _ in range(3):  # its queue is full
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        keep.append(client)
    keep.append(socket.create_server(("127.0.0.1", port + 1)))
    time.sleep(3600)


SERVERS = {
    "web": web, "web6": web6, "echo": echo, "deaf": deaf,
    "endless-interims": endless_interims,
    "silent": saying(b"", then_close=False),
    "closes": saying(b""),
    "garbage": saying(b"\x00\x01\x02 no HTTP at all\r\n\r\n"),
    "huge-header": saying(b"HTTP/1.1 200 OK\r\n" + b"X-Pad: " + b"x" * 200_000 + b"\r\n\r\n"),
    "many-headers": saying(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n"),
    "endless-header": saying(b"HTTP/1.1 200 OK\r\nX-Pad: ", then_close=False),
    "switches": saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    "lies-short": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"),
    "lies-long": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour and HTTP/1.1 200 OK\r\n\r\n"),
    "two-lengths": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nfour and more"),
    "both-framings": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"),
    "bad-chunks": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nzz\r\n"),
    "splits": saying(b"HTTP/1.1 200 OK\r\nX-A: b\rX-Injected: c\r\nContent-Length: 2\r\n\r\nok"),
    "interim": saying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))
