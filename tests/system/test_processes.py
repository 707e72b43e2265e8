#!/usr/bin/python3
"""Commands that nobody waits for: started, listed, read from any offset, written to, signalled, and followed."""
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

MIB = 1 << 20
ORPHANS = 10_000


class ProcessTest(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = cls.daemon.post("/v1/sandboxes", {}).json()["id"]

    @classmethod
    def at(cls, path):
        return f"/v1/sandboxes/{cls.sandbox}{path}"

    def start(self, cmd, **fields):
        answer = self.daemon.post(self.at("/exec"), {"cmd": cmd, "detach": True, **fields})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def get(self, process, wait_ms=30_000):
        return self.daemon.request("GET", self.at(f"/processes/{process['id']}?wait_ms={wait_ms}")).json()

    def output(self, process, **query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.daemon.request("GET", self.at(f"/processes/{process['id']}/output?{text}"))

    def wait_for_output(self, process, stream="stdout", offset=0):
        return self.output(process, stream=stream, offset=offset, wait_ms=30_000).json()

    def stdin(self, process, **fields):
        return self.daemon.post(self.at(f"/processes/{process['id']}/stdin"), fields)

    def signal(self, process, name, tree=False):
        answer = self.daemon.post(self.at(f"/processes/{process['id']}/signal"), {"signal": name, "tree": tree})
        self.assertEqual(answer.status, 204, answer.body)

    def follow(self, method, path, body=None, accept="application/x-ndjson", sandbox=None):
        """The events of an answer, one at a time, as they come."""
        at = f"/v1/sandboxes/{sandbox or self.sandbox}{path}"
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request(method, at, None if body is None else json.dumps(body),
                           {"Accept": accept, "Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        return (json.loads(line) for line in response)


class Detached(ProcessTest):
    def test_answers_at_once_and_ends_by_itself_with_an_exact_status(self):
        process = self.start("echo done; exit 7")
        self.assertTrue(process["id"].startswith("prc_"))
        ended = self.get(process)
        self.assertEqual((ended["state"], ended["result"]["outcome"], ended["result"]["exit_code"]), ("ended", "exited", 7))
        self.assertGreaterEqual(ended["ended_at"], ended["started_at"])

    def test_is_listed_with_what_it_runs(self):
        process = self.start(["sleep", "1000"])
        listed = {p["id"]: p for p in self.daemon.request("GET", self.at("/processes")).json()["data"]}
        self.assertEqual(listed[process["id"]]["cmd"], ["sleep", "1000"])
        self.assertEqual(self.daemon.request("DELETE", self.at(f"/processes/{process['id']}")).status, 204)
        self.assertEqual(self.daemon.request("GET", self.at(f"/processes/{process['id']}")).status, 404)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1000"), "a killed process")

    def test_a_program_that_is_not_there_is_a_verdict(self):
        ended = self.get(self.start(["no-such-program"]))
        self.assertEqual(ended["result"]["exit_code"], 127)

    def test_a_working_directory_that_is_not_there_is_said(self):
        process = self.start("true", cwd="/not/there")
        self.assertEqual(self.get(process)["result"]["exit_code"], 126)
        self.assertIn("working directory", self.wait_for_output(process, stream="stderr")["text"])

    def test_a_time_limit_ends_the_whole_tree(self):
        process = self.start("(setsid sleep 1001 &) ; sleep 1001", timeout_ms=300)
        self.assertEqual(self.get(process)["result"]["outcome"], "timed_out")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1001"), "an empty tree")

    def test_a_sandbox_that_goes_takes_its_processes_with_it(self):
        other = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.daemon.post(f"/v1/sandboxes/{other}/exec", {"cmd": "sleep 1002", "detach": True})
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{other}").status, 204)
        self.assertEqual(lmsb.sandbox_processes(b"sleep\0" + b"1002"), [])

    def test_more_than_can_be_kept_drops_the_ones_that_ended_first(self):
        sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        ids = [self.daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": ["true"], "detach": True}).json()["id"]
               for _ in range(260)]
        listed = [p["id"] for p in self.daemon.request("GET", f"/v1/sandboxes/{sandbox}/processes").json()["data"]]
        self.assertEqual(len(listed), 256)
        self.assertEqual(listed[-1], ids[-1])
        self.daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")


    def test_a_long_command_is_shown_shortened(self):
        process = self.start(["true", "x" * 100_000, "y"])
        self.assertEqual(process["cmd"][0], "true")
        self.assertTrue(process["cmd"][1].endswith("x..."))
        self.assertLess(len(json.dumps(process["cmd"])), 5000)

    def test_one_that_is_forgotten_is_over_for_whoever_follows_it(self):
        process = self.start("(sleep 1014 &) ; echo x; sleep 1014")
        events = self.follow("GET", f"/processes/{process['id']}/output?follow=true")
        self.assertEqual(next(events)["text"], "x\n")
        self.assertEqual(self.daemon.request("DELETE", self.at(f"/processes/{process['id']}")).status, 204)
        self.assertEqual([(e["type"], e["outcome"]) for e in events], [("result", "cancelled")])

    def test_those_of_a_deleted_sandbox_were_cancelled(self):
        other = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        process = self.daemon.post(f"/v1/sandboxes/{other}/exec", {"cmd": "echo x; sleep 1018", "detach": True}).json()
        events = self.follow("GET", f"/processes/{process['id']}/output?follow=true", sandbox=other)
        self.assertEqual(next(events)["text"], "x\n")
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{other}").status, 204)
        self.assertEqual([(e["type"], e["outcome"]) for e in events], [("result", "cancelled")])

    def test_a_sandbox_whose_guest_does_not_answer_can_be_deleted(self):
        other = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        at = f"/v1/sandboxes/{other}"
        process = self.daemon.post(f"{at}/exec", {"cmd": "sleep 1015", "detach": True}).json()
        self.daemon.post(f"{at}/exec", {"cmd": ":", "session": "s"})
        guest = lmsb.guest_of(other)
        answers = {}

        def ask(name, *request):
            answers[name] = self.daemon.request(*request)

        output = self.daemon.connection(120)
        self.addCleanup(output.close)
        output.request("GET", f"{at}/processes/{process['id']}/output?stream=stdout&wait_ms=60000")
        asking = [("exec", "POST", f"{at}/exec", {"cmd": "sleep 1015"}),
                  ("session", "POST", f"{at}/exec", {"cmd": "sleep 1015", "session": "s"})]
        threads = [threading.Thread(target=ask, args=one) for one in asking]
        for thread in threads:
            thread.start()
        lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"sleep\0" + b"1015")) == 3, "three commands")
        os.kill(guest, signal.SIGSTOP)
        self.assertEqual(self.daemon.request("DELETE", at).status, 204)
        for thread in threads:
            thread.join()
        self.assertEqual(answers["exec"].json()["outcome"], "cancelled")
        self.assertEqual(json.loads(output.getresponse().read())["error"]["code"], "sandbox_lost")


class Output(ProcessTest):
    def test_beyond_the_end_there_is_nothing_yet(self):
        process = self.start("echo one; read line; echo two", keep_stdin=True)
        self.wait_for_output(process)
        beyond = self.output(process, stream="stdout", offset=1000).json()
        self.assertEqual((beyond["text"], beyond["next_offset"], beyond["end"], beyond["ended"]), ("", 4, 4, False))
        self.stdin(process, data="go\n", close=True)
        self.assertEqual(self.get(process)["result"]["exit_code"], 0)
        self.assertTrue(self.output(process, stream="stdout", offset=1000, wait_ms=30_000).json()["ended"])

    def test_is_there_from_any_offset_while_it_runs_and_after(self):
        process = self.start("echo one; read line; echo two", keep_stdin=True)
        first = self.wait_for_output(process)
        self.assertEqual((first["text"], first["next_offset"], first["ended"]), ("one\n", 4, False))
        self.assertEqual(self.stdin(process, data="go\n").status, 204)
        self.assertEqual(self.wait_for_output(process, offset=4)["text"], "two\n")
        self.get(process)
        self.assertEqual(self.wait_for_output(process, offset=2)["text"], "e\ntwo\n")

    def test_streams_are_kept_apart(self):
        process = self.start("echo out; echo err >&2")
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["text"], "out\n")
        self.assertEqual(self.wait_for_output(process, "stderr")["text"], "err\n")

    def test_octets_that_are_no_text_are_base64(self):
        process = self.start(r"printf '\377\376'")
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["base64"], "//4=")

    def test_what_is_larger_than_memory_holds_is_all_there(self):
        process = self.start("seq 1000000")
        self.get(process)
        text, offset = "", 0
        while True:
            piece = self.wait_for_output(process, offset=offset)
            self.assertEqual(piece["missing_bytes"], 0)
            text, offset = text + piece["text"], piece["next_offset"]
            if piece["ended"]:
                break
        self.assertEqual(text, "".join(f"{i}\n" for i in range(1, 1_000_001)))

    def test_what_is_larger_than_is_kept_says_how_much_is_missing(self):
        process = self.start(f"head -c {80 * MIB} /dev/zero; echo end")
        self.get(process, 60_000)
        piece = self.wait_for_output(process, offset=70 * MIB)
        self.assertGreater(piece["missing_bytes"], 0)
        last = self.wait_for_output(process, offset=80 * MIB)
        self.assertEqual((last["text"], last["end"]), ("end\n", 80 * MIB + 4))

    def test_a_child_that_holds_the_output_goes_on_writing_it(self):
        process = self.start("mkfifo /tmp/gate; (read line < /tmp/gate; echo late) & echo early; exit 3")
        ended = self.get(process)
        self.assertEqual((ended["result"]["exit_code"], ended["result"]["background_left"]), (3, True))
        self.daemon.post(self.at("/exec"), {"cmd": "echo > /tmp/gate"})
        events = self.follow("GET", f"/processes/{process['id']}/output?follow=true")
        self.assertEqual("".join(e["text"] for e in events if e["type"] == "stdout"), "early\nlate\n")

    def test_following_tells_everything_and_then_the_verdict(self):
        process = self.start("echo a; read line; echo b >&2; exit 4", keep_stdin=True)
        events = self.follow("GET", f"/processes/{process['id']}/output?follow=true")
        self.assertEqual(next(events), {"type": "stdout", "offset": 0, "text": "a\n"})
        self.stdin(process, data="x\n", close=True)
        self.assertEqual(next(events), {"type": "stderr", "offset": 0, "text": "b\n"})
        last = next(events)
        self.assertEqual((last["type"], last["outcome"], last["exit_code"]), ("result", "exited", 4))
        self.assertEqual(list(events), [])

    def test_two_can_follow_and_a_third_reads_it_again(self):
        process = self.start("read line; seq 3", keep_stdin=True)
        path = f"/processes/{process['id']}/output?follow=true"
        first, second = self.follow("GET", path), self.follow("GET", path)
        self.stdin(process, data="x\n")
        for events in (first, second, self.follow("GET", path)):
            texts = "".join(e["text"] for e in events if e["type"] == "stdout")
            self.assertEqual(texts, "1\n2\n3\n")

    def test_a_follower_that_goes_leaves_the_process_alone(self):
        process = self.start("echo a; read line; exit 5", keep_stdin=True)
        next(self.follow("GET", f"/processes/{process['id']}/output?follow=true"))
        self.doCleanups()  # closes the connection
        self.stdin(process, data="x\n")
        self.assertEqual(self.get(process)["result"]["exit_code"], 5)

    def test_characters_are_never_torn(self):
        process = self.start("for i in 1 2 3; do printf '\\xe2\\x82'; sleep 0.1; printf '\\xac'; done")
        texts = [e for e in self.follow("GET", f"/processes/{process['id']}/output?follow=true") if e["type"] == "stdout"]
        self.assertEqual("".join(e["text"] for e in texts), "€€€")


