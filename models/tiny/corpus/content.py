"""Tasks about single files and programs."""
from .paths import DENIED, base, misses, quoted, read, simple
from .task import Instance, Step, task


@task("create", """
I @make a [new |text |small |]file [called|named|with the name|] {F} [with|containing|that contains|that says|with the content|with the text|with the words|and put in it] {T}
I [create|make|write] {F} [with|containing|that contains|with the text|with the content|that says|saying] {T}
I write {T} [to|into|in] [the file |a file called |a file named |a new file called |file |]{F}
I [save|put|store|place] [the text |the words |the line |the sentence |]{T} [to|into|in|inside] [the file |a file called |a file named |a new file |]{F}
I [create|make] a [text |new |]file {F} [with the text|with|containing|that says|that contains|with content] {T}
I echo {T} [into|to] [the file |]{F}
I [produce|generate|prepare|set up] [a file|the file|a text file] {F} [with|holding|containing] [the text |the words |]{T}
I make {F} [say|contain|hold] {T}
I fill [the file |a file named |a new file |]{F} with [the text |]{T}
I store [the note |the message |]{T} as {F}
Q can you [write|save|put] {T} [to|into] [the file |]{F}
X I [need|want] a file [called |named |]{F} [that says|with the text|containing|with] {T}
""", 2.2)
def create(n):
    path, text = n.file_path(), n.text()
    slots = {"F": quoted(n, path, 0.12), "T": quoted(n, text, 0.65)}
    if n.chance(0.35) and "/" in path:
        return written_elsewhere(n, slots, path, text, "created {} with the text", "create {} with the text")
    return Instance(slots, [Step(write(text, path), text)], f"I created {path} with the text: {text}", [path, text])


def write(text, path, option=""):
    return f"echo '{text}' | tee {option}{path}"


def written_elsewhere(n, slots, path, text, done, only, option=""):
    """The directory is missing, or nothing may be written there. `tee` prints the text all the same."""
    first, parent, elsewhere = write(text, path, option), path.rsplit("/", 1)[0] or "/", "/tmp/" + base(path)
    if n.chance(0.55):
        steps = [Step(first, text, misses("tee", path), 1), Step(f"mkdir -p {parent} && {first}", text)]
        return Instance(slots, steps, f"I {done.format(path)}: {text}", [path, text])
    steps = [Step(first, text, f"tee: {path}: {n.pick(DENIED)}", 1), Step(write(text, elsewhere, option), text)]
    return Instance(slots, steps, f"I could only {only.format(elsewhere)}: {text}", [elsewhere, text])


@task("append", """
I append [the line |the text |the words |]{T} to [the file |file |]{F}
I add [the line |the text |the words |a line saying |a line |]{T} to [the file |the end of |the end of the file |file |]{F}
I [attach|put] [the line |the text |]{T} [at|to] the end of [the file |]{F}
I write {T} at the end of [the file |]{F}
I extend [the file |]{F} [with|by] [the line |the text |]{T}
K append {T} to {F}
Q can you append {T} to {F}
""", 0.9)
def append(n):
    path, text = n.file_path(), n.text()
    slots = {"F": quoted(n, path, 0.1), "T": quoted(n, text, 0.65)}
    if n.chance(0.35) and "/" in path:
        return written_elsewhere(n, slots, path, text, "added this line to {}", "add this line to {}", "-a ")
    return Instance(slots, [Step(write(text, path, "-a "), text)], f"I added this line to {path}: {text}", [path, text])


def content(n):
    """Up to three lines of a file, joined as `paste` does."""
    make = (lambda: setting(n)) if n.chance(0.2) else lambda: n.text(1, 5) + n.pick(["", "", ".", "!", ":"])
    return " ".join(n.several(make, 1, n.pick([1, 1, 3])))


def setting(n):
    """A line as files of settings have them: signs, and the same words again and again."""
    name, word, number = n.word(), n.word(), n.number(4)
    return n.pick([f'{name.upper()}="{n.text(1, 3)}"', f"{name}={word}", f"{name} = {number}", f"# {n.text(1, 4)}", f"{name}: {word}",
                   f"{name}:x:{number}:{number}:{name}:/home/{name}:/bin/{word}", f"127.0.0.{n.number(2)} {word}", f"{name}:x:{number}:",
                   f'{name}: "{word}",', f"{name}({word});", f"<{name}>{word}</{name}>", f"- [{word}]({name}.md)"])


@task("read", """
I [read|show|print|display|open|cat|output|view|type out] [the file |the contents of |the content of |the text in |file |]{F}
Q what is [in|inside|written in|stored in] [the file |file |]{F}
Q what does [the file |file |]{F} [say|contain|hold|have in it]
W [the contents of|the content of|what is in|what is inside|the text in|the text of|what stands in|what is written in] [the file |]{F}
I show me [the file |what is in |the text of |the contents of |]{F}
I read [the file |]{F} and tell me what it says
I [let me see|show me] [the text inside|the contents of|what is in|the file] {F}
I [dump|look at|look into|have a look at|take a look at|peek into] [the file |the contents of |]{F}
I read [me |] [the file |]{F} [aloud|out]
W what [the file |]{F} [says|contains|holds]
Q can you [read|open|show] [the file |]{F}
I tell me what [is in|is written in|stands in] [the file |]{F}
K [cat|read|contents of|open|show|content of] {F}
""", 2.0)
def read_file(n):
    path = n.file_path()
    slots = {"F": quoted(n, path, 0.12)}
    if n.chance(0.05):
        return Instance(slots, [Step(read(path))], f"{path} is empty.", ["empty"])
    text = content(n)
    return simple(n, slots, read, path, text, lambda where: f"{where} says: {text}", fails=0.2)


