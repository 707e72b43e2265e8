"""Tasks that write a text into a file. What is to be written is quoted, or it is a few plain words."""
from .names import PLAIN, SYSTEM_DIRECTORIES, base
from .paths import DENIED, directory_name, misses, quoted, refused
from .task import Instance, Step, task

SAID = (
    "hello world|buy milk|call mom|good morning|good night|hello|hi there|it works|all done|work in progress|to be done|see you tomorrow|"
    "thank you|happy birthday|meeting at noon|lunch at one|pay the rent|water the plants|feed the cat|remember the milk|clean the house|"
    "first draft|second draft|new version|old version|hello sandbox|hello linux|testing testing|this is fine|nothing to see here|"
    "back in ten minutes|do not touch|keep out|nice to meet you|see page ten|ready to go|wash the car|call the bank|book a table|"
    "one two three|red green blue|eggs and butter|bread and cheese|salt and pepper|apples and pears|sun and rain|cats and dogs|"
    "no news today|version one|final version|out of office|on holiday|back on monday|closed on sunday|open every day"
).split("|")


def words_said(n):
    """What people write without quotes: one to three plain words, or a set phrase."""
    if n.chance(0.2):
        return n.allowed(lambda: n.pick(SAID))
    plain = lambda: n.allowed(lambda: n.pick(PLAIN)) if n.chance(0.75) else str(n.number(4)) if n.chance(0.2) else n.word(PLAIN)
    words = " ".join(plain() for _ in range(n.pick([1, 1, 1, 1, 2, 2, 2, 3])))
    return words.capitalize() if n.chance(0.1) else words


def text_said(n):
    """(as the user writes it, the text itself)."""
    if n.chance(0.38):
        text = words_said(n)
        return text, text
    if n.chance(0.35):
        text = words_said(n)
    else:
        text = n.text(1, 5)
    text += n.pick(["", "", "", "", "", ".", "!", "?"])
    return quoted(n, text, 1.0), text


def write(text, path, option=""):
    return f"echo '{text}' | tee {option}{path}"


def written_elsewhere(n, slots, path, text, done, only, option=""):
    """The directory is missing, or nothing may be written there. `tee` prints the text all the same."""
    first, parent, elsewhere = write(text, path, option), path.rsplit("/", 1)[0] or "/", "/tmp/" + base(path)
    if n.chance(0.55) and parent not in SYSTEM_DIRECTORIES:
        steps = [Step(first, text, misses("tee", path), 1), Step(f"mkdir -p {parent} && {first}", text)]
        return Instance(slots, steps, f"I {done.format(path)}: {text}", [path, text])
    steps = [Step(first, text, f"tee: {path}: {n.pick(DENIED)}", 1), Step(write(text, elsewhere, option), text)]
    return Instance(slots, steps, f"I could only {only.format(elsewhere)}: {text}", [elsewhere, text])


