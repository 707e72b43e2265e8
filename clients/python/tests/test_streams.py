"""Event streams, cut into pieces anywhere."""
import json
import threading
import unittest

import support
from lm_sandbox import Cancelled, ConnectionFailed, Ended, Error, Output, Started
from lm_sandbox.events import CommandStream, parse_event
from lm_sandbox.streams import LineDecoder, SseDecoder, decoder_of


def decode(decoder, pieces):
    return [text for piece in pieces for text in decoder.feed(piece)]


def cut_everywhere(text):
    """The text in one piece, octet by octet, and in two pieces in every way."""
    yield [text]
    yield [text[i:i + 1] for i in range(len(text))]
    yield from ([text[:i], text[i:]] for i in range(len(text)))


class Decoders(unittest.TestCase):
    def test_lines_are_events_however_they_are_cut(self):
        for pieces in cut_everywhere(b'{"a":1}\n\n{"b":"\xe2\x82\xac"}\n'):
            self.assertEqual(decode(LineDecoder(), pieces), [b'{"a":1}', b'{"b":"\xe2\x82\xac"}'])

    def test_server_sent_events_are_their_data_lines_however_they_are_cut(self):
        for end in (b"\n", b"\r\n", b"\r"):
            text = b': keep-alive\n\nevent: x\nid: 1\ndata: {"a":\ndata:1}\n\ndata: {}\n\n\n'.replace(b"\n", end)
            for pieces in cut_everywhere(text + b"x"):  # what follows shows that a last \r is the end of a line
                self.assertEqual(decode(SseDecoder(), pieces), [b'{"a":\n1}', b"{}"], pieces)

    def test_an_event_that_is_not_whole_is_none(self):
        self.assertEqual(decode(LineDecoder(), [b'{"a":1}']), [])
        self.assertEqual(decode(SseDecoder(), [b"data: {}\n"]), [])

    def test_an_event_without_end_is_refused_before_it_fills_the_memory(self):
        for decoder in (LineDecoder(), SseDecoder()):
            with self.assertRaises(ConnectionFailed):
                decode(decoder, [b"data: " + bytes(8 << 20)] * 3)

    def test_the_content_type_says_which_it_is(self):
        self.assertIsInstance(decoder_of("text/event-stream; charset=utf-8"), SseDecoder)
        self.assertIsInstance(decoder_of("application/x-ndjson"), LineDecoder)


class Events(unittest.TestCase):
    def test_each_kind_has_its_class(self):
        self.assertEqual(parse_event({"type": "started", "process": {"pid": 7}}), Started(7))
        self.assertEqual(parse_event({"type": "stdout", "offset": 3, "text": "x"}), Output("stdout", 3, b"x"))
        self.assertEqual(parse_event({"type": "stderr", "offset": 0, "base64": "//4="}).text, "\ufffd\ufffd")
        ended = parse_event({"type": "result", "outcome": "exited", "exit_code": 3, "a_new_field": 1})
        self.assertEqual((type(ended), ended.result.exit_code), (Ended, 3))

    def test_a_kind_that_is_not_known_is_passed_over(self):
        self.assertIsNone(parse_event({"type": "of the future"}))


class Streams(support.ServerTest):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def stream(self, *events, end=b"0\r\n\r\n"):
        def serve(exchange, _):
            exchange.request()
            exchange.send(self.head)
            for event in events:
                text = b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"
                exchange.send(b"%x\r\n%s\r\n" % (len(text), text))
            exchange.send(end)
            exchange.request()  # until the client goes

        client = self.serve(serve)
        stream = CommandStream(client.events("POST", "/v1/run", {}))
        self.addCleanup(stream.close)
        return stream

    def test_the_last_event_is_the_result(self):
        stream = self.stream({"type": "stdout", "offset": 0, "text": "x"}, {"type": "result", "outcome": "exited"})
        self.assertRaises(Error, getattr, stream, "result")
        self.assertEqual(len(list(stream)), 2)
        self.assertEqual(stream.wait().outcome, "exited")

    def test_an_answer_that_ends_without_a_result_is_an_error(self):
        stream = self.stream({"type": "stdout", "offset": 0, "text": "x"})
        self.assertEqual(next(stream).text, "x")
        self.assertRaises(ConnectionFailed, next, stream)

    def test_what_is_no_json_is_an_error(self):
        self.assertRaises(ConnectionFailed, next, self.stream(b"{"))
        self.assertRaises(ConnectionFailed, next, self.stream(b"[]"))

    def test_one_that_is_closed_while_a_thread_waits_for_it_ends_with_cancelled(self):
        stream = self.stream({"type": "stdout", "offset": 0, "text": "x"}, end=b"")
        self.assertEqual(next(stream).text, "x")
        closing = threading.Thread(target=stream.close)  # before, or while this waits
        closing.start()
        self.assertRaises(Cancelled, next, stream)
        closing.join()


if __name__ == "__main__":
    unittest.main()
