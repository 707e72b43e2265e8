#!/usr/bin/python3
"""What a sandbox's user notices of bombs beside him and of strangers at the door: the tables of docs/reliability.md.

The neighbour is `exec sh -c :` in a kept sandbox, fifty times a second on one connection; one that comes late counts from
when it was due. Quiet, under load and after are measured in one run; a claim is their ratio. Prints Markdown."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


def arguments():
    parser = argparse.ArgumentParser(description="Faults and load: what a neighbour notices.")
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path, help="the build to measure (default: build)")
    parser.add_argument("--seconds", type=float, default=4, help="under each (default: 4)")
    parser.add_argument("--only", default="", help="bombs, slow, refused, or names of bombs (default: all)")
    return parser.parse_args()


options = arguments()
os.environ["LMSB_BIN"] = str(options.build.resolve() / "bin")
sys.path.insert(0, str(ROOT / "tests/support"))
import bombs  # noqa: E402: lmsb reads the environment
import floods  # noqa: E402
import lmsb  # noqa: E402

LOAD, REFUSED = (options.build / "bench" / name for name in ("bench-load", "bench-refused"))
RATE = 50
COMMAND = json.dumps({"cmd": ["sh", "-c", ":"]})
MOST = 10  # times the quiet p99, under load


def wanted(*names):
    return not options.only or set(names) & set(options.only.split(","))


def tool(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def neighbour(daemon, sandbox, seconds):
    """{"p50", "p99", ...} in milliseconds of the answers; raises if one was wrong."""
    path = f"/v1/sandboxes/{sandbox}/exec"
    figures = tool(LOAD, daemon.port, 1, seconds, RATE, '"exit_code":0', "POST", path, COMMAND)
    if figures["failures"]:
        raise RuntimeError(f"{figures['failures']} wrong answers, the first: {figures['first_failure']}")
    return figures


def new(daemon, **fields):
    made = daemon.post("/v1/sandboxes", {"image": "host", **fields})
    if made.status != 201:
        raise RuntimeError(str(made.body))
    return made.json()["id"]


def memory(daemon, kind="VmRSS"):
    """Of the daemon, in MiB. "VmHWM": the most since forget_peak()."""
    status = pathlib.Path(f"/proc/{daemon.daemon_pid()}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(kind)) / 1024


def forget_peak(daemon):
    pathlib.Path(f"/proc/{daemon.daemon_pid()}/clear_refs").write_text("5")


def cpu_ms(daemon):
    """What the daemon has used of the processor."""
    fields = pathlib.Path(f"/proc/{daemon.daemon_pid()}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


class Background(threading.Thread):
    """A call beside what is measured; result() waits for it and fails as it did."""

    def __init__(self, call, *words):
        super().__init__()
        self.call, self.words, self.returned, self.error = call, words, None, None
        self.start()

    def run(self):
        try:
            self.returned = self.call(*self.words)
        except Exception as error:
            self.error = error

    def result(self):
        self.join()
        if self.error:
            raise self.error
        return self.returned


def table(*heads):
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads), flush=True)


def row(*cells):
    print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True)


def compared(quiet, under, after):
    """Cells: p50 / p99 of each, the ratio of the p99, and what it is called."""
    pair = [f"{one['p50']:.1f} / {one['p99']:.1f}" for one in (quiet, under, after)]
    ratio = under["p99"] / quiet["p99"]
    is_back = after["p99"] < max(2 * quiet["p99"], quiet["p99"] + 1)
    verdict = "met" if ratio < MOST and is_back else "missed"
    return *pair, ratio, verdict


# ---- Bombs


def under_bomb(daemon, name):
    """Figures of the neighbour while it goes off, what it was refused with, and the neighbour's a second after its end."""
    target, beside = new(daemon, limits=bombs.LIMITS), new(daemon)
    quiet = neighbour(daemon, beside, 2)
    body = {"cmd": bombs.command(name), "timeout_ms": int((options.seconds + 1) * 1000)}
    forget_peak(daemon)
    before = memory(daemon)
    bomb = Background(lambda: daemon.post(f"/v1/sandboxes/{target}/exec", body).json())
    time.sleep(0.5)  # it starts
    under = neighbour(daemon, beside, options.seconds)
    ended = bomb.result()
    time.sleep(1)
    after = neighbour(daemon, beside, 2)
    peak = memory(daemon, "VmHWM")
    for sandbox in (target, beside):
        daemon.request("DELETE", f"/v1/sandboxes/{sandbox}")
    refused = bombs.refusal(ended["stderr"])
    said = refused["refused"] if refused else "nothing" if bombs.REFUSED[name] is None else ""
    row(name, said, ended["outcome"], *compared(quiet, under, after), f"{before:.1f} / {peak:.1f} / {memory(daemon):.1f}")


