"""Connections: what is sent again and what never, and that nothing half is taken for whole."""
import select
import socket
import struct
import threading
import unittest

import support
from lm_sandbox import AnswerTimeout, Cancelled, Client, ConnectionFailed, Error, NotFound

LARGE = 32 << 20  # more than the sockets between client and server hold


def idle_socket(client):
    (_, connection), = client._pool._idle
    return connection.socket


def reset(exchange):
    """The connection's end, without a word and at once."""
    exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Reuse(support.ServerTest):
    def test_a_connection_is_used_again_once_its_answer_is_read(self):
        def serve(exchange, number):
            while exchange.request():
                exchange.answer({"connection": number})

        client = self.serve(serve)
        self.assertEqual([client.call("GET", "/")["connection"] for _ in range(3)], [0, 0, 0])
        first, second = client.open("GET", "/"), client.open("GET", "/")
        self.assertEqual((first.read(), second.read()), (b'{"connection": 0}', b'{"connection": 1}'))

    def test_one_that_was_closed_meanwhile_is_replaced(self):
        def serve(exchange, number):
            exchange.request()
            exchange.answer({"connection": number})

        client = self.serve(serve)
        client.call("POST", "/", {})
        select.select([idle_socket(client)], [], [])  # its end is here
        self.assertEqual(client.call("POST", "/", {}), {"connection": 1})

    def test_one_that_was_not_read_to_its_end_is_not_used_again(self):
        def serve(exchange, number):
            exchange.request()
            exchange.answer(b"x" * 1000 + b"%d" % number)
            exchange.request()

        client = self.serve(serve)
        with client.open("GET", "/") as answer:
            pieces = answer.pieces(10)
            next(pieces)
        self.assertRaises(Cancelled, next, pieces)
        self.assertTrue(client.open("GET", "/").read().endswith(b"1"))

    def test_a_process_that_was_forked_has_connections_of_its_own(self):
        def serve(exchange, number):
            while exchange.request():
                exchange.answer({"connection": number})

        client = self.serve(serve)
        client.call("GET", "/")
        client._pool._process = 0  # as in a child
        self.assertEqual(client.call("GET", "/"), {"connection": 1})

    def test_the_request_is_what_the_daemon_wants(self):
        def serve(exchange, _):
            line, fields, body = exchange.request()
            exchange.answer({"line": line, "body": body.decode(), **fields})

        self.serve(serve)
        client = Client(self.server.url + "/base/", api_key="secret")
        self.addCleanup(client.abort)
        seen = client.call("POST", "/x", {"a": "\u20ac"}, query={"q": "a b&c"})
        self.assertEqual(seen["line"], "POST /base/x?q=a%20b%26c HTTP/1.1")
        self.assertEqual((seen["body"], seen["content-type"]), ('{"a":"\u20ac"}', "application/json"))
        self.assertEqual((seen["authorization"], seen["host"]), ("Bearer secret", client.address.authority))
        self.assertNotIn("secret", repr(client))
        self.assertRaises(Error, client.call, "POST", "/x", {"a": "\udcff"})