@task("create", """
I @make a [new |text |small |]file [called|named|with the name|] {F} @saying {T}
I @make [the|a] file {F} @saying {T}
I [create|make|write] {F} @saying {T}
I [create|make|start|open] a [text |new |]file [called |named |]{F} and [write|put|save] @thetext{T} [in|into|inside] it
I [create|make] {F} and [write|put|save] @thetext{T} [in|into|inside] it
I [create|make] [the file |a file |a file called |]{F}, [its|the] [text|content] [is|should be|shall be] {T}
I [create|make] [the file |a file |a file named |]{F}, it [should|must|has to] [say|contain|read|hold] {T}
I [create|make] [the file |a file |]{F} [so that it|which|that] [says|contains|holds] {T}
I write @thetext{T} [to|into|in] @afile{F}
I write @thetext{T} [to|into|in] {F}
I write [to|into|in] @afile{F} @thetext{T}
I write [down |]{T} and [save|store] it [in|as|to] @afile{F}
I save @thetext{T} [to|into|in] @afile{F}
I save @thetext{T} [to|in] {F}
I put @thetext{T} [to|into|in|inside] @afile{F}
I put @thetext{T} [in|into] {F}
I store @thetext{T} [in|into|inside] @afile{F}
I place @thetext{T} [in|into|inside] @afile{F}
I [output|print|send] @thetext{T} [to|into] [the file |a file called |a file named |file ]{F}
I echo @thetext{T} [into|to|in] @afile{F}
I echo {T} > {F}
I [produce|generate|prepare|set up] [a file|the file|a text file|a new file] {F} @saying {T}
I make [the file |a file |]{F} [say|contain|hold|read] {T}
I let [the file |]{F} [say|contain|hold|read] {T}
I fill [the file |a file named |a new file |]{F} with @thetext{T}
I overwrite [the file |]{F} with @thetext{T}
I [set|replace] the [content|contents|text] of [the file |]{F} [to|with|by] {T}
I [save|store|keep] @thetext{T} as {F}
I [save|store|keep] @thetext{T} as [a file called |a file named |the file |a new file |file ]{F}
I [save|write|store] a [file|text file|note] [called|named] {F} @saying {T}
I [note|write down|jot down|record|keep] @thetext{T} in @afile{F}
Q can you [write|save|put|store] @thetext{T} [to|into|in] @afile{F}
Q can you [make|create] [a file|the file|a text file] {F} @saying {T}
X I [need|want] a file [called |named |]{F} @saying {T}
X I [need|want|would like] @thetext{T} in [a file called|a file named|the file|a new file] {F}
X [the file |a file ]{F} should [say|contain|hold|read] {T}
K [new file|create file|write file|create|make file] {F} [with|saying|containing] {T}
K [new file|create file|write file|file] {F}: {T}
K [write|save|put|echo] {T} [to|into|in] {F}
""", 3.4)
def create(n):
    path, (said, text) = n.file_path(), text_said(n)
    slots = {"F": quoted(n, path, 0.12), "T": said}
    if n.chance(0.35) and "/" in path:
        return written_elsewhere(n, slots, path, text, "created {} with the text", "create {} with the text")
    return Instance(slots, [Step(write(text, path), text)], f"I created {path} with the text: {text}", [path, text])


@task("append", """
I append @thetext{T} to [the file |file |the end of |the end of the file |]{F}
I append [a line |a new line |a line saying |the following line |this line: ]{T} to [the file |file |]{F}
I append to [the file |file |]{F} @thetext{T}
I add @thetext{T} to [the file |the end of |the end of the file |file |the bottom of |]{F}
I add {T} to {F}
I add [a line saying |a line |a new line |a line with |another line |one more line: ]{T} to [the file |file |the end of |]{F}
I add [a line|a new line|another line] to [the file |]{F} [saying|with|that says|with the text|reading|containing] {T}
I add to [the file |the end of |]{F} [the line |the text |a line saying |the words ]{T}
I [attach|put|place] @thetext{T} [at|to|on] the [end|bottom] of [the file |file |]{F}
I [attach|tack|stick] @thetext{T} [to|on to|onto] [the file |file |the end of ]{F}
I write @thetext{T} [at|to|on] the [end|bottom] of [the file |]{F}
I [write|put] [at|to] the end of [the file |]{F} @thetext{T}
I [write|put] @thetext{T} [as the last line|as a new line|as another line|on a new line] [in|into|of|to] [the file |]{F}
I extend [the file |]{F} [with|by] @thetext{T}
I [continue|complete|lengthen] [the file |]{F} with @thetext{T}
I let [the file |]{F} end with @thetext{T}
I echo {T} >> {F}
I [also|additionally] write @thetext{T} [to|into] the end of [the file |]{F}
I insert @thetext{T} at the [end|bottom] of [the file |]{F}
Q can you [append|add] @thetext{T} to [the file |]{F}
Q can you [write|put] @thetext{T} at the end of [the file |]{F}
X I [want|need|would like] @thetext{T} [at the end of|added to|appended to] [the file |]{F}
X {F} needs [another line|one more line|a new line]: {T}
K [append|add] {T} to [the end of |]{F}
K append to {F}: {T}
""", 2.2)
def append(n):
    path, (said, text) = n.file_path(), text_said(n)
    slots = {"F": quoted(n, path, 0.1), "T": said}
    if n.chance(0.3) and "/" in path:
        return written_elsewhere(n, slots, path, text, "added this line to {}", "add this line to {}", "-a ")
    return Instance(slots, [Step(write(text, path, "-a "), text)], f"I added this line to {path}: {text}", [path, text])


