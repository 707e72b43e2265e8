"""Tasks that need two commands: the second uses what the first printed, or the request has two parts."""
from .facts import FACTS, fill, values
from .content import content
from .names import held_out
from .paths import directory, inside, named, no_files, quoted, read
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
Q how many files [do|does] {A} and {B} @have
I @count the files in {A} and [in |the files in |]{B}
I @count the files in {A}, then [in |those in |the files in ]{B}
I @count the files [in|of] both {A} and {B}
W [the number of files|how many files are] in {A} and in {B}
W how many files {A} and {B} @have
I compare the number of files [in|of] {A} and {B}
I compare [the file counts|the file count|how many files are] [of|in] {A} and {B}
Q are there [more|fewer] files in {A} or in {B}
Q which has [more|fewer|most] files, {A} or {B}
Q [does|has] {A} or {B} [have |]more files
K [file count|number of files] [of|in] {A} and {B}
""", 0.9)
def two_counts(n):
    paths, numbers = [n.directory(), n.directory()], [str(n.number(4)), str(n.number(4))]
    steps = [Step(f"find {path} -type f 2>/dev/null | wc -l", number) for path, number in zip(paths, numbers)]
    return Instance({"A": paths[0], "B": paths[1]}, steps,
                    f"There are {numbers[0]} files in {paths[0]} and {numbers[1]} files in {paths[1]}.", numbers)


@task("read_newest", """
I [read|open|cat|type out] the @newest file @of {D}
I [read|open] {D}'s @newest file
I [read|open] the file [in|of] {D} that [is the newest|is the latest|was changed last|was modified last]
I [show|print|display|output|dump] the [contents|content|text] of the @newest file @of {D}
I [show|print|display] [me |]what is in the @newest file @of {D}
Q what is in the @newest file @of {D}
Q what [is written|stands] in the @newest file @of {D}
Q what does the @newest file in {D} [say|contain|hold]
Q what does the file in {D} that [was changed last|is the newest|was modified last] [say|contain]
Q can you [read|open] the @newest file @of {D}
W the [contents|content|text] of the @newest file in {D}
W what is in the @newest file in {D}
W what the @newest file in {D} [says|contains]
I @find the @newest file in {D} and [read|show|print|open] it
I @find the @newest file in {D} and [tell me|show me] [what it says|what is in it|its content|its text]
I [look|have a look] [into|inside] the @newest file in {D}
I [take|get] the @newest file in {D} and tell me what it says
K [read|contents of|content of|cat|open] @newest file [in|of] {D}
""", 1.0)
def read_newest(n):
    (phrase, path), name, text = directory(n), n.file_name(), content(n)
    newest = f"ls -tp {path} | grep -v / | head -n 1"
    if n.chance(0.07):
        return no_files(phrase, path, newest)
    steps = [Step(newest, name), Step(read(inside(path, name)), text)]
    return Instance({"D": phrase}, steps, f"{inside(path, name)} says: {text}", [text])


@task("lines_of_largest", """
Q how many lines does the [largest|biggest] file @of {D} @have
Q how many lines has the [largest|biggest] file @of {D}
Q how many lines are in the [largest|biggest] file @of {D}
Q how many lines [are there|can be found] in the [largest|biggest] file @of {D}
Q how long is the [largest|biggest] file @of {D} in lines
Q what is the [line count|number of lines] of the [largest|biggest] file @of {D}
I @find the [largest|biggest] file @of {D} and count its lines
I @find the [largest|biggest] file @of {D} and [tell|show] me [how many lines it has|its number of lines|its line count]
I [take|get] the [largest|biggest] file @of {D} and count its lines
I @count the lines [of|in] the [largest|biggest] file @of {D}
W the [number of lines|line count] [of|in] the [largest|biggest] file @of {D}
W how many lines the [largest|biggest] file @of {D} has
W how many lines are in the [largest|biggest] file @of {D}
K [line count|lines|number of lines|count lines] [of|in] [the |][largest|biggest] file in {D}
""", 0.9)
def lines_of_largest(n):
    (phrase, path), name, number = directory(n), n.file_name(), str(n.number(5))
    largest = f"ls -Sp {path} | grep -v / | head -n 1"
    if n.chance(0.07):
        return no_files(phrase, path, largest)
    steps = [Step(largest, name), Step(f"wc -l < {inside(path, name)}", number)]
    return Instance({"D": phrase}, steps, f"{inside(path, name)} has {number} lines.", [number])


@task("search_and_read", """
I @find the file @of {D} that [contains|mentions|has] @theword{S} and [read|show|print|open] it
I @find the file with @theword{S} in {D} and [read|show|print|open] it
I @find the file @of {D} that [contains|mentions|has] @theword{S} and tell me what it says
I @find a file with @theword{S} in {D} and [show|tell] me [what it says|what is in it|its text]
I [read|show|print|open|display] the file @of {D} that [contains|mentions|has] @theword{S}
I [read|show|print|open|display] the file [with|containing|mentioning] @theword{S} in {D}
I [read|show me|print] what the file in {D} that [contains|mentions|has] @theword{S} says
I [search|look] for @theword{S} in {D} and [show|read|print] [the file|what you find|the first file|it]
I [search|look through] {D} for @theword{S} and [show|read|print|open] [the file|what you find|the first file]
Q what does the file in {D} [with|that mentions|that contains] @theword{S} say
Q what is in the file @of {D} [with|that mentions|that contains] @theword{S}
W the [content|contents|text] of the file in {D} [with|that mentions|that contains] @theword{S}
I grep [for |]{S} in {D} and [show|read|print] [the file|what you find|the first file]
K [read|show|open] [the |]file with {S} in {D}
""", 1.0)
def search_and_read(n):
    (phrase, path), word = directory(n), n.word()
    slots, search = {"D": phrase, "S": quoted(n, word)}, f"grep -rlw '{word}' {path} 2>/dev/null | head -n 1"
    if n.chance(0.15):
        return Instance(slots, [Step(search, "")], f"No file in {named(path)} has the word {word}.", ["No file"])
    found = path.rstrip("/") + "/" + n.file_name()
    text = content(n)
    text = text if n.chance(0.3) else f"{text} {word}"
    return Instance(slots, [Step(search, found), Step(read(found), text)], f"{found} says: {text}", [text])
