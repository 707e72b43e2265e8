#!/usr/bin/python3
"""Everything at random, and everything of ours killed meanwhile: what was answered holds, what nobody touched has lost nothing,
and kernel, store and database agree at the end. LMSB_CHAOS seconds (25; `make chaos MINUTES=60`), LMSB_SEED (printed). A seed
settles who does what in which order, not when."""
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_disks import launcher_of
from test_staying import COUNT, StayingTest, kill_all_of_ours, kill_daemon, kill_launcher, kill

SECONDS = float(os.environ.get("LMSB_CHAOS", "25"))
SEED = int(os.environ.get("LMSB_SEED", str(random.SystemRandom().randrange(1 << 32))))
CALLERS = 3
SANDBOXES = 3  # of each caller, at most
ROUND = 12  # seconds, after which all stand still and are looked at
MAY_COME_LATER = {"not_ready", "sandbox_busy", "busy", "no_memory", "gate_lost"}
GOES_AWAY = {"launcher_lost", "daemon_ends", "cancelled"}  # so says a daemon that ends
DOWN = ("failed", "stopped")
LIMITS = {"memory_bytes": 64 << 20, "processes": 40, "disk_bytes": 32 << 20}


class Interrupted(Exception):
    """The daemon went away meanwhile: it may have been done, or not."""


class Box:
    """What must be true of a sandbox. `files` holds for each path what may be in it: one text, or two when nobody said
    which. `counting` is a process, or None, and `state` is None when only the daemon knows. `past` is what was last done."""

    def __init__(self, sandbox):
        self.id, self.state, self.files, self.counting, self.snapshot = sandbox, "running", {}, None, None
        self.is_going = False  # its removal was asked for
        self.is_losing_guest = False  # it was killed, and no daemon has said so yet
        self.past = collections.deque(maxlen=6)

    def see(self, state):
        """What a daemon says of its state. One whose guest was killed runs on for a moment, as far as it knows."""
        self.is_losing_guest = self.is_losing_guest and state not in DOWN
        self.state = None if self.is_losing_guest else state

    def __str__(self):
        return f"{self.id} ({self.state}, {self.files}, counting {self.counting}, past {list(self.past)})"