class Logs(ProcessTest):
    """What all detached processes of a sandbox have written."""

    def setUp(self):
        self.sandbox = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        self.addCleanup(lambda: self.daemon.request("DELETE", f"/v1/sandboxes/{self.sandbox}"))

    def at(self, path):
        return f"/v1/sandboxes/{self.sandbox}{path}"

    def begin(self, cmd, **fields):
        return self.daemon.post(self.at("/exec"), {"cmd": cmd, "detach": True, **fields}).json()

    def tails(self):
        return self.daemon.request("GET", self.at("/logs")).json()["data"]

    def test_hold_the_end_of_each_stream(self):
        self.assertEqual(self.tails(), [])
        small = self.begin("echo out; echo err >&2")
        large = self.begin("printf '€%.0s' $(seq 5000)")
        for process in (small, large):
            self.daemon.request("GET", self.at(f"/processes/{process['id']}?wait_ms=30000"))
        *first, last = self.tails()
        self.assertEqual(first, [{"process": small["id"], "stream": "stdout", "offset": 0, "text": "out\n"},
                                 {"process": small["id"], "stream": "stderr", "offset": 0, "text": "err\n"}])
        self.assertEqual((last["process"], last["text"]), (large["id"], "€" * 2730))
        self.assertEqual(last["offset"] + len(last["text"].encode()), 15_000)

    def test_are_followed_to_the_end_of_the_last(self):
        first = self.begin("read line; echo $line; exit 3", keep_stdin=True)
        second = self.begin("echo now; read line; exit 4", keep_stdin=True)
        so_far = list(self.follow("GET", "/logs", sandbox=self.sandbox))
        events = self.follow("GET", "/logs?follow=true", sandbox=self.sandbox)
        self.assertEqual(next(events), {"process": second["id"], "type": "stdout", "offset": 0, "text": "now\n"})
        self.assertIn(so_far, ([], [{"process": second["id"], "type": "stdout", "offset": 0, "text": "now\n"}]))
        self.daemon.post(self.at(f"/processes/{first['id']}/stdin"), {"data": "then\n"})
        self.assertEqual(next(events), {"process": first["id"], "type": "stdout", "offset": 0, "text": "then\n"})
        self.assertEqual((lambda e: (e["process"], e["exit_code"]))(next(events)), (first["id"], 3))
        self.daemon.post(self.at(f"/processes/{second['id']}/stdin"), {"data": "x\n"})
        self.assertEqual([(e["process"], e["exit_code"]) for e in events], [(second["id"], 4)])


