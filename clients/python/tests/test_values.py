"""Values: addresses, fields of requests, results, errors, the plan of a back-off."""
import base64
import errno
import pathlib
import pickle
import tempfile
import unittest
from email.message import Message

import support
import lm_sandbox
from lm_sandbox import (ApiError, Backoff, Busy, CommandFailed, ConnectionFailed, Error, InvalidRequest, Limits,
                        NoDaemon, NotFound, Result, TerminalClosed)
from lm_sandbox import fields as f
from lm_sandbox.address import Address
from lm_sandbox.errors import api_error
from lm_sandbox.fileinfo import FileInfo


class Addresses(unittest.TestCase):
    def test_http_https_and_sockets_have_addresses(self):
        for text, authority in (("http://127.0.0.1:8000", "127.0.0.1:8000"), ("https://a.b/base", "a.b"),
                                ("http://[::1]:80", "[::1]"), ("unix:/run/x.sock", "localhost")):
            address = Address.parse(text)
            self.assertEqual(address.authority, authority)
            self.assertEqual(Address.parse(str(address)), address)
        self.assertEqual(Address.parse("unix:///run/x.sock").path, "/run/x.sock")
        self.assertEqual(Address.parse("http://a/b/c//").base, "/b/c")

    def test_anything_else_is_refused_and_says_how_to_write_it(self):
        for text in ("", "127.0.0.1:8000", "ftp://a", "http://", "http://a:0", "http://a:x", "http://u:p@a",
                     "http://a/?q", "unix:", "unix:" + "x" * 108):
            with self.assertRaises(Error, msg=text) as caught:
                Address.parse(text)
            self.assertIn("http://HOST:PORT", str(caught.exception))

    def find(self, environ, **sockets):
        def try_socket(path):
            return sockets.get("user" if path.startswith("/me") else "system", errno.ENOENT)

        return Address.find(environ, try_socket)

    def test_the_variable_comes_first_then_the_users_socket_then_the_systems(self):
        both = {"LM_SANDBOX_HOST": "http://a:1", "XDG_RUNTIME_DIR": "/me"}
        self.assertEqual(str(self.find(both, user=0, system=0)), "http://a:1")
        self.assertEqual(str(self.find({"XDG_RUNTIME_DIR": "/me"}, user=0, system=0)), "unix:/me/lm-sandbox/api.sock")
        self.assertEqual(str(self.find({"XDG_RUNTIME_DIR": "/me"}, user=errno.ECONNREFUSED, system=0)),
                         "unix:/run/lm-sandbox/api.sock")

    def test_without_a_daemon_it_says_what_to_do(self):
        with self.assertRaises(NoDaemon) as caught:
            self.find({})
        self.assertIn("sudo lm-sandbox serve", str(caught.exception))
        with self.assertRaises(NoDaemon) as caught:
            self.find({}, system=errno.EACCES)
        self.assertIn("usermod -aG lm-sandbox", str(caught.exception))


