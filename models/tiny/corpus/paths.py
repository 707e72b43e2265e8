"""What the tasks about files share: how a path is said, and what happens when it is not there."""
from .names import base
from .task import Instance, Step

NO_FILE = "No such file or directory"
DENIED = ["Permission denied", "Permission denied", "Read-only file system"]
HERE = ["the current directory", "this directory", "this folder", "here", "the current folder", "the working directory",
        "the current working directory", "the directory we are in", "my current directory"]
SAID = ["{}"] * 9 + ["the directory {}", "the folder {}", "the {} directory", "the {} folder", "directory {}", "my {} folder", "folder {}",
                     "the path {}", "my {} directory"]


def quoted(n, text, share=0.45):
    kind = n.rng.random()
    return f"'{text}'" if kind < share * 0.6 else f'"{text}"' if kind < share else text


def directory(n, here=0.16):
    """How the user names a directory, and its path."""
    if n.chance(here):
        return n.pick(HERE), "."
    path = n.directory()
    return n.pick(SAID).format(quoted(n, path, 0.1)), path


def directory_name(n):
    """Of one that is to be made."""
    return n.directory().rstrip("/") or "/new"


def named(path):
    return "the current directory" if path == "." else path


def inside(path, name):
    return name if path == "." else path.rstrip("/") + "/" + name


def read(path):
    return f"head -n 3 {path} | paste -sd ' '"


def searched(kind, path):
    return f"find . {kind}-name '{base(path)}' 2>/dev/null | head -n 1"


def found_path(n, path):
    """Where the search finds what was named too shortly."""
    return "./" + "/".join([n.stem() for _ in range(n.rng.randint(1, 2))] + [base(path)])


def refused(n, path):
    """What mkdir says: the first directory that is missing, in the quotes of the locale."""
    parts = path.split("/")
    shown = "/".join(parts[:n.rng.randint(min(2, len(parts)), len(parts))]) or path
    shown = f"‘{shown}’" if n.chance(0.7) else f"'{shown}'"
    return f"mkdir: cannot create directory {shown}: {n.pick(DENIED)}"


def no_files(phrase, path, command):
    """A directory without files was asked about."""
    return Instance({"D": phrase}, [Step(command)], f"There are no files in {named(path)}.", ["no files"])


def misses(program, path):
    """The message of a program used here about a file that is not there."""
    return {"head": f"head: cannot open '{path}' for reading: {NO_FILE}", "wc": f"bash: line 1: {path}: {NO_FILE}",
            "ls": f"ls: cannot access '{path}': {NO_FILE}", "tail": f"tail: cannot open '{path}' for reading: {NO_FILE}",
            "stat": f"stat: cannot statx '{path}': {NO_FILE}", "tee": f"tee: {path}: {NO_FILE}"}[program]


def recovering(n, command, path, kind, output, answer):
    """The command fails; a search by name finds the file elsewhere (and the command is run on that) or does not."""
    failed = Step(command(path), "", misses(command(path).split()[0], path), 1 if n.chance(0.7) else 0)
    noun = "directory" if kind else "file"
    if n.chance(0.4):
        return Instance({}, [failed, Step(searched(kind, path))], f"There is no {noun} {path} here.", [f"no {noun}"])
    found = found_path(n, path)
    return Instance({}, [failed, Step(searched(kind, path), found), Step(command(found), output)], answer(found), [output])


def simple(n, slots, command, path, output, answer, kind="", fails=0.12):
    """One command about one path, or what follows when the path is not there."""
    findable = base(path) not in ("", ".", "~") and not path.startswith(("/etc", "/dev", "/proc"))
    if findable and n.chance(fails):
        instance = recovering(n, command, path, kind, output, answer)
    else:
        instance = Instance({}, [Step(command(path), output)], answer(path), [output])
    instance.slots = slots
    return instance
