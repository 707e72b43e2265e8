"""Tasks about what is in single files, and about programs."""
from .paths import quoted, read, simple
from .task import Instance, Step, key_words, task


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
I [show|give|read|print] me [the file |the text of |the contents of |the content of |what is in |]{F}
Q what is [in|inside|written in|stored in|contained in] [the file |file |]{F}
Q what is [in|inside] {F}
Q what [stands|is written|is stored] in [the file |file |]{F}
Q what does [the file |file |]{F} [say|contain|hold|have in it|read]
W [the contents of|the content of|what is in|what is inside|the text in|the text of|what stands in|what is written in] [the file |]{F}
W what is [stored|written|contained] in [the file |file |]{F}
I read [the file |]{F} and tell me what it says
I [open|cat|take] [the file |]{F} and [tell me|show me] what [is in it|it says|it contains]
I [let me see|show me] [the text inside|the contents of|what is in|the file] {F}
I [dump|look at|look into|have a look at|take a look at|peek into] [the file |the contents of |]{F}
I read [me |] [the file |]{F} [aloud|out]
W what [the file |]{F} [says|contains|holds|has in it]
Q can you [read|open|show|print] [the file |]{F}
Q can I see [the file |the contents of |the text of |]{F}
Q may I [see|read] [the file |what is in |]{F}
I tell me what [is in|is written in|stands in|is inside|is stored in] [the file |]{F}
X I want to [read|see] [the file |what is in |the contents of |]{F}
K [cat|read|contents of|open|show|content of|view|print|display|text of|show file|read file|open file|what is in] {F}
""", 2.2)
def read_file(n):
    path = n.file_path()
    slots = {"F": quoted(n, path, 0.12)}
    if n.chance(0.05):
        return Instance(slots, [Step(read(path))], f"{path} is empty.", ["empty"])
    text = content(n)
    return simple(n, slots, read, path, text, lambda where: f"{where} says: {text}", fails=0.2)


@task("first_line", """
Q what is the [first|top|1st] line [of|in] @thefile{F}
Q what is [line 1|line one|the very first line|line number one] of @thefile{F}
Q what [stands|is written] [in|on] the first line of @thefile{F}
Q what does the first line [of|in] @thefile{F} [say|contain]
Q which line is the first [in|of] @thefile{F}
W the [first|top|1st|very first] line [of|in] @thefile{F}
W what is in the first line of @thefile{F}
W what the first line [of|in] @thefile{F} [says|is]
I [show|print|read|display|get|give me|output|tell me] [me |] the first line [of|in|from] @thefile{F}
I [show|print|read|display|get] [only|just] the first line [of|in|from] @thefile{F}
I [show|print|read] line [1|one|number one] [of|in] @thefile{F}
Q [how does @thefile{F} start|how does @thefile{F} begin|what does @thefile{F} start with|what does @thefile{F} begin with]
W how @thefile{F} [starts|begins]
Q what is [at|on] the [top|start|beginning|head] of @thefile{F}
W [the top|the start|the beginning|the head|what is at the top|what is at the start] of @thefile{F}
I [show|print|read|look at|see] [me |] the [head|top|beginning|start] of @thefile{F}
Q can you [read|show|print] the first line of @thefile{F}
K [first line of|first line|first line in|1st line|1st line of|line 1 of|top line|top line of|show first line|print first line] @thefile{F}
K [head of|top of|start of|beginning of|head|head -n 1|head -1|head -n1] {F}
""", 1.2)
def first_line(n):
    path, text = n.file_path(), setting(n) if n.chance(0.2) else n.text(1, 5)
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"head -n 1 {where}", path, text, lambda _: f"The first line is: {text}")


@task("last_line", """
Q what is the [last|final|bottom] line [of|in] @thefile{F}
Q what is [the very last|the last] line of @thefile{F}
Q what [stands|is written] [in|on] the last line of @thefile{F}
Q what does the last line [of|in] @thefile{F} [say|contain]
Q which line is the last [in|of] @thefile{F}
W the [last|final|bottom|very last] line [of|in] @thefile{F}
W what is in the last line of @thefile{F}
W what the last line [of|in] @thefile{F} [says|is]
I [show|print|read|display|get|give me|output|tell me] [me |] the last line [of|in|from] @thefile{F}
I [show|print|read|display|get] [only|just] the last line [of|in|from] @thefile{F}
I [show|print|read] the final line [of|in] @thefile{F}
Q [how does @thefile{F} end|what does @thefile{F} end with|with what does @thefile{F} end]
W how @thefile{F} [ends|finishes]
Q what is at the [bottom|end|tail] of @thefile{F}
W [the bottom|the end|the tail|what is at the bottom|what is at the end] of @thefile{F}
I [show|print|read|look at|see] [me |] the [tail|end|bottom] of @thefile{F}
Q can you [read|show|print] the last line of @thefile{F}
K [last line of|last line|last line in|final line|final line of|bottom line|bottom line of|show last line|print last line|last entry of] @thefile{F}
K [tail of|end of|bottom of|tail|tail -n 1|tail -1|tail -n1|the end of] {F}
""", 1.2)
def last_line(n):
    path, text = n.file_path(), setting(n) if n.chance(0.2) else n.text(1, 5)
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"tail -n 1 {where}", path, text, lambda _: f"The last line is: {text}")


@task("lines", """
Q how many lines are in @thefile{F}
Q how many lines [does @thefile{F} @have|has @thefile{F} got|are there in @thefile{F}]
Q how many lines [has|can be found in|make up] @thefile{F}
I @count [the|all|all the|] lines [in|of|inside] @thefile{F}
I @count how many lines @thefile{F} has
W the [number of lines|line count|count of lines|total number of lines] [in|of] @thefile{F}
W how many lines @thefile{F} [has|contains]
W how many lines [are|there are] in @thefile{F}
Q what is the [line count|number of lines|total number of lines] [of|in] @thefile{F}
Q how long is @thefile{F} in lines
Q can you count the lines [of|in] @thefile{F}
X I want to know how many lines @thefile{F} has
K [line count|line count of|wc -l|number of lines|number of lines in|lines in|count lines|count lines in|how many lines in|lines of] {F}
""", 1.0)
def lines(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"wc -l < {where}", path, number, lambda where: f"{where} has {number} lines.")


@task("words", """
Q how many words are in @thefile{F}
Q how many words [does @thefile{F} @have|are there in @thefile{F}|has @thefile{F} got]
Q how many words [has|can be found in|make up] @thefile{F}
I @count [the|all|all the|] words [in|of|inside] @thefile{F}
I @count how many words @thefile{F} has
W the [number of words|word count|count of words|total number of words] [in|of] @thefile{F}
W how many words @thefile{F} [has|contains]
W how many words [are|there are] in @thefile{F}
Q what is the [word count|number of words|total number of words] [of|in] @thefile{F}
Q how long is @thefile{F} in words
Q can you count the words [of|in] @thefile{F}
X I want to know how many words @thefile{F} has
K [word count|word count of|wc -w|number of words|number of words in|words in|count words|count words in|how many words in|words of] {F}
""", 0.9)
def words(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"wc -w < {where}", path, number, lambda where: f"{where} has {number} words.")


@task("file_size", """
Q how [big|large] is the file {F}
Q how [big|large] is my file {F}
Q how many bytes [does @thefile{F} have|does @thefile{F} use|does @thefile{F} take|has @thefile{F}]
Q how many bytes are in @thefile{F}
Q how many bytes [is|are there in|make up] @thefile{F}
W the [file size|size in bytes|number of bytes] of @thefile{F}
W the size of the file {F}
W how [big|large] the file {F} is
W how many bytes @thefile{F} [has|takes|uses]
Q what is the [file size|size in bytes|number of bytes] of @thefile{F}
Q what is the size of the file {F}
I [check|get|look up|find out] the size of the file {F}
I [check|get|count|find out] the [bytes|number of bytes|size in bytes] of @thefile{F}
Q what size [is|has] the file {F}
K [file size of|bytes in|file size|bytes of|size of file|size of the file|number of bytes in|size in bytes of|how many bytes in] {F}
""", 0.9)
def file_size(n):
    path, number = n.file_path(), str(n.number(6))
    return simple(n, {"F": quoted(n, path, 0.1)}, lambda where: f"stat -c %s {where}", path, number, lambda where: f"{where} has {number} bytes.")


@task("exists", """
Q does [the file |a file called |a file named |the path |]{F} exist
Q does {F} exist
Q is [the file |]{F} [there|present]
Q is there [a file|some file|any file] [called |named |with the name |]{F}
Q is there a {F}
Q do [we|I|you] have a file [called |named |]{F}
Q do [we|I] have [the file |a |]{F} [here|already|]
Q can you [see|tell me] [if|whether] [the file |]{F} exists
I check [if|whether] [the file |]{F} [exists|is there|is present]
I check [for|the existence of|the presence of] [the file |a file called |a file named |file |]{F}
I [see|look|test|verify] [if|whether] [the file |]{F} [exists|is there|is present]
I [make sure|confirm|verify] that [the file |]{F} exists
I [find out|see|verify|test|check] [if|whether] there is a file [called |named |]{F}
I test for [the file |]{F}
I [find out|tell me] [if|whether] [the file |]{F} [exists|is there]
W [if|whether] [the file |]{F} exists
W [if|whether] [the file |]{F} is [there|present]
W [if|whether] there is a file [called |named |]{F}
Q has [the file |]{F} been created
Q [did|has] anybody [create|created] [the file |]{F}
X I [wonder|want to know|need to know] [if|whether] [the file |]{F} exists
K [exists|exists:|does it exist:|check for|file exists|check if exists|existence of|exist|is there|check existence of|test -e|test -f|check file|check that it exists:] {F}
K {F} [exists|there|exist|present]
""", 1.5)
def exists(n):
    path, there = n.file_path(), n.chance(0.5)
    answer = f"Yes, {path} exists." if there else f"No, {path} does not exist."
    step = Step(f"test -e {path} && echo yes || echo no", "yes" if there else "no")
    return Instance({"F": quoted(n, path, 0.15)}, [step], answer, [answer.split(",")[0]])


PROGRAMS = ("git vim nano curl wget gcc make docker perl ruby node npm java go cargo tmux htop jq rsync ssh tar zip unzip sed awk tree "
            "nginx cmake clang").split()


@task("installed", """
Q is [the program |the command |the tool |]{C} [installed|available|there|present]@here
Q is {C} [installed|available]@here
Q is {C} [an installed program|a known command|an available command]
Q do [we|you|I] have {C} [|installed|available|here]
Q do [we|you|I] have [the program|the command|the tool] {C} [|installed|available|here]
Q does @machine have [the program |the command |the tool |]{C} [|installed]
Q does @machine know the [command|program] {C}
I check [if|whether] [the program |the command |]{C} is [installed|available|there|present]
I [see|test|find out|verify|look] [if|whether] [the program |the command |the tool |]{C} is [installed|available]
I check for the [program|command|tool] {C}
I run which {C}
I [find|locate|look for] the [program|command|tool] {C}
W [if|whether] [the program |]{C} is [installed|available]
W [if|whether] [we|I|you] have {C} installed
W where [the program|the command|the tool] {C} is
Q can [I|we] use {C} here
Q can [I|we|you] [run|use] [the program|the command|the tool] {C}@here
Q is there a [program|command|tool] [called|named] {C}
Q has {C} been installed
Q where is [the program|the command|the tool|the binary] {C}
Q where is {C} installed
Q which {C} [is installed|do we use|is used|is in the path]
K [which|is installed:|command -v|installed|type|which program|which command|program|have we got|is it installed:|path of the program|whereis|command] {C}
K {C} [installed|available|installed here]
""", 1.5)
def installed(n):
    program = n.pick(PROGRAMS) if n.chance(0.4) else n.stem()
    while program in key_words():  # "which kernel" asks for something else
        program = n.stem()
    command, slots = f"command -v {program} || echo no", {"C": program}
    if n.chance(0.45):
        return Instance(slots, [Step(command, "no")], f"No, {program} is not installed.", ["No"])
    where = n.pick(["/usr/bin/", "/usr/bin/", "/bin/", "/usr/local/bin/", "/usr/sbin/"]) + program
    return Instance(slots, [Step(command, where)], f"Yes, {program} is at {where}", [where])
