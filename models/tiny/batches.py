"""Batches of training data, made while training. A batch depends on seed, rank and step alone, so a run can be resumed."""
import random

import torch

from corpus import sample
from corpus.names import Names
from tokenizer import encoded

GROUP = 32  # batches that are drawn together and sorted by length, so that little is padding
COPY_SHARES = [(0.12, 0.5), (0.25, 0.25), (1.0, 0.07)]  # until this part of the run, this share of exercises in copying


def copy_exercise(rng, tokenizer):
    """A random string, then the same again, learnt the second time only: heads that copy form early, and on anything."""
    source = noise(rng, tokenizer) if rng.random() < 0.5 else tokenizer.encode(names_only(rng))[:48]
    if rng.random() < 0.2:
        source = [rng.choice(source[:4]) for _ in range(min(len(source) * 2, 20))]  # few letters: repeated beginnings
    end = tokenizer.id["<|end|>"]
    ids = [tokenizer.id[rng.choice(["<|tools|>", "<|chat|>"])], tokenizer.id["<|user|>"], *source, end]
    learnt = [False] * len(ids)
    for _ in range(rng.randint(1, 2)):
        start = rng.randrange(len(source)) if rng.random() < 0.5 else 0
        ids += [tokenizer.id["<|tool|>"], *source[start:], end]
        learnt += [False, start == 0] + [True] * (len(source) - start)
    return ids, learnt


def noise(rng, tokenizer):
    letters = lambda: rng.randrange(256, tokenizer.plain) if rng.random() < 0.7 else rng.randrange(33, 127)
    digits = lambda: ord(rng.choice("0123456789")) - 33
    make = letters if rng.random() < 0.75 else digits
    return [make() for _ in range(rng.randint(3, 24))]


def names_only(rng):
    names = Names(rng, "train")
    makers = [names.stem, names.file_name, names.directory, lambda: str(names.number()), names.size]
    parts = []
    for _ in range(rng.randint(1, 6)):
        parts.append(rng.choice(parts) if parts and rng.random() < 0.25 else rng.choice(makers)())  # black/black.txt, 12 12
    return rng.choice([" ", "/", ".", ", ", "\n", ","]).join(parts)


def drawn(rng, tokenizer, copy_share, tokens):
    """Dialogues and exercises with about this many tokens in all, shortest first."""
    items, total = [], 0
    while total < tokens:
        item = copy_exercise(rng, tokenizer) if rng.random() < copy_share else encoded(tokenizer, sample(rng))
        items.append(item)
        total += len(item[0])
    return sorted(items, key=lambda item: len(item[0]))


def cut(items, parts):
    """The sorted items in `parts` runs with about as many tokens each."""
    total, done, runs = sum(len(ids) for ids, _ in items), 0, [[] for _ in range(parts)]
    for ids, learnt in items:
        runs[min(parts - 1, done * parts // total)].append((ids, learnt))
        done += len(ids)
    return runs


def padded(items):
    length = max(len(ids) for ids, _ in items)
    ids, learnt = torch.zeros(len(items), length, dtype=torch.long), torch.zeros(len(items), length, dtype=torch.bool)
    for row, (tokens, mine) in enumerate(items):
        ids[row, :len(tokens)] = torch.tensor(tokens)
        learnt[row, :len(mine)] = torch.tensor(mine)
    return ids, learnt


def batches(tokenizer, seed, rank, first_step, steps, tokens):
    """Those of `first_step` and after it."""
    for group in range(first_step // GROUP, -(-steps // GROUP)):
        rng = random.Random(f"{seed} {rank} {group}")
        share = next(share for until, share in COPY_SHARES if group * GROUP <= until * steps)
        runs = cut(drawn(rng, tokenizer, share, tokens * GROUP), GROUP)
        rng.shuffle(runs)
        for step, run in enumerate(runs, group * GROUP):
            if first_step <= step < steps:
                yield padded(run)
