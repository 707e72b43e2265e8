"""map(): many one shots at once, by threads, with back-off and in bounded memory."""
from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Any, Generator, Iterable, Iterator, Mapping, Sequence, Union

from . import oneshot
from .backoff import Backoff
from .client import Client, default_client
from .errors import ApiError, Busy, Cancelled, ConnectionFailed, Unavailable
from .result import Result

Job = Union[str, Sequence[str], Mapping[str, Any]]

# The daemon's refusals that come before a command is started. Others of 429 and 503 can come when it has begun
# (sandbox_lost), or come again however long one waits (too_many_processes).
BEFORE_THE_START = frozenset({"too_many_requests", "too_many_sandboxes", "busy"})


@dataclass(frozen=True)
class Done:
    """One job of map(): its place among the jobs, the job itself, and what became of it. `attempts` counts how often
    it was sent. `result` is the command's result, or raises the job's `error`."""

    index: int
    job: Job
    attempts: int
    error: BaseException | None = None
    _result: Result | None = field(default=None, repr=False)

    @property
    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        assert self._result is not None
        return self._result


def map(jobs: Iterable[Job], *, concurrency: int = 8, ordered: bool = True, backoff: Backoff = Backoff(),
        client: Client | None = None) -> Generator[Done, None, None]:
    """Runs each job as run() would, `concurrency` at once, and yields a Done for each: in the order of the jobs, or
    with ordered=False as they end.

    A job is a command (text or list of arguments), or a mapping of run()'s arguments: {"cmd": ..., "files": ...}. At
    most 2 * `concurrency` jobs are taken from `jobs` before their results are taken from here, in the caller's thread.

    A job that fails does not end the others: its Done has the `error`, and raises it where its `result` is asked for.
    A command that ran has a result, however it ended. What `jobs` itself raises is raised here, after the results of
    the jobs before it.

    A job is sent again, after a wait (Backoff), only where its command cannot have been started: the daemon refused it
    for want of room (429 and 503: too_many_requests, too_many_sandboxes, busy, and those without a code of the daemon's
    that say Retry-After), or could not be reached or broke off before it had the whole request. The last two only once
    it has answered, so that a wrong address is an error at once, and a daemon that is started anew is waited for. A
    connection that breaks later is the job's error (ConnectionFailed, may_have_run): its command is never run twice
    unasked.

    Closing the iterator, or an exception in its loop such as KeyboardInterrupt, ends all commands that still run: the
    daemon kills those whose client is gone. Leaving the loop by `break` does so as soon as nothing refers to the
    iterator; contextlib.closing() does it at once everywhere.
    """
    if concurrency < 1:
        raise ValueError("concurrency is at least 1")
    return _deliver(iter(jobs), _Batch(client or default_client(), concurrency, backoff), 2 * concurrency, ordered)


def _deliver(jobs: Iterator[Job], batch: _Batch, window: int, ordered: bool) -> Generator[Done, None, None]:
    finished: dict[int, Done] = {}
    taken = given = 0
    is_last = False
    fault: Exception | None = None
    try:
        while True:
            while not is_last and taken - given < window:
                try:
                    batch.submit(taken, next(jobs))
                    taken += 1
                except StopIteration:
                    is_last = True
                except Exception as error:
                    is_last, fault = True, error
            if taken == given:
                break
            index = given if ordered else next(iter(finished), -1)
            if index in finished:
                given += 1
                yield finished.pop(index)
            else:
                done = batch.next_done()
                finished[done.index] = done
        if fault is not None:
            raise fault
    finally:
        batch.end()


class _Batch:
    """Threads that carry jobs out, started as jobs come, on connections of their own."""

    def __init__(self, client: Client, concurrency: int, backoff: Backoff) -> None:
        self._client = client.twin()
        self._concurrency = concurrency
        self._backoff = backoff
        self._jobs: queue.SimpleQueue[tuple[int, Job] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self._has_answered = False

    def submit(self, index: int, job: Job) -> None:
        self._jobs.put((index, job))
        if len(self._threads) < self._concurrency:
            # Daemonic: a program that ends with the iterator still open is not kept from it.
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()

    def next_done(self) -> Done:
        return self._done.get()

    def end(self) -> None:
        """Ends what still runs, and all threads."""
        self._ended.set()
        self._client.abort()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None and not self._ended.is_set():
            self._done.put(self._carry_out(*task))

    def _carry_out(self, index: int, job: Job) -> Done:
        attempts = 0
        try:
            asked = _request(index, job)
            plan = self._backoff.plan()
            while True:
                attempts += 1
                try:
                    result = oneshot.send(self._client, asked)
                    self._has_answered = True
                    return Done(index, job, attempts, None, result)
                except (ApiError, ConnectionFailed) as error:
                    if not self._may_repeat(error):
                        raise
                    self._wait(plan.next(getattr(error, "retry_after", None)), error)
        except BaseException as error:  # whatever it is, it is the caller's to see
            return Done(index, job, attempts, error)

    def _may_repeat(self, error: ApiError | ConnectionFailed) -> bool:
        self._has_answered = self._has_answered or isinstance(error, ApiError)
        return self._has_answered and was_not_started(error)

    def _wait(self, delay: float | None, error: ApiError | ConnectionFailed) -> None:
        if delay is None:
            raise error
        if self._ended.wait(delay):
            raise Cancelled("the map was closed")


def was_not_started(error: Exception) -> bool:
    """Whether the command of a one shot that failed with this certainly did not begin, and may later."""
    if isinstance(error, ConnectionFailed):
        return not error.may_have_run
    if isinstance(error, ApiError) and error.code:
        return error.code in BEFORE_THE_START
    return isinstance(error, (Busy, Unavailable)) and error.retry_after is not None


def _request(index: int, job: Job) -> dict[str, Any]:
    if not isinstance(job, Mapping):
        return oneshot.request(job)
    if "cmd" not in job:
        raise TypeError(f"job {index} of map() has no cmd, only {sorted(job)}")
    try:
        return oneshot.request(**job)
    except TypeError as error:
        raise TypeError(f"job {index} of map(): {error}") from error
