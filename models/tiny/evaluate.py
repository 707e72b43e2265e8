#!/usr/bin/python3
"""Asks a real llama-server what the generator kept apart, and prints the figures of README.md.

  evaluate.py MODEL.gguf [--each N] [--splits names,combinations,wordings] [--failures N] [--seed N]

A dialogue is played turn by turn through /v1/chat/completions with the tool `bash`. At each turn the model sees the right
turns before it, so that one mistake is counted once: the command has to be the expected one to the letter, the last
answer has to have the expected values in it, a request out of scope has to be declined (no call, the fixed sentence).
"""
import argparse
import collections
import pathlib
import random
import time

from corpus import ANSWERS, TALK, TOOL_TASKS, sample
from server import Server, call_turns, command_of

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}


class Tally:
    """Counts per task and kind of check, and what went wrong."""

    def __init__(self):
        self.counts, self.failures = collections.defaultdict(lambda: [0, 0]), []

    def add(self, task, kind, good, *what):
        for key in ((task, kind), ("all", kind)):
            self.counts[key][0] += good
            self.counts[key][1] += 1
        if not good:
            self.failures.append((task, kind, *what))

    def share(self, task, kind):
        good, total = self.counts[task, kind]
        return f"{100 * good / total:6.1f}%" if total else "      -"


def content(message):
    return (message.get("content") or "").strip()


def reply(server, tally, dialogue, messages):
    """(command or None, text) of the next turn; a reply whose call is no valid JSON of the tool's schema is counted."""
    try:
        message = server.chat(messages, dialogue.has_tool)
        command = command_of(message)
        good = command is not None or "tool_call" not in content(message)
        found = (command, content(message))
    except ValueError as error:
        good, found = False, (None, f"invalid: {error}"[:300])
    tally.add(dialogue.task, "syntax", good, dialogue.request, found[1])
    return found


def play(server, tally, dialogue):
    messages = [SYSTEM, {"role": "user", "content": dialogue.request}]
    for number, (command, result) in enumerate(dialogue.steps, 1):
        got, text = reply(server, tally, dialogue, messages)
        kind = "command" if number == 1 else "later command"
        tally.add(dialogue.task, kind, got == command, dialogue.request, f"got {got or text!r}", f"wanted {command!r}")
        messages += call_turns(command, result, number)
    command, text = reply(server, tally, dialogue, messages)
    if dialogue.steps:
        good = command is None and all(value in text for value in dialogue.values)
        tally.add(dialogue.task, "value", good, dialogue.steps[-1][1], f"got {text!r}", f"wanted {dialogue.answer!r}")
        tally.add(dialogue.task, "whole answer", text == dialogue.answer)
    else:
        kind = "declined" if dialogue.task in ("other", "no_tool") else "said"
        tally.add(dialogue.task, kind, command is None and text == dialogue.answer, dialogue.request, f"got {command or text!r}")


def dialogues(split, each, seed):
    rng = random.Random(f"{seed} {split}")
    for task in TOOL_TASKS:
        yield from (sample(rng, split, task) for _ in range(each))
    for task in TALK:
        for _ in range(8 * each if task == "other" else each):
            yield sample(rng, split, task)
    for _ in range(2 * each):  # asked for a task in a chat that has no tool
        dialogue = sample(rng, split, rng.choice(TOOL_TASKS))
        dialogue.task, dialogue.has_tool, dialogue.steps, dialogue.answer = "no_tool", False, [], ANSWERS["no_tool"]
        yield dialogue


KINDS = ["command", "later command", "value", "whole answer", "said", "declined", "syntax"]


def report(split, tally, failures):
    print(f"\n== {split}: {sum(tally.counts['all', kind][1] for kind in ('command', 'said', 'declined'))} dialogues")
    print(f"{'task':20}" + "".join(f"{kind:>15}" for kind in KINDS))
    for task in [*TOOL_TASKS, *TALK, "no_tool", "all"]:
        print(f"{task:20}" + "".join(f"{tally.share(task, kind):>15}" for kind in KINDS))
    shown = [failure for failure in tally.failures if len(failure) > 2]
    random.Random(0).shuffle(shown)
    for failure in shown[:failures]:
        print("  " + " | ".join(failure))


def check_streams(server):
    """The same requests streamed and not: the same commands and texts."""
    rng, same, pieces = random.Random(0), 0, 0
    dialogues = [sample(rng, "combinations", task) for task in [*TOOL_TASKS, *TALK]]
    for dialogue in dialogues:
        messages = [{"role": "user", "content": dialogue.request}]
        try:
            message, count = server.streamed(messages)
            plain = server.chat(messages)
            same += (command_of(message), content(message)) == (command_of(plain), content(plain))
            pieces += count
        except ValueError:
            pass  # counted as a failure of syntax elsewhere
    print(f"streamed: {same} of {len(dialogues)} the same as in one piece, {pieces / len(dialogues):.0f} pieces each")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--each", type=int, default=20, help="dialogues of a task and split (out of scope: eight times as many)")
    parser.add_argument("--splits", default="names,combinations,wordings")
    parser.add_argument("--failures", type=int, default=40, help="how many to show of a split")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    with Server(arguments.model) as server:
        print(f"load time {server.load_seconds:.2f} s, {pathlib.Path(arguments.model).stat().st_size} bytes")
        check_streams(server)
        for split in arguments.splits.split(","):
            tally, begin = Tally(), time.monotonic()
            for dialogue in dialogues(split, arguments.each, arguments.seed):
                play(server, tally, dialogue)
            report(split, tally, arguments.failures)
            print(f"{time.monotonic() - begin:.0f} s")
        print(f"\n{1000 * server.spent['tokens'] / server.spent['ms']:.0f} generated tokens per second")


if __name__ == "__main__":
    main()
