#!/usr/bin/python3
"""Fails unless docs/reference lists exactly what the sources have: every error code with its HTTP status (errors.md),
every event of the log with its level (events.md), every metric with its kind (metrics.md); and docs/user/lifecycle.md
exactly the moves between states. The API's document and the command line name the states that there are.

A row of a document is `| \\`name\\` | status, level or kind | ...`. Its own test comes first.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
# Where an error's code is passed on rather than chosen.
PASSED_ON = {"src/base/error.h", "src/base/error.cc", "src/server/doors.cc", "src/server/unread_request.cc"}
READERS = {"src/cli/api.cc"}  # of a daemon's answers
OVERRIDDEN = {"method_not_allowed": "405", "upgrade_required": "426", "disk_full": "507", "precondition_failed": "412", "range_not_satisfiable": "416",
              "unsupported_archive_format": "415", "port_not_listening": "502", "port_no_answer": "502",
              "port_bad_answer": "502", "credential_not_reached": "502", "credential_no_answer": "502",
              "daemon_ends": "503"}  # answered with a status that its category has not
CALL = re.compile(r"with_slug\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
REFUSAL = re.compile(r"refuse\((\d+), ErrorCode::\w+, \"(\w+)\"")
EVENT = re.compile(r"\blog\(\s*LogLevel::(\w+),\s*\"([a-z_.]+)\"")
METRIC = re.compile(r"\b(counter|gauge|histogram)\(\s*\"(lmsb_\w+)\"")
MOVE = re.compile(r"Move\{S::(\w+), S::(\w+)\}")
MOVE_ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \|", re.M)
STATES = re.compile(r"(?:enum class SandboxState\b[^{]*|SandboxState:\s+type: string\s+enum: |kStates = )[{[]([^}\]]+)[}\]]")
NO_ANSWER = "-"  # documented as one that ends a program instead
ROW = re.compile(r"^\| `([a-z_.]+)` \| ([^|]+?) \|", re.M)


def codes_in(name, text, statuses):
    """Yields (code, status or None) of a source; the status where the statement itself says the category."""
    for call in CALL.finditer(text):
        codes = re.findall(r"\"(\w+)\"", call[1])
        if not codes and name not in PASSED_ON:
            yield f"(no literal: {call[0]})", None
        before = re.sub(r"\"(?:[^\"\\\n]|\\.)*\"", "", text[: call.start()])
        statement = re.split(r"[;{}]\s", before)[-1]
        category = re.search(r"ErrorCode::(\w+)", statement)
        for code in codes:
            yield code, OVERRIDDEN.get(code) or (statuses.get(category[1]) if category else None)
    for status, code in REFUSAL.findall(text):
        yield code, status


def states(text):
    return re.findall(r"\w+", STATES.search(text)[1])


def rows_of(document):
    return dict(ROW.findall(document))


def compare(what, found, documented):
    """`found`: pairs of a name and what stands in the second column, None = not known. Yields sentences."""
    names = {name for name, _ in found}
    for name in sorted(names - documented.keys()):
        yield f"{what} {name} is not documented"
    for name in sorted(documented.keys() - names):
        yield f"{what} {name} is documented, but not in the sources"
    for name, second in sorted((n, s) for n, s in set(found) if s):
        if documented.get(name, NO_ANSWER) != NO_ANSWER and second not in re.split(r"[, ]+", documented[name]):
            yield f"{what} {name} is {second}, not {documented[name]}"


def sources():
    for path in sorted(TOP.glob("src/*/*")):
        name = str(path.relative_to(TOP))
        is_test = re.search(r"_test\.cc$|test_\w+\.h$|_for_test\.h$", name)
        if path.suffix in {".h", ".cc"} and not is_test and name not in READERS:
            yield name, path.read_text()


def check():
    answers = (TOP / "src/server/answers.cc").read_text()
    statuses = dict(re.findall(r"case ErrorCode::(\w+): return (\d+);", answers))
    codes, events, metrics = list(statuses.items()), [], []
    for name, text in sources():
        codes += codes_in(name, text, statuses)
        events += [(event, level) for level, event in EVENT.findall(text)]
        metrics += [(metric, kind) for kind, metric in METRIC.findall(text)]
    reference = TOP / "docs/reference"
    problems = []
    for what, document, found in (("code", "errors.md", codes), ("event", "events.md", events), ("metric", "metrics.md", metrics)):
        problems += [f"docs/reference/{document}: {p}" for p in compare(what, found, rows_of((reference / document).read_text()))]
    moves = set(MOVE.findall((TOP / "src/control/sandbox_state.cc").read_text()))
    told = set(MOVE_ROW.findall((TOP / "docs/user/lifecycle.md").read_text()))
    problems += [f"docs/user/lifecycle.md: from {a} to {b} is not what the sources say" for a, b in sorted(moves ^ told)]
    names = states((TOP / "src/control/sandbox_state.h").read_text())
    for name in ("api/openapi.yaml", "src/cli/list_filter.cc"):
        problems += [f"{name}: its states are not {names}"] * (states((TOP / name).read_text()) != names)
    print("\n".join(problems) or f"{len(set(codes))} codes, {len(set(events))} events and {len(set(metrics))} metrics are documented")
    return not problems


def self_test():
    statuses = {"not_found": "404", "invalid_argument": "400"}
    text = ('return Error(ErrorCode::not_found, "a; b").with_slug("gone");\n f();\n'
            'return std::move(error).with_slug(given ? "one" : "two").with_hint("x");\n'
            'return refuse(421, ErrorCode::permission_denied, "host", m);\n error.with_slug(text(a, b));\n')
    found = list(codes_in("x.cc", text, statuses))
    want = [("gone", "404"), ("one", None), ("two", None), ("(no literal: with_slug(text(a, b)))", None), ("host", "421")]
    assert found == want, found
    assert EVENT.findall('log_.log(LogLevel::info,\n  "a.b", {})') == [("info", "a.b")]
    assert METRIC.findall('m.counter("lmsb_x_total", "h")') == [("counter", "lmsb_x_total")]
    for text in ("enum class SandboxState : std::uint8_t { a, b };", "SandboxState:\n  type: string\n  enum: [a, b]", 'kStates = {"a", "b"};'):
        assert states(text) == ["a", "b"], text
    rows = rows_of("| name | status |\n|---|---|\n| `gone` | 404, 503 | x |\n| `old` | 400 | y |\n")
    assert rows == {"gone": "404, 503", "old": "400"}, rows
    assert len(list(compare("code", [("gone", "404"), ("new", None)], rows))) == 2
    assert len(list(compare("code", [("gone", "400"), ("old", None)], rows))) == 1


if __name__ == "__main__":
    self_test()
    sys.exit(not check())
