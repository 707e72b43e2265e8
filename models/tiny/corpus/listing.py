"""Tasks about directories and about finding files."""
from .paths import base, directory, found_path, named, no_files, quoted, refused, simple
from .task import Instance, Step, task


@task("count", """
Q how many files are [in|inside|under|there in|stored in|located in|within] {D}
Q how many files does {D} @have
I @count [the|all|all the|] files @in {D}
W the [number|count|total number|amount] of files @in {D}
W how many files [there are|are|live|exist|are stored] [in|inside|under] {D}
Q what is the [number|count|total number|total|amount] of files @in {D}
I give me [a|the] file count [for|of] {D}
I [determine|find out|check|see|work out] how many files [there are|exist|are] in {D}
W the [file count|count of files|total number of files] [of|for|in] {D}
Q how many [regular |plain |]files [exist|do we have|do I have|can you find|live|are stored|lie] @in {D}
Q what number of files [is|sits|lies] in {D}
I @count how many files [are|there are|lie] @in {D}
I tally the files @in {D}
Q {D} has how many files
Q can you count [the|] files @in {D}
I [run a|do a] file count [on|in|for] {D}
K [file count|number of files|count files|count of files|how many files] [in|of|in|for] {D}
X I want to know how many files {D} has
""", 1.5)
def count(n):
    (phrase, path), number = directory(n), str(n.number(5))
    return Instance({"D": phrase}, [Step(f"find {path} -type f 2>/dev/null | wc -l", number)],
                    f"There are {number} files in {named(path)}.", [number])


@task("count_kind", """
Q how many [{E}|.{E}|*.{E}] files are [in|inside|under|there in|stored in|within] {D}
Q how many [.{E}|{E}] files does {D} @have
I @count [the|all|all the|] [.{E}|{E}|*.{E}] files @in {D}
W the number of [.{E}|{E}|*.{E}] files @in {D}
Q how many files [ending in|with the ending|with the extension|that end in] [.{E}|{E}] are @in {D}
I @count the files [ending in|with the extension|that end with] [.{E}|{E}] @in {D}
W how many [.{E}|{E}] files [there are|are|exist] in {D}
Q what is the number of [.{E}|{E}] files @in {D}
Q how many [.{E}|{E}] files [exist|do we have|can you find] @in {D}
Q how many files [of type|of the type|with the ending] [.{E}|{E}|*.{E}] are @in {D}
Q how many {E}-files [are|are there] @in {D}
I @count [all|all the|the|] {E} files @in {D}
I @count [all|the|] files of type [.{E}|{E}] @in {D}
I [find out|check|tell me] how many [.{E}|{E}|*.{E}] files [are|there are] @in {D}
Q can you count the [.{E}|{E}|*.{E}] files @in {D}
W the [count|total number] of [.{E}|{E}|*.{E}] files @in {D}
K [number of|count|how many|count all] [.{E}|{E}|*.{E}] files [in|of] {D}
""", 0.9)
def count_kind(n):
    (phrase, path), ending, number = directory(n), n.extension(), str(n.number(5))
    return Instance({"D": phrase, "E": ending}, [Step(f"find {path} -name '*.{ending}' 2>/dev/null | wc -l", number)],
                    f"There are {number} .{ending} files in {named(path)}.", [number])


@task("count_directories", """
Q how many [directories|folders|subdirectories|sub folders] are [in|inside|under|there in|within] {D}
Q how many [directories|folders|subdirectories] does {D} @have
I @count [the|all|all the|] [directories|folders|subdirectories] @in {D}
W the number of [directories|folders|subdirectories] @in {D}
W how many [directories|folders|subdirectories] [there are|are|exist] in {D}
Q what is the number of [directories|folders|subdirectories] @in {D}
Q how many [directories|folders|subdirectories] [exist|do we have|can you find] @in {D}
Q how many [directories|folders|subdirectories|sub folders] [are there|live|lie] @in {D}
I [find out|check|tell me] how many [directories|folders|subdirectories] [are|there are] @in {D}
I @count how many [directories|folders|subdirectories] [are|there are] @in {D}
Q can you count the [directories|folders|subdirectories] @in {D}
W the [count|total number] of [directories|folders|subdirectories] @in {D}
K [directory count|number of folders|number of directories|count folders|count directories|how many folders|how many directories|folder count] [in|of] {D}
""", 0.8)
def count_directories(n):
    (phrase, path), number = directory(n), str(n.number(4))
    return Instance({"D": phrase}, [Step(f"find {path} -mindepth 1 -type d 2>/dev/null | wc -l", number)],
                    f"There are {number} directories in {named(path)}.", [number])


