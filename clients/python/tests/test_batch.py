"""map(): order, bounds, what is sent again, and ends."""
import itertools
import json
import socket
import threading
import unittest

import support
from lm_sandbox import Backoff, Cancelled, ConnectionFailed, Unavailable, map

AT_ONCE = Backoff(first=0.0, most=0.0)


class MapTest(support.ServerTest):
    def serve_jobs(self, answer):
        """`answer(exchange, cmd)` for each job."""
        def serve(exchange, _):
            while request := exchange.request():
                answer(exchange, json.loads(request[2])["cmd"])

        return self.serve(serve)

    def echo(self, exchange, cmd):
        exchange.answer(support.verdict(cmd))


class Order(MapTest):
    def first_is_last(self):
        """A server that answers the job "first" when it may."""
        self.may = threading.Event()

        def answer(exchange, cmd):
            if cmd == "first":
                self.assertTrue(self.may.wait(30))
            exchange.answer(support.verdict(cmd))
            if cmd == "third":
                self.may.set()

        return self.serve_jobs(answer)

    def test_results_come_in_the_order_of_the_jobs(self):
        done = list(map(["first", "second", "third"], client=self.first_is_last()))
        self.assertEqual([(d.index, d.job, d.result.stdout) for d in done],
                         [(0, "first", "first"), (1, "second", "second"), (2, "third", "third")])

    def test_or_as_they_end(self):
        seen = []
        for done in map(["first", "second"], ordered=False, client=self.first_is_last()):
            seen.append(done.index)
            self.may.set()
        self.assertEqual(seen, [1, 0])

    def test_no_jobs_are_no_results(self):
        self.assertEqual(list(map([], client=self.serve_jobs(self.echo))), [])

    def test_jobs_are_texts_lists_or_mappings(self):
        jobs = ["a", ["b", "c"], {"cmd": "d", "timeout": 3}]
        seen = [json.loads(json.dumps(d.result.stdout)) for d in map(jobs, client=self.serve_jobs(self.echo))]
        self.assertEqual(seen, ["a", "['b', 'c']", "d"])

    def test_a_job_that_is_none_is_said_by_its_number_and_what_is_wrong(self):
        done = list(map(["a", {"bogus": 1}, {"cmd": "b", "bogus": 1}], client=self.serve_jobs(self.echo)))
        self.assertIsNone(done[0].error)
        self.assertEqual(str(done[1].error), "job 1 of map() has no cmd, only ['bogus']")
        self.assertRegex(str(done[2].error), "^job 2 of map[(][)]: .*'bogus'")

    def echo(self, exchange, cmd):
        exchange.answer(support.verdict(str(cmd)))

    def test_an_endless_source_is_taken_from_only_so_far(self):
        for ordered in (True, False):
            taken = itertools.count()
            jobs = (f"job {next(taken)}" for _ in itertools.repeat(None))
            done = map(jobs, concurrency=3, ordered=ordered, client=self.serve_jobs(self.echo))
            for _ in range(10):
                next(done)
            done.close()
            self.assertLessEqual(next(taken), 9 + 2 * 3)
            self.doCleanups()


class Failures(MapTest):
    def test_a_job_that_fails_does_not_end_the_others(self):
        def answer(exchange, cmd):
            if cmd == "bad":
                exchange.answer(support.refusal("sandbox_lost"), "503 Service Unavailable", "Retry-After: 0\r\n")
            else:
                exchange.answer(support.verdict(cmd))

        done = list(map(["a", "bad", {"cmd": "b", "no_such_field": 1}, "c"], client=self.serve_jobs(answer)))
        self.assertEqual([type(d.error) for d in done], [type(None), Unavailable, TypeError, type(None)])
        self.assertRaises(Unavailable, lambda: done[1].result)
        self.assertEqual((done[1].attempts, done[3].result.stdout), (1, "c"))

    def test_what_the_source_raises_comes_after_the_results_before_it(self):
        def jobs():
            yield "a"
            raise KeyError("the source")

        done = map(jobs(), client=self.serve_jobs(self.echo))
        self.assertEqual(next(done).result.stdout, "a")
        self.assertRaisesRegex(KeyError, "the source", next, done)

    def test_a_concurrency_of_nothing_is_a_mistake_at_once(self):
        self.assertRaises(ValueError, map, ["a"], concurrency=0, client=self.serve_jobs(self.echo))


