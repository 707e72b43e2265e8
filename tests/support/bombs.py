#!/usr/bin/python3
"""Bombs: programs that take all they get of one thing, again and again, until they are ended. The tests (test_bombs.py) and the
figures (bench/faults.py) set them off in a sandbox and look at its neighbour.

This file is also the program inside: `bombs.py NAME`. When it is refused for the first time, or something of it was killed
for it, it writes a line of JSON to its standard error, {"refused": "EAGAIN", "held": 61}, and goes on."""
import contextlib
import ctypes
import errno
import itertools
import json
import mmap
import os
import pathlib
import shutil
import signal
import socket
import sys
import threading
import time

# The sandbox: small, so that each bomb meets its limit soon; but for its processors, of which it has all.
LIMITS = {"memory_bytes": 128 << 20, "processes": 64, "disk_bytes": 48 << 20}
# Where it may end: what it is refused with. None: it is refused nothing, and waits (output) or gets its turn (timers).
REFUSED = {"forks": {"EAGAIN"}, "threads": {"EAGAIN"}, "memory": {"SIGKILL", "ENOMEM"}, "tmpfs": {"ENOSPC", "SIGKILL"},
           "disk": {"EDQUOT", "ENOSPC"}, "inodes": {"EDQUOT", "ENOSPC"}, "descriptors": {"EMFILE"}, "terminals": {"ENOSPC"},
           "output": None, "timers": {"EMFILE", "EAGAIN", "ENOMEM", "SIGKILL"}, "watches": {"EMFILE", "ENOSPC"},
           "sockets": {"ENOBUFS", "ENOMEM", "EMFILE", "ETOOMANYREFS", "SIGKILL"}, "zombies": {"EAGAIN"}}

libc = ctypes.CDLL(None, use_errno=True)
has_said = False


def say(refused, held):
    global has_said  # pylint: disable=global-statement
    if not has_said:
        has_said = True
        print(json.dumps({"refused": refused, "held": held}), file=sys.stderr, flush=True)


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def take_all(take):
    """What it got until it was refused."""
    held = []
    try:
        while True:
            held.append(take())
    except OSError as e:
        say(errno.errorcode[e.errno], len(held))
    return held


def in_children(body):
    """`body` in one child after the other: what is killed for it is the child."""
    while True:
        pid = os.fork()
        if pid == 0:
            ballast = b"x" * (16 << 20)  # of both the larger one, which is the one that is killed
            body()
            os._exit(len(ballast) & 1)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            say(signal.Signals(os.WTERMSIG(status)).name, 0)


def forks():
    held = 0
    while True:
        try:
            held += 1 if os.fork() else 0
        except OSError as e:
            say(errno.errorcode[e.errno], held)


def threads():
    held = 0
    while True:
        try:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            held += 1
        except RuntimeError:  # "can't start new thread", whose reason Python keeps for itself
            say("EAGAIN", held)


def memory():
    def fill():
        held = []
        while True:
            held.append(mmap.mmap(-1, 1 << 20))
            held[-1].write(b"x" * len(held[-1]))

    in_children(lambda: take_all(fill))


def fill(directory):
    """Files of a mebibyte until there is no room, and again."""
    os.makedirs(directory, exist_ok=True)
    octets, number = os.urandom(1 << 20), 0
    while True:
        try:
            with open(f"{directory}/{number}", "wb", buffering=0) as file:
                file.write(octets)
                os.fsync(file.fileno())
            number += 1
        except OSError as e:
            say(errno.errorcode[e.errno], number)
            shutil.rmtree(directory)
            os.makedirs(directory)
            number = 0


def tmpfs():
    in_children(lambda: fill("/dev/shm/bomb"))


def disk():
    fill("/workspace/bomb")


def inodes():
    """In memory, where 4,096 are the end, and on its disk, where many small ones take a while to fill it."""
    directory = "/workspace/inodes" if os.fork() == 0 else "/dev/shm/inodes"
    os.makedirs(directory, exist_ok=True)

    def path(number):
        return f"{directory}/{number}-{'x' * 200}"

    while True:
        numbers = itertools.count()
        for number in range(len(take_all(lambda: os.mknod(path(next(numbers)))))):
            with contextlib.suppress(OSError):  # there may be no room to remove it
                os.unlink(path(number))


def descriptors():
    while True:
        for both in take_all(os.pipe):
            os.close(both[0])
            os.close(both[1])


def terminals():
    while True:
        for one in take_all(lambda: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)):
            os.close(one)


def output():
    octets = b"y" * (1 << 16)
    while True:
        os.write(1, octets)


def timers():
    """In half of the processes that it may have, a timer that rings as often as it can; in one as many as it gets."""
    for _ in range(LIMITS["processes"] // 2):
        if os.fork() == 0:
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
            while True:
                signal.pause()
    often = (ctypes.c_long * 4)(0, 1000, 0, 1000)

    def timer():
        made = call(libc.timerfd_create, 1, 0)
        libc.timerfd_settime(made, 0, often, None)
        return made

    while True:
        for one in take_all(timer):
            os.close(one)


def watches():
    while True:
        held = take_all(lambda: call(libc.inotify_init1, 0))
        os.makedirs("/tmp/watched", exist_ok=True)
        for number in range(2000):
            os.makedirs(f"/tmp/watched/{number}", exist_ok=True)
            if held:
                libc.inotify_add_watch(held[0], f"/tmp/watched/{number}".encode(), 0xfff)
        for one in held:
            os.close(one)


def sockets():
    """Full ones: of the machine's memory, what waits in them. By name and by TCP."""
    def full(pair):
        for one in pair:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.send(b"x" * (1 << 16))
        return pair

    def by_tcp():
        client = socket.socket()
        client.settimeout(1)
        client.connect(listener.getsockname())
        return full((client, listener.accept()[0]))

    def both():
        take_all(lambda: full(socket.socketpair()))
        take_all(by_tcp)

    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    in_children(both)


def zombies():
    def zombie():
        if os.fork() == 0:
            os._exit(0)

    while True:
        for _ in take_all(zombie):
            os.wait()


def refusal(stderr):
    """What a bomb was refused with first; None: nothing yet."""
    lines = [line for line in stderr.splitlines() if line.startswith('{"refused"')]
    return json.loads(lines[0]) if lines else None


def command(name):
    return ["python3", "-c", pathlib.Path(__file__).read_text(encoding="utf8"), name]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