@task("list", """
I @show [the|all|all the|] [files|contents|entries|things] @of {D}
I list [the|all|] [files|contents|content|entries] [in|inside|of|from|at] {D}
I list {D}
I list [what is in|what is stored in|everything in|all that is in] {D}
I show me what [{D} contains|is in {D}|is stored in {D}|is inside {D}]
I [show|tell] me what [{D} has in it|lies in {D}|is kept in {D}]
I [look|have a look] [into|inside|in|at] {D}
I enumerate the [files|entries|contents] [of|in|inside] {D}
I [do an ls|run ls] [in|on|of|for] {D}
I ls {D}
I go to {D} and [list|show] [the files|what is there|everything]
Q what is [in|inside|stored in|there in|kept in] {D}
Q what is [stored|kept|saved|located|to be found] [in|inside|under] {D}
Q what files [are|are there|exist] [in|inside|under] {D}
Q what files [are stored|are kept|lie|can be found] [in|inside|under] {D}
Q [which|what] [files|things|entries] [does {D} contain|does {D} have|are there in {D}|are inside {D}|can be found in {D}|are stored in {D}|lie in {D}]
Q what does {D} [contain|have in it|hold|have inside|look like]
W the [files|contents|content|entries] [in|of|inside] {D}
W what is [in|inside|stored in] {D}
W what is [stored|kept|located] [in|inside|under] {D}
W the [directory listing|listing|file list|list of files] [of|for|in] {D}
W [which|what] files [are|there are] [in|inside] {D}
W what {D} [contains|has in it|holds]
Q is there anything [in|inside] {D}
Q what [do we have|can be found|is there] [in|inside] {D}
Q can you list {D}
X I want to [see|know] what is in {D}
K [ls|list|files in|contents of|list files in|listing of|what is in|dir|ls -l|list directory|show files in|directory listing of|files of|content of|what is stored in] {D}
""", 2.1)
def list_files(n):
    phrase, path = directory(n)
    command = lambda where: f"ls {where} | head -n 6 | paste -sd,"
    if n.chance(0.06):
        return Instance({"D": phrase}, [Step(command(path))], f"There is nothing in {named(path)}.", ["nothing"])
    names = ",".join(n.several(lambda: n.file_name() if n.chance(0.75) else n.stem(), 1, 6))
    return simple(n, {"D": phrase}, command, path, names, lambda where: f"The first entries in {named(where)}: {names}", "-type d ")


@task("largest", """
Q what is the [largest|biggest|heaviest] file [in|inside|under|of|within] {D}
Q which file [in|inside|under|of] {D} is [the largest|the biggest|largest|the heaviest|biggest]
W the [largest|biggest|heaviest] file [in|inside|under|of|within] {D}
W which file [in|inside|of] {D} is the [largest|biggest]
I @find the [largest|biggest|heaviest] file [in|inside|under|of|within] {D}
Q [which|what] file [takes|uses|needs|occupies] the most [space|room|disk space] in {D}
Q which is the [largest|biggest] file @in {D}
I [show|give me|name|identify|get|print|tell me] the [largest|biggest] file @in {D}
Q [which|what] file is the [largest|biggest|heaviest] @of {D}
I [tell me|find out|check|see] which file @of {D} is the [largest|biggest]
I [tell me|find out|check|see] which file is the [largest|biggest] @of {D}
Q can you find the [largest|biggest|heaviest] file @of {D}
W the name of the [largest|biggest] file @of {D}
K [largest|biggest] file [in|of|inside] {D}
""", 1.0)
def largest(n):
    (phrase, path), name = directory(n), n.file_name()
    command = f"ls -Sp {path} | grep -v / | head -n 1"
    if n.chance(0.08):
        return no_files(phrase, path, command)
    return Instance({"D": phrase}, [Step(command, name)], f"The largest file in {named(path)} is {name}.", [name])