class Breaks(support.ServerTest):
    def serve_second(self, second, **options):
        """A client with a connection that has been used; `second` is what its next request meets."""
        seen = []

        def serve(exchange, number):
            if number > 0:
                request = exchange.request()
                if request:
                    seen.append(request[0])
                    exchange.answer({"connection": number})
                return
            exchange.request()
            exchange.answer({})
            second(exchange, seen)

        client = self.serve(serve, **options)
        client.call("GET", "/first")
        return client, seen

    def read_and_close(self, exchange, seen):
        seen.append(exchange.request()[0])

    def test_a_command_that_may_have_run_is_not_sent_again(self):
        client, seen = self.serve_second(self.read_and_close)
        with self.assertRaises(ConnectionFailed) as caught:
            client.call("POST", "/v1/run", {"cmd": "x"})
        self.assertTrue(caught.exception.may_have_run)
        self.assertEqual(seen, ["POST /v1/run HTTP/1.1"])

    def test_a_look_is_sent_again(self):
        client, seen = self.serve_second(self.read_and_close)
        self.assertEqual(client.call("GET", "/x"), {"connection": 1})
        self.assertEqual(seen, ["GET /x HTTP/1.1"] * 2)

    def test_a_request_that_cannot_have_come_whole_is_sent_again(self):
        def second(exchange, _):
            exchange.head()
            reset(exchange)

        client, seen = self.serve_second(second)
        self.assertEqual(client.call("POST", "/x", body=bytes(LARGE)), {"connection": 1})
        self.assertEqual(len(seen), 1)

    def test_a_file_of_which_a_part_may_be_written_is_not_sent_again(self):
        def second(exchange, _):
            exchange.head()
            reset(exchange)

        for body in (bytes(LARGE), iter([bytes(LARGE)])):
            client, seen = self.serve_second(second)
            with self.assertRaises(ConnectionFailed) as caught:
                client.call("PUT", "/x", query={"append": "true"}, body=body)
            self.assertTrue(caught.exception.may_have_run)
            self.assertEqual(seen, [])
            self.doCleanups()

    def test_a_fresh_connection_that_breaks_is_an_error_at_once(self):
        client = self.serve(lambda exchange, _: exchange.request())
        self.assertRaises(ConnectionFailed, client.call, "GET", "/")
        self.assertEqual(self.server.connections, 1)

    def test_nobody_there_is_an_error_that_says_what_to_do(self):
        client = self.serve(lambda exchange, _: None)
        self.server.close()
        with self.assertRaises(ConnectionFailed) as caught:
            client.call("POST", "/v1/run", {})
        self.assertFalse(caught.exception.may_have_run)
        self.assertIn("lm-sandbox serve", str(caught.exception))

    def test_an_answer_that_is_cut_off_is_an_error(self):
        for head, body in ((b"Content-Length: 100", b'{"a":1}'), (b"Transfer-Encoding: chunked", b'7\r\n{"a":1}\r\n'),
                           (b"Transfer-Encoding: chunked", b'70\r\n{"a":1}')):
            def serve(exchange, _):
                exchange.request()
                exchange.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)

            client = self.serve(serve)
            with self.assertRaises(ConnectionFailed):
                client.call("GET", "/")
            with self.assertRaises(ConnectionFailed), client.open("GET", "/") as answer:
                list(answer.pieces(3))
            self.doCleanups()

    def test_what_is_no_http_or_no_json_is_an_error(self):
        for octets in (b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"):
            def serve(exchange, _):
                exchange.head()
                exchange.send(octets)

            client = self.serve(serve)
            self.assertRaises(ConnectionFailed, client.call, "GET", "/")
            self.doCleanups()

    def test_no_answer_in_time_closes_the_connection(self):
        gone = threading.Event()

        def serve(exchange, _):
            exchange.request()
            exchange.request()
            gone.set()

        client = self.serve(serve, patience=0.05)
        with self.assertRaises(AnswerTimeout) as caught:
            client.call("POST", "/", {})
        self.assertTrue(caught.exception.may_have_run)
        self.assertTrue(gone.wait(30))

    def test_an_abort_ends_the_wait_of_another_thread(self):
        def serve(exchange, _):
            exchange.request()
            aborting.start()
            exchange.request()

        client = self.serve(serve)
        aborting = threading.Thread(target=client.abort)
        self.assertRaises(Cancelled, client.call, "POST", "/", {})
        self.assertRaises(Cancelled, client.call, "GET", "/")
        aborting.join()


class Uploads(support.ServerTest):
    def test_a_body_goes_out_as_it_is_made(self):
        pieces = []

        def serve(exchange, _):
            exchange.head()
            for piece in exchange.chunks():
                pieces.append(piece)
                taken.release()
            exchange.answer({})

        taken = threading.Semaphore(0)

        def body():
            for i in range(3):
                yield b"%d" % i
                self.assertTrue(taken.acquire(timeout=30))  # it is there before the next is made

        self.serve(serve).call("PUT", "/", body=body())
        self.assertEqual(pieces, [b"0", b"1", b"2"])

    def test_a_refusal_in_the_middle_of_the_body_is_heard(self):
        def serve(exchange, _):
            exchange.head()
            exchange.answer(support.refusal("file_not_found"), "404 Not Found", "Connection: close\r\n")
            exchange.socket.shutdown(socket.SHUT_WR)
            for _ in range(3):
                exchange.file.read(1 << 20)  # as the daemon does, a moment longer

        def endless():
            while True:
                yield bytes(1 << 20)

        self.assertRaises(NotFound, self.serve(serve).call, "PUT", "/", body=endless())

    def test_a_source_that_fails_is_the_callers_error_and_leaves_the_body_without_end(self):
        cut_off = threading.Event()

        def serve(exchange, _):
            exchange.head()
            try:
                list(exchange.chunks())
            except ValueError:
                cut_off.set()

        def failing():
            yield b"x"
            raise OSError("the disk is broken")

        client = self.serve(serve)
        with self.assertRaisesRegex(OSError, "the disk is broken"):
            client.call("PUT", "/", body=failing())
        self.assertTrue(cut_off.wait(30))


if __name__ == "__main__":
    unittest.main()
