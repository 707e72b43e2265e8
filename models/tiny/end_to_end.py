#!/usr/bin/python3
"""200 tasks from the first word to the last: the model's own commands, run in a real sandbox of a daemon of our own.

  end_to_end.py MODEL.gguf [--tasks N] [--seed N]       needs root, built programs (LMSB_BIN) and the images base and llama

The requests have wordings that training never saw and name what is really in the sandbox. A task succeeds if the answer has
the values in it that the shell gives when it is asked directly, and if what was to be written is really there.
"""
import argparse
import collections
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from corpus import TASKS, sample_instance
from corpus.facts import BY_NAME, values
from corpus.names import WORDS, Names
from corpus.paths import base, searched
from server import DATA, Server, call_turns, command_of

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests/support"))
import lmsb  # noqa: E402

CALLS = 4
TALKED = {"hello": 4, "introduce": 4, "ai": 4, "language_model": 2, "sandbox": 2, "abilities": 4, "thanks": 4, "more": 4, "other": 20}
CHANGING = ["disk", "memory", "load", "time", "uptime", "processes", "process_count"]  # what the shell says differs a second later
WRITING = ["create", "append", "make_directory", "directory_and_file", "create_and_count"]
ABSENT = {"list": "nothing", "read": "empty", "search": "No file", "find_name": "no file", "find_kind": "no .", "search_and_read": "No file"}


class Sandbox:
    def __init__(self, daemon):
        self.daemon = daemon
        answer = daemon.post("/v1/sandboxes", {})
        assert answer.status == 201, answer.body
        self.id = answer.json()["id"]

    def run(self, command):
        answer = self.daemon.post(f"/v1/sandboxes/{self.id}/exec", {"cmd": command, "timeout_ms": 20000})
        return answer.json() if answer.status == 200 else {"stdout": "", "stderr": answer.body.decode(), "exit_code": 1}

    def prints(self, command):
        return self.run(command)["stdout"].strip()


class Furnished(Names):
    """Draws names of what is there: directories and files made with held-out names, and some of the system's."""

    def __init__(self, rng):
        super().__init__(rng, "wordings")
        new = Names(rng, "wordings")
        home = ["~/" + new.stem() for _ in range(2)] + [new.stem() for _ in range(4)]
        self.directories = home + [f"{above}/{new.stem()}" for above in home[2:4]] + [f"/tmp/{new.stem()}"]
        paths = [f"{directory}/{new.file_name()}" for directory in self.directories for _ in range(rng.randint(1, 6))]
        paths += [new.file_name() for _ in range(5)]
        self.files = {path: [new.text(1, 5) for _ in range(rng.randint(1, 4))] for path in paths}
        self.writing = False
        self.last = ""

    def script(self):
        """Shell text that makes it all; times a second apart, so that there is a newest file."""
        lines = [f"mkdir -p {directory}" for directory in self.directories]
        for age, (path, content) in enumerate(self.files.items()):
            lines += [f"echo '{line}' {'>>' if i else '>'} {path}" for i, line in enumerate(content)]
            lines.append(f"touch -d '2026-01-01 00:00:{age % 60:02d}' {path}")
        return "\n".join(lines)

    def remembered(self, path):
        self.last = path
        return path

    def directory(self):
        if self.writing:
            return super().directory()
        return self.remembered(self.pick(self.directories * 3 + ["/etc", "/usr/bin", "/var/log", "/usr/share", "/opt", "/home"]))

    def file_path(self):
        if self.writing:
            return super().file_path()
        kind = self.rng.random()
        real = self.pick(list(self.files) + ["/etc/hostname", "/etc/passwd", "/etc/os-release"])
        return self.remembered(real if kind < 0.8 else base(real) if kind < 0.93 else super().file_name())

    def file_name(self):
        return super().file_name() if self.writing or self.chance(0.15) else base(self.pick(list(self.files)))

    def word(self, known=WORDS):
        if self.writing or self.chance(0.25):
            return super().word(known)
        words = [word for line in self.pick(list(self.files.values())) for word in line.split() if word.isalpha()]
        return self.pick(words) if words else super().word(known)


def expected(task, names, instance, box):
    """What the answer has to have in it: the shell is asked with the generator's commands, and where they fail, after a
    search by name, as the model should."""
    if not instance.steps or task in WRITING:
        return instance.values
    output, last = "", None
    for step in instance.steps[:2] if not instance.steps[0].stderr else instance.steps[:1]:
        command = step.command.replace(last[0], last[1]) if last and last[0] else step.command
        result = box.run(command)
        output = result["stdout"].strip()
        if not output and "not found" in result["stderr"]:  # the program, not the file
            return ["not installed"]
        if not output and result["stderr"]:
            output = after_search(names, command, box)
        if task == "two_counts":
            output, last = f"{last[1]}\n{output}" if last else output, (None, output)
            continue
        last = (step.stdout, output)
        if not output:
            break
    return worded(task, output)


def after_search(names, command, box):
    """None: there is no such file."""
    kind = "-type d " if command.startswith("ls") else ""
    found = box.prints(searched(kind, names.last))
    return box.prints(command.replace(names.last, found)) if found else None


