#!/usr/bin/python3
"""Looks for requests that two tasks share: the model cannot know which of them is meant.

  ambiguous.py [--draws N] [--seed N]

Names, numbers and texts are replaced by their kind before requests are compared; prefixes stay only where a wording
needs one. Prints each shared request with its tasks and how often each has it.
"""
import argparse
import collections
import random
import re

from corpus import TASKS, weighted
from corpus.declined import TOPICS
from corpus.grammar import PREFIXES, bare, choose
from corpus.names import KNOWN_FILES, SYSTEM_FILES, Names, base
from corpus.numbers import NUMBER_WORDS

LITERAL = set("the directory folder path my this current working here in we are file".split())


def kind(word):
    word = word.strip("'\".!?,:")
    if word in LITERAL or word in NUMBER_WORDS or not word:
        return word
    if re.search(r"\w\.[a-z0-9]+$", word) or word in SYSTEM_FILES or base(word) in KNOWN_FILES:
        return "<file>"
    return "<n>" if word.isdigit() else "<sum>" if re.fullmatch(r"[-0-9+*/()]+", word) else "<path>" if "/" in word else "<w>"


def normal(value):
    return value if value in TOPICS else " ".join(kind(word) for word in value.split())


def request(names, task):
    for _ in range(1000):
        slots = task.draw(names).slots
        chosen = choose(names.rng, task.templates, names.rng.choice(["train", "combinations", "wordings"]), bare(slots))
        if chosen:
            break
    form, text = chosen
    prefix = names.pick(PREFIXES[form]) if form == "W" else ""
    text = re.sub(r"\{([A-Z]+)\}", lambda found: normal(slots[found.group(1)]), prefix + text)
    return re.sub(r"[,.?!:=]", "", text).lower().strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, found = random.Random(arguments.seed), collections.defaultdict(collections.Counter)
    for _ in range(arguments.draws):
        task = weighted(rng)
        found[request(Names(rng, "train"), task)][task.name] += 1
    shared = {text: tasks for text, tasks in found.items() if len(tasks) > 1}
    for text, tasks in sorted(shared.items(), key=lambda item: -sum(item[1].values())):
        print(f"{text} | {', '.join(f'{name} {times}' for name, times in tasks.most_common())}")
    print(f"{len(shared)} shared requests, {sum(sum(tasks.values()) for tasks in shared.values())} of {arguments.draws} draws")


if __name__ == "__main__":
    main()