class Input(ProcessTest):
    def test_is_written_bit_by_bit_and_closed(self):
        process = self.start("cat; echo end", keep_stdin=True)
        self.stdin(process, data="a")
        self.stdin(process, data={"base64": "Yg=="})
        self.assertEqual(self.get(process, 0)["state"], "running")
        self.stdin(process, data="c\n", close=True)
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["text"], "abc\nend\n")

    def test_more_than_a_pipe_holds_arrives_whole(self):
        process = self.start("sha256sum", keep_stdin=True)
        self.assertEqual(self.stdin(process, data="x" * (3 * MIB), close=True).status, 204)
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["text"].split()[0], hashlib.sha256(b"x" * (3 * MIB)).hexdigest())

    def test_given_at_the_start_is_all_there_is(self):
        process = self.start("cat", stdin="hello\n")
        self.assertEqual(self.get(process)["result"]["exit_code"], 0)
        self.assertEqual(self.wait_for_output(process)["text"], "hello\n")

    def test_a_process_that_reads_no_more_is_said(self):
        process = self.start("exec 0<&-; echo closed; sleep 1003", keep_stdin=True)
        self.wait_for_output(process)
        answer = self.stdin(process, data="x")
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (409, "input_closed"))

    def test_is_closed_once_and_again(self):
        process = self.start("cat; echo end; sleep 1037", keep_stdin=True)
        self.assertEqual(self.get(process, 0)["stdin"], True)
        for _ in range(2):
            self.assertEqual(self.stdin(process, close=True).status, 204)
        self.assertEqual(self.get(process, 0)["stdin"], False)
        self.assertEqual(self.stdin(process, data="x", close=True).json()["error"]["code"], "input_closed")
        self.assertEqual(self.start("cat", stdin="all")["stdin"], False)

    def test_of_a_terminal_is_not_closed(self):
        process = self.start("cat", pty={"cols": 80, "rows": 24})
        answer = self.stdin(process, close=True)
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_request"))
        self.assertEqual(self.get(process, 0)["stdin"], True)
        self.assertEqual(self.stdin(process, data="\u0004").status, 204)
        self.assertEqual(self.get(process)["result"]["exit_code"], 0)

    def test_one_without_input_says_so(self):
        process = self.start("sleep 1004")
        answer = self.stdin(process, data="x")
        self.assertEqual(answer.json()["error"]["code"], "input_closed")


class Signals(ProcessTest):
    def test_reach_the_command(self):
        process = self.start("trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.05; done")
        self.wait_for_output(process)
        self.signal(process, "SIGUSR1")
        self.assertEqual(self.get(process)["result"]["exit_code"], 9)

    def test_reach_every_process_of_the_tree(self):
        process = self.start("trap 'wait; echo parent; exit' TERM; "
                             "sh -c 'trap \"echo child; exit\" TERM; echo ready; while :; do sleep 0.05; done' & "
                             "while :; do sleep 0.05; done")
        self.wait_for_output(process)
        self.signal(process, "TERM", tree=True)
        self.get(process)
        self.assertEqual(sorted(self.wait_for_output(process)["text"].split()), ["child", "parent", "ready"])

    def test_reach_what_a_command_left_behind(self):
        process = self.start("sleep 1005 & exit 0")
        ended = self.get(process)
        self.assertTrue(ended["result"]["background_left"])
        self.signal(process, "KILL", tree=True)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1005"), "an empty tree")

    def test_to_a_process_that_ended_are_refused(self):
        process = self.start("true")
        self.get(process)
        answer = self.daemon.post(self.at(f"/processes/{process['id']}/signal"), {"signal": "TERM"})
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (409, "process_ended"))

    def test_that_do_not_exist_are_refused(self):
        process = self.start("sleep 1006")
        answer = self.daemon.post(self.at(f"/processes/{process['id']}/signal"), {"signal": "SIGNOTHING"})
        self.assertEqual(answer.status, 400)
        for name in (0, 65, -1, 1.5, "", "0", None, True):
            answer = self.daemon.post(self.at(f"/processes/{process['id']}/signal"), {"signal": name})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_request"), name)
        self.signal(process, "9")
        self.assertEqual(self.get(process)["result"]["signal"], "SIGKILL")

    def test_are_known_by_every_name_and_number(self):
        for name, exact in (("term", "SIGTERM"), (2, "SIGINT"), ("SIGRTMIN+1", "SIG35"), ("64", "SIG64"), ("IOT", "SIGABRT")):
            process = self.start(["sleep", "1038"])
            self.signal(process, name)
            ended = self.get(process)["result"]
            self.assertEqual((ended["signal"], ended["exit_code"]), (exact, 128 + getattr(signal, exact, int(exact[3:]) if exact[3:].isdigit() else 0)))