@task("largest_three", """
Q what are the [largest|biggest|heaviest] files [in|inside|under|of|within] {D}
Q which files [in|inside|under|of] {D} are [the largest|the biggest|largest|the heaviest|biggest]
W the [largest|biggest|heaviest|three largest|three biggest|top three|top 3 largest|3 biggest] files [in|inside|under|of] {D}
W which files [in|inside|of] {D} are the [largest|biggest]
I @find the [largest|biggest|heaviest|three largest|three biggest] files [in|inside|under|of|within] {D}
Q [which|what] files [take|use|need|occupy] the most [space|room|disk space] in {D}
I sort the files [in|of|inside] {D} by [size|their size]
I [show|list|print] the files [in|of] {D} [sorted|ordered] by size
I [show|give me|name|identify|list|get|print] the [largest|biggest|3 largest|three biggest|top] files @in {D}
K [largest|biggest] files [in|of|inside] {D}
K files [in|of] {D} by size
""", 1.0)
def largest_three(n):
    phrase, path = directory(n)
    command = f"ls -Sp {path} | grep -v / | head -n 3 | paste -sd,"
    if n.chance(0.08):
        return no_files(phrase, path, command)
    names = ",".join(n.several(n.file_name, 1 if n.chance(0.2) else 3, 3))
    return Instance({"D": phrase}, [Step(command, names)], f"The largest files in {named(path)}: {names}", [names])


@task("newest", """
Q what is the [newest|latest|most recent|youngest] file [in|inside|under|of|within] {D}
Q which file [in|inside|of] {D} [is the newest|is the latest|is the most recent|was changed last|was modified last|was modified most recently|is newest]
W the [newest|latest|most recent|last modified|last changed|most recently changed] file [in|inside|of|under] {D}
W which file [in|inside|of] {D} [is the newest|was changed last|was modified last]
I @find the [newest|latest|most recent|last modified|most recently modified] file [in|inside|of|under|within] {D}
Q [which|what] file [was changed|was modified|was written|changed] last @in {D}
I [show|give me|name|identify|get|tell me] the [newest|latest|most recent|last modified] file @in {D}
Q [which|what] file is the @newest @of {D}
Q [which|what] file has been [changed|modified|written] last @of {D}
I [tell me|find out|check|see] which file @of {D} is the @newest
I [tell me|find out|check|see] which file was [changed|modified|written] last @of {D}
Q can you find the @newest file @of {D}
W the name of the @newest file @of {D}
K [newest|latest|most recent|last modified] file [in|of] {D}
""", 0.9)
def newest(n):
    (phrase, path), name = directory(n), n.file_name()
    command = f"ls -tp {path} | grep -v / | head -n 1"
    if n.chance(0.08):
        return no_files(phrase, path, command)
    return Instance({"D": phrase}, [Step(command, name)], f"The newest file in {named(path)} is {name}.", [name])


