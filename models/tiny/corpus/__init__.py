"""Dialogues for the demonstration model, all of them made up here.

`sample(rng, split)` draws one. Splits: `train`; `names` (trained wordings, names and numbers that training never sees);
`combinations` (also unseen choices among the alternatives of a wording); `wordings` (also templates and prefixes that
training never sees).
"""
import dataclasses

from . import chains, content, declined, facts, listing, numbers, talk, writing  # noqa: F401  (they register their tasks)
from .grammar import phrase
from .names import Names
from .results import wrapped
from .talk import ANSWERS
from .task import TASKS, Instance, Step

SPLITS = ("train", "names", "combinations", "wordings")
TALK = [name for name in TASKS if name in ANSWERS]
TOOL_TASKS = [name for name in TASKS if name not in ANSWERS]


@dataclasses.dataclass
class Dialogue:
    task: str
    split: str
    has_tool: bool
    request: str
    steps: list  # of (command, what the tool answers)
    answer: str
    values: list  # what the answer must have in it

    def turns(self):
        """(role, text) in order; roles: user, call, tool, say."""
        calls = [turn for command, result in self.steps for turn in (("call", command), ("tool", result))]
        return [("user", self.request), *calls, ("say", self.answer)]


def failing(names, instance):
    """A command that fails in a way nothing was prepared for: the answer repeats the message."""
    step = instance.steps[0]
    program = step.command.split()[0]
    words = [word for word in step.command.split() if "/" in word or "." in word] or [program]
    subject = words[-1].strip("'")
    message = names.pick([f"{program}: {subject}: Permission denied", f"{program}: {subject}: Input/output error",
                          f"{program}: cannot open '{subject}': Permission denied", f"{program}: {subject}: {names.text(1, 3)}",
                          f"bash: line 1: {subject}: Permission denied", f"{program}: ‘{subject}’: Permission denied"])
    failed = Step(step.command, "", message, names.pick([1, 1, 2, 126]))
    return Instance(instance.slots, [failed], f"The command failed: {message}", [message])


def weighted(rng):
    return rng.choices(list(TASKS.values()), weights=WEIGHTS)[0]


WEIGHTS = [task.weight for task in TASKS.values()]


def sample_instance(names, task, split):
    """(instance, request) of a task, with names of one's own choice."""
    typos = 0.0 if task in ("other", "hello") else 0.07
    for _ in range(1000):
        instance = TASKS[task].draw(names)
        request = phrase(names.rng, TASKS[task].templates, split, instance.slots, typos)
        if request:
            return instance, request
    raise ValueError(f"no wording of {task} says what its names need")


def sample(rng, split="train", task=None):
    names = Names(rng, split)
    chosen = TASKS[task] if task else weighted(rng)
    instance, request = sample_instance(names, chosen.name, split)
    if chosen.name in ANSWERS:
        return Dialogue(chosen.name, split, rng.random() < 0.6, request, [], instance.answer, instance.values)
    if not task and rng.random() < 0.05:
        return Dialogue("no_tool", split, False, request, [], ANSWERS["no_tool"], [ANSWERS["no_tool"]])
    if not task and rng.random() < 0.025:
        instance = failing(names, instance)
    steps = [(step.command, wrapped(rng, step.stdout, step.stderr, step.code)) for step in instance.steps]
    return Dialogue(chosen.name, split, True, request, steps, instance.answer, instance.values)