class Followed(ProcessTest):
    """POST exec with Accept: the command's life, event by event."""

    def test_takes_input_while_it_is_followed(self):
        events = self.follow("POST", "/exec", {"cmd": "head -c 3; cat /dev/stdin; exit 4", "stdin": "abc", "keep_stdin": True})
        process = next(events)["process"]
        self.assertEqual(next(events)["text"], "abc")
        self.assertEqual(self.stdin(process, data="d\n").status, 204)
        self.assertEqual(next(events)["text"], "d\n")
        self.assertEqual(self.stdin(process, data={"base64": "ZQ=="}, close=True).status, 204)
        self.assertEqual(next(events)["text"], "e")
        self.assertEqual(next(events)["exit_code"], 4)
        self.assertNotIn(process["id"], {p["id"] for p in self.daemon.request("GET", self.at("/processes")).json()["data"]})

    def test_takes_more_than_a_pipe_holds_and_is_waited_for(self):
        events = self.follow("POST", "/exec", {"cmd": "while ! test -e /tmp/read; do sleep 0.02; done; wc -c", "keep_stdin": True})
        process = next(events)["process"]
        for _ in range(2):  # a pipe and what waits before it
            self.assertEqual(self.stdin(process, data="x" * 60_000).status, 204)
        refused = self.stdin(process, data="x" * (MIB // 8 + 1))
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (400, "input_too_large"))
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.stdin(process, data="x" * 100_000, close=True).status))
        waiting.start()
        self.assertEqual(answers, [])
        self.daemon.post(self.at("/exec"), {"cmd": "touch /tmp/read"})
        waiting.join()
        self.assertEqual((answers, next(events)["text"]), ([204], "220000\n"))

    def test_hears_who_writes_that_nobody_reads(self):
        events = self.follow("POST", "/exec", {"cmd": "exec <&-; echo closed; sleep 1016", "keep_stdin": True})
        process = next(events)["process"]
        next(events)
        lmsb.wait_until(lambda: self.stdin(process, data="x").status == 409, "a refusal")
        self.assertEqual(self.stdin(process, data="x").json()["error"]["code"], "input_closed")
        self.doCleanups()  # closes the connection
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1016"), "its end")
        lmsb.wait_until(lambda: self.stdin(process, data="x").status == 404, "nothing of it")

    def test_a_write_that_waits_ends_with_the_command(self):
        events = self.follow("POST", "/exec", {"cmd": "while ! test -e /tmp/over; do sleep 0.02; done; exit 5", "keep_stdin": True})
        process = next(events)["process"]
        for _ in range(2):
            self.assertEqual(self.stdin(process, data="x" * 60_000).status, 204)
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.stdin(process, data="x" * 100_000).json()["error"]["code"]))
        waiting.start()
        self.daemon.post(self.at("/exec"), {"cmd": "touch /tmp/over"})
        waiting.join()
        self.assertIn(answers, (["input_closed"], ["process_not_found"]))
        self.assertEqual([e.get("exit_code") for e in events][-1], 5)

    def test_who_is_talked_to_takes_no_place_of_others(self):
        talks = [self.follow("POST", "/exec", {"cmd": "cat", "keep_stdin": True}) for _ in range(12)]
        for events in talks:
            next(events)
        self.assertEqual(self.daemon.post(self.at("/exec"), {"cmd": "echo on"}).json()["stdout"], "on\n")

    def test_input_that_breaks_off_is_never_taken_for_complete(self):
        cmd = "cat >/tmp/draft; cp /tmp/draft /tmp/whole; sleep 1022"
        events = self.follow("POST", "/exec", {"cmd": cmd, "keep_stdin": True})
        process = next(events)["process"]
        self.assertEqual(self.stdin(process, data="half").status, 204)
        lmsb.wait_until(lambda: self.daemon.post(self.at("/exec"), {"cmd": "cat /tmp/draft"}).json()["stdout"] == "half", "the input")
        self.doCleanups()  # closes the connection
        lmsb.wait_until(lambda: self.stdin(process, data="x").status == 404, "its end")
        self.assertEqual(self.daemon.post(self.at("/exec"), {"cmd": "test -e /tmp/whole"}).json()["exit_code"], 1)

    def test_tells_the_start_the_output_and_the_verdict(self):
        events = list(self.follow("POST", "/exec", {"cmd": "echo out; echo err >&2; exit 3"}))
        self.assertEqual(events[0]["type"], "started")
        self.assertGreater(events[0]["process"]["pid"], 1)
        self.assertIn({"type": "stdout", "offset": 0, "text": "out\n"}, events)
        self.assertIn({"type": "stderr", "offset": 0, "text": "err\n"}, events)
        self.assertEqual((events[-1]["type"], events[-1]["exit_code"]), ("result", 3))

    def test_output_comes_while_the_command_runs(self):
        events = self.follow("POST", "/exec", {"cmd": "mkfifo /tmp/pa; echo first; read line < /tmp/pa; echo second"})
        next(events)
        self.assertEqual(next(events)["text"], "first\n")  # nothing has let it go on yet
        self.daemon.post(self.at("/exec"), {"cmd": "echo > /tmp/pa"})
        self.assertEqual([e["type"] for e in events], ["stdout", "result"])

    def test_a_client_that_goes_ends_the_command(self):
        events = self.follow("POST", "/exec", {"cmd": "echo $$; exec sleep 1007"})
        next(events), next(events)
        self.doCleanups()
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1007"), "an ended command")

    def test_a_slow_reader_slows_the_command_and_the_daemon_stays_small(self):
        before = self.resident()
        script = f"head -c {128 * MIB} /dev/zero | tr '\\0' x; echo done > /tmp/done"
        events = self.follow("POST", "/exec", {"cmd": script, "timeout_ms": 600_000})
        next(events), next(events)
        ran = self.daemon.post(self.at("/exec"), {"cmd": "cat /tmp/done"}).json()
        self.assertNotEqual(ran["exit_code"], 0, "a command whose output nobody takes has ended")
        total = sum(len(e["text"]) for e in events if e["type"] == "stdout")
        self.assertGreater(total, 127 * MIB)
        self.assertLess(self.resident() - before, 32 * MIB)

    def resident(self):
        status = pathlib.Path(f"/proc/{self.daemon.daemon_pid()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def test_server_sent_events_carry_the_same_objects(self):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        connection.request("POST", self.at("/exec"), json.dumps({"cmd": "echo x"}),
                           {"Accept": "text/event-stream", "Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        self.assertTrue(response.headers["Content-Type"].startswith("text/event-stream"))
        objects = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        self.assertEqual([o["type"] for o in objects], ["started", "stdout", "result"])

    def test_a_time_limit_is_a_verdict_too(self):
        events = list(self.follow("POST", "/exec", {"cmd": "echo x; sleep 1008", "timeout_ms": 300}))
        self.assertEqual(events[-1]["outcome"], "timed_out")

    def test_a_directory_that_is_not_there_is_no_loss_of_ours(self):
        events = list(self.follow("POST", "/exec", {"cmd": "true", "cwd": "/nowhere"}))
        self.assertEqual((events[-1]["outcome"], events[-1]["exit_code"]), ("exited", 126))
        self.assertEqual([event["text"] for event in events if event["type"] == "stderr"],
                         ['working directory "/nowhere": No such file or directory\n'])

    def test_the_one_that_has_ended_does_not_wait_for_what_it_left(self):
        events = list(self.follow("POST", "/exec", {"cmd": "sleep 1009 & echo x"}))
        self.assertTrue(events[-1]["background_left"])

    def test_what_it_left_does_not_keep_it_going_by_writing(self):
        events = list(self.follow("POST", "/exec", {"cmd": "yes 1016 & exit 5"}))
        self.assertEqual((events[-1]["exit_code"], events[-1]["background_left"]), (5, True))
        self.daemon.post(self.at("/exec"), {"cmd": "pkill yes"})


class Attached(ProcessTest):
    """Commands that somebody waits for or follows, as others see them."""

    def listed(self, **fields):
        """The one process of the list that has such fields, once it is there."""
        found = []

        def look():
            found[:] = [p for p in self.daemon.request("GET", self.at("/processes")).json()["data"]
                        if fields.items() <= p.items()]
            return found
        lmsb.wait_until(look, f"a process with {fields}")
        self.assertEqual(len(found), 1, found)
        return found[0]

    def in_background(self, cmd, **fields):
        """Waits for a command on a thread; its answer comes by calling what is returned."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.daemon.post(self.at("/exec"), {"cmd": cmd, **fields})))
        thread.start()

        def answer():
            thread.join()
            return answers[0].json()
        self.addCleanup(thread.join)
        return answer

    def test_one_that_is_followed_is_listed_got_and_signalled_by_its_id(self):
        events = self.follow("POST", "/exec", {"cmd": "echo on; sleep 1030", "cwd": "/tmp"})
        started = next(events)["process"]
        next(events)
        listed = self.listed(id=started["id"])
        self.assertEqual({name: listed[name] for name in ("cmd", "cwd", "pid", "state", "attached", "session", "stdin", "result")},
                         {"cmd": "echo on; sleep 1030", "cwd": "/tmp", "pid": started["pid"], "state": "running", "attached": True,
                          "session": None, "stdin": False, "result": None})
        self.assertEqual(self.get(started, 0), listed)
        self.signal(started, "TERM")
        self.assertEqual([(e["outcome"], e["signal"]) for e in events], [("signaled", "SIGTERM")])
        gone = self.daemon.request("GET", self.at(f"/processes/{started['id']}"))
        self.assertEqual((gone.status, gone.json()["error"]["code"]), (404, "process_not_found"))
        answer = self.daemon.post(self.at(f"/processes/{started['id']}/signal"), {"signal": "TERM"})
        self.assertEqual(answer.status, 404)

    def test_one_whose_octets_are_taken_is_so_too(self):
        connection = self.daemon.connection(60)
        self.addCleanup(connection.close)
        connection.request("POST", self.at("/exec"), json.dumps({"cmd": "echo on; sleep 1031"}),
                           {"Accept": "application/octet-stream", "Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertEqual(response.read(3), b"on\n")
        self.signal(self.listed(cmd="echo on; sleep 1031"), "KILL", tree=True)
        self.assertEqual(response.read(), b"")

    def test_one_that_is_waited_for_is_so_too(self):
        answer = self.in_background("sleep 1032; exit 5")
        process = self.listed(cmd="sleep 1032; exit 5")
        self.assertEqual((process["attached"], process["timeout_ms"]), (True, 120_000))
        self.signal(process, "KILL", tree=True)
        self.assertEqual((answer()["signal"], answer()["process_id"]), ("SIGKILL", process["id"]))

    def test_a_signal_reaches_the_leader_or_the_tree(self):
        script = "trap 'echo leader; exit 3' USR1; sh -c 'echo ready; exec sleep 1033' & wait"
        for tree, left in ((False, True), (True, False)):
            events = self.follow("POST", "/exec", {"cmd": script})
            process = next(events)["process"]
            self.assertEqual(next(events)["text"], "ready\n")
            self.signal(process, "USR1", tree=tree)
            *texts, result = events
            self.assertEqual(("".join(e["text"] for e in texts), result["exit_code"]), ("leader\n", 3))
            self.assertEqual(result["background_left"], left)
            if left:
                self.daemon.post(self.at("/exec"), {"cmd": "pkill -f 'sleep 103[3]'"})

    def test_who_waits_for_its_end_hears_how_it_ended(self):
        events = self.follow("POST", "/exec", {"cmd": "read line; exit 6", "keep_stdin": True})
        process = next(events)["process"]
        self.assertEqual(self.get(process, 1)["state"], "running")
        waiting = self.daemon.connection(60)
        self.addCleanup(waiting.close)
        waiting.request("GET", self.at(f"/processes/{process['id']}?wait_ms=60000"))
        self.listed(id=process["id"])  # an answer to a later request: he waits
        self.stdin(process, close=True)
        ended = json.loads(waiting.getresponse().read())
        self.assertEqual((ended["state"], ended["result"]["exit_code"]), ("ended", 6))
        self.assertGreaterEqual(ended["ended_at"], ended["started_at"])
        self.assertEqual([e["exit_code"] for e in events], [6])

    def test_one_that_is_deleted_was_cancelled(self):
        answer = self.in_background("(setsid sleep 1034 &) ; sleep 1034")
        process = self.listed(cmd="(setsid sleep 1034 &) ; sleep 1034")
        self.assertEqual(self.daemon.request("DELETE", self.at(f"/processes/{process['id']}")).status, 204)
        self.assertEqual(self.daemon.request("GET", self.at(f"/processes/{process['id']}")).status, 404)
        self.assertEqual(answer()["outcome"], "cancelled")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1034"), "an empty tree")
        events = self.follow("POST", "/exec", {"cmd": "sleep 1034"})
        process = next(events)["process"]
        self.assertEqual(self.daemon.request("DELETE", self.at(f"/processes/{process['id']}")).status, 204)
        self.assertEqual([e["outcome"] for e in events], ["cancelled"])

    def test_what_it_writes_is_its_callers_alone(self):
        events = self.follow("POST", "/exec", {"cmd": "echo mine; sleep 1035"})
        process = next(events)["process"]
        next(events)
        for accept in ("application/json", "application/x-ndjson", "application/octet-stream"):
            answer = self.daemon.request("GET", self.at(f"/processes/{process['id']}/output"), headers={"Accept": accept})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (409, "process_attached"))
        self.assertEqual(self.stdin(process, data="x").json()["error"]["code"], "input_closed")
        self.assertNotIn("mine", self.daemon.request("GET", self.at("/logs")).body.decode())
        self.signal(process, "KILL", tree=True)

    def test_a_sessions_command_is_there_with_its_session(self):
        answer = self.in_background("cd /tmp; sleep 1036", session="attached")
        process = self.listed(session="attached")
        self.assertEqual((process["attached"], process["cmd"]), (True, "cd /tmp; sleep 1036"))
        self.signal(process, "KILL", tree=True)
        self.assertEqual((answer()["signal"], answer()["process_id"]), ("SIGKILL", process["id"]))

    def test_who_waited_for_one_that_cannot_be_started_knows_its_id_too(self):
        self.assertRegex(self.daemon.post(self.at("/exec"), {"cmd": ["no-such-program"]}).json()["process_id"], "^prc_[a-z0-9]{20}$")


class Merged(ProcessTest):
    """stderr on stdout, in the order of writing."""

    CMD = "for i in $(seq 200); do echo out $i; echo err $i >&2; done"
    TEXT = "".join(f"out {i}\nerr {i}\n" for i in range(1, 201))

    def merged(self, cmd, **fields):
        return {"cmd": cmd, "merge_stderr": True, **fields}

    def test_of_one_that_is_waited_for(self):
        result = self.daemon.post(self.at("/exec"), self.merged(self.CMD)).json()
        self.assertEqual((result["stdout"], result["stderr"]), (self.TEXT, ""))
        result = self.daemon.run(self.CMD, merge_stderr=True)
        self.assertEqual((result["stdout"], result["stderr"]), (self.TEXT, ""))

    def test_of_one_that_is_followed(self):
        events = list(self.follow("POST", "/exec", self.merged(self.CMD)))
        self.assertEqual({e["type"] for e in events}, {"started", "stdout", "result"})
        self.assertEqual("".join(e["text"] for e in events if e["type"] == "stdout"), self.TEXT)
        octets = self.daemon.post(self.at("/exec"), self.merged(self.CMD), headers={"Accept": "application/octet-stream"})
        self.assertEqual(octets.body.decode(), self.TEXT)

    def test_of_a_detached_one(self):
        process = self.start(self.CMD, merge_stderr=True)
        self.assertTrue(process["merge_stderr"])
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["text"], self.TEXT)
        err = self.wait_for_output(process, "stderr")
        self.assertEqual((err["text"], err["end"], err["ended"]), ("", 0, True))
        self.assertEqual(self.wait_for_output(process, offset=6)["text"], self.TEXT[6:])

    def test_of_a_session_leaves_the_shell_as_its_command_left_it(self):
        in_session = {"session": "merged"}
        result = self.daemon.post(self.at("/exec"), self.merged(f"cd /tmp; A='it''s'; {self.CMD}; (exit 3)", **in_session)).json()
        self.assertEqual((result["stdout"], result["stderr"], result["exit_code"]), (self.TEXT, "", 3))
        result = self.daemon.post(self.at("/exec"), {"cmd": "echo $PWD $A; echo err >&2", **in_session}).json()
        self.assertEqual((result["stdout"], result["stderr"]), ("/tmp its\n", "err\n"))

    def test_of_a_program_that_is_not_there_is_what_a_shell_says(self):
        said = "no-such-program: command not found\n"
        result = self.daemon.post(self.at("/exec"), self.merged(["no-such-program"])).json()
        self.assertEqual((result["exit_code"], result["stdout"], result["stderr"]), (127, said, ""))
        events = list(self.follow("POST", "/exec", self.merged(["no-such-program"])))
        self.assertEqual([e["text"] for e in events if e["type"] == "stdout"], [said])
        process = self.start(["no-such-program"], merge_stderr=True)
        self.get(process)
        self.assertEqual(self.wait_for_output(process)["text"], said)
        self.assertEqual([e.get("text") for e in self.follow("GET", f"/processes/{process['id']}/output?follow=true")],
                         [said, None])


class Limited(ProcessTest):
    def limited(self, cmd, **limits):
        return self.daemon.post(self.at("/exec"), {"cmd": cmd, "limits": limits}).json()

    def test_one_that_has_used_its_processor_time_is_ended_and_told_so(self):
        for cmd in ("while :; do :; done", "bash -c 'while :; do :; done'; exit $?", "trap '' XCPU; while :; do :; done"):
            ended = self.limited(cmd, cpu_ms=500)
            self.assertEqual(ended["outcome"], "cpu_timed_out", ended)
            self.assertIn(ended["exit_code"], (128 + 24, 128 + 9))
        self.assertEqual(self.limited("kill -XCPU $$")["outcome"], "signaled", "nobody had set a limit")

    def test_a_detached_one_too(self):
        process = self.start("while :; do :; done", limits={"cpu_ms": 1000})
        self.assertEqual(self.get(process)["result"]["outcome"], "cpu_timed_out")

    def test_files_memory_and_descriptors_are_bounded_for_each_of_its_processes(self):
        ended = self.limited("head -c 100000 /dev/zero >/tmp/a; echo $?; stat -c %s /tmp/a", file_bytes=65536)
        self.assertEqual(ended["stdout"], f"{128 + 25}\n65536\n", ended)
        self.assertEqual(self.limited("ulimit -n; bash -c 'ulimit -n'", open_files=50)["stdout"], "50\n50\n")
        self.assertEqual(self.limited("ulimit -v", memory_bytes=256 << 20)["stdout"], f"{256 << 10}\n")
        self.assertNotEqual(self.limited("head -c 300M /dev/zero | tail -c 300M >/dev/null; exit ${PIPESTATUS[1]}",
                                         memory_bytes=128 << 20)["exit_code"], 0)

    def test_none_is_more_than_the_sandbox_has(self):
        had = self.limited("ulimit -Hn; ulimit -Hf; ulimit -Hv")["stdout"]
        asked = self.limited("ulimit -Hn; ulimit -Hf; ulimit -Hv", open_files=1 << 20, file_bytes=1 << 50)["stdout"]
        self.assertEqual(had, asked)

    def test_what_makes_no_sense_is_refused(self):
        for limits in ({"cpu_ms": 0}, {"open_files": 1}, {"memory_bytes": "1g"}, {"stack": 1}, [], 5):
            self.assertEqual(self.daemon.post(self.at("/exec"), {"cmd": "true", "limits": limits}).status, 400, limits)
        self.assertEqual(self.daemon.post(self.at("/exec"), {"cmd": "true", "session": "s", "limits": {"cpu_ms": 1}}).status, 400)


class Sessions(ProcessTest):
    """One bash for many commands."""

    def run_in(self, session, cmd, **fields):
        answer = self.daemon.post(self.at("/exec"), {"cmd": cmd, "session": session, **fields})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def said(self, session, cmd):
        return self.run_in(session, cmd)["stdout"]

    def test_keep_the_directory_variables_functions_and_jobs(self):
        self.run_in("a", "cd /tmp; export A='1  2'; f() { echo f:$1; }; sleep 1011 &")
        self.assertEqual(self.said("a", 'echo "$PWD,$A"; f x; jobs | wc -l'), "/tmp,1  2\nf:x\n1\n")

    def test_answer_exact_statuses_and_both_streams(self):
        result = self.run_in("b", "echo out; echo err >&2; (exit 7)")
        self.assertEqual((result["stdout"], result["stderr"], result["exit_code"]), ("out\n", "err\n", 7))
        self.assertEqual(self.run_in("b", "printf 'no line break'")["stdout"], "no line break")

    def test_carry_every_character(self):
        text = "a\\b %s \t\n'\"$X é €"
        self.assertEqual(self.said("c", "cat <<'EOF'\n" + text + "\nEOF"), text + "\n")

    def test_commands_have_nothing_to_read(self):
        self.assertEqual(self.said("d", "cat; read x || echo none"), "none\n")
        self.assertEqual(self.said("d", "echo still"), "still\n")

    def test_what_a_command_makes_of_its_streams_stays_and_the_end_is_still_seen(self):
        self.assertEqual(self.said("e", "exec >/tmp/e 2>&1; echo hidden"), "")
        self.assertEqual(self.said("e", "echo more; exec >&-; true"), "")
        self.assertEqual(self.daemon.post(self.at("/exec"), {"cmd": "cat /tmp/e"}).json()["stdout"], "hidden\nmore\n")

    def test_exit_ends_one_and_the_next_begins_anew(self):
        self.run_in("f", "A=1")
        result = self.run_in("f", "exit 3")
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 3))
        self.assertIn("ended", result["hint"])
        self.assertEqual(self.said("f", "echo ${A-none}"), "none\n")

    def test_an_error_under_set_e_ends_one(self):
        self.run_in("g", "set -e")
        self.assertEqual(self.run_in("g", "false; echo never")["exit_code"], 1)
        self.assertEqual(self.said("g", "false; echo again"), "again\n")

    def test_what_a_script_goes_on_after_under_set_e_ends_none(self):
        self.run_in("x", "set -e; [ 1 = 2 ] && echo never")
        for cmd in ("! true", "false || true; [ 1 = 2 ] && echo never", "if false; then :; fi"):
            self.run_in("x", cmd)
        self.assertEqual(self.said("x", "echo still"), "still\n")
        result = self.run_in("x", "echo before; (exit 9); echo never")
        self.assertEqual((result["stdout"], result["exit_code"]), ("before\n", 9))
        self.assertIn("ended", result["hint"])

    def test_give_each_command_the_status_of_the_one_before(self):
        for merged in (False, True):
            self.run_in("y", "(exit 6)", merge_stderr=merged)
            self.assertEqual(self.run_in("y", "echo $?", merge_stderr=merged)["stdout"], "6\n")
            self.assertEqual(self.run_in("y", "echo $?", merge_stderr=merged)["stdout"], "0\n")

    def test_are_not_left_by_words_of_loops(self):
        self.run_in("z", "A=1; shopt -s expand_aliases; alias say='echo said'")
        for word in ("break", "continue", "break 2", "continue 2", "break 99", "for i in 1 2; do break; done; continue"):
            done = self.run_in("z", f"{word}; echo on", timeout_ms=30_000)
            self.assertEqual((done["exit_code"], done["stdout"]), (0, "on\n"), "as in a script")
            self.assertIn("only meaningful in a", done["stderr"])
        self.assertEqual(self.said("z", "for i in 1 2; do for j in 1 2; do echo $i$j; continue 2; done; done"), "11\n21\n")
        self.assertEqual(self.said("z", "say $A"), "said 1\n")

    def test_commands_stand_in_no_function(self):
        self.run_in("fn", "declare A=1; typeset -i B=2; set -- x y")
        self.assertEqual(self.said("fn", "echo $A $B $1 $#"), "1 2 x 2\n")
        self.assertIn("can only be used in a function", self.run_in("fn", "local X=1")["stderr"])

    def test_long_ones_are_taken_whole(self):
        for size in (15_000, 16_000, 16_384, 40_000):
            text = "x" * size
            self.assertEqual(self.said("long", f"A='{text}'; echo ${{#A}}"), f"{size}\n")

    def test_take_texts_that_are_not_complete_as_the_shell_does(self):
        self.assertEqual(self.run_in("c", "ls |")["exit_code"], 2)
        self.assertEqual(self.run_in("c", "if true; then")["exit_code"], 2)
        self.assertEqual(self.said("c", "cat <<X\nopen"), "open\n")
        self.assertEqual(self.said("c", "sleep 0 & wait; echo on # and so"), "on\n")

    def test_a_time_limit_ends_one_and_all_it_started(self):
        result = self.run_in("h", "echo before; (setsid sleep 1012 &); sleep 1012", timeout_ms=3000)
        self.assertEqual((result["outcome"], result["stdout"]), ("timed_out", "before\n"))
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1012"), "an empty tree")

    def test_one_that_can_say_nothing_any_more_is_over(self):
        result = self.run_in("o", "exec 1>&- 2>&- 7>&- 8>&-; false")
        self.assertEqual((result["outcome"], result["signal"]), ("signaled", "SIGKILL"))
        self.assertIn("ended", result["hint"])
        self.assertEqual(self.said("o", "echo again"), "again\n")

    def test_what_it_leaves_in_the_background_does_not_hide_its_end(self):
        result = self.run_in("p", "sleep 1017 & exit 3", timeout_ms=60_000)
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 3))
        self.assertLess(result["usage"]["wall_ms"], 50_000)

    def test_a_command_that_begins_with_a_dash_is_none_of_their_options(self):
        for field in ({}, {"merge_stderr": True}):
            result = self.run_in("y", "-x 1", **field)
            self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 127), result)
            self.assertIn("-x: command not found", result["stdout"] + result["stderr"])

    def test_ended_ones_make_room_for_others(self):
        for i in range(65):
            self.run_in(f"q{i}", "exit")

    def test_a_time_limit_ends_one_that_never_stops_writing(self):
        result = self.run_in("l", "yes", timeout_ms=500)
        self.assertEqual(result["outcome"], "timed_out")
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"yes"), "an ended command")

    def test_a_command_that_writes_its_own_mark_and_goes_on_is_cut_as_any(self):
        result = self.run_in("m", r"printf '\n%s ' $__lm_mark; head -c 8000000 /dev/zero | tr '\0' x")
        self.assertEqual(result["exit_code"], 0)
        self.assertGreater(result["truncated"]["stdout_bytes"], 6_000_000)

    def test_commands_that_wait_for_their_turn_keep_nobody_else_from_running(self):
        self.run_in("n", "mkfifo /tmp/turn; first='read x < /tmp/turn'")
        statuses = []

        def wait_in_turn():
            statuses.append(self.daemon.post(self.at("/exec"), {"cmd": 'eval "$first"; first=:', "session": "n"}).status)

        threads = [threading.Thread(target=wait_in_turn) for _ in range(70)]
        for thread in threads:
            thread.start()
        lmsb.wait_until(lambda: len(statuses) == 5, "the refusal of the five that are too many")
        self.assertEqual(statuses, [429] * 5)
        self.assertEqual(self.daemon.run("echo free")["stdout"], "free\n")
        self.daemon.post(self.at("/exec"), {"cmd": "echo > /tmp/turn"})
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200] * 65 + [429] * 5)

    def test_take_turns(self):
        self.run_in("i", "N=0")
        threads = [threading.Thread(target=self.run_in, args=("i", "N=$((N+1))")) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.said("i", "echo $N"), "20\n")

    def test_large_output_is_cut_as_everywhere_and_again_and_again(self):
        for _ in range(4):
            result = self.run_in("j", f"head -c {24 * MIB} /dev/zero | tr '\\0' x; echo end")
            self.assertTrue(result["stdout"].endswith("xend\n"))
            self.assertEqual(result["exit_code"], 0)
            total = len(result["stdout"]) + result["truncated"]["stdout_bytes"]
            self.assertGreater(total, 24 * MIB)

    def session(self, name):
        answer = self.daemon.request("GET", self.at(f"/sessions/{name}"))
        return answer.json() if answer.status == 200 else answer.json()["error"]["code"]

    def test_are_listed_with_what_runs_in_them(self):
        self.run_in("r", "mkfifo /tmp/listed")
        idle = self.session("r")
        self.assertEqual({name: idle[name] for name in ("name", "sandbox_id", "state", "command", "waiting")},
                         {"name": "r", "sandbox_id": self.sandbox, "state": "idle", "command": None, "waiting": 0})
        self.assertGreater(idle["pid"], 1)
        threads = [threading.Thread(target=self.run_in, args=("r", cmd)) for cmd in ("read x < /tmp/listed", ":")]
        threads[0].start()
        lmsb.wait_until(lambda: self.session("r")["command"], "a command")
        threads[1].start()
        lmsb.wait_until(lambda: self.session("r")["waiting"] == 1, "one that waits")
        busy = self.session("r")
        self.assertEqual((busy["state"], busy["command"]["cmd"], busy["command"]["session"]), ("busy", "read x < /tmp/listed", "r"))
        listed = self.daemon.request("GET", self.at("/sessions")).json()["data"]
        self.assertIn(busy, listed)
        self.assertEqual([s["name"] for s in listed], sorted(s["name"] for s in listed))
        self.daemon.post(self.at("/exec"), {"cmd": "echo > /tmp/listed"})
        for thread in threads:
            thread.join()
        self.assertEqual(self.session("r"), idle)
        self.run_in("r", "exit")
        self.assertEqual(self.session("r"), "session_not_found")

    def test_say_what_each_command_has_used(self):
        spin = "for ((i = 0; i < 100000; ++i)); do :; done"
        for _ in range(2):  # not of all its commands together
            self.assertLess(self.used(self.run_in("u", ":")), 50)
            self.assertGreater(self.used(self.run_in("u", spin)), 50)
        self.assertGreater(self.used(self.run_in("u", f"({spin}) & wait")), 50, "of what it starts, too")
        self.assertGreater(self.used(self.run_in("u", f"{spin}; exit")), 50, "of the last one, too")

    def used(self, result):
        usage = result["usage"]
        self.assertIsNone(usage["max_memory_bytes"], "nobody knows")
        return usage["cpu_user_ms"] + usage["cpu_system_ms"]

    def test_that_are_ended_cancel_what_runs_in_them(self):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.run_in("v", "sleep 1039")))
        thread.start()
        lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1039"), "the command")
        self.assertEqual(self.daemon.request("DELETE", self.at("/sessions/v")).status, 204)
        thread.join()
        self.assertEqual(answers[0]["outcome"], "cancelled")

    def test_refuse_what_they_cannot_do(self):
        for field in ({"user": "user"}, {"cwd": "/tmp"}, {"env": {"A": "1"}}, {"stdin": "x"}, {"shell": "/bin/sh"}):
            answer = self.daemon.post(self.at("/exec"), {"cmd": ":", "session": "w", **field})
            self.assertEqual((answer.status, answer.json()["error"]["code"]), (400, "invalid_session"), field)

    def test_can_be_ended(self):
        self.run_in("k", "sleep 1013 &")
        self.assertEqual(self.daemon.request("DELETE", self.at("/sessions/k")).status, 204)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"sleep\0" + b"1013"), "an ended session")
        self.assertEqual(self.daemon.request("DELETE", self.at("/sessions/k")).status, 404)


class Many(ProcessTest):
    def test_a_sandbox_whose_command_waits_for_its_place_can_be_deleted(self):
        with lmsb.Daemon(env={"LM_SANDBOX_LIMITS__MAX_RUNNING": "1"}) as daemon:
            one, other = (daemon.post("/v1/sandboxes", {}).json()["id"] for _ in range(2))
            answers = {}

            def run(sandbox, cmd):
                answers[sandbox] = daemon.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": cmd})

            def count(name):
                return daemon.request("GET", "/v1/info").json()[name]

            long = threading.Thread(target=run, args=(one, "mkfifo /tmp/go; read x < /tmp/go"))
            long.start()
            lmsb.wait_until(lambda: count("running") == 1, "a running command")
            waiting = threading.Thread(target=run, args=(other, "true"))
            waiting.start()
            lmsb.wait_until(lambda: count("waiting") == 1, "a waiting command")
            self.assertEqual(daemon.request("DELETE", f"/v1/sandboxes/{other}", timeout=30).status, 204)
            self.assertEqual(daemon.request("DELETE", f"/v1/sandboxes/{one}").status, 204)
            long.join()
            waiting.join()
            self.assertEqual(answers[other].json()["error"]["code"], "sandbox_lost")

    def test_double_forks_leave_no_zombie_and_statuses_are_right(self):
        # Each in a session of its own whose parent has gone and that nobody waits for. Each tells that it was there, and
        # the end of the pipe that all of them have: what comes behind the command's own end is not its output.
        script = ("import os, sys\n"
                  "told, telling = os.pipe()\n"
                  f"for _ in range({ORPHANS // 100}):\n"
                  "    if os.fork() == 0:\n"
                  "        os.setsid()\n"
                  "        if os.fork() == 0: os.write(1, b'.'); os._exit(1)\n"
                  "        os._exit(0)\n"
                  "    os.wait()\n"
                  "os.close(telling)\n"
                  "os.read(told, 1)\n"
                  "sys.exit(int(sys.argv[1]))")
        results, before = [], len(lmsb.processes_of(self.sandbox))

        def run_some(first):
            for number in range(first, first + 25):
                result = self.daemon.post(self.at("/exec"), {"cmd": ["python3", "-c", script, str(number)]}).json()
                results.append((result["exit_code"] - number, result["stdout"]))

        threads = [threading.Thread(target=run_some, args=(25 * i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([wrong for wrong in results if wrong != (0, "." * (ORPHANS // 100))], [])
        self.assertEqual(len(results), 100)
        lmsb.wait_until(lambda: not lmsb.processes_of(self.sandbox, "Z"), "no zombies")
        lmsb.wait_until(lambda: len(lmsb.processes_of(self.sandbox)) == before, f"{before} processes as before")


if __name__ == "__main__":
    lmsb.main()