@task("search", """
I [find|search for|look for|search|locate] the [word|text|string] {S} in [the files in |the files of |all files in |all files under |]{D}
I search {D} for [the word |the text |the string |]{S}
I search [the files in |all files in |through |]{D} for {S}
Q [which|what] files [in|inside|under|of] {D} [contain|mention|have|include] [the word |the text |the string |]{S}
I [find|list|show] [the|all|] files [in|under|inside] {D} [that contain|containing|that mention|with|mentioning] the [word|text|string] {S}
W [which|what] files in {D} [contain|mention|include] [the word |the text |]{S}
I grep [for |]{S} in {D}
Q where [in|inside] {D} [is the word {S}|does the word {S} appear|does the word {S} occur|is {S} used|is {S} mentioned]
Q where is the [word|text|string] {S} [used|mentioned|found|written] in {D}
I look through {D} for the [word|text|string] {S}
Q is the [word|text|string] {S} [anywhere|found|mentioned|somewhere] in [the files of |the files in |]{D}
Q does [any file|anything|some file] in {D} [contain|mention|have] [the word |the text |]{S}
I check [whether|if] [the word |]{S} [occurs|appears|is mentioned] in [the files of |]{D}
K [grep|search for] {S} in {D}
""", 1.8)
def search(n):
    (phrase, path), word = directory(n), n.word()
    command = f"grep -rlw '{word}' {path} 2>/dev/null | head -n 3 | paste -sd,"
    slots = {"D": phrase, "S": quoted(n, word)}
    if n.chance(0.22):
        return Instance(slots, [Step(command)], f"No file in {named(path)} has the word {word}.", ["No file"])
    found = ",".join(below(n, path, n.file_name) for _ in range(n.rng.randint(1, 3)))
    return Instance(slots, [Step(command, found)], f"Found the word {word} in {found}", [found])


def below(n, path, name):
    """As grep and find print a path below `path`, now and then one directory deeper."""
    return path.rstrip("/") + "/" + (n.stem() + "/" if n.chance(0.2) else "") + name()


@task("find_name", """
I @find [the|a|my] file [called |named |with the name |]{F}
I @find [the|a|my] file {F}
I [find|locate] {F}
I [find|search for|look for|locate] [the file called|the file named|my file called|a file with the name|a file named] {F}
I [find|locate] [the path|the place|the location] of [the file |my file |]{F}
I [find out|see|tell me] where [the file |my file |]{F} is
I [find out|tell me] in which [directory|folder] [the file |]{F} [is|lies]
I search for [a|the|my] file [called |named |]{F}
I look for [a|the|my] file [called |named |]{F}
I search [everywhere|all directories|the current directory|all folders] for [the file |]{F}
I look [everywhere|in all directories|in all folders] for [the file |]{F}
I help me find [the file |my file |]{F}
Q where is [the file |my file |the file called |the file named |]{F}
Q where [is|are] {F}
Q in which [directory|folder] is [the file |]{F}
Q which [directory|folder] [has|contains|holds] the file {F}
Q where [can I find|do I find|did I put|have I put] [the file |a file called |my |]{F}
Q where is [the file |]{F} [stored|located|saved]
Q where did [I|we|you] [save|store|put] [the file |]{F}
Q can you [find|locate] [the file |my file |]{F}
Q what is the [path|location|place] of [the file |my file |]{F}
W [where|in which directory|in which folder] [the file |]{F} is [|stored|located]
W where [the file |my file |]{F} [lies|can be found|was saved]
W where to find [the file |my file |]{F}
W the [location|path|place] of [the file |my file |]{F}
X I [lost|cannot find|can't find|am looking for|forgot where I put] [the file |my file |]{F}
K [find|locate|where is|find file|search file|locate file|search for file|path of|place of|location of|look for|search for|find -name|where is file] {F}
""", 1.7)
def find_name(n):
    name = n.file_name()
    command, slots = f"find . -name '{name}' 2>/dev/null | head -n 1", {"F": quoted(n, name, 0.2)}
    if n.chance(0.2):
        return Instance(slots, [Step(command)], f"There is no file {name} here.", ["no file"])
    found = found_path(n, name) if n.chance(0.8) else "./" + name
    return Instance(slots, [Step(command, found)], f"I found it at {found}", [found])