class Caller(threading.Thread):
    """Does one thing after the other with sandboxes of its own, chosen by chance, whenever it is told to go on."""

    def __init__(self, test, number):
        super().__init__(daemon=True)
        self.test, self.number, self.random = test, number, random.Random(SEED * 100 + number)
        self.boxes, self.wrong, self.done, self.interrupted, self.about = {}, [], {}, 0, None
        self.may_run, self.is_still, self.is_ending = threading.Event(), threading.Event(), False

    def run(self):
        while not self.is_ending:
            if not self.may_run.is_set():
                self.is_still.set()
                self.may_run.wait(1)
                continue
            self.is_still.clear()
            self.once()
        self.is_still.set()

    def once(self):
        things = [self.create] * 2 + [self.execute] * 6 + [self.write] * 4 + [self.read] * 3 + [
            self.count, self.hear, self.pause, self.resume, self.stop, self.start_again, self.snapshot, self.roll_back,
            self.fork, self.delete, self.lose_guest, self.run_one_shot, self.time_out]
        thing, self.about = self.random.choice(things), None
        self.done[thing.__name__] = self.done.get(thing.__name__, 0) + 1
        try:
            thing()
        except Interrupted:
            self.interrupted += 1
            self.note(f"{thing.__name__}, interrupted")
            self.look_again()
        except Exception as error:  # every failure is a finding, whatever its kind
            self.wrong.append(f"caller {self.number}, {thing.__name__}: {error!r}; {self.about}")
        else:
            self.note(thing.__name__)

    def note(self, what):
        if self.about:
            self.about.past.append(f"{time.monotonic() - self.test.begun:.3f} {what}")

    # ---- Asking

    def ask(self, method, path, body=None, fine=(200, 201, 204)):
        """Returns (status, object). What may come later is asked for again; what stands in `fine` is no failure."""
        while True:
            try:
                answer = self.test.daemon.request(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                raise Interrupted from error
            told = answer.body if method == "GET" and "/files?" in path and answer.status == 200 else \
                json.loads(answer.body) if answer.body else None
            if answer.status in fine:
                return answer.status, told
            code = told["error"]["code"]
            if code in GOES_AWAY:
                raise Interrupted
            if code not in MAY_COME_LATER:
                raise AssertionError(f"{method} {path} {str(body)[:200]}: {answer.status} {told['error']}")
            if self.is_ending and code != "not_ready":
                raise Interrupted
            time.sleep(0.1)

    def box(self, *states):
        """One of those in such a state, or None."""
        fitting = sorted((one for one in self.boxes.values() if one.state in states), key=lambda one: one.id)
        self.about = self.random.choice(fitting) if fitting else None
        return self.about

    def look_again(self):
        """After the daemon went away: what is there, and as what. What was answered must be."""
        told = None
        while not told:
            try:
                self.test.is_up.wait(60)
                _, told = self.ask("GET", "/v1/sandboxes?limit=1000&label=caller%3D" + str(self.number))
            except Interrupted:
                if self.is_ending:  # no daemon comes any more
                    return
        there = {one["id"]: one["state"] for one in told["data"] if one["labels"].get("caller") == str(self.number)}
        for box in list(self.boxes.values()):
            if box.id in there:
                box.see(there[box.id])
            elif box.is_going:
                del self.boxes[box.id]
            else:
                self.wrong.append(f"caller {self.number}: {box} is gone")
                del self.boxes[box.id]
        for sandbox in there.keys() - self.boxes.keys():  # made, and nobody was told
            box = self.boxes[sandbox] = Box(sandbox)
            box.state, box.files = there[sandbox], None

    def path(self, box, what=""):
        return f"/v1/sandboxes/{box.id}{what}"

    # ---- What it does

    def create(self):
        if len(self.boxes) >= SANDBOXES:
            return self.delete()
        fields = {"image": "base", "limits": LIMITS, "labels": {"caller": str(self.number)}}
        if self.random.random() < 0.3:
            fields["egress"] = {"allow": ["name.test"]}  # it has a gate
        _, told = self.ask("POST", "/v1/sandboxes", fields)
        self.boxes[told["id"]] = Box(told["id"])
        return None

    def execute(self):
        if box := self.box("running"):
            number = self.random.randrange(1000)
            _, told = self.ask("POST", self.path(box, "/exec"), {"cmd": f"echo {number}; exit {number % 7}"})
            if told["outcome"] == "lost":
                raise Interrupted
            if (told["outcome"], told["stdout"], told["exit_code"]) != ("exited", f"{number}\n", number % 7):
                raise AssertionError(f"{box}: {told}")

    def write(self):
        if box := self.box("running"):
            name, text = f"f{self.random.randrange(3)}", str(self.random.randrange(1 << 30))
            if box.files is not None:
                box.files[name] = [*box.files.get(name, [None])[-1:], text]  # the one or the other until it is answered
            body = text * 100
            self.ask("PUT", self.path(box, f"/files?path=/workspace/{name}"), body.encode())
            if box.files is not None:
                box.files[name] = [text]

    def read(self):
        box = self.box("running")
        if not box or not box.files:
            return
        name = self.random.choice(sorted(box.files))
        status, octets = self.ask("GET", self.path(box, f"/files?path=/workspace/{name}"), fine=(200, 404))
        may_be = [None if text is None else (text * 100).encode() for text in box.files[name]]
        if (octets if status == 200 else None) not in may_be:
            raise AssertionError(f"{box}: {name} is {status} {str(octets)[:60]}")
        box.files[name] = [box.files[name][may_be.index(octets if status == 200 else None)]]

    def count(self):
        box = self.box("running")
        if box and box.counting is None:
            _, told = self.ask("POST", self.path(box, "/exec"), {"cmd": COUNT, "detach": True})
            box.counting = told["id"]

    def hear(self):
        """Its numbers have no gap. From the beginning, a piece of it."""
        box = self.box("running", "paused")
        if box and box.counting:
            _, told = self.ask("GET", self.path(box, f"/processes/{box.counting}/output?stream=stdout&offset=0"))
            check_numbers(told["text"], str(box))

    def pause(self):
        if box := self.box("running"):
            box.state = None
            self.ask("POST", self.path(box, "/pause"))
            box.state = "paused"

    def resume(self):
        if box := self.box("paused"):
            box.state = None
            self.ask("POST", self.path(box, "/resume"))
            box.state = "running"

    def stop(self):
        if box := self.box("running", "paused", "failed"):
            box.state = box.counting = None
            self.ask("POST", self.path(box, "/stop"), {"grace_ms": 0})
            box.state = "stopped"

    def start_again(self):
        if box := self.box(*DOWN):
            box.state = box.counting = None
            self.ask("POST", self.path(box, "/start"))
            box.state = "running"

    def snapshot(self):
        box = self.box("running", "stopped")
        if box and box.snapshot is None and box.files is not None and all(len(texts) == 1 for texts in box.files.values()):
            _, told = self.ask("POST", self.path(box, "/snapshot"), {})
            box.snapshot = (told["id"], dict(box.files))

    def roll_back(self):
        box = self.box("running", "stopped")
        if box and box.snapshot:
            state, box.state, box.counting, (snapshot, files) = box.state, None, None, box.snapshot
            names = {*files, *(box.files or {})}
            now = box.files or {}
            # The one or the other until it is answered.
            box.files = {name: [*now.get(name, [None]), *files.get(name, [None])] for name in names}
            _, told = self.ask("POST", self.path(box, "/rollback"), {"snapshot": snapshot})
            # A launcher that was killed between the two keeps it from running again: then it says that it is stopped.
            if told["state"] not in (state, "stopped"):
                raise AssertionError(f"{box}: rolled back, and it is {told['state']}")
            box.files, box.state = dict(files), told["state"]

    def fork(self):
        box = self.box("running", "stopped")
        if box and box.files is not None and len(self.boxes) < SANDBOXES:
            files = {name: list(texts) for name, texts in box.files.items()}
            _, told = self.ask("POST", self.path(box, "/fork"), {"count": 1})
            for one in told["data"]:
                made = self.boxes[one["id"]] = Box(one["id"])
                made.state, made.files = one["state"], files

    def delete(self):
        if box := self.box("running", "paused", *DOWN):
            box.state, box.is_going = None, True
            self.ask("DELETE", self.path(box), fine=(204, 404))
            if box.snapshot:
                self.ask("DELETE", f"/v1/snapshots/{box.snapshot[0]}", fine=(204, 404))
            status, _ = self.ask("GET", self.path(box), fine=(200, 404))
            if status != 404:
                raise AssertionError(f"{box} was deleted, and is there")
            del self.boxes[box.id]

    def lose_guest(self):
        """It is killed from outside, by its pid: the sandbox has failed then, or stopped when it was another daemon that found
        that; its disk has all that was answered."""
        if box := self.box("running", "paused"):
            try:
                guest = lmsb.guest_of(box.id)
            except (StopIteration, OSError):
                return  # the daemon was killed, and another one is coming
            box.state = box.counting = None
            box.is_losing_guest = True
            kill(guest)
            self.until_down(box)

    def until_down(self, box):
        end = time.monotonic() + 60
        while box.is_losing_guest:
            _, told = self.ask("GET", self.path(box))
            box.see(told["state"])
            if time.monotonic() > end:
                raise AssertionError(f"{box}: its guest was killed, and it is {told['state']}")
            time.sleep(0.05)

    def run_one_shot(self):
        _, told = self.ask("POST", "/v1/run", {"cmd": "echo one; exit 5", "limits": LIMITS})
        if told["outcome"] != "lost" and (told["stdout"], told["exit_code"]) != ("one\n", 5):
            raise AssertionError(str(told))

    def time_out(self):
        if box := self.box("running"):
            _, told = self.ask("POST", self.path(box, "/exec"), {"cmd": "setsid sleep 1031 & sleep 1031", "timeout_ms": 200})
            if told["outcome"] not in ("timed_out", "lost"):
                raise AssertionError(f"{box}: {told}")

    # ---- When all stand still

    def check_all(self):
        """What was answered is there, of each that can be asked."""
        for box in list(self.boxes.values()):
            self.until_down(box)
            _, told = self.ask("GET", self.path(box))
            # One that has failed is a stopped one for the next daemon.
            if box.state is not None and told["state"] != box.state and {told["state"], box.state} != set(DOWN):
                self.wrong.append(f"caller {self.number}: {box} is {told['state']}")
            box.state = told["state"]
            for name in list(box.files or {}) if box.state == "running" else ():
                status, octets = self.ask("GET", self.path(box, f"/files?path=/workspace/{name}"), fine=(200, 404))
                may_be = [None if text is None else (text * 100).encode() for text in box.files[name]]
                if (octets if status == 200 else None) not in may_be:
                    self.wrong.append(f"caller {self.number}: {box}: {name} is {status} {str(octets)[:60]}")


def check_numbers(text, whose):
    numbers = [int(line) for line in text.split("\n")[:-1]]
    if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        gap = next(i for i in range(len(numbers)) if numbers[i] != numbers[0] + i)
        raise AssertionError(f"{whose}: octets are lost: {numbers[max(0, gap - 2):gap + 2]}")


class Chaos(StayingTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.is_up = threading.Event()
        self.is_up.set()

    def kill_something(self, chance):
        """Of what is ours: by pids that this daemon has now."""
        what = chance.choice(["gate", "gate", "daemon", "launcher", "all", "asked"])
        self.killed[what] = self.killed.get(what, 0) + 1
        if what == "gate":
            for gate in lmsb.gates(of=launcher_of(self.daemon))[:1]:
                kill(gate)
            return
        self.is_up.clear()
        if what == "asked":
            self.daemon.stop(signal.SIGTERM)
        else:
            {"daemon": kill_daemon, "launcher": kill_launcher, "all": kill_all_of_ours}[what](self.daemon)
        if self.daemon.process.poll() is not None:  # else its launcher has been started again
            self.daemon.log.close()
            self.daemon.start()
        self.is_up.set()

    def stand_still(self, callers):
        for caller in callers:
            caller.may_run.clear()
        for caller in callers:
            self.assertTrue(caller.is_still.wait(180), f"caller {caller.number} does not come to an end")

    def look(self, callers, witnesses):
        """While all stand still."""
        for caller in callers:
            caller.check_all()
        self.assertEqual([w for caller in callers for w in caller.wrong][:5], [])
        doctor = [lmsb.BIN / "lm-sandbox", "doctor", "--ledger", "--host", f"http://{self.daemon.host}:{self.daemon.port}"]
        told = subprocess.run(doctor, capture_output=True, text=True, check=False)
        self.assertEqual(told.returncode, 0, told.stdout + told.stderr)
        for witness in witnesses:
            self.hear(witness)

    def hear(self, witness):
        """The rest of what it has said so far: without a gap since its first number."""
        while True:
            piece = self.piece(witness["sandbox"], witness["process"], len(witness["text"]))
            self.assertEqual(piece.get("offset"), len(witness["text"]), f"octets are lost: {str(piece)[:400]}")
            witness["text"] += piece["text"]
            if len(piece["text"]) < 4096:
                break
        check_numbers(witness["text"], "one that nobody touched")
        count = witness["text"].count("\n")
        self.assertGreater(count, witness["count"], "it stands still")
        witness["count"] = count

    def witness(self):
        """Nobody touches it."""
        sandbox = self.create(limits=LIMITS)
        return {"sandbox": sandbox, "process": self.detach(sandbox, COUNT), "text": "", "count": 0}

    def test_what_was_answered_holds_and_nothing_is_lost_whatever_is_killed(self):
        print(f"LMSB_SEED={SEED} LMSB_CHAOS={SECONDS:g}", flush=True)
        chance, self.killed, self.begun = random.Random(SEED), {}, time.monotonic()
        witnesses = [self.witness(), self.witness()]
        callers = [Caller(self, number) for number in range(CALLERS)]
        end = time.monotonic() + SECONDS
        for caller in callers:
            caller.start()
        try:
            while time.monotonic() < end:
                self.one_round(callers, chance, min(end, time.monotonic() + ROUND))
                self.look(callers, witnesses)
        finally:
            self.is_up.set()
            for caller in callers:
                caller.is_ending = True
                caller.may_run.set()
            for caller in callers:
                caller.join(180)
            done = {name: sum(caller.done.get(name, 0) for caller in callers) for name in sorted(callers[0].done)}
            print(f"{sum(done.values())} things: {done}; killed: {self.killed}; interrupted {sum(c.interrupted for c in callers)}; "
                  f"the witnesses counted to {[one['count'] for one in witnesses]}", flush=True)
        for caller in callers:
            for box in list(caller.boxes):
                self.assertIn(self.daemon.request("DELETE", f"/v1/sandboxes/{box}").status, (204, 404))
        self.look([], witnesses)

    def one_round(self, callers, chance, end):
        for caller in callers:
            caller.may_run.set()
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.5, 3))
            self.kill_something(chance)
        self.stand_still(callers)


if __name__ == "__main__":
    lmsb.main()
