#!/usr/bin/python3
"""Output and files that are larger than any memory: clients that read fast, slowly, no more, or go. LMSB_STREAM_GIB (2)
is how large the files are."""
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

MIB = 1 << 20
GIB = 1 << 30
OUTPUT = 2 * GIB
FILE = int(os.environ.get("LMSB_STREAM_GIB", "2")) * GIB
ALLOWED_GROWTH = 16 * MIB  # of the daemon, whatever passes through it
OCTETS = {"Accept": "application/octet-stream", "Content-Type": "application/json"}


class StreamTest(lmsb.SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox, cls.other = (cls.daemon.post("/v1/sandboxes", {"limits": {"disk_bytes": FILE + GIB}}).json()["id"]
                                  for _ in range(2))

    def at(self, path, sandbox=None):
        return f"/v1/sandboxes/{sandbox or self.sandbox}{path}"

    def exec(self, cmd, sandbox=None):
        return self.daemon.post(self.at("/exec", sandbox), {"cmd": cmd}).json()

    @contextlib.contextmanager
    def daemon_that_stays_small(self):
        """And whose other sandboxes are as they always are meanwhile."""
        over = threading.Event()
        with (lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH),
              concurrent.futures.ThreadPoolExecutor(1) as pool):
            others = pool.submit(self.use_another_sandbox, over)
            try:
                yield
            finally:
                over.set()
            self.assertGreaterEqual(others.result(), 3)

    def use_another_sandbox(self, over):
        """Until then, and three times at least; how often it answered as it should."""
        right = 0
        while right < 3 or not over.wait(0.1):
            result = self.exec(f"echo {right}; exit 3", self.other)
            if (result["stdout"], result["exit_code"]) != (f"{right}\n", 3):
                raise AssertionError(result)
            right += 1
        return right

    def ask(self, method, path, body=None, headers=OCTETS):
        """An answer whose body has not been read, on a connection of its own with a small buffer."""
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request(method, self.at(path), None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        return connection, answer

    def read_all(self, answer):
        total, buffer = 0, bytearray(MIB)
        while count := answer.readinto(buffer):
            total += count
        return total

    def start(self, cmd):
        answer = self.daemon.post(self.at("/exec"), {"cmd": cmd, "detach": True})
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()["id"]

    def wait(self, process):
        return self.daemon.request("GET", self.at(f"/processes/{process}?wait_ms=60000")).json()

    def assert_is_waiting(self, mark):
        """A command that would have left a mark at its end has not, in a time in which it could have."""
        time.sleep(1)
        self.assertEqual(self.exec(f"ls {mark} 2>/dev/null | wc -l")["stdout"], "0\n")


class AttachedOutput(StreamTest):
    def begin(self, cmd):
        return self.ask("POST", "/exec", {"cmd": cmd, "timeout_ms": 120_000})

    def test_arrives_octet_by_octet_with_how_it_ended_behind_it(self):
        wanted = bytes(range(256)) * 1000
        script = "for i in range(1000): os.write(1, bytes(range(256)))"
        with socket.create_connection((self.daemon.host, self.daemon.port), timeout=60) as client:
            body = json.dumps({"cmd": ["python3", "-c", f"import os, sys\n{script}\nos.write(2, b'no')\nsys.exit(7)"]})
            client.sendall((f"POST {self.at('/exec')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTE: trailers\r\n"
                            f"Accept: application/octet-stream\r\nContent-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            head, _, rest = client.makefile("rb").read().partition(b"\r\n\r\n")
        self.assertIn(b"\r\nTrailer: X-Outcome, X-Exit-Code\r\n", head)
        octets = b""
        while (size := int(rest[:rest.index(b"\r\n")], 16)) > 0:
            begin = rest.index(b"\r\n") + 2
            octets, rest = octets + rest[begin:begin + size], rest[begin + size + 2:]
        self.assertEqual(octets, wanted)
        self.assertEqual(rest, b"0\r\nX-Outcome: exited\r\nX-Exit-Code: 7\r\n\r\n")

    def test_of_two_gigabytes_is_all_there(self):
        with self.daemon_that_stays_small():
            self.assertEqual(self.read_all(self.begin(f"head -c {OUTPUT} /dev/zero")[1]), OUTPUT)

    def test_waits_for_a_client_that_reads_slowly(self):
        with self.daemon_that_stays_small():
            connection, answer = self.begin(f"head -c {OUTPUT} /dev/zero; touch /tmp/slow")
            for _ in range(20):
                self.assertEqual(len(answer.read(65536)), 65536)
                time.sleep(0.05)
            self.assert_is_waiting("/tmp/slow")
            connection.close()
        self.assert_ended("head")

    def test_waits_for_a_client_that_reads_no_more_and_ends_when_it_goes(self):
        with self.daemon_that_stays_small():
            # Each has a place among the commands that run: four for each CPU, and others need one, too.
            connections = [self.begin(f"head -c {OUTPUT} /dev/zero; touch /tmp/none")[0] for _ in range(3)]
            self.assert_is_waiting("/tmp/none")
            self.assertEqual(len(lmsb.sandbox_processes(b"head\0-c\0")), len(connections))
            for connection in connections:
                connection.close()
            self.assert_ended("head")
        self.assertEqual(self.exec("ls /tmp/none")["exit_code"], 2)

    def test_of_a_sandbox_that_goes_breaks_off(self):
        box = self.daemon.post("/v1/sandboxes", {}).json()["id"]
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("POST", self.at("/exec", box), json.dumps({"cmd": "yes"}), OCTETS)
        answer = connection.getresponse()
        self.assertEqual(answer.read(4), b"y\ny\n")
        self.assertEqual(self.daemon.request("DELETE", self.at("", box)).status, 204)
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
            self.read_all(answer)

    def assert_ended(self, name):
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(name.encode() + b"\0-c\0"), f"no {name}")


class DetachedOutput(StreamTest):
    def test_of_two_gigabytes_waits_for_nobody(self):
        with self.daemon_that_stays_small():
            process = self.start(f"head -c {OUTPUT} /dev/zero; echo end; exit 4")
            stopped = [self.ask("GET", f"/processes/{process}/output?follow=true", headers={"Accept": kind})[0]
                       for kind in ("application/octet-stream", "application/x-ndjson", "text/event-stream")]
            self.assertEqual(self.wait(process)["result"]["exit_code"], 4)
            for connection in stopped:
                connection.close()
        piece = self.daemon.request("GET", self.at(f"/processes/{process}/output?stream=stdout&offset={OUTPUT}")).json()
        self.assertEqual((piece["text"], piece["end"]), ("end\n", OUTPUT + 4))

    def test_breaks_off_where_octets_are_lost(self):
        process = self.start(f"head -c {80 * MIB} /dev/zero; echo end")
        self.wait(process)
        answer = self.ask("GET", f"/processes/{process}/output")[1]
        with self.assertRaises(http.client.IncompleteRead):
            self.read_all(answer)
        last = self.ask("GET", f"/processes/{process}/output?stream=stdout&offset={80 * MIB}")[1]
        self.assertEqual(last.read(), b"end\n")

    def test_breaks_off_when_the_process_is_deleted_although_its_end_is_known(self):
        for kind in ("application/octet-stream", "application/x-ndjson", "text/event-stream"):
            process = self.start(f"head -c {60 * MIB} /dev/zero; exit 4")
            self.wait(process)
            answer = self.ask("GET", f"/processes/{process}/output?follow=true", headers={"Accept": kind})[1]
            self.assertTrue(answer.read(1000))
            self.assertLess(self.daemon.request("DELETE", self.at(f"/processes/{process}")).status, 300)
            with self.assertRaises(http.client.IncompleteRead):
                self.read_all(answer)

    def test_is_followed_octet_by_octet(self):
        process = self.start("head -c 30000000 /dev/urandom > /tmp/random; cat /tmp/random; md5sum < /tmp/random >&2")
        octets = self.ask("GET", f"/processes/{process}/output?follow=true")[1].read()
        digest = self.ask("GET", f"/processes/{process}/output?stream=stderr&follow=true")[1].read()
        self.assertEqual(digest.split()[0].decode(), hashlib.md5(octets).hexdigest())

    def test_goes_on_without_a_client_that_goes(self):
        with self.daemon_that_stays_small():
            process = self.start(f"head -c {OUTPUT} /dev/zero; exit 5")
            connection, answer = self.ask("GET", f"/processes/{process}/output?follow=true")
            self.assertEqual(len(answer.read(MIB)), MIB)
            connection.close()
            self.assertEqual(self.wait(process)["result"]["exit_code"], 5)


class LargeFiles(StreamTest):
    def test_go_out_in_constant_memory(self):
        self.exec(f"truncate -s {FILE - 4} large; printf end. >> large")
        with self.daemon_that_stays_small():
            _, answer = self.ask("GET", "/files?path=large", headers={})
            self.assertEqual(answer.headers["Content-Length"], str(FILE))
            total, last, buffer = 0, b"", bytearray(MIB)
            while count := answer.readinto(buffer):
                total, last = total + count, bytes(buffer[max(0, count - 4):count])
        self.assertEqual((total, last), (FILE, b"end."))
        self.exec("rm large")

    def test_come_in_in_constant_memory(self):
        piece = b"\0" * MIB
        with self.daemon_that_stays_small():
            with socket.create_connection((self.daemon.host, self.daemon.port), timeout=60) as client:
                client.sendall((f"PUT {self.at('/files?path=large')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                f"Content-Type: application/octet-stream\r\nContent-Length: {FILE}\r\n\r\n").encode())
                for _ in range(FILE // MIB):
                    client.sendall(piece)
                self.assertTrue(client.makefile("rb").readline().startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.exec("stat -c %s large; rm large")["stdout"], f"{FILE}\n")

    def test_wait_for_clients_that_read_no_more(self):
        self.exec(f"truncate -s {FILE} large")
        before = len(lmsb.processes_of(self.sandbox))
        with self.daemon_that_stays_small():
            connections = [self.ask("GET", "/files?path=large", headers={})[0] for _ in range(8)]
            time.sleep(1)
            self.assertEqual(len(lmsb.processes_of(self.sandbox)), before + len(connections))
            for connection in connections:
                connection.close()
            lmsb.wait_until(lambda: len(lmsb.processes_of(self.sandbox)) <= before, "the end of their processes")
        self.exec("rm large")

    def test_that_become_shorter_meanwhile_break_off(self):
        self.exec(f"truncate -s {FILE} shrinking")
        _, answer = self.ask("GET", "/files?path=shrinking", headers={})
        self.assertEqual(len(answer.read(MIB)), MIB)
        self.exec("truncate -s 1000 shrinking")
        self.assertLess(self.read_all(answer), FILE - MIB)

    def test_give_exactly_the_part_that_is_asked_for(self):
        self.exec("head -c 3000000 /dev/urandom > part; for i in 1 2 3 4 5 6 7; do cat part part > two; mv two part; done")
        whole = self.daemon.request("GET", self.at("/files?path=part")).body
        begin, end = 123_456_789, 234_567_890
        answer = self.daemon.request("GET", self.at("/files?path=part"), headers={"Range": f"bytes={begin}-{end}"})
        self.assertEqual((answer.status, answer.body == whole[begin:end + 1]), (206, True))


if __name__ == "__main__":
    lmsb.main()
