#!/usr/bin/env python3
"""Writes a C++ file that holds one file's text; a YAML file becomes compact JSON.

Usage: embed.py SYMBOL SOURCE OUT
"""
import json
import os
import sys

CHUNK = 8000  # characters a literal: compilers need not accept more than 65536


def text_of(source):
    with open(source, encoding="utf-8") as file:
        if not source.endswith(".yaml"):
            return file.read()
        import yaml  # Debian's python3-yaml

        class Loader(yaml.SafeLoader):
            """Refuses a key that is given twice, which YAML readers otherwise pass over."""

        def mapping(loader, node):
            pairs = [(loader.construct_object(k, True), loader.construct_object(v, True)) for k, v in node.value]
            keys = [key for key, _ in pairs]
            for key in keys:
                if keys.count(key) > 1:
                    sys.exit(f"{source}: key {key!r} is given twice{node.start_mark}")
            return dict(pairs)

        Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
        return json.dumps(yaml.load(file, Loader), ensure_ascii=True, separators=(",", ":"))


def main():
    symbol, source, out = sys.argv[1:]
    text = text_of(source)
    parts = [text[i:i + CHUNK] for i in range(0, len(text), CHUNK)]
    literals = "\n".join(f'R"lmsb({part})lmsb"' for part in parts)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, "w", encoding="utf-8") as file:
        file.write(f'#include "server/embedded.h"\n\nnamespace lmsb::server {{\n'
                   f"const std::string_view {symbol} =\n{literals};\n}}\n")


main()
