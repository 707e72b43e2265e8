#!/usr/bin/python3
"""What happened is told once, in its order, to whoever comes back, whichever daemon he followed before; what is not known
any more is said."""
import http.client
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_staying import ENDS, StayingTest, kill_all_of_ours


class Stream:
    """GET /v1/events as a browser reads it: named events, and an id to come back with."""

    def __init__(self, daemon, query="", last=None):
        self.connection = http.client.HTTPConnection(daemon.host, daemon.port, timeout=60)
        self.connection.request("GET", "/v1/events" + query, headers={"Last-Event-ID": last} if last else {})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.last = None
        self.armed = self.next()
        assert self.armed["type"] == "armed", self.armed

    def next(self):
        fields = {}
        for line in self.answer:
            assert not line.startswith(b":"), "nothing comes"
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "" and "data" in fields:
                break
            fields[name] = value
        self.last = fields.get("id", self.last)
        event = json.loads(fields["data"])
        assert event["type"] == fields["event"], fields
        return event

    def types(self, count):
        return [self.next()["type"] for _ in range(count)]

    def close(self):
        self.connection.close()


class EventsTest(StayingTest):
    image = "host"

    def follow(self, query="", last=None):
        stream = Stream(self.daemon, query, last)
        self.addCleanup(stream.close)
        return stream

    def remove(self, path):
        self.assertEqual(self.daemon.request("DELETE", path).status, 204)


class Daemons(EventsTest):
    def test_whoever_comes_back_misses_nothing_and_hears_nothing_twice(self):
        stream = self.follow()
        for how, end in ENDS.items():
            with self.subTest(how):
                box = self.create()
                self.assertEqual(stream.next()["sandbox_id"], box)
                self.move(box, "pause", "paused")  # which he has not read
                before = int(stream.last)
                self.again(end)
                stream = self.follow(last=stream.last)
                self.assertTrue(stream.armed["restarted"])
                told = stream.next()
                self.assertEqual((told["type"], told["sandbox_id"], told["missed"]), ("sandbox.paused", box, 0))
                self.assertEqual(int(told["id"]), before + 1)
                self.remove("/v1/sandboxes/" + box)
                gone = stream.next()
                self.assertEqual((gone["type"], gone["sandbox_id"]), ("sandbox.removed", box))
                self.assertGreater(int(gone["id"]), int(told["id"]))

    def test_without_a_word_of_what_was_he_hears_of_what_comes(self):
        self.create()
        self.again()
        stream = self.follow()
        box = self.create()
        self.assertEqual(stream.next()["sandbox_id"], box)

    def test_what_is_lost_is_said(self):
        self.create(name="one")
        whole = self.follow(last="0")
        first = whole.next()
        self.assertEqual(first["name"], "one", "nothing is lost")
        kill_all_of_ours(self.daemon)
        self.daemon.log.close()
        (self.daemon.data_dir / "state" / "events.log").unlink()
        self.daemon.start()
        for last in (first["id"], "4f1c02ab-17", "99999999999999999"):
            with self.subTest(last):
                lost = self.follow(last=last).next()
                self.assertEqual(lost, {"type": "lost", "missed": None})
        self.assertEqual(self.follow(last="0").next()["type"], "lost", "nobody knows what came before")

    def test_ids_are_of_nobody_twice_when_the_file_is_gone(self):
        self.create()
        before = int(self.follow(last="0").next()["id"])
        kill_all_of_ours(self.daemon)
        self.daemon.log.close()
        (self.daemon.data_dir / "state" / "events.log").unlink()
        self.daemon.start()
        stream = self.follow()
        self.create()
        self.assertGreater(int(stream.next()["id"]), before)