class Again(MapTest):
    def refuse_twice(self, code, status="429 Too Many Requests", more="Retry-After: 0\r\n"):
        seen = []

        def answer(exchange, cmd):
            seen.append(cmd)
            if len(seen) < 3:
                exchange.answer(support.refusal(code) if code else {"detail": "full"}, status, more)
            else:
                exchange.answer(support.verdict(cmd))

        return next(map(["x"], backoff=AT_ONCE, client=self.serve_jobs(answer)))

    def test_what_was_refused_before_its_start_is_sent_again(self):
        for code in ("too_many_requests", "too_many_sandboxes", "busy"):
            done = self.refuse_twice(code)
            self.assertEqual((done.result.stdout, done.attempts), ("x", 3))
            self.doCleanups()

    def test_so_is_what_something_before_the_daemon_turned_away_for_now(self):
        for status, more, attempts in (("429 Too Many Requests", "Retry-After: 0\r\n", 3),
                                       ("503 Service Unavailable", "Retry-After: 0\r\n", 3),
                                       ("503 Service Unavailable", "", 1),
                                       ("502 Bad Gateway", "Retry-After: 0\r\n", 1)):
            self.assertEqual(self.refuse_twice(None, status, more).attempts, attempts)
            self.doCleanups()

    def test_what_may_have_run_is_not(self):
        for code in ("sandbox_lost", "file_operation_lost", "too_many_processes"):
            self.assertEqual(self.refuse_twice(code, "503 Service Unavailable").attempts, 1)
            self.doCleanups()

    def test_a_connection_that_breaks_after_the_request_is_the_jobs_error(self):
        seen = []

        def serve(exchange, _):
            while request := exchange.request():
                seen.append(json.loads(request[2])["cmd"])
                if seen[-1] == "dies":
                    return
                exchange.answer(support.verdict())

        done = list(map(["a", "dies", "b"], concurrency=1, backoff=AT_ONCE, client=self.serve(serve)))
        self.assertIsInstance(done[1].error, ConnectionFailed)
        self.assertTrue(done[1].error.may_have_run)
        self.assertEqual(seen, ["a", "dies", "b"])

    def test_it_gives_up_after_so_much_waiting(self):
        def answer(exchange, _):
            exchange.answer(support.refusal("busy"), "429 Too Many Requests", "Retry-After: 3600\r\n")

        done = next(map(["x"], client=self.serve_jobs(answer)))
        self.assertEqual((done.error.code, done.attempts), ("busy", 1))

    def test_an_address_where_nobody_ever_answered_is_an_error_at_once(self):
        client = self.serve_jobs(self.echo)
        self.server.close()
        done = list(map(["a", "b"], client=client))
        self.assertEqual([(type(d.error), d.attempts) for d in done], [(ConnectionFailed, 1)] * 2)

    def test_a_daemon_that_starts_anew_is_waited_for(self):
        class Restart(Backoff):
            """Whoever waits for the daemon finds it started anew."""

            def plan(self):
                return self

            def next(_, retry_after=None):
                self.server = support.Server(serve, self.server.port)
                return 0.0

        def serve(exchange, _):
            cmd = json.loads(exchange.request()[2])["cmd"]
            if cmd == "last words":
                self.server.listening.shutdown(socket.SHUT_RDWR)
                self.server.listening.close()
            exchange.answer(support.verdict(cmd), more="Connection: close\r\n")

        client = self.serve(serve)
        done = list(map(["last words", "after"], concurrency=1, backoff=Restart(), client=client))
        self.assertEqual([(d.result.stdout, d.attempts) for d in done], [("last words", 1), ("after", 2)])


class Ends(MapTest):
    def endless(self):
        """A server whose jobs, but for "quick", end only with their client."""
        self.running, self.gone = threading.Semaphore(0), threading.Semaphore(0)

        def answer(exchange, cmd):
            if cmd == "quick":
                return exchange.answer(support.verdict(cmd))
            self.running.release()
            exchange.request()
            self.gone.release()

        return self.serve_jobs(answer)

    def wait(self, semaphore, count):
        for _ in range(count):
            self.assertTrue(semaphore.acquire(timeout=30))

    def test_closing_it_early_ends_what_runs(self):
        done = map(["quick", "long", "long", "long"], concurrency=4, client=self.endless())
        next(done)
        self.wait(self.running, 3)
        done.close()
        self.wait(self.gone, 3)
        self.assertEqual([t for t in threading.enumerate() if "_work" in t.name], [])

    def test_an_interrupt_ends_what_runs(self):
        done = map(["quick", "long", "long"], concurrency=3, client=self.endless())
        next(done)
        self.wait(self.running, 2)
        self.assertRaises(KeyboardInterrupt, done.throw, KeyboardInterrupt())
        self.wait(self.gone, 2)

    def test_a_wait_before_another_attempt_ends_too(self):
        waits = threading.Event()

        class Patient(Backoff):
            def plan(self):
                return self

            def next(self, retry_after=None):
                waits.set()
                return 3600.0

        def answer(exchange, cmd):
            if cmd == "quick":
                return exchange.answer(support.verdict())
            exchange.answer(support.refusal("busy"), "429 Too Many Requests")

        done = map(["quick", "refused"], backoff=Patient(), client=self.serve_jobs(answer))
        next(done)
        self.assertTrue(waits.wait(30))
        done.close()

    def test_a_client_that_is_aborted_cancels_its_own_requests_alone(self):
        client = self.serve_jobs(self.echo)
        done = map(["a", "b"], client=client)
        client.abort()
        self.assertEqual([d.result.stdout for d in done], ["a", "b"])
        self.assertRaises(Cancelled, client.info)


if __name__ == "__main__":
    unittest.main()
