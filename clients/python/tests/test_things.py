"""Volumes, snapshots, keys, logs and events: what is asked and how answers are read. The rest needs a daemon
(tests/clients/python_client.py)."""
import io
import json
import pathlib
import socket
import tempfile
import threading
import unittest

import support
from lm_sandbox import (ApiError, Backoff, Cancelled, ConnectionFailed, Ended, Files, Key, LogEvent, Model, Output,
                        Quota, Sandbox, SandboxEvents, Snapshot, Volume)


class Recorded(support.ServerTest):
    """A server that answers each request with what stands for it, and keeps what was asked."""

    def answering(self, answers):
        self.asked = []

        def serve(exchange, _):
            while request := exchange.request():
                method, target, _ = request[0].split()
                self.asked.append((f"{method} {target}", request[2]))
                exchange.answer(answers[f"{method} {target}"])

        return self.serve(serve)

    def body(self, number):
        return json.loads(self.asked[number][1])


class Volumes(Recorded):
    one = {"id": "vol_1", "name": "data", "size_bytes": 5, "used_by": ["a"], "of_the_future": 1}

    def test_one_is_made_looked_at_changed_and_removed(self):
        client = self.answering({"POST /v1/volumes": self.one, "GET /v1/volumes/vol_1": {**self.one, "held_bytes": 3},
                                 "PATCH /v1/volumes/vol_1": {**self.one, "size_bytes": 9},
                                 "DELETE /v1/volumes/vol_1": {}})
        volume = Volume.create("data", size_bytes=5, client=client)
        self.assertEqual((volume.id, volume.name, f"{volume}:ro", volume.info.held_bytes),
                         ("vol_1", "data", "vol_1:ro", None))
        self.assertEqual(volume.refresh().held_bytes, 3)
        volume.update(size_bytes=9, labels={"a": None})
        self.assertEqual(volume.info.size_bytes, 9)
        volume.delete()
        self.assertEqual([self.body(0), self.body(2)],
                         [{"name": "data", "size_bytes": 5}, {"size_bytes": 9, "labels": {"a": None}}])

    def test_they_are_listed_page_by_page(self):
        client = self.answering({
            "GET /v1/volumes?label=a%3D1": {"data": [self.one], "next_cursor": "c"},
            "GET /v1/volumes?label=a%3D1&cursor=c": {"data": [{"id": "vol_2"}], "next_cursor": None}})
        self.assertEqual([one.id for one in Volume.list(labels={"a": "1"}, client=client)], ["vol_1", "vol_2"])


class Models(Recorded):
    def test_one_is_loaded_for_a_while_and_let_go_by_its_name(self):
        loaded = {"id": "small/model:8b", "loaded": True, "runners": []}
        client = self.answering({"POST /v1/models/small%2Fmodel%3A8b/load": loaded,
                                 "POST /v1/models/small%2Fmodel%3A8b/unload": {**loaded, "loaded": False}})
        self.assertTrue(Model.load("small/model:8b", pin=True, keep_alive=90, client=client).loaded)
        self.assertFalse(Model.unload("small/model:8b", client=client).loaded)
        self.assertEqual(self.body(0), {"pin": True, "keep_alive_ms": 90_000})


