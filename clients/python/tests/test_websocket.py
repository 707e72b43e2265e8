"""WebSockets and the terminals on them: frames in every size, and connections that break."""
import base64
import hashlib
import json
import socket
import struct
import threading
import unittest

import support
from lm_sandbox import Cancelled, ConnectionFailed, Error, NotFound, TerminalClosed
from lm_sandbox import websocket
from lm_sandbox.process import Process, ProcessInfo
from lm_sandbox.websocket import Message, WebSocket

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(kind, data, is_last=True):
    """As a server sends it: not masked."""
    size = len(data)
    head = bytes([(0x80 if is_last else 0) | kind])
    if size < 126:
        return head + bytes([size]) + data
    if size < 65536:
        return head + b"\x7e" + struct.pack(">H", size) + data
    return head + b"\x7f" + struct.pack(">Q", size) + data


def read_frame(file):
    """What a client sent: its kind and its octets. None: it has gone."""
    head = file.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size >= 126:
        size = int.from_bytes(file.read(2 if size == 126 else 8), "big")
    mask = file.read(4)
    assert head[1] & 0x80, "a client masks what it sends"
    return head[0] & 0x0F, bytes(octet ^ mask[i % 4] for i, octet in enumerate(file.read(size)))


class Pair(unittest.TestCase):
    def setUp(self):
        ours, self.theirs = socket.socketpair()
        self.file = self.theirs.makefile("rb")
        self.socket = WebSocket(ours)
        self.addCleanup(self.theirs.close)
        self.addCleanup(self.file.close)
        self.addCleanup(self.socket.close)

    def test_messages_of_every_size_of_head_go_both_ways(self):
        for size in (0, 1, 125, 126, 65535, 65536, 200000):
            data = bytes(i % 251 for i in range(size))
            sending = threading.Thread(target=self.socket.send, args=(data,))
            sending.start()
            self.assertEqual(read_frame(self.file), (BINARY, data), size)
            sending.join()
            sending = threading.Thread(target=self.theirs.sendall, args=(frame(BINARY, data),))
            sending.start()
            self.assertEqual(self.socket.read(), Message(data), size)
            sending.join()

    def test_frames_that_come_octet_by_octet_are_whole(self):
        whole = frame(TEXT, b"one") + frame(BINARY, b"x" * 300)

        def send():
            for i in range(len(whole)):
                self.theirs.sendall(whole[i:i + 1])

        sending = threading.Thread(target=send)
        sending.start()
        self.assertEqual([self.socket.read(), self.socket.read()], [Message(b"one", True), Message(b"x" * 300)])
        sending.join()

    def test_parts_are_put_together_and_pings_between_them_answered(self):
        self.theirs.sendall(frame(TEXT, b"he", False) + frame(PING, b"there?") + frame(0, b"llo") + frame(PONG, b""))
        self.assertEqual(self.socket.read(), Message(b"hello", True))
        self.assertEqual(read_frame(self.file), (PONG, b"there?"))

    def test_a_wait_that_is_over_can_be_taken_up_again(self):
        self.theirs.sendall(frame(BINARY, b"ab")[:3])
        self.assertRaises(TimeoutError, self.socket.read, 0)
        self.theirs.sendall(b"b")
        self.assertEqual(self.socket.read(), Message(b"ab"))

    def test_a_goodbye_is_answered_and_told(self):
        self.theirs.sendall(frame(CLOSE, struct.pack(">H", 4001) + b"taken"))
        self.assertIsNone(self.socket.read())
        self.assertEqual((self.socket.close_code, self.socket.close_reason), (4001, "taken"))
        self.assertEqual(read_frame(self.file), (CLOSE, struct.pack(">H", 4001)))
        self.assertTrue(self.socket.has_lost_its_peer())

    def test_one_that_is_closed_here_says_so_to_who_reads_even_where_the_other_end_is_quicker(self):
        def read():
            try:
                self.socket.read()
            except Exception as error:
                failures.append(error)

        class Quick(socket.socket):
            """Its other end has gone, and the reader has seen that, before a goodbye is sent to its end."""

            def sendall(self, data):
                super().sendall(data)
                theirs.close()
                reader.join()

        failures, reader = [], threading.Thread(target=read)
        ours, theirs = socket.socketpair()
        self.socket = WebSocket(Quick(fileno=ours.detach()))
        reader.start()
        self.socket.close()
        self.assertEqual([type(failure) for failure in failures], [Cancelled])

    def test_an_end_without_a_goodbye_is_an_error(self):
        self.theirs.sendall(frame(BINARY, b"whole") + frame(BINARY, b"half")[:4])
        self.file.close()
        self.theirs.close()
        self.assertEqual(self.socket.read(), Message(b"whole"))
        self.assertRaises(ConnectionFailed, self.socket.read)
        self.assertRaises(ConnectionFailed, self.socket.send, b"x")

    def test_what_no_server_may_send_ends_it(self):
        for octets in (b"\x82\x81\0\0\0\0x", b"\xc2\x01x", frame(0, b"x"), frame(3, b"x"), frame(PING, b"x" * 126),
                       frame(PING, b"", False), b"\x82\x7f" + struct.pack(">Q", websocket.MAX_MESSAGE + 1)):
            ours, theirs = socket.socketpair()
            with theirs:
                opened = WebSocket(ours)
                theirs.sendall(octets)
                self.assertRaises(ConnectionFailed, opened.read, 30)

    def test_a_message_without_end_is_refused_before_it_fills_the_memory(self):
        def send():
            try:
                self.theirs.sendall(frame(TEXT, b"", False))
                while True:
                    self.theirs.sendall(frame(0, bytes(1 << 20), False))
            except OSError:
                pass  # the client has gone

        sending = threading.Thread(target=send)
        sending.start()
        self.assertRaises(ConnectionFailed, self.socket.read)
        self.theirs.shutdown(socket.SHUT_RDWR)
        sending.join()

    def test_one_that_is_closed_while_a_thread_waits_for_it_ends_with_cancelled(self):
        closing = threading.Thread(target=self.socket.close)
        closing.start()
        self.assertRaises(Cancelled, self.socket.read)
        closing.join()
        self.assertEqual(read_frame(self.file), (CLOSE, struct.pack(">H", 1000)))
        self.assertRaises(Cancelled, self.socket.send, b"x")