@task("find_kind", """
I [find|list|show|search for|locate|look for|show me|give me|print] [the|all|all the|] [.{E}|{E}|*.{E}] files @in {D}
Q [which|what] [.{E}|{E}|*.{E}] files are [there|] @in {D}
Q [which|what] [.{E}|{E}] files does {D} @have
I [find|list|show] [the|all|all the|] files [ending in|with the ending|with the extension|that end in|that end with] [.{E}|{E}] @in {D}
W [the|all|all the] [.{E}|{E}|*.{E}] files @in {D}
Q are there [any|some|] [.{E}|{E}|*.{E}] files @in {D}
Q [which|what] files @in {D} [end in|end with|have the extension] [.{E}|{E}]
I [find|list|show] [everything|files] in {D} [that is a|of type] {E} file
I @find [all|the|all the|] files of type [.{E}|{E}] @in {D}
I @find every {E} file @in {D}
Q can you [find|list] [all|the|] [.{E}|{E}|*.{E}] files @in {D}
Q where @in {D} are [the|] [.{E}|{E}] files
W [which|what] [.{E}|{E}|*.{E}] files [are|there are] @in {D}
K [find|list|all] [.{E}|{E}|*.{E}] files in {D}
""", 1.0)
def find_kind(n):
    (phrase, path), ending = directory(n), n.extension()
    command = f"find {path} -name '*.{ending}' 2>/dev/null | head -n 3 | paste -sd,"
    slots = {"D": phrase, "E": ending}
    if n.chance(0.15):
        return Instance(slots, [Step(command)], f"There are no .{ending} files in {named(path)}.", ["no ." + ending])
    found = ",".join(below(n, path, lambda: n.stem() + "." + ending) for _ in range(n.rng.randint(1, 3)))
    return Instance(slots, [Step(command, found)], f"Found {found}", [found])


@task("make_directory", """
I [create|make|add] a [new |]@dir [called|named|at|with the name|] {P}
I [create|make] the @dir {P}
I mkdir {P}
I make {P} as a new @dir
I [set up|add|prepare|open] a [new |]@dir [named|called|] {P}
I create an empty @dir [named |called |]{P}
I make [me |us |] a @dir [|called|named] {P}
Q can you make [the|a] @dir {P}
X I [need|want] a @dir [called|named] {P}
X I [need|want] a new @dir {P}
I [create|make|add] [the|a] [new |empty |]@dir {P}
I [create|make] {P} as [a|an empty] @dir
I mkdir -p {P}
Q can you [create|add|make] [a|a new|an empty] @dir [called|named] {P}
X there should be a @dir [called |named |]{P}
X I [need|want|would like] [the|an empty] @dir {P}
K [mkdir|new folder|new directory|create folder|make directory] {P}
""", 1.3)
def make_directory(n):
    path = n.directory()
    slots, command = {"P": quoted(n, path, 0.2)}, lambda where: f"mkdir -p {where} && echo done"
    if n.chance(0.16) and base(path):
        failed, elsewhere = Step(command(path), "", refused(n, path), 1), "/tmp/" + base(path)
        return Instance(slots, [failed, Step(command(elsewhere), "done")], f"I could only create the directory {elsewhere}.", [elsewhere])
    return Instance(slots, [Step(command(path), "done")], f"I created the directory {path}.", [path])


@task("directory_size", """
Q how [big|large] is [the|my] @dir {P}
Q how much [space|disk space|room|storage] does [the|my] @dir {P} [use|take|need|occupy|take up]
Q how much [space|disk space|room] is used by {P}
W the [size|total size|disk usage] of [the @dir |]{P}
W how [big|large] [the|my] @dir {P} is
W how much [space|disk space] {P} [uses|takes|needs]
Q what is the [total |]size of the @dir {P}
I [check|measure|compute] the size of [the @dir |]{P}
Q how [big|large] is [the folder|the directory] {P} in total
Q what is the size of {P}
Q how much [space|disk space|room|storage] does {P} [use|take|need|occupy|take up]
I [tell me|find out|check] how [big|large] [the|my] @dir {P} is
I [tell me|find out|check] how much [space|disk space] {P} [uses|takes|needs]
Q can you [measure|check|tell me] the size of [the|my] @dir {P}
K [size of|du -sh|directory size of|folder size|du|space used by|disk usage of|size of directory|size of folder|directory size] {P}
""", 1.0)
def directory_size(n):
    path, size = n.directory(), n.size()
    return Instance({"P": quoted(n, path, 0.1)}, [Step(f"du -sh {path} 2>/dev/null | cut -f 1", size)], f"{path} uses {size}.", [size])
