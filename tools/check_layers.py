#!/usr/bin/env python3
"""Fails when a file under src/<library> includes a header of a library that its DEPS do not name directly."""
import pathlib
import re
import sys

FREE = {"bin"}  # the mains put everything together

src, layers = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
allowed = {}
for line in layers.read_text().splitlines():
    name, deps = line.split(":")
    allowed[name] = {name, *filter(None, re.split(r"[;\s]+", deps))}

bad = []
for path in sorted([*src.rglob("*.cc"), *src.rglob("*.h")]):
    library = path.relative_to(src).parts[0]
    if library in FREE:
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if m := re.match(r'\s*#\s*include\s+"([^/"]+)/', line):
            if m[1] not in allowed.get(library, set()):
                bad.append(f"{path}:{number}: {library} may not include {m[1]}/")
print("\n".join(bad) or f"{len(allowed)} libraries keep to their layers")
sys.exit(bool(bad))