@task("directory_and_file", """
I @make [the|a] @dir {P} and [a file |the file |]{F} [in it|there|inside it|inside] with @thetext{T}
I @make [the|a] @dir {P} [with|holding|containing] [a file |the file |a file called ]{F} @saying {T}
I [create|make] [the|a] @dir [called |named |]{P} and [in it|there|inside|inside it] [a|the] file {F} @saying {T}
I [create|make] [the|a] @dir [called |named |]{P} and [write|put|save] @thetext{T} [to|into|in] {F} [in it|there|inside it|inside]
I [create|make] [the|a] @dir {P}, then write @thetext{T} [to|into] {F} [in it|there|inside it|inside]
I [create|make] [the|a] @dir {P}, then [create|make|add] [a file |the file |]{F} [in it|there|inside it|inside] @saying {T}
I first [create|make] [the|a] @dir {P}, then [save|put|write] @thetext{T} [to|in|into] {F} [in it|there|inside it|inside]
I set up [the|a] @dir {P} with [a file |the file |a file called ]{F} @saying {T}
I set up [the|a] @dir {P} and [save|put|write] @thetext{T} in {F} [in it|there|inside it|inside]
I mkdir {P} and [save|store|write] @thetext{T} as {F} [in it|there|inside|inside it]
I mkdir {P} and [write|put|echo] @thetext{T} [to|into|in] {F} [in it|there|inside|inside it]
I [write|save|put] @thetext{T} [to|into|in] [a|the] file {F} in [a new|the new] @dir {P}
I [save|store] @thetext{T} as {F} in [a new|the new] @dir [called |named |]{P}
I [create|make] [a|the] file {F} @saying {T} in [a new|the new] @dir [called |named |]{P}
X I [need|want] a [new |]@dir {P} with a file {F} @saying {T}
X I [need|want] a [new |]@dir {P} and [in it|there|inside] a file {F} @saying {T}
K mkdir {P} and write {T} to {F} [there|in it|inside]
""", 1.5)
def directory_and_file(n):
    path, name, (said, text) = directory_name(n), n.file_name(), text_said(n)
    slots, target = {"P": path, "F": name, "T": said}, f"{path}/{name}"
    make = lambda where: f"mkdir -p {where} && echo done"
    if n.chance(0.15):
        above = "/tmp/" + base(path)
        steps = [Step(make(path), "", refused(n, path), 1), Step(make(above), "done"), Step(write(text, f"{above}/{name}"), text)]
        return Instance(slots, steps, f"I could only create {above}/{name} with the text: {text}", [f"{above}/{name}", text])
    steps = [Step(make(path), "done"), Step(write(text, target), text)]
    return Instance(slots, steps, f"I created {target} with the text: {text}", [target, text])


@task("create_and_count", """
I [write|save|put] @thetext{T} [to|into|in] @afile{F} and @countits
I [write|save|put|store] @thetext{T} [to|into|in] {F}, then @countits
I [write|save|put] @thetext{T} [to|into|in] {F} and then @countits
I @make [a|the] [new |text |]file [called |named |]{F} @saying {T} and @countits
I @make [a|the] [new |text |]file [called |named |]{F} @saying {T}, then @countits
I [create|make|write] {F} @saying {T} and @countits
I [create|make|write] {F} @saying {T}, then @countits
I [create|make] {F} @saying {T} and after that @countits
I [save|store|keep] @thetext{T} as {F} and @countits
I [save|store] @thetext{T} as {F}, then @countits
I echo {T} [into|to] {F} and @countits
I [fill|set up|prepare] [the file |a file |]{F} with @thetext{T} and @countits
I first [write|save|put] @thetext{T} [to|into|in] {F}, then @countits
Q can you [write|save|put] @thetext{T} [to|into|in] {F} and @countits
K [write|save] {T} to {F} and count words
K create {F} with {T} and count words
""", 1.4)
def create_and_count(n):
    path, (said, text) = n.file_path(), text_said(n)
    slots, number = {"F": quoted(n, path, 0.05), "T": said}, str(len(text.split()))
    steps, where = [Step(write(text, path), text)], path
    if n.chance(0.2) and "/" in path:
        instance = written_elsewhere(n, slots, path, text, "{}", "{}")
        steps, where = instance.steps, instance.values[0]
    return Instance(slots, [*steps, Step(f"wc -w < {where}", number)], f"{where} has {number} words.", [number])
