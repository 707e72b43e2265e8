"""The fixed parts of what the model writes as a call: each is one token."""
from .facts import FACTS

CALL = ['\n{"name": "bash", "arguments": {"command": "', '"}}\n']
PARTS = [
    " 2>/dev/null | wc -l", " 2>/dev/null | head -n 1", " 2>/dev/null | head -n 3 | paste -sd,", " 2>/dev/null | cut -f 1",
    " | paste -sd ' '", " | grep -v / | head -n 1", " | grep -v / | head -n 3 | paste -sd,", " | head -n 6 | paste -sd,", " && echo done",
    " && echo yes || echo no", " || echo no", " -mindepth 1 -type d", " -type f", " -type d -name '", " -name '*.", " -name '", "grep -rlw '",
    "awk 'BEGIN {print ", "echo $((", "head -n 1 ", "head -n 3 ", "tail -n 1 ", "wc -l < ", "wc -w < ", "stat -c %s ", "test -e ",
    "command -v ", "mkdir -p ", "du -sh ", "ls -Sp ", "ls -tp ", " | tee -a ", " | tee ",
]
ERRORS = [": No such file or directory", ": Permission denied", ": command not found", "exit code: ", "(no output)"]
COMMANDS = [command for fact in FACTS for command in (fact.command, fact.instead) if not command.isalpha() and command]
PHRASES = CALL + PARTS + ERRORS + COMMANDS