class Snapshots(Recorded):
    def test_they_are_listed_saved_loaded_and_removed(self):
        client = self.answering({
            "GET /v1/snapshots?sandbox=box": {"data": [{"id": "snp_1", "name": "one"}], "next_cursor": None},
            "GET /v1/snapshots/snp_1/export": b"octets", "DELETE /v1/snapshots/snp_1": {},
            "POST /v1/snapshots/import?name=two&disk_bytes=7": {"id": "snp_2", "name": "two"},
            "POST /v1/snapshots/import": {"id": "snp_3"}})
        (taken,) = Snapshot.list(sandbox="box", client=client)
        with tempfile.TemporaryDirectory() as top:
            self.assertEqual(taken.save(f"{top}/one"), 6)
            loaded = Snapshot.load(pathlib.Path(f"{top}/one"), name="two", disk_bytes=7, client=client)
        self.assertEqual((loaded.id, loaded.name, self.asked[-1][1]), ("snp_2", "two", b"octets"))
        for source in (b"ab", [b"a", b"b"], io.BytesIO(b"ab")):
            self.assertEqual((str(Snapshot.load(source, client=client)), self.asked[-1][1]), ("snp_3", b"ab"))
        taken.delete()
        self.assertEqual(self.asked[-1][0], "DELETE /v1/snapshots/snp_1")

    def test_a_sandbox_is_made_from_the_thing_or_its_id(self):
        box = {"id": "a", "state": "running"}
        client = self.answering({"POST /v1/sandboxes": box, "POST /v1/sandboxes/a/snapshot": {"id": "snp_1"},
                                 "POST /v1/sandboxes/a/rollback": box})
        made = Sandbox.create(client=client)
        taken = made.snapshot("one")
        Sandbox.create(snapshot=taken, client=client)
        Sandbox.create(snapshot="snp_1", client=client)
        made.rollback(taken)
        self.assertEqual([self.body(i) for i in range(1, 5)],
                         [{"name": "one"}, {"snapshot": "snp_1"}, {"snapshot": "snp_1"}, {"snapshot": "snp_1"}])


class Keys(Recorded):
    def test_one_is_made_with_its_secret_and_revoked(self):
        one = {"id": "key_1", "name": "ci", "scopes": ["write"], "quota": {"sandboxes": 2}}
        client = self.answering({"POST /v1/keys": {**one, "key": "lmsb_x"}, "DELETE /v1/keys/key_1": {},
                                 "GET /v1/keys": {"data": [one], "next_cursor": None}})
        key = Key.create("ci", scopes=["write"], quota=Quota(sandboxes=2), expires=60, client=client)
        self.assertEqual((key.secret, key.info.quota.sandboxes, "lmsb_x" in repr(key)), ("lmsb_x", 2, False))
        self.assertEqual([one.secret for one in Key.list(client=client)], [None])
        key.delete()
        self.assertEqual(self.body(0), {"name": "ci", "scopes": ["write"], "quota": {"sandboxes": 2},
                                        "expires_in_s": 60})


class Streamed(support.ServerTest):
    """A server each of whose connections tells events, and then ends without a word."""

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def telling(self, *connections, end=b""):
        self.heads = []

        def serve(exchange, number):
            line, fields = exchange.head()
            self.heads.append((line.split()[1], fields.get("last-event-id")))
            if connections[number] is None:
                return exchange.answer(support.refusal("not_ready"), "503 Service Unavailable")
            exchange.send(self.head)
            for event in connections[number]:
                text = b"data: " + json.dumps(event).encode() + b"\n\n"
                exchange.send(b"%x\r\n%s\r\n" % (len(text), text))
            exchange.send(end)
            if number == len(connections) - 1:
                exchange.request()  # until the client goes

        return self.serve(serve)


class Logs(Streamed):
    def test_each_event_names_its_process(self):
        client = self.telling([{"process": "prc_1", "type": "stdout", "offset": 0, "text": "x"}, {"type": "new"},
                               {"process": "prc_2", "type": "result", "outcome": "exited"}], end=b"0\r\n\r\n")
        box = Sandbox(support.info("a"), client)
        with box.follow_logs() as events:
            first, last = events
        self.assertEqual(first, LogEvent("prc_1", Output("stdout", 0, b"x")))
        self.assertEqual((last.process, type(last.event)), ("prc_2", Ended))
        self.assertEqual(self.heads[0][0], "/v1/sandboxes/a/logs?follow=true")


    def test_events_say_when_they_came_where_that_is_asked(self):
        at = "2026-01-31T23:59:59.123Z"
        client = self.telling([{"process": "prc_1", "type": "stdout", "offset": 0, "at": at, "text": "x"}], end=b"0\r\n\r\n")
        with Sandbox(support.info("a"), client).follow_logs(since="10m", timestamps=True) as events:
            told, = events
        self.assertEqual(told.event, Output("stdout", 0, b"x", at))
        self.assertEqual(self.heads[0][0], "/v1/sandboxes/a/logs?follow=true&since=10m&timestamps=true")


