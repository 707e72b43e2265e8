"""A task: its wordings and how one instance of it goes. Modules of tasks register themselves here."""
import dataclasses
import functools
import re


@dataclasses.dataclass
class Step:
    """One command and what it prints."""

    command: str
    stdout: str = ""
    stderr: str = ""
    code: int = 0


@dataclasses.dataclass
class Instance:
    """What one drawing of a task is: what was put into the wording, the steps that lead to the answer, the answer, and
    the pieces of the results that the answer must have in it."""

    slots: dict
    steps: list
    answer: str
    values: list


@dataclasses.dataclass
class Task:
    name: str
    templates: list
    draw: callable  # draw(names) -> Instance
    weight: float = 1.0


TASKS = {}


def task(name, templates, weight=1.0):
    """Decorator: registers the drawing function of a task."""
    lines = [line.strip() for line in templates.strip().splitlines() if line.strip()]

    def register(draw):
        TASKS[name] = Task(name, lines, draw, weight)
        return draw

    return register


@functools.lru_cache(maxsize=None)
def key_words():
    """Words that alone may be a request, or part of a short one: "disk" is one, "banana" is not."""
    lines = [line for each in TASKS.values() if each.name != "other" for line in each.templates if line[0] in "KX"]
    return {word for line in lines for word in re.findall("[a-z0-9]+", line.lower())}
