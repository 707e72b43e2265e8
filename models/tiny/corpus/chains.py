"""Tasks that need two commands: the second uses what the first printed, or the request has two parts."""
from .facts import FACTS, fill, values
from .content import content, write
from .names import held_out
from .paths import base, directory, inside, named, no_files, quoted, read, refused
from .task import Instance, Step, task

PAIRED = [fact for fact in FACTS if fact.nouns]


@task("two_facts", """
Q what [are|is] {A} and {B}
W {A} and {B}
W {A}, and [also |then |]{B}
W both {A} and {B}
W {A} and also {B}
I [check|get|find out|look up] {A} and {B}
I [first check|first show me|start with] {A}, then {B}
I [check|show me|tell me] {A} [and then|, then|and after that] {B}
I [check|show me|tell me] {A} [and|and also|, and also] [check|show me|tell me] {B}
Q what is {A} and what is {B}
K {A} and {B}
K {A}, {B}
""", 3.0)
def two_facts(n):
    while True:
        first, second = n.rng.sample(PAIRED, 2)
        if held_out(first.name + "+" + second.name, 6) != n.training:
            break
    outputs = [fact.output(n) for fact in (first, second)]
    slots = {"A": n.pick(first.nouns.split("|")), "B": n.pick(second.nouns.split("|"))}
    answers = [fill(fact.answer, output) for fact, output in zip((first, second), outputs)]
    wanted = [value for fact, output in zip((first, second), outputs) for value in values(fact.answer, output)]
    return Instance(slots, [Step(fact.command, output) for fact, output in zip((first, second), outputs)], " ".join(answers), wanted)


@task("two_counts", """
Q how many files are in {A} and in {B}
Q how many files are in {A} and how many [are |]in {B}
I @count the files in {A} and [in |the files in |]{B}
W [the number of files|how many files are] in {A} and in {B}
I compare the number of files [in|of] {A} and {B}
Q [are there more files in {A} or in {B}|which has more files, {A} or {B}|does {A} or {B} have more files]
K file count of {A} and {B}
""", 0.9)
def two_counts(n):
    paths, numbers = [n.directory(), n.directory()], [str(n.number(4)), str(n.number(4))]
    steps = [Step(f"find {path} -type f 2>/dev/null | wc -l", number) for path, number in zip(paths, numbers)]
    return Instance({"A": paths[0], "B": paths[1]}, steps,
                    f"There are {numbers[0]} files in {paths[0]} and {numbers[1]} files in {paths[1]}.", numbers)


@task("read_newest", """
I [read|show|print|open|display] the [newest|latest|most recent|last modified] file in {D}
Q what [is in|does] the [newest|latest|most recent] file in {D} [say|contain|]
W the [contents|content|text] of the [newest|latest|most recent] file in {D}
W what is in the [newest|latest|most recent] file in {D}
I @find the [newest|latest|most recent] file in {D} and [read|show|print|open] it
I [look|have a look] [into|at] the [newest|latest|most recent] file in {D}
I [take|get] the [newest|latest] file in {D} and tell me what it says
K [read|contents of] newest file in {D}
""", 0.9)
def read_newest(n):
    (phrase, path), name, text = directory(n), n.file_name(), content(n)
    newest = f"ls -tp {path} | grep -v / | head -n 1"
    if n.chance(0.07):
        return no_files(phrase, path, newest)
    steps = [Step(newest, name), Step(read(inside(path, name)), text)]
    return Instance({"D": phrase}, steps, f"{inside(path, name)} says: {text}", [text])


@task("lines_of_largest", """
Q how many lines [does|has] the [largest|biggest] file in {D} [have|contain|]
Q how many lines are in the [largest|biggest] file in {D}
I @find the [largest|biggest] file in {D} and count its lines
I @count the lines [of|in] the [largest|biggest] file in {D}
W the [number of lines|line count] [of|in] the [largest|biggest] file in {D}
W how many lines the [largest|biggest] file in {D} has
K [line count|lines] of the [largest|biggest] file in {D}
""", 0.9)
def lines_of_largest(n):
    (phrase, path), name, number = directory(n), n.file_name(), str(n.number(5))
    largest = f"ls -Sp {path} | grep -v / | head -n 1"
    if n.chance(0.07):
        return no_files(phrase, path, largest)
    steps = [Step(largest, name), Step(f"wc -l < {inside(path, name)}", number)]
    return Instance({"D": phrase}, steps, f"{inside(path, name)} has {number} lines.", [number])


@task("search_and_read", """
I @find the file in {D} that [contains|mentions|has] [the word |]{S} and [read|show|print|open] it
I [read|show|print|open|display] the file in {D} that [contains|mentions|has] [the word |]{S}
I [search|look] for {S} in {D} and [show|read|print] [the file|what you find|the first file]
Q what does the file in {D} [with|that mentions|that contains] [the word |]{S} say
I grep {S} in {D} and [show|read|print] the file
K [read|show] the file with {S} in {D}
""", 0.9)
def search_and_read(n):
    (phrase, path), word = directory(n), n.word()
    slots, search = {"D": phrase, "S": quoted(n, word)}, f"grep -rlw '{word}' {path} 2>/dev/null | head -n 1"
    if n.chance(0.15):
        return Instance(slots, [Step(search, "")], f"No file in {named(path)} has the word {word}.", ["No file"])
    found = path.rstrip("/") + "/" + n.file_name()
    text = content(n)
    text = text if n.chance(0.3) else f"{text} {word}"
    return Instance(slots, [Step(search, found), Step(read(found), text)], f"{found} says: {text}", [text])


@task("directory_and_file", """
I @make [the|a] @dir {P} and [a file |the file |]{F} [in it|there|inside it] with [the text |]{T}
I [create|make] [the|a] @dir [called |named |]{P} and [in it|there|inside] [a|the] file {F} [with the text|saying|containing|with] {T}
I [create|make] [the|a] @dir {P}, then write {T} [to|into] {F} [in it|there|inside it]
I set up [the|a] @dir {P} with a file {F} [that says|containing|with the text] {T}
I mkdir {P} and save {T} as {F} [in it|there|inside]
I write {T} to a file {F} in a new @dir {P}
""", 0.9)
def directory_and_file(n):
    path, name, text = n.directory().rstrip("/") or "/new", n.file_name(), n.text(1, 5)
    slots, target = {"P": path, "F": name, "T": quoted(n, text, 0.65)}, f"{path}/{name}"
    make = lambda where: f"mkdir -p {where} && echo done"
    if n.chance(0.15):
        above = "/tmp/" + base(path)
        steps = [Step(make(path), "", refused(n, path), 1), Step(make(above), "done"), Step(write(text, f"{above}/{name}"), text)]
        return Instance(slots, steps, f"I could only create {above}/{name} with the text: {text}", [f"{above}/{name}", text])
    steps = [Step(make(path), "done"), Step(write(text, target), text)]
    return Instance(slots, steps, f"I created {target} with the text: {text}", [target, text])


@task("create_and_count", """
I [write|save|put] {T} [to|into|in] {F} and count [its|the] [words|words in it]
I @make a file {F} with [the text |]{T} and [count its words|tell me how many words it has]
I [create|make] {F} [with|containing|that says] {T}, then count the words [in it|]
I save {T} as {F} and [show|tell me|give me] the word count
""", 0.6)
def create_and_count(n):
    path, text = n.file_path(), n.text(1, 6)
    number = str(len(text.split()))
    steps = [Step(write(text, path), text), Step(f"wc -w < {path}", number)]
    return Instance({"F": path, "T": quoted(n, text, 0.7)}, steps, f"{path} has {number} words.", [number])
