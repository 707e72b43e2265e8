#!/usr/bin/python3
"""Strangers at the door: a thousand connections that hardly move, and thousands of requests that are refused. Each gets its
answer or its end, a sandbox's user is answered meanwhile, and the daemon does not grow. Figures: docs/reliability.md."""
import collections
import http.client
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import floods
import lmsb
from neighbour import Neighbour

SLOW = 1000
REFUSALS = 2000  # of each kind, on connections that are kept; a tenth of it on new ones
ALLOWED_GROWTH = 48 << 20  # of the daemon: 32 KiB for each head that is coming, and some


class Floods(lmsb.SystemTest):
    def setUp(self):
        lmsb.wait_full_pool(self.daemon)
        self.sandbox = self.make_sandbox(image="host")
        lmsb.wait_full_pool(self.daemon)  # which has descriptors, too

    def descriptors(self):
        return lmsb.held_by(self.daemon.daemon_pid())["descriptors"]

    def test_connections_whose_heads_hardly_come_end_by_the_time_limit_and_hold_up_nobody(self):
        before = self.descriptors()
        with lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH), Neighbour(self.exec_in, self.sandbox) as asked:
            slow = floods.SlowConnections(self.daemon, head=SLOW)
            self.addCleanup(slow.close)
            lmsb.wait_until(lambda: self.descriptors() >= before + SLOW, "all of them at once")
            answers = asked.answers
            self.wait_for_end(slow)
            self.assertGreater(asked.answers, answers)
        self.assertEqual(asked.wrong, [])
        self.assertEqual(slow.heard, {("head", 408): SLOW})
        lmsb.wait_until(lambda: self.descriptors() <= before, "the end of their descriptors")

    def wait_for_end(self, slow):
        def has_ended():
            slow.tick()
            time.sleep(0.5)
            return not slow.open

        lmsb.wait_until(has_ended, lambda: f"the end of {len(slow.open)} connections", seconds=120)

    def ask(self, count, is_new, counted):
        """So many of each kind, one after the other."""
        connection = None
        for _ in range(count):
            for request in floods.REFUSED.values():
                if connection is None:
                    connection = socket.create_connection((self.daemon.host, self.daemon.port), timeout=60)
                connection.sendall(request)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                answer.read()
                counted[answer.status] += 1
                if answer.will_close or is_new:
                    connection.close()
                    connection = None
        if connection:
            connection.close()

    def test_thousands_of_refused_requests_get_each_its_answer_and_hold_up_nobody(self):
        counts, before, log = [collections.Counter() for _ in range(8)], self.descriptors(), len(self.daemon.log_text())
        with lmsb.stays_small(self.daemon.daemon_pid(), ALLOWED_GROWTH), Neighbour(self.exec_in, self.sandbox) as asked:
            shares = [(REFUSALS // 7, False)] * 7 + [(REFUSALS // 10, True)]
            asking = [threading.Thread(target=self.ask, args=(*share, counted)) for share, counted in zip(shares, counts)]
            for one in asking:
                one.start()
            for one in asking:
                one.join()
            answers = asked.answers
            lmsb.wait_until(lambda: asked.answers > answers, "an answer")
        self.assertEqual(asked.wrong, [])
        wanted = sum(count for count, _ in shares)
        self.assertEqual(sum(counts, collections.Counter()), {status: wanted for status in floods.REFUSED})
        lmsb.wait_until(lambda: self.descriptors() <= before, "the end of their descriptors")
        self.assertLess(len(self.daemon.log_text()) - log, 100_000, "who is refused does not fill the disk with it")


if __name__ == "__main__":
    lmsb.main()
