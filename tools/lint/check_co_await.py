#!/usr/bin/python3
"""Finds the coroutine forms that g++ 12 miscompiles (docs/internals/common-errors.md), by clang-query.

check_co_await.py BUILD_DIR    checks every source of BUILD_DIR/compile_commands.json that deals with co_await
check_co_await.py --self-test  checks that exactly the marked lines of testdata/co_await.cc are found

A file that clang cannot parse is a failure, never a pass.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CLANG_QUERY = "clang-query-14"
ADVICE = {
    "capturing-lambda-temporary": "name the lambda first, then std::move it in",
    "aggregate-temporary": "name the struct first, then std::move it in",
    "conditional-wait": "wait in an if statement, not in ?:",
    "capturing-coroutine-lambda": "a lambda that is a coroutine captures nothing: pass parameters by value",
}
BINDING = re.compile(r'^(/.*:\d+):\d+: note: "(.*)" binds here')


def deals_with_co_await(path):
    """True if the file or a header of ours that it includes directly says co_await."""
    text = path.read_text()
    headers = (TOP / "src" / name for name in re.findall(r'^#include "(.*)"', text, re.M))
    return "co_await" in text or any("co_await" in h.read_text() for h in headers if h.is_file())


def sources(build):
    commands = json.loads((build / "compile_commands.json").read_text())
    files = {pathlib.Path(c["directory"], c["file"]) for c in commands}
    return sorted(f for f in files if f.is_relative_to(TOP) and not f.is_relative_to(build) and deals_with_co_await(f))


def findings(source, arguments, root):
    """Returns {"file:line: kind"} for one source, or raises if clang could not read it."""
    with tempfile.NamedTemporaryFile("w", suffix=".query") as query:
        query.write((HERE / "co_await.query").read_text().replace("@ROOT@", f"^{re.escape(str(root))}/"))
        query.flush()
        run = subprocess.run([CLANG_QUERY, "-f", query.name, str(source), *arguments],
                             capture_output=True, text=True, timeout=300)
    if run.returncode or re.search(r"(^|: )(fatal )?error:|Error while|Error parsing", run.stderr + run.stdout, re.M):
        errors = [line for line in (run.stderr + run.stdout).splitlines() if "error:" in line]
        raise RuntimeError("\n".join([f"{source}: clang-query could not read it", *errors[:5]]))
    return {f"{m[1]}: {m[2]}" for m in map(BINDING.match, run.stdout.splitlines()) if m}


def self_test():
    sample = HERE / "testdata" / "co_await.cc"
    lines = enumerate(sample.read_text().splitlines(), 1)
    expected = {f"{sample}:{n}: {m[1]}" for n, line in lines if (m := re.search(r"// expect: (\S+)", line))}
    found = findings(sample, ["--", "-std=c++20"], HERE)
    for problem in sorted(expected ^ found):
        print(problem, "(expected, not found)" if problem in expected else "(found, not expected)")
    return expected == found and bool(expected)


def check(build):
    files, bad, unread = sources(build), set(), []
    arguments = ["-p", str(build), "--extra-arg=-Wno-everything"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for job in [pool.submit(findings, f, arguments, TOP) for f in files]:
            try:
                bad |= job.result()
            except RuntimeError as error:
                unread.append(str(error))
    for line in sorted(bad):
        print(f"{line}: {ADVICE[line.rpartition(' ')[2]]}")
    print("\n".join(unread + [f"{len(files)} sources with coroutines, {len(bad)} findings, {len(unread)} unreadable"]))
    return not bad and not unread


if __name__ == "__main__":
    sys.exit(not (self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]).resolve())))