@task("first_line", """
Q what is the first line [of|in] @thefile{F}
W the first line [of|in] @thefile{F}
I [show|print|read|display|get|give me] [me |] the first line [of|in|from] @thefile{F}
Q [how does @thefile{F} start|how does @thefile{F} begin|what does @thefile{F} start with]
Q what is [at the top of|at the start of|at the beginning of] @thefile{F}
I [show|print] the [head|top|beginning|start] of @thefile{F}
K [first line of|head of|top of|first line] {F}
""", 0.8)
def first_line(n):
    path, text = n.file_path(), setting(n) if n.chance(0.2) else n.text(1, 5)
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"head -n 1 {where}", path, text, lambda _: f"The first line is: {text}")


@task("last_line", """
Q what is the last line [of|in] @thefile{F}
W the last line [of|in] @thefile{F}
I [show|print|read|display|get|give me] [me |] the last line [of|in|from] @thefile{F}
Q [how does @thefile{F} end|what does @thefile{F} end with]
Q what is [at the bottom of|at the end of] @thefile{F}
I [show|print] the [tail|end|bottom] of @thefile{F}
K [last line of|tail of|end of|last line] {F}
""", 0.8)
def last_line(n):
    path, text = n.file_path(), setting(n) if n.chance(0.2) else n.text(1, 5)
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"tail -n 1 {where}", path, text, lambda _: f"The last line is: {text}")


@task("lines", """
Q how many lines are in @thefile{F}
Q how many lines [does @thefile{F} @have|has @thefile{F} got|are there in @thefile{F}]
I @count [the|all|all the|] lines [in|of|inside] @thefile{F}
W the [number of lines|line count|count of lines] [in|of] @thefile{F}
W how many lines @thefile{F} [has|contains]
Q what is the [line count|number of lines] [of|in] @thefile{F}
Q how long is @thefile{F} in lines
K [line count|wc -l|number of lines|lines in|count lines] {F}
""", 1.0)
def lines(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"wc -l < {where}", path, number, lambda where: f"{where} has {number} lines.")


@task("words", """
Q how many words are in @thefile{F}
Q how many words [does @thefile{F} @have|are there in @thefile{F}]
I @count [the|all|all the|] words [in|of|inside] @thefile{F}
W the [number of words|word count|count of words] [in|of] @thefile{F}
W how many words @thefile{F} [has|contains]
Q what is the [word count|number of words] [of|in] @thefile{F}
K [word count|wc -w|number of words in|words in|count words] {F}
""", 0.8)
def words(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"wc -w < {where}", path, number, lambda where: f"{where} has {number} words.")


@task("file_size", """
Q how [big|large] is the file {F}
Q how many bytes [does @thefile{F} have|does @thefile{F} use|does @thefile{F} take|has @thefile{F}]
Q how many bytes are in @thefile{F}
W the [file size|size in bytes|number of bytes] of @thefile{F}
W the size of the file {F}
W how [big|large] the file {F} is
Q what is the [file size|size in bytes] of @thefile{F}
Q what is the size of the file {F}
I [check|get|look up] the size of the file {F}
K [file size of|bytes in|file size] {F}
""", 0.9)
def file_size(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"stat -c %s {where}", path, number, lambda where: f"{where} has {number} bytes.")


@task("exists", """
Q does [the file |a file called |a file named |the path |]{F} exist
Q is there a file [called |named |with the name |]{F}
Q do [we|I|you] have a file [called |named |]{F}
I check [if|whether] [the file |]{F} [exists|is there|is present]
W [if|whether] [the file |]{F} exists
I [find out|see|verify|test] [if|whether] there is a file [called |named |]{F}
Q has [the file |]{F} been created
K [exists|does it exist:|check for] {F}
""", 0.9)
def exists(n):
    path, there = n.file_path(), n.chance(0.5)
    answer = f"Yes, {path} exists." if there else f"No, {path} does not exist."
    step = Step(f"test -e {path} && echo yes || echo no", "yes" if there else "no")
    return Instance({"F": quoted(n, path, 0.15)}, [step], answer, [answer.split(",")[0]])


PROGRAMS = ("git vim nano curl wget gcc make docker perl ruby node npm java go cargo tmux htop jq rsync ssh tar zip unzip sed awk tree "
            "nginx cmake clang").split()


@task("installed", """
Q is [the program |the command |the tool |]{C} [installed|available|there|present]@here
Q do [we|you|I] have {C} [|installed|available|here]
I check [if|whether] [the program |the command |]{C} is [installed|available|there|present]
W [if|whether] [the program |]{C} is [installed|available]
Q can [I|we] use {C} here
Q is there a [program|command|tool] called {C}
Q has {C} been installed
K [which|is installed:|command -v] {C}
""", 0.9)
def installed(n):
    program = n.pick(PROGRAMS) if n.chance(0.4) else n.stem()
    command, slots = f"command -v {program} || echo no", {"C": program}
    if n.chance(0.45):
        return Instance(slots, [Step(command, "no")], f"No, {program} is not installed.", ["No"])
    where = n.pick(["/usr/bin/", "/usr/bin/", "/bin/", "/usr/local/bin/", "/usr/sbin/"]) + program
    return Instance(slots, [Step(command, where)], f"Yes, {program} is at {where}", [where])