class Requests(unittest.TestCase):
    def test_what_it_may_reach_is_a_word_a_list_of_hosts_or_the_apis_object(self):
        self.assertEqual([f.egress(value) for value in (None, "open", ["a.org", "b"], {"mode": "none"})],
                         [None, {"mode": "open"}, {"mode": "allowlist", "allow": ["a.org", "b"]}, {"mode": "none"}])

    def test_what_is_not_given_is_left_out(self):
        self.assertEqual(f.command("x"), {"cmd": "x"})
        self.assertEqual(f.command(("a", "b"), timeout=0, stdin=b""), {"cmd": ["a", "b"], "timeout_ms": 0, "stdin": ""})

    def test_times_are_rounded_up_to_milliseconds(self):
        self.assertEqual([f.milliseconds(t) for t in (1.1, 0.3, 0.0001, 2)], [1100, 300, 1, 2000])

    def test_octets_that_are_no_text_become_base64(self):
        self.assertEqual(f.data("\u20ac"), "\u20ac")
        self.assertEqual(f.data("\u20ac".encode()), "\u20ac")
        self.assertEqual(f.data(b"\xff"), {"base64": "/w=="})

    def test_a_path_among_the_files_is_a_file_of_this_machine(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\xff")
            file.flush()
            contents = {"a": "text", "b": pathlib.Path(file.name)}
            self.assertEqual(f.files(contents), {"a": "text", "b": {"base64": "/w=="}})

    def test_volumes_are_named_by_where_they_are_inside(self):
        self.assertEqual(f.volumes({"/data": "cache", "/in": "vol_a:ro"}),
                         [{"volume": "cache", "target": "/data", "read_only": False},
                          {"volume": "vol_a", "target": "/in", "read_only": True}])
        self.assertIsNone(f.volumes(None))

    def test_limits_are_a_value_or_a_mapping(self):
        self.assertEqual(f.limits(Limits(cpus=0.5)), {"cpus": 0.5})
        self.assertEqual(f.limits({"memory_bytes": 1}), {"memory_bytes": 1})

    def test_a_text_where_a_list_is_meant_is_a_mistake(self):
        self.assertRaises(TypeError, f.texts, "out.txt")

    def test_paths_are_octets(self):
        self.assertEqual(f.path("a\u20ac"), {"path": "a\u20ac"})
        self.assertEqual(f.path(pathlib.PurePosixPath("a/b"), "to"), {"to": "a/b"})
        self.assertEqual(f.path(b"\xff"), {"path_base64": "/w=="})
        self.assertEqual(f.path("\udcff"), {"path_base64": "/w=="})

    def test_a_path_that_was_told_can_be_given_again(self):
        told = {"path": "/\ufffd", "path_base64": base64.b64encode(b"/\xff").decode(), "name": "\ufffd",
                "name_base64": "/w==", "type": "file", "size": 1, "mode": "0644"}
        info = FileInfo.of(told)
        self.assertEqual((info.name, info.mode), ("\udcff", 0o644))
        self.assertEqual(f.path(info.path), {"path_base64": told["path_base64"]})


class Results(unittest.TestCase):
    def test_text_and_octets_are_both_there(self):
        result = Result.of(support.verdict("\ufffd", stdout_base64="/w==", stderr="\u20ac"))
        self.assertEqual((result.stdout, result.stdout_bytes), ("\ufffd", b"\xff"))
        self.assertEqual((result.stderr, result.stderr_bytes), ("\u20ac", b"\xe2\x82\xac"))
        result = Result.of(support.verdict(files={"a": "x", "b": {"base64": "/w=="}}))
        self.assertEqual(result.files, {"a": b"x", "b": b"\xff"})

    def test_a_command_that_failed_is_an_error_only_when_checked(self):
        self.assertTrue(Result.of(support.verdict()).check().ok)
        failed = Result.of(support.verdict(exit_code=2, stderr="why\nlast words\n"))
        with self.assertRaises(CommandFailed) as caught:
            failed.check()
        self.assertEqual(str(caught.exception), "the command ended with status 2: last words")
        self.assertIs(caught.exception.result, failed)

    def test_a_status_of_zero_at_the_time_limit_is_not_well(self):
        late = Result.of(support.verdict(outcome="timed_out", signal="SIGKILL", hint="ask for more"))
        with self.assertRaises(CommandFailed) as caught:
            late.check()
        self.assertEqual(str(caught.exception), "the command's outcome is timed_out (SIGKILL); ask for more")

    def test_truncated_is_true_when_something_is_missing(self):
        self.assertFalse(Result.of(support.verdict(truncated={"stdout_bytes": 0, "stderr_bytes": 0})).truncated)
        self.assertTrue(Result.of(support.verdict(truncated={"stdout_bytes": 0, "stderr_bytes": 1})).truncated)


class Errors(unittest.TestCase):
    def error(self, status, body, **headers):
        message = Message()
        for name, value in headers.items():
            message[name.replace("_", "-")] = value
        return api_error("GET /x of http://a", status, message, body)

    def test_an_error_says_what_why_and_what_next(self):
        error = self.error(404, b'{"error":{"code":"sandbox_not_found","message":"no sandbox \\"x\\"",'
                           b'"cause":"it went","hint":"lm-sandbox ls shows what there is","retryable":false}}',
                           X_Request_Id="r1")
        self.assertIsInstance(error, NotFound)
        self.assertEqual(str(error), 'no sandbox "x": it went; lm-sandbox ls shows what there is (sandbox_not_found)')
        self.assertEqual((error.code, error.status), ("sandbox_not_found", 404))
        self.assertEqual((error.retryable, error.request_id), (False, "r1"))

    def test_other_shapes_are_understood_too(self):
        self.assertEqual(str(self.error(413, b'{"detail":"too large"}')), "too large (HTTP 413)")
        self.assertIsInstance(self.error(422, b'{"detail":[{"msg":"x"}]}'), InvalidRequest)
        nonsense = self.error(502, b"<html>")
        self.assertIs(type(nonsense), ApiError)
        self.assertIn("is it lm-sandbox", str(nonsense))
        for body in (b"", b"[]", b"null", b'{"error":1}', b"\xff"):
            self.assertIn("503", str(self.error(503, body)))

    def test_retry_after_is_a_number_of_seconds(self):
        self.assertEqual(self.error(429, b"{}", Retry_After="3").retry_after, 3.0)
        self.assertIsNone(self.error(429, b"{}", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT").retry_after)
        self.assertIsNone(self.error(429, b"{}").retry_after)

    def test_errors_can_go_to_another_process(self):
        error = pickle.loads(pickle.dumps(self.error(429, b'{"error":{"code":"busy","message":"m"}}')))
        self.assertEqual((type(error), error.code, error.status), (Busy, "busy", 429))
        self.assertFalse(pickle.loads(pickle.dumps(ConnectionFailed("x", may_have_run=False))).may_have_run)
        self.assertEqual(pickle.loads(pickle.dumps(TerminalClosed("x", code="terminal_taken"))).code, "terminal_taken")

    def test_every_error_has_a_code_and_says_whether_it_may_be_tried_again(self):
        lost, unsent = ConnectionFailed("x"), ConnectionFailed("x", may_have_run=False)
        refused = self.error(429, b'{"error":{"code":"busy","message":"m","retryable":true}}')
        said = [(error.code, error.retryable, error.cause, error.hint) for error in (lost, unsent, refused)]
        self.assertEqual([one[:2] for one in said],
                         [("connection_failed", False), ("connection_failed", True), ("busy", True)])
        self.assertEqual((Error("x").code, CommandFailed("x").code), ("", "command_failed"))


class Stats(unittest.TestCase):
    def test_what_is_not_known_is_none(self):
        stats = lm_sandbox.Stats.of({"state": "stopped", "memory_bytes": None, "network": None, "disk_bytes": 7,
                                     "limits": {"cpus": 2}})
        self.assertEqual((stats.memory_bytes, stats.network, stats.disk_bytes, stats.limits.cpus), (None, None, 7, 2))
        self.assertEqual(lm_sandbox.Stats.of({"network": {"sent_bytes": 3}}).network.sent_bytes, 3)


class BackoffPlan(unittest.TestCase):
    def waits(self, backoff, draw, count, retry_after=None):
        plan = backoff.plan(lambda: draw)
        return [plan.next(retry_after) for _ in range(count)]

    def test_the_bound_doubles_up_to_the_most(self):
        self.assertEqual(self.waits(Backoff(1, 5), 1.0, 5), [1, 2, 4, 5, 5])
        self.assertEqual(self.waits(Backoff(1, 5), 0.5, 4), [0.5, 1, 2, 2.5])

    def test_what_the_daemon_asks_for_comes_on_top(self):
        self.assertEqual(self.waits(Backoff(1, 5), 0.5, 2, retry_after=3.0), [3.5, 4])

    def test_it_gives_up_rather_than_wait_longer_in_all(self):
        self.assertEqual(self.waits(Backoff(1, 4, total=7), 1.0, 4), [1, 2, 4, None])
        self.assertEqual(self.waits(Backoff(1, 4, total=7), 1.0, 1, retry_after=3600), [None])

    def test_waits_are_random(self):
        self.assertGreater(len({Backoff().plan().next() for _ in range(10)}), 1)


if __name__ == "__main__":
    unittest.main()