def worded(task, output):
    if output is None:
        return ["There is no"]
    if not output:
        return [ABSENT.get(task, "no files")]
    if task == "exists" or output == "no":
        return ["Yes" if output == "yes" else "No"]
    return output.split("\n") if task == "two_counts" else [" ".join(output.split())]


def shown(result):
    return "\n".join(part.strip("\n") for part in (result["stdout"], result["stderr"]) if part.strip("\n"))


def converse(server, request, box):
    """(answer, [(command, what it printed)]); a call that is none ends it."""
    messages, done = [{"role": "user", "content": request}], []
    for number in range(1, CALLS + 2):
        try:
            message = server.chat(messages)
            command = command_of(message)
        except ValueError as error:
            return f"invalid: {error}"[:200], done
        if command is None:
            return (message.get("content") or "").strip(), done
        result = shown(box.run(command))
        done.append((command, result))
        messages += call_turns(command, result, number)
    return "too many calls", done


def changing_values(task, done):
    """Of facts that change: what the right command printed just now, or the one that replaces it where it is missing; None
    if neither was run."""
    fact = BY_NAME[task]
    for right, answer in ((fact.instead, fact.instead_answer), (fact.command, fact.answer)):
        printed = [output for command, output in done if right and command == right]
        if printed:
            return values(answer, " ".join(printed[-1].split()))
    return None


def places(task, instance):
    """Where what is to be written may end up: as asked, or below /tmp if that may not be written to."""
    command = instance.steps[0].command
    if not command.startswith("mkdir"):
        path = command.split(" | tee ")[1].removeprefix("-a ")
        return [path, "/tmp/" + base(path)]
    directory = command.removeprefix("mkdir -p ").removesuffix(" && echo done")
    below = "/" + instance.slots["F"] if task == "directory_and_file" else ""
    return [directory + below, "/tmp/" + base(directory) + below]


def written(task, instance, answer, box):
    """Whether what was to be written is there, under the name that the answer says."""
    text = instance.values[-1]
    said = {word.rstrip(".:") for word in answer.split()}  # whole words: /x is in /tmp/x, /tmp/x in /var/tmp/x
    where = next((path for path in places(task, instance) if path in said), None)
    if task == "make_directory":
        return bool(where) and box.prints(f"test -d {where} && echo yes") == "yes"
    if task == "create_and_count":
        return bool(where) and text in answer and box.prints(f"wc -w < {where}") == text
    return bool(where) and text in answer and box.prints(f"tail -n 1 {where}") == text


def attempt(server, task, names, rng, split, box):
    names.writing = task in WRITING
    instance, request = sample_instance(names, task, split)
    if task in ("two_facts",):
        return attempt_two_facts(server, instance, request, box)
    wanted = None if task in CHANGING else expected(task, names, instance, box)
    answer, done = converse(server, request, box)
    if task in CHANGING:
        wanted = changing_values(task, done)
    good = wanted is not None and all(value in answer for value in wanted)
    if task in WRITING:
        good = written(task, instance, answer, box)
    return good, request, done, answer, wanted


def attempt_two_facts(server, instance, request, box):
    commands = [step.command for step in instance.steps]
    answer, done = converse(server, request, box)
    facts = [next(fact for fact in BY_NAME.values() if fact.command == command) for command in commands]
    found = [changing_values(fact.name, done) for fact in facts]
    wanted = [value for each in found for value in each or ["(not asked for)"]]
    return all(value in answer for value in wanted), request, done, answer, wanted


def plan(count):
    """The tasks, each as often as any other, talk with its share."""
    talked = [task for task, times in TALKED.items() for _ in range(times * count // 200)]
    tools = [task for task in TASKS if task not in TALKED]
    return talked + [tools[i % len(tools)] for i in range(count - len(talked))]


def run(server, daemon, arguments):
    rng = random.Random(arguments.seed)
    names, box = Furnished(rng), Sandbox(daemon)
    failed = [line for line in [box.run(names.script())["stderr"]] if line]
    assert not failed, failed
    counts = collections.Counter()
    for number, task in enumerate(plan(arguments.tasks)):
        split = "wordings" if number % 2 else "combinations"
        good, request, done, answer, wanted = attempt(server, task, names, rng, split, box)
        counts[good, task in TALKED] += 1
        if not good or arguments.verbose:
            print(f"{'ok  ' if good else 'FAIL'} {task} | {request} | {done} | {answer!r} | wanted {wanted}", flush=True)
    print(f"{counts[True, True] + counts[True, False]} of {sum(counts.values())} succeed: "
          f"{counts[True, False]} of {counts[True, False] + counts[False, False]} with commands, "
          f"{counts[True, True]} of {counts[True, True] + counts[False, True]} without")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--verbose", action="store_true", help="show the tasks that succeed too")
    return parser.parse_args()


def main():
    arguments = parsed()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tiny-model-", dir=DATA))
    try:
        directory.chmod(0o755)
        (directory / "data").mkdir()
        subprocess.run(["cp", "-al", DATA / "images", directory / "data/images"], check=True)  # links, no copies
        with Server(arguments.model) as server, lmsb.Daemon(data_dir=directory / "data") as daemon:
            run(server, daemon, arguments)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