def measure_bombs():
    table("bomb", "refused", "verdict of the command", "quiet p50 / p99, ms", "under", "a second after", "p99 under : quiet",
          "under 10, and back", "daemon MiB before / peak / after")
    with lmsb.Daemon() as daemon:
        lmsb.wait_full_pool(daemon)
        for name in bombs.REFUSED:
            if wanted("bombs", name):
                under_bomb(daemon, name)


# ---- Strangers


def measure_slow():
    """A thousand, until the daemon has ended all. Those that read nothing do not hear of the end, which waits behind what they
    did not read: the daemon's descriptors tell. They are few, because what they ask for is work, and nothing slow."""
    table("kind", "connections", "ended by the daemon after, s (first, last)")
    with lmsb.Daemon() as daemon:
        lmsb.wait_full_pool(daemon)
        beside = new(daemon)
        lmsb.wait_full_pool(daemon)
        descriptors = lambda: lmsb.held_by(daemon.daemon_pid())["descriptors"]
        quiet, before, held = neighbour(daemon, beside, 2), memory(daemon), descriptors()
        forget_peak(daemon)
        counts = {"head": 330, "body": 330, "silent": 320, "unread": 20}
        slow = floods.SlowConnections(daemon, **counts)
        measured = Background(neighbour, daemon, beside, 8)
        most, left, gone = descriptors(), held + 1, {}
        while left > held and time.monotonic() < slow.begin + 120:
            slow.tick()
            time.sleep(1)
            most, left = max(most, descriptors()), descriptors()
        slow.tick()  # they have heard of it by now
        gone["unread"] = time.monotonic() - slow.begin
        under = measured.result()
        slow.close()
        time.sleep(1)
        after = neighbour(daemon, beside, 2)
        for kind, ended in slow.ended.items():
            first, last = (min(ended), max(ended)) if ended else (gone[kind], gone[kind])
            row(kind, counts[kind], f"{first:.0f}, {last:.0f}")
        table("quiet p50 / p99, ms", "under", "a second after", "p99 under : quiet", "under 10, and back",
              "daemon MiB before / peak / after", "descriptors before / under / after", "left", "heard")
        row(*compared(quiet, under, after), f"{before:.1f} / {memory(daemon, 'VmHWM'):.1f} / {memory(daemon):.1f}",
            f"{held} / {most} / {descriptors()}", left - held, slow.heard)


def refusals(daemon, how, rate, seconds):
    requests = [part for status, request in floods.REFUSED.items() for part in (status, request.decode())]
    return tool(REFUSED, daemon.port, 64, seconds, rate, how, *requests)


def measure_refused():
    table("connections", "asked for, 1/s", "answered, 1/s", "wrong status", "its p50 / p99, ms", "daemon's CPU, ms a request",
          "quiet p50 / p99, ms", "under", "a second after", "p99 under : quiet", "under 10, and back",
          "daemon MiB before / peak / after")
    with lmsb.Daemon() as daemon:
        lmsb.wait_full_pool(daemon)
        beside = new(daemon)
        for how, rate in (("keep", 10_000), ("keep", 0), ("new", 10_000), ("new", 0)):
            quiet, before = neighbour(daemon, beside, 2), memory(daemon)
            forget_peak(daemon)
            spent = cpu_ms(daemon)
            flood = Background(refusals, daemon, how, rate, options.seconds + 1)
            time.sleep(0.5)
            under = neighbour(daemon, beside, options.seconds)
            told = flood.result()
            spent = cpu_ms(daemon) - spent
            time.sleep(1)
            after = neighbour(daemon, beside, 2)
            row({"keep": "kept", "new": "a new one for each"}[how], rate or "all it can", f"{told['per_second']:.0f}", told["wrong"],
                f"{told['p50']:.1f} / {told['p99']:.1f}", f"{spent / max(1, told['n']):.3f}", *compared(quiet, under, after),
                f"{before:.1f} / {memory(daemon, 'VmHWM'):.1f} / {memory(daemon):.1f}")


def main():
    lmsb.require_root()
    if wanted("bombs", *bombs.REFUSED):
        measure_bombs()
    if wanted("slow"):
        measure_slow()
    if wanted("refused"):
        measure_refused()


if __name__ == "__main__":
    main()