class Kinds(EventsTest):
    def test_snapshots_volumes_and_keys_have_theirs(self):
        box = self.create()
        stream = self.follow()
        snapshot = self.do(box, "snapshot", {"name": "first"}).json()["id"]
        file = self.daemon.request("GET", f"/v1/snapshots/{snapshot}/export").body
        self.assertEqual(self.daemon.request("POST", "/v1/snapshots/import?name=second", file,
                                             {"Content-Type": "application/octet-stream"}).status, 201)
        self.remove("/v1/snapshots/" + snapshot)
        volume = self.daemon.post("/v1/volumes", {"name": "data"}).json()["id"]
        self.daemon.request("PATCH", "/v1/volumes/data", {"labels": {"x": "1"}})
        self.remove("/v1/volumes/data")
        key = self.daemon.post("/v1/keys", {"name": "ci"}).json()["id"]
        self.remove("/v1/keys/ci")
        told = [stream.next() for _ in range(9)]
        self.assertEqual([event["type"] for event in told],
                         ["snapshot.created", "snapshot.exported", "snapshot.imported", "snapshot.removed", "volume.created",
                          "volume.updated", "volume.removed", "key.created", "key.removed"])
        self.assertEqual([told[0][field] for field in ("sandbox_id", "snapshot_id", "name")], [box, snapshot, "first"])
        self.assertEqual([told[4][field] for field in ("sandbox_id", "volume_id", "name")], [None, volume, "data"])
        self.assertEqual(told[7]["key_id"], key)
        audit = (self.daemon.data_dir / "audit" / "audit.log").read_text().splitlines()
        lines = [line for line in map(json.loads, audit) if not line["event"].startswith("sandbox.")]
        self.assertEqual([line["event"] for line in lines], [event["type"] for event in told])
        self.assertEqual((lines[0]["snapshot_id"], lines[0]["id"]), (snapshot, told[0]["id"]))

    def test_commands_are_told_to_who_asks_and_to_the_audit_log(self):
        box = self.create(name="busy")
        plain, stream = self.follow(), self.follow("?processes=true")
        waited = self.exec(box, "exit 3")
        detached = self.detach(box, "exit 4")
        self.ended(box, detached)
        self.move(box, "pause", "paused")
        told = [stream.next() for _ in range(5)]
        self.assertEqual([(event["type"], event.get("process_id"), event.get("exit_code")) for event in told],
                         [("process.started", waited["process_id"], None), ("process.ended", waited["process_id"], 3),
                          ("process.started", detached["id"], None), ("process.ended", detached["id"], 4),
                          ("sandbox.paused", None, None)])
        self.assertEqual({event["id"] for event in told[:4]}, {None})
        self.assertEqual({(event["sandbox_id"], event["name"]) for event in told}, {(box, "busy")})
        self.assertEqual(plain.next()["type"], "sandbox.paused")

        def written():
            lines = (self.daemon.data_dir / "audit" / "audit.log").read_text().splitlines()
            return [line["event"] for line in map(json.loads, lines) if line["event"].startswith("process.")]

        lmsb.wait_until(lambda: written() == ["process.started", "process.ended"] * 2, written)

    def audited(self, event, sandbox):
        lines = (self.daemon.data_dir / "audit" / "audit.log").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["event"].startswith(event) and line["sandbox_id"] == sandbox]

    def test_commands_of_one_shots_are_in_the_audit_log_alone(self):
        stream = self.follow("?processes=true")
        waited = self.daemon.post("/v1/run", {"cmd": "exit 3"}).json()
        followed = self.daemon.request("POST", "/v1/run", {"cmd": "exit 4"}, {"Accept": "application/x-ndjson"}).body
        by_bash = self.daemon.post("/run-bash/", {"cmd": "exit 5"}).json()
        ended = json.loads(followed.splitlines()[-1])
        for sandbox, status in ((waited["sandbox_id"], 3), (ended["sandbox_id"], 4), (by_bash["sandbox_id"], 5)):
            lmsb.wait_until(lambda sandbox=sandbox: len(self.audited("process.", sandbox)) == 2, "both lines")
            begun, end = self.audited("process.", sandbox)
            self.assertEqual((begun["event"], end["event"]), ("process.started", "process.ended"))
            self.assertEqual((end["process_id"], end["by"], end["outcome"], end["exit_code"]),
                             (begun["process_id"], begun["by"], "exited", status))
            self.assertTrue(begun["process_id"].startswith("prc_") and begun["by"], begun)
        self.create()
        self.assertEqual(stream.next()["type"], "sandbox.created")

    def test_a_command_whose_sandbox_goes_has_an_end_in_the_audit_log(self):
        box = self.create()
        detached = self.detach(box, "sleep 1000")
        self.remove("/v1/sandboxes/" + box)
        lmsb.wait_until(lambda: len(self.audited("process.", box)) == 2, "both lines")
        self.assertEqual([(line["event"], line["process_id"]) for line in self.audited("process.", box)],
                         [("process.started", detached["id"]), ("process.ended", detached["id"])])

    def test_who_opened_a_port_to_browsers_is_in_the_audit_log_and_the_token_is_not(self):
        box = self.create()
        made = self.daemon.post(f"/v1/sandboxes/{box}/previews", {"port": 3000}).json()
        line, = self.audited("preview.created", box)
        self.assertEqual((line["port"], line["expires_at"]), ("3000", made["expires_at"]))
        self.assertTrue(line["by"])
        self.assertNotIn(made["token"], (self.daemon.data_dir / "audit" / "audit.log").read_text())

    def test_a_command_that_ends_at_once_has_begun_before(self):
        box = self.create()
        stream = self.follow("?processes=true")
        for cmd in (["no-such-program"], "true"):
            self.daemon.request("POST", f"/v1/sandboxes/{box}/exec", {"cmd": cmd}, {"Accept": "application/x-ndjson"})
        self.assertEqual([stream.next()["type"] for _ in range(4)], ["process.started", "process.ended"] * 2)


if __name__ == "__main__":
    lmsb.main()
