#!/usr/bin/python3
"""Checks of the text of the sources that need no compiler: sizes, forbidden words, heavy headers.

check_text.py FOLDER...   checks every .h and .cc below
check_text.py --self-test
"""
import collections
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
MAX_FUNCTION = 70
FORBIDDEN = [  # what, why; a line may say `NOLINT(text)` with a reason beside it
    (r"#\s*include\s*<iostream>", "global stream objects and start-up work: use base/log.h or fmt"),
    (r"#\s*include\s*<regex>|std::regex", "unbounded recursion on hostile input, and slow: write the small parser"),
    (r"\b(std::)?(system|popen)\s*\(", "a shell: start a program with an argument vector"),
    (r"\bwaitpid\s*\(\s*-1", "steals the children of others: wait on a pidfd"),
    (r"#\s*include\s*<boost/asio\.hpp>", "seconds a file: include the one header that is needed"),
    (r"\bTODO(?!\([a-z]+\): \S)", "a TODO says its kind and reason: TODO(perf): why"),
]
HEAVY = [  # seconds a file to compile: in at most this many sources (tests apart), and in no header
    (r"<spdlog/", 3), (r"<CLI/", 3), (r"<toml\+\+/|<toml\.hpp>", 3), (r"<prometheus/", 3),
    (r"<boost/beast", 4),  # its own code, both parsers, WebSocket
]
NOT_A_FUNCTION = re.compile(r"\s*(namespace|class|struct|union|enum|extern|typedef|using)\b|.*=\s*\{$|.*\[\]")


def max_lines(path):
    return 1000 if path.name.endswith("_test.cc") else 300 if path.suffix == ".h" else 800


def long_functions(lines):
    """Yields (line number, length) of functions over the bound; relies on the layout that clang-format gives."""
    for start, line in enumerate(lines):
        if not line.endswith("{") or NOT_A_FUNCTION.match(line) or not re.match(r" {0,2}\S", line):
            continue
        closing = line[: len(line) - len(line.lstrip())] + "}"
        length = next((n for n, later in enumerate(lines[start:], 1) if later.startswith(closing)), 0)
        if length > MAX_FUNCTION:
            yield start + 1, length


def check(path, text, heavy_users):
    lines = text.splitlines()
    if len(lines) > max_lines(path):
        yield 1, f"{len(lines)} lines, over {max_lines(path)}: which noun is missing?"
    for number, length in long_functions(lines):
        yield number, f"a function of {length} lines, over {MAX_FUNCTION}"
    for number, line in enumerate(lines, 1):
        code = line if "TODO" in line else line.partition("//")[0]
        for pattern, why in FORBIDDEN:
            if re.search(pattern, code) and "NOLINT(text)" not in line:
                yield number, why
    for pattern, most in HEAVY:
        if not path.name.endswith("_test.cc") and re.search(r"^\s*#\s*include\s*(" + pattern + ")", text, re.M):
            heavy_users[pattern].add(path)
            if path.suffix == ".h":
                yield 1, f"a header includes {pattern}...>: keep it in a source, behind our own header"
            elif len(heavy_users[pattern]) > most:
                yield 1, f"more than {most} sources include {pattern}...>"


def check_folders(folders):
    heavy_users, bad, files = collections.defaultdict(set), 0, 0
    for folder in folders:
        for path in sorted(p for p in (TOP / folder).rglob("*") if p.suffix in {".h", ".cc"}):
            files += 1
            for number, problem in check(path, path.read_text(), heavy_users):
                print(f"{path.relative_to(TOP)}:{number}: {problem}")
                bad += 1
    print(f"{files} files, {bad} findings")
    return not bad


def self_test():
    body = "  f();\n" * (MAX_FUNCTION - 1)
    samples = [  # text, expected findings
        ("int f() {\n" + body + "}\n", 1), ("int f() {\n" + body[7:] + "}\n", 0),
        ("namespace a {\n" + body + "}\n", 0), ("#include <iostream>\n", 1), ("// system(x)\n", 0),
        ('  return system("ls");\n', 1), ("  file_system(x);\n", 0), ("// TODO: later\n", 1),
        ("// TODO(perf): a table would be faster\n", 0), ("#include <boost/beast/core.hpp>\n", 0), ("\n" * 801, 1),
    ]
    wrong = [text[:60] for text, n in samples if len(list(check(TOP / "x.cc", text, collections.defaultdict(set)))) != n]
    print("\n".join(wrong), end="")
    return not wrong


if __name__ == "__main__":
    sys.exit(not (self_test() if sys.argv[1:] == ["--self-test"] else check_folders(sys.argv[1:])))
