"""What the tool answers: clients differ in how they hand a result to the model, so the data has many spellings."""
import json

KEYS = [("stdout", "stderr", "exit_code"), ("stdout", "stderr", "exitCode"), ("exit_code", "stdout", "stderr"),
        ("stdout", "stderr", "code"), ("outcome", "exit_code", "stdout", "stderr"), ("output", "error", "exit_code")]


def wrapped(rng, stdout, stderr="", code=0):
    kind = rng.random()
    both = "\n".join(part for part in (stdout, stderr) if part)
    if kind < 0.70:
        return both + rng.choice(["", "\n"]) if both else rng.choice(["", "", "(no output)"])
    if kind < 0.76:
        return f"exit code: {code}\n{both}"
    if kind < 0.82:
        return f"{both}\n[exit code {code}]"
    if kind < 0.85:
        return f"exit_code: {code}\nstdout:\n{stdout}\nstderr:\n{stderr}"
    return as_json(rng, stdout, stderr, code)


def as_json(rng, stdout, stderr, code):
    newline = "\n" if rng.random() < 0.8 else ""
    texts = {"stdout": stdout and stdout + newline, "output": stdout and stdout + newline, "stderr": stderr and stderr + newline,
             "error": stderr and stderr + newline, "outcome": "exited"}
    fields = {key: texts.get(key, code) for key in rng.choice(KEYS)}
    text = json.dumps(fields, ensure_ascii=False, separators=rng.choice([(",", ":"), (", ", ": ")]))
    return text.replace("\\n", "\n").replace("\\t", "\t")  # as the chat template does