class Terminals(support.ServerTest):
    """What `serve` is given for each connection: a Shown, which is the daemon's end of a terminal."""

    class Shown:
        def __init__(self, exchange, query):
            self.exchange, self.query = exchange, query

        def show(self, data):
            self.exchange.send(frame(BINARY, data))

        def tell(self, fields):
            self.exchange.send(frame(TEXT, json.dumps(fields).encode()))

        def close(self, code, reason=b""):
            self.exchange.send(frame(CLOSE, struct.pack(">H", code) + reason))

        def typed(self):
            return read_frame(self.exchange.file)

    def terminal(self, *connections, status=None, **options):
        """A terminal that connects to each of these in turn."""
        self.queries = []

        def serve(exchange, number):
            line, fields = exchange.head()
            self.queries.append(line.split()[1])
            if status and number in status:
                return exchange.answer(support.refusal(status[number]), "404 Not Found")
            key = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() +
                                                b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
            exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          b"Sec-WebSocket-Accept: " + key.encode() + b"\r\n\r\n" +
                          frame(TEXT, b'{"type":"started","process":{}}'))  # what comes at once is not lost
            connections[number](self.Shown(exchange, self.queries[-1]))

        self.client = self.serve(serve)
        process = Process(self.client, "/v1/sandboxes/a", ProcessInfo("prc_1"))
        terminal = process.terminal(**options)
        self.addCleanup(terminal.close)
        return terminal

    def test_what_is_shown_and_typed_goes_both_ways_to_the_end(self):
        def echo(shown):
            shown.show(b"$ ")
            shown.show(shown.typed()[1].upper())
            self.resized = shown.typed()
            shown.tell({"type": "result", "outcome": "exited", "exit_code": 3})
            shown.close(1000)
            shown.typed()

        terminal = self.terminal(echo, cols=100, rows=30)
        self.assertEqual(terminal.read(), b"$ ")
        terminal.write("ls\n")
        self.assertEqual(terminal.read_until("LS"), "LS")
        terminal.resize(120, 40)
        self.assertEqual((b"".join(terminal), terminal.read(), terminal.result.exit_code), (b"\n", b"", 3))
        self.assertEqual(self.resized, (TEXT, b'{"type": "resize", "cols": 120, "rows": 40}'))
        self.assertEqual(self.queries, ["/v1/sandboxes/a/pty?process=prc_1&offset=0&cols=100&rows=30"])

    def test_a_connection_that_breaks_is_opened_again_where_it_stopped(self):
        def lose(shown):
            shown.show(b"abc")

        def go_away(shown):
            shown.show(b"de")
            shown.close(1001, b"the daemon ends")

        def finish(shown):
            shown.show(b"f")
            shown.tell({"type": "result", "outcome": "exited", "exit_code": 0})
            shown.typed()

        terminal = self.terminal(lose, go_away, finish, offset=7)
        self.assertEqual(b"".join(terminal), b"abcdef")
        self.assertEqual([query.partition("offset=")[2] for query in self.queries], ["7", "10", "12"])
        self.assertEqual((terminal.result.ok, terminal.offset), (True, 13))

    def test_what_is_typed_into_a_connection_that_has_ended_goes_through_a_fresh_one(self):
        def lose(shown):
            shown.exchange.socket.shutdown(socket.SHUT_RDWR)

        def take(shown):
            shown.show(shown.typed()[1])
            shown.typed()

        terminal = self.terminal(lose, take)
        support.wait_until(terminal._socket.has_lost_its_peer)
        terminal.write("typed")
        self.assertEqual(terminal.read(30), b"typed")

    def test_one_that_somebody_else_took_stays_theirs(self):
        terminal = self.terminal(lambda shown: (shown.close(4001, b"somebody else"), shown.typed()))
        with self.assertRaises(TerminalClosed) as caught:
            terminal.read()
        self.assertEqual((caught.exception.code, str(caught.exception)), ("terminal_taken", "somebody else"))
        self.assertEqual(len(self.queries), 1)

    def test_a_process_that_is_gone_when_it_is_opened_again_is_an_error(self):
        terminal = self.terminal(lambda shown: None, status={1: "process_not_found"})
        with self.assertRaises(NotFound) as caught:
            terminal.read()
        self.assertEqual(caught.exception.code, "process_not_found")

    def test_what_was_not_found_can_be_read_again(self):
        def show(shown):
            shown.show(b"one ")
            shown.typed()
            shown.tell({"type": "result", "outcome": "exited", "exit_code": 0})
            shown.typed()

        terminal = self.terminal(show)
        self.assertRaises(TimeoutError, terminal.read_until, "two", 0.05)
        self.assertEqual(terminal.read_until("one"), "one")
        terminal.write("x")
        self.assertRaises(Error, terminal.read_until, "two")
        self.assertEqual((terminal.read(), terminal.read()), (b" ", b""))

    def test_an_answer_that_is_no_handshake_is_an_error(self):
        for answer in (b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", b"what?\r\n\r\n", b"",
                       b"HTTP/1.1 101 Switching Protocols\r\n" + b"x" * (1 << 17)):
            with self.subTest(answer[:40]):
                client = self.serve(lambda exchange, _: (exchange.head(), exchange.send(answer)))
                self.assertRaises(ConnectionFailed, client.web_socket, "/")

    def test_closing_it_wakes_who_reads(self):
        terminal = self.terminal(lambda shown: shown.typed())
        closing = threading.Thread(target=terminal.close)
        closing.start()
        self.assertRaises(Cancelled, terminal.read)
        closing.join()

    def test_aborting_the_client_ends_it(self):
        terminal = self.terminal(lambda shown: shown.typed())
        aborting = threading.Thread(target=self.client.abort)
        aborting.start()
        self.assertRaises(Cancelled, terminal.read)
        aborting.join()


class Tunnels(support.ServerTest):
    def test_octets_go_both_ways_from_the_first_on(self):
        def serve(exchange, _):
            self.line, self.fields = exchange.head()
            exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\n\r\nfirst")
            exchange.send(exchange.file.read(3).upper())

        client = self.serve(serve)
        with client.tunnel("/v1/sandboxes/a/tunnel", {"port": "80"}) as opened:
            opened.sendall(b"abc")
            self.assertEqual(opened.makefile("rb").read(), b"firstABC")
        self.assertEqual((self.line.split()[1], self.fields["upgrade"]), ("/v1/sandboxes/a/tunnel?port=80", "tcp"))

    def test_a_refusal_says_why(self):
        def serve(exchange, _):
            exchange.head()
            exchange.answer(support.refusal("port_not_listening"), "404 Not Found")

        with self.assertRaises(NotFound) as caught:
            self.serve(serve).tunnel("/x")
        self.assertEqual(caught.exception.code, "port_not_listening")


if __name__ == "__main__":
    unittest.main()