class Watching(Streamed):
    def test_it_begins_when_nothing_is_missed_any_more_and_ends_with_its_directory(self):
        client = self.telling([{"type": "armed"}, {"type": "created", "path": "/w/a", "directory": False},
                               {"type": "gone"}])
        with Files(client, "/v1/sandboxes/a").watch("w") as events:
            self.assertEqual([(event.type, event.path) for event in events], [("created", "/w/a"), ("gone", None)])

    def test_what_keeps_it_from_telling_more_is_an_error(self):
        client = self.telling([{"type": "armed"}, {"type": "failed", "code": "too_many_watches", "message": "m"}])
        with Files(client, "/v1/sandboxes/a").watch("w") as events, self.assertRaises(ApiError) as caught:
            next(events)
        self.assertEqual((caught.exception.code, caught.exception.message), ("too_many_watches", "m"))


class Events(Streamed):
    now = Backoff(first=0.0)

    def event(self, number):
        return {"type": "sandbox.created", "id": f"l-{number}", "sandbox_id": "a", "by": "local:0", "missed": 0}

    def armed(self, number, restarted=False):
        return {"type": "armed", "id": f"l-{number}", "restarted": restarted}

    def test_a_connection_that_breaks_goes_on_behind_the_last_event(self):
        client = self.telling([self.armed(4), self.event(5), self.event(6)], None, [],
                              [self.armed(6), self.event(7)], [self.armed(0, True), self.event(1)])
        with SandboxEvents("box", client=client, backoff=self.now) as events:
            self.assertEqual([next(events).id for _ in range(4)], ["l-5", "l-6", "l-7", "l-1"])
            self.assertEqual((events.last_id, events.restarts), ("l-1", 1))
        self.assertEqual(self.heads, [("/v1/events?sandbox=box", None), *[("/v1/events?sandbox=box", "l-6")] * 3,
                                      ("/v1/events?sandbox=box", "l-7")])

    def test_an_event_without_an_id_is_told_and_gone_over(self):
        lost = {"type": "lost", "missed": None}
        with SandboxEvents(client=self.telling([self.armed(3), lost, self.event(5)])) as events:
            first = next(events)
            self.assertEqual((first.type, first.missed, first.details, events.last_id), ("lost", None, lost, "l-3"))
            self.assertEqual((next(events).id, events.last_id), ("l-5", "l-5"))

    def test_a_program_that_comes_back_says_which_it_had(self):
        with SandboxEvents(after="l-3", client=self.telling([self.armed(3)])) as events:
            self.assertEqual((self.heads, events.last_id), ([("/v1/events", "l-3")], "l-3"))

    def test_a_daemon_that_stays_away_is_an_error_in_the_end(self):
        client = self.telling([self.armed(4)])
        with SandboxEvents(client=client, backoff=Backoff(first=0.01, most=0.01, total=0.05)) as events:
            self.server.listening.shutdown(socket.SHUT_RDWR)  # nobody is there any more
            self.server.listening.close()
            events._stream._answer.abort()
            self.assertRaises(ConnectionFailed, next, events)

    def test_a_first_event_that_does_not_come_is_an_error(self):
        self.assertRaises(ConnectionFailed, SandboxEvents, client=self.telling([], []))
        self.assertRaises(ConnectionFailed, SandboxEvents, client=self.telling([self.event(1)]))

    def test_another_thread_can_close_it_also_while_it_waits_to_connect(self):
        with SandboxEvents(client=self.telling([self.armed(1)])) as events:
            closing = threading.Thread(target=events.close)
            closing.start()
            self.assertRaises(Cancelled, next, events)
            closing.join()
        waiting = Backoff(first=1e6, most=1e6, total=1e9)
        events = SandboxEvents(client=self.telling([self.armed(1)], None), backoff=waiting)
        events._stream._answer.abort()
        closing = threading.Thread(target=events.close)
        closing.start()
        self.assertRaises(Cancelled, next, events)
        closing.join()


if __name__ == "__main__":
    unittest.main()
