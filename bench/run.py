#!/usr/bin/python3
"""make bench: floors, peers and ours in one run, side by side (docs/benchmarks.md).

What is compared is measured in turns, several rounds each, so that a change of the machine's mood hits both; a figure
is the median of its rounds. Prints the table of targets (P1 and so on) and writes all figures as JSON.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
STARTED_AS = pathlib.Path(sys.argv[0]).absolute()  # a link in a build's bin, or this file
BUILD = STARTED_AS.parent.parent if STARTED_AS.is_symlink() else ROOT / "build"


def arguments():
    parser = argparse.ArgumentParser(prog="lm-sandbox bench", description="Measures this machine: floors, peers, ours.")
    parser.add_argument("--build", default=BUILD, type=pathlib.Path,
                        help="the build to measure (default: the one this was started from)")
    parser.add_argument("--image", help="image of the sandboxes (default: base if it is made, else host)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each comparison is repeated (default: 3)")
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement (default: 3)")
    parser.add_argument("--many", action="store_true", help="P8 and P14 with 5,000 sandboxes too, which takes minutes")
    parser.add_argument("--only", default="", help="the targets to measure, such as P1,P5 (default: all)")
    parser.add_argument("--name", default=datetime.datetime.now().strftime("%Y%m%d-%H%M%S"), help="of the result file")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON, not the table")
    return parser.parse_args()


options = arguments()
os.environ["LMSB_BIN"] = str(options.build.resolve() / "bin")
sys.path.insert(0, str(ROOT / "tests/support"))
import lmsb  # noqa: E402: it reads the environment
sys.path.insert(0, str(HERE))
from engine import docker_engine  # noqa: E402
from nginx import nginx  # noqa: E402

FLOOR = options.build / "bench/bench-floor"
LOAD = options.build / "bench/bench-load"
STREAM = options.build / "bench/bench-stream"
GUEST = lmsb.BIN / "lm-sandbox-guest"
IMAGE_ROOT = lmsb.TEST_DATA / "images"
IMAGE = options.image or ("base" if (IMAGE_ROOT / "base/image.json").exists() else "host")
WHOAMI = json.dumps({"cmd": "whoami"})
TRUE = json.dumps({"cmd": ["sh", "-c", ":"]})
NOT_PREPARED = {"LM_SANDBOX_POOL__SIZE": "0", "LM_SANDBOX_POOL__KEPT_SIZE": "0"}

results = {}  # what -> figures
table = []    # rows of the report


# ---- Measuring


def tool(*command, env=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, env=env)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def busy_ms():
    """CPU time that the whole machine has spent on work."""
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4] - fields[7]) * 1000 / os.sysconf("SC_CLK_TCK")


def with_cpu(measure):
    """Adds `cpu_ms`: of the machine, for each round, without the load generator's own."""
    before = busy_ms()
    figures = measure()
    spent = busy_ms() - before - figures.get("client_cpu_ms", 0)
    figures["cpu_ms"] = spent / max(1, figures["n"])
    return figures


def load(port, connections, rate, steps, expect=""):
    flat = [part for step in steps for part in step]
    figures = with_cpu(lambda: tool(LOAD, port, connections, options.seconds, rate, expect, *flat))
    if figures["failures"]:
        raise RuntimeError(f"{figures['failures']} requests failed, the first with: {figures['first_failure']}")
    return figures


def floor_launch(concurrency, lifetime, shell, command):
    command_line = [FLOOR, "launch", options.seconds, concurrency, lifetime, IMAGE, IMAGE_ROOT, GUEST, shell, command]
    return with_cpu(lambda: tool(*command_line))


def spawn(*argv):
    return tool(FLOOR, "spawn", min(1, options.seconds), *argv)


def median(rounds):
    """Of each figure over the rounds; of lists and objects inside too."""
    first = rounds[0]
    if isinstance(first, dict):
        return {key: median([r[key] for r in rounds]) for key in first}
    if isinstance(first, list):
        return [median(list(column)) for column in zip(*rounds)]
    return statistics.median(rounds) if isinstance(first, (int, float)) else first


def side_by_side(**measures):
    """Runs each measure once a round, in turn. Returns the medians by name."""
    rounds = {name: [] for name in measures}
    for _ in range(options.rounds):
        for name, measure in measures.items():
            rounds[name].append(measure())
    return {name: median(values) for name, values in rounds.items()}


def wanted(target):
    return not options.only or target in options.only.split(",")


# ---- Reporting


def figure(value):
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def row(target, what, p50, p99=None, unit="ms", goal="", ratio=None, is_met=None):
    verdict = "" if is_met is None else "met" if is_met else "missed"
    cells = [target, what, figure(p50), figure(p99), unit, goal, "" if ratio is None else f"{ratio:.2f}", verdict]
    table.append(cells)
    print(" | ".join(cells), file=sys.stderr, flush=True)


def skipped(what, why):
    results.setdefault("skipped", {})[what] = why
    table.append(["", what, "", "", "", f"not measured: {why}", "", ""])
    print(f"{what}: not measured: {why}", file=sys.stderr, flush=True)


def failed(target, what, why):
    results[target] = {"failed": why}
    table.append([target, what, "", "", "", why, "", "failed"])
    print(f"{target} failed: {why}", file=sys.stderr, flush=True)


def text_table():
    head = ["id", "what", "p50", "p99", "unit", "target", "ratio", "verdict"]
    lines = [head, ["---"] * len(head)] + table
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def others_load():
    """CPUs that others keep busy now: figures of a machine that is not idle are worth less."""
    before = busy_ms()
    time.sleep(1)
    return round((busy_ms() - before) / 1000, 2)


def machine():
    model = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(open("/proc/meminfo").readline().split()[1]) // 1024
    hybrid = any(" - cgroup cgroup" in line and ",memory" in line for line in open("/proc/self/mountinfo"))
    return {"cpus": os.cpu_count(), "cpu": model[0] if model else "unknown", "memory_mib": memory,
            "kernel": platform.release(), "cgroups": "v1 hybrid" if hybrid else "v2", "image": IMAGE}


# ---- Floors and peers


def measure_floors():
    programs = {"posix_spawn /bin/true": ["/bin/true"], "posix_spawn sh -c :": ["sh", "-c", ":"],
                "posix_spawn bash -c whoami": ["bash", "-c", "whoami"]}
    floors = side_by_side(**{name: (lambda argv=argv: spawn(*argv)) for name, argv in programs.items()},
                          **{"cgroup cycle": lambda: tool(FLOOR, "cgroup", min(1, options.seconds))})
    results["floors"] = floors
    for name, f in floors.items():
        row("", "floor: " + name, f["p50"], f["p99"])


def measure_bubblewrap():
    if not shutil.which("bwrap"):
        return skipped("bubblewrap", "bwrap is not installed")
    f = spawn("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
              "sh", "-c", ":")
    results["bubblewrap"] = f
    row("", "peer: bubblewrap --unshare-all sh -c :", f["p50"], f["p99"])


def measure_runc():
    rootfs = IMAGE_ROOT / "base/rootfs"
    if not shutil.which("runc"):
        return skipped("runc", "runc is not installed")
    if not rootfs.exists():
        return skipped("runc", "it needs the image base")
    with tempfile.TemporaryDirectory() as bundle:
        subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
        path = pathlib.Path(bundle) / "config.json"
        spec = json.loads(path.read_text())
        spec["process"].update(args=["sh", "-c", ":"], terminal=False)
        spec["root"] = {"path": str(rootfs), "readonly": True}
        path.write_text(json.dumps(spec))
        command = ["runc", "run", "--bundle", bundle, "lmsb-bench"]
        once = subprocess.run(command, capture_output=True, text=True)
        if once.returncode != 0:
            return skipped("runc", "it cannot run here: " + (once.stderr.strip().splitlines() or ["no message"])[-1])
        f = spawn(*command)
    results["runc"] = f
    row("", "peer: runc run sh -c :", f["p50"], f["p99"])


def measure_docker():
    if not (IMAGE_ROOT / "base/rootfs").exists():
        return skipped("docker", "it needs the image base")
    try:
        with docker_engine() as environment:
            measure_docker_in(environment)
    except RuntimeError as error:
        skipped("docker", str(error))


def measure_docker_in(environment):
    """`docker run` and `docker exec` of the same root file system."""
    def docker(*words, **more):
        return subprocess.run(["docker", *words], check=True, capture_output=True, env=environment, **more)

    def timed(*words):
        return tool(FLOOR, "spawn", options.seconds, "docker", *words, env=environment)

    tar = subprocess.Popen(["tar", "-C", IMAGE_ROOT / "base/rootfs", "-c", "."], stdout=subprocess.PIPE)
    docker("import", "-", "lmsb-bench", stdin=tar.stdout)
    run = ["run", "--rm", "--network", "none"]
    try:
        docker(*run, "--detach", "--name", "lmsb-bench", "lmsb-bench", "sleep", "600")
        f = timed(*run, "lmsb-bench", "sh", "-c", ":")
        e = timed("exec", "lmsb-bench", "sh", "-c", ":")
    finally:
        docker("rm", "--force", "lmsb-bench")
        docker("rmi", "lmsb-bench")
    results["docker"] = {"run": f, "exec": e}
    row("", "peer: docker run --rm --network none sh -c :", f["p50"], f["p99"])
    row("", "peer: docker exec sh -c :", e["p50"], e["p99"])


class Original:
    """The original's server, by the distribution's FastAPI and uvicorn."""

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = ["/usr/bin/python3", "-m", "uvicorn", "main:app", "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=HERE / "peers/original", stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("the original's server does not start: apt-get install python3-fastapi uvicorn")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


# ---- Ours


def daemon(env=None):
    return lmsb.Daemon(data_dir=lmsb.TEST_DATA, env={"LM_SANDBOX_DEFAULT_IMAGE": IMAGE, **(env or {})})


def run_bash(port, connections, rate, expect):
    return load(port, connections, rate, [("POST", "/run-bash/", WHOAMI)], expect)


def measure_p1(ours, original):
    both = side_by_side(ours=lambda: run_bash(ours.port, 1, 50, "user"),
                        original=lambda: run_bash(original.port, 1, 50, "output"))
    results["P1"] = both
    o, t = both["ours"], both["original"]
    row("P1", "POST /run-bash/ whoami, 50/s: p50", o["p50"], None, "ms", "<= 1.0 x original", o["p50"] / t["p50"],
        o["p50"] <= t["p50"])
    row("P1", "the same: p99", None, o["p99"], "ms", "<= 2 x original", o["p99"] / t["p99"], o["p99"] <= 2 * t["p99"])
    row("", "original, same load", t["p50"], t["p99"])


def measure_p2(ours, original, connections):
    all_three = side_by_side(ours=lambda: run_bash(ours.port, connections, 0, "user"),
                             floor=lambda: floor_launch(connections, "one_shot", "", "whoami"),
                             original=lambda: run_bash(original.port, connections, 0, "output"))
    results[f"P2-{connections}"] = all_three
    o, f, t = (all_three[name] for name in ("ours", "floor", "original"))
    ratio = o["per_second"] / f["per_second"]
    row("P2", f"the same, {connections} connections", o["per_second"], None, "1/s", ">= 0.75 x floor", ratio,
        ratio >= 0.75)
    row("", f"its latency; CPU {o['cpu_ms']:.2f} ms a request", o["p50"], o["p99"])
    row("", f"floor: same plan, {connections} at once; CPU {f['cpu_ms']:.2f} ms a round", f["per_second"], None, "1/s")
    row("", f"original, {connections} connections; CPU {t['cpu_ms']:.2f} ms a request", t["per_second"], None, "1/s",
        "goal: ours above it", o["per_second"] / t["per_second"])


def measure_p2b(ours, original, sandbox, connections):
    path = f"/v1/sandboxes/{sandbox}/exec"
    both = side_by_side(ours=lambda: load(ours.port, connections, 0, [("POST", path, WHOAMI)], "user"),
                        original=lambda: run_bash(original.port, connections, 0, "output"))
    results[f"P2b-{connections}"] = both
    o, t = both["ours"], both["original"]
    ratio = o["per_second"] / t["per_second"]
    row("P2b", f"kept sandbox, exec whoami, {connections} connections; CPU {o['cpu_ms']:.2f} ms", o["per_second"], None,
        "1/s", ">= 2 x original", ratio, ratio >= 2)
    row("", f"original, {connections} connections; CPU {t['cpu_ms']:.2f} ms", t["per_second"], None, "1/s")


CREATE = ("POST", "/v1/sandboxes", "{}")
DELETE = ("DELETE", "/v1/sandboxes/{id}", "")


def measure_p3():
    steps = [CREATE, ("POST", "/v1/sandboxes/{id}/exec", TRUE), DELETE]
    with daemon(NOT_PREPARED) as cold:
        both = side_by_side(ours=lambda: load(cold.port, 1, 0, steps), floor=lambda: floor_launch(1, "kept", "sh", ":"))
    results["P3"] = both
    o, f = both["ours"], both["floor"]
    ratio = o["p50"] / f["p50"]
    row("P3", f"cold create + sh -c : + destroy ({machine()['cgroups']})", o["p50"], o["p99"], "ms", "<= 1.5 x floor",
        ratio, ratio <= 1.5)
    for step, name in zip(o["steps"], ("create", "exec", "destroy")):
        row("", f"of it: {name}", step["p50"], step["p99"])
    row("", "floor: same plan", f["p50"], f["p99"])
    for part in ("ready", "exec", "destroy"):
        row("", f"of it: {part}", f[part]["p50"], f[part]["p99"])


def measure_p4(ours):
    f = median([load(ours.port, 1, 20, [CREATE, DELETE]) for _ in range(options.rounds)])["steps"][0]
    results["P4"] = f
    row("P4", "warm create", f["p50"], f["p99"], "ms", "<= 1 ms", f["p50"], f["p50"] <= 1)
    if "P3" in results:
        ratio = f["p50"] / results["P3"]["ours"]["p50"]
        row("P4", "warm create against P3", f["p50"], None, "ms", "<= 0.3 x P3", ratio, ratio <= 0.3)


def measure_p5(ours, sandbox):
    step = ("POST", f"/v1/sandboxes/{sandbox}/exec", TRUE)
    all_three = side_by_side(ours=lambda: load(ours.port, 1, 0, [step], '"exited"'),
                             spawn=lambda: spawn("sh", "-c", ":"),
                             cgroup=lambda: tool(FLOOR, "cgroup", min(1, options.seconds)))
    results["P5"] = all_three
    o, bound = all_three["ours"], all_three["spawn"]["p50"] + all_three["cgroup"]["p50"] + 0.25
    row("P5", "exec sh -c : in a live sandbox", o["p50"], o["p99"], "ms", f"<= {bound:.2f} (spawn + cgroup + 0.25)",
        o["p50"] / bound, o["p50"] <= bound)


def resident_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def created(ours, **fields):
    answer = ours.post("/v1/sandboxes", fields)
    if answer.status != 201:
        raise RuntimeError(f"create: {answer.status} {answer.body}")
    return answer.json()["id"]


def measure_p7():
    """A hundred creates at once, by so many connections, of a daemon that has nothing prepared."""
    what = "100 creates at once, wall time"
    walls, refusals = [], []

    def make_one(made):
        try:
            made.append(created(cold))
        except (RuntimeError, OSError) as error:
            refusals.append(str(error))

    with daemon(NOT_PREPARED) as cold:
        for _ in range(options.rounds):
            made = []
            begin = time.monotonic()
            callers = [threading.Thread(target=make_one, args=(made,)) for _ in range(100)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            walls.append((time.monotonic() - begin) * 1000)
            for sandbox in made:
                cold.request("DELETE", "/v1/sandboxes/" + sandbox)
            if len(made) != 100:
                failed("P7", what, f"{100 - len(made)} of 100 were not made, the first: {refusals[0]}")
                return
    wall = statistics.median(walls)
    results["P7"] = {"wall_ms": walls}
    bound = 100 * results["P3"]["ours"]["p50"] / os.cpu_count() if "P3" in results else None
    row("P7", what, wall, max(walls), "ms", f"<= {bound:.0f} (100 x P3 / CPUs)" if bound else "",
        wall / bound if bound else None, wall <= bound if bound else None)


def held_kib():
    """What the kernel says that processes and it itself hold, without caches, which are let go for this. MemAvailable is no
    measure here: a virtual machine's balloon has moved it by more than hundreds of sandboxes do."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    stacks = max(kib["KernelStack"], kib["VmallocUsed"])  # with CONFIG_VMAP_STACK the second has the first in it
    return stacks + sum(kib[name] for name in ("AnonPages", "Shmem", "Slab", "PageTables", "Percpu"))


JUDGED_COUNT = 5000  # that the target of P14 is about


def measure_p8_and_p14():
    """What idle sandboxes cost, and what their number does to the next one."""
    counts = [1, 100, 1000] + ([JUDGED_COUNT] if options.many else [])
    step = ("POST", "/v1/sandboxes/{id}/exec", TRUE)
    results["P14"] = {}
    with daemon({"LM_SANDBOX_POOL__KEPT_SIZE": "2", "LM_SANDBOX_LIMITS__MEMORY_OVERCOMMIT": "100000"}) as ours:
        time.sleep(2)
        before = held_kib()
        alive = []
        for count in counts:
            while len(alive) < count:
                alive.append(created(ours, idle_ms=0))
            time.sleep(3)  # what the kernel gives back later
            if count >= 100:
                each = (held_kib() - before) / count
                results.setdefault("P8", {})[count] = each
                row("P8", f"idle kept sandbox: memory held more / {count}", each, None, "KiB", "<= 600 KiB", each / 600, each <= 600)
            warm = median([load(ours.port, 1, 20, [CREATE, DELETE]) for _ in range(options.rounds)])["steps"][0]
            live = median([load(ours.port, 1, 0, [(step[0], step[1].format(id=alive[0]), step[2])]) for _ in range(options.rounds)])
            results["P14"][count] = {"P4": warm, "P5": live}
            first = results["P14"][1]
            is_judged = count == JUDGED_COUNT
            for name, figures in (("P4 warm create", warm), ("P5 exec", live)):
                key = name.split()[0]
                ratio = figures["p50"] / first[key]["p50"]
                row("P14", f"{name} with {count} alive", figures["p50"], figures["p99"], "ms",
                    "<= 1.3 x that with 1" if is_judged else "", ratio, ratio <= 1.3 if is_judged else None)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: ours.request("DELETE", "/v1/sandboxes/" + one), alive))


def measure_p13():
    """How long a sandbox stands still for a snapshot, with few and many files on its disk, written and synced."""
    results["P13"] = {}
    with daemon() as ours:
        for files in (1_000, 100_000):
            sandbox = created(ours)
            make = f"mkdir d; cd d; for i in $(seq 100); do mkdir $i; done; seq {files} | while read i; do : >$((i % 100 + 1))/$i; done; sync"
            done = ours.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": make, "timeout_ms": 300_000}).json()
            if done.get("exit_code") != 0:
                raise RuntimeError(f"files for P13: {done}")
            frozen = sorted(ours.post(f"/v1/sandboxes/{sandbox}/snapshot", {}).json()["frozen_ms"]
                            for _ in range(max(10, options.rounds)))
            results["P13"][files] = frozen
            p50 = statistics.median(frozen)
            row("P13", f"snapshot: frozen with {files} files", p50, frozen[-1], "ms", "<= 20 ms", p50 / 20, p50 <= 20)
            for taken in ours.request("GET", "/v1/snapshots").json()["data"]:
                ours.request("DELETE", "/v1/snapshots/" + taken["id"])
            ours.request("DELETE", "/v1/sandboxes/" + sandbox)


STREAMED = 2 << 30  # octets of P10
DOWNLOADED = 1 << 30  # of P11


def streamed(expected, *what):
    """GB/s of one answer, or of the floor, as one client takes it: all of it, or it is no figure."""
    figures = with_cpu(lambda: {**tool(STREAM, *what), "n": 1})
    if figures["octets"] < expected:
        raise RuntimeError(f"only {figures['octets']} of {expected} octets came")
    figures["gb_per_second"] = figures["octets"] / figures["ms"] / 1e6
    return figures


def row_of_streams(target, what, goal, ours, other, name):
    ratio = ours["gb_per_second"] / other["gb_per_second"]
    row(target, f"{what}; CPU {ours['cpu_ms']:.0f} ms", ours["gb_per_second"], None, "GB/s", f">= {goal} x {name.split(':')[0]}",
        ratio, ratio >= goal)
    row("", f"{name}; CPU {other['cpu_ms']:.0f} ms", other["gb_per_second"], None, "GB/s")


def measure_p10(ours, sandbox):
    """What a program writes as fast as it can, to one client."""
    program = ["dd", "if=/dev/zero", "bs=64k", f"count={STREAMED >> 16}", "status=none"]
    body = json.dumps({"cmd": program, "timeout_ms": 600_000})
    path = f"/v1/sandboxes/{sandbox}/exec"
    both = side_by_side(ours=lambda: streamed(STREAMED, "get", ours.port, "POST", path, "application/octet-stream", body),
                        floor=lambda: streamed(STREAMED, "floor", *program))
    results["P10"] = both
    row_of_streams("P10", "2 GiB of output as octets", 0.5, both["ours"], both["floor"], "floor: one pipe, splice, one TCP socket")


def measure_p11(ours, sandbox):
    """The same file, in memory: nginx has it from the same directory of the machine as the daemon has its own."""
    what = "download of 1 GiB"
    made = ours.post(f"/v1/sandboxes/{sandbox}/exec", {"cmd": f"head -c {DOWNLOADED} /dev/urandom > large && sync && cat large >/dev/null",
                                                       "timeout_ms": 600_000}).json()
    if made.get("exit_code") != 0:
        return failed("P11", what, f"the file was not made: {made}")
    with tempfile.TemporaryDirectory(prefix="lmsb-bench-", dir=ours.data_dir) as root:
        with open(f"{root}/large", "wb") as copy:
            subprocess.run(["head", "-c", str(DOWNLOADED), "/dev/urandom"], stdout=copy, check=True)
        subprocess.run(["cat", f"{root}/large"], stdout=subprocess.DEVNULL, check=True)
        path = f"/v1/sandboxes/{sandbox}/files?path=large"
        try:
            with nginx(root) as port:
                both = side_by_side(ours=lambda: streamed(DOWNLOADED, "get", ours.port, "GET", path, "*/*", ""),
                                    nginx=lambda: streamed(DOWNLOADED, "get", port, "GET", "/large", "*/*", ""))
        except RuntimeError as error:
            return skipped("P11", str(error))
    results["P11"] = both
    row_of_streams("P11", what, 0.7, both["ours"], both["nginx"], "nginx: sendfile")


def measure_p10_and_p11():
    with daemon() as ours:
        sandbox = created(ours)
        if wanted("P10"):
            measure_p10(ours, sandbox)
        if wanted("P11"):
            measure_p11(ours, sandbox)


def measure_p9():
    starts, resident = [], []
    lmsb.remove_shared_disks()
    for number in range(1 + max(5, options.rounds)):
        ours = daemon()
        ours.shares_disks = True
        begin = time.monotonic()
        ours.start()
        took = (time.monotonic() - begin) * 1000
        time.sleep(0.5)  # the pool fills
        if number > 0:  # the first makes the store
            starts.append(took)
            resident.append(resident_kib(ours.daemon_pid()) * 1024 / 1e6)
        ours.__exit__()
    lmsb.remove_shared_disks()
    start, memory = statistics.median(starts), statistics.median(resident)
    size = (lmsb.BIN / "lm-sandbox").stat().st_size / 1e6
    results["P9"] = {"start_ms": starts, "resident_mb": resident, "binary_mb": size}
    row("P9", "daemon: start to ready", start, max(starts), "ms", "<= 30 ms", start / 30, start <= 30)
    row("P9", "daemon: idle resident memory", memory, None, "MB", "<= 15 MB", memory / 15, memory <= 15)
    row("P9", "lm-sandbox, stripped", size, None, "MB", "<= 15 MB", size / 15, size <= 15)


def measure_beside_the_original():
    with daemon() as ours, Original() as original:
        time.sleep(1)  # the pool fills
        if wanted("P1"):
            measure_p1(ours, original)
        for connections in (8, 64):
            if wanted("P2"):
                measure_p2(ours, original, connections)
        sandbox = created(ours)
        for connections in (8, 64):
            if wanted("P2b"):
                measure_p2b(ours, original, sandbox, connections)
        ours.request("DELETE", f"/v1/sandboxes/{sandbox}")


def measure_ours():
    if any(wanted(target) for target in ("P1", "P2", "P2b")):
        measure_beside_the_original()
    if wanted("P5"):
        with daemon() as ours:
            time.sleep(1)
            measure_p5(ours, created(ours))
    if wanted("P3"):
        measure_p3()
    if wanted("P4"):
        with daemon() as ours:
            time.sleep(1)
            measure_p4(ours)
    if wanted("P7"):
        measure_p7()
    if wanted("P8") or wanted("P14"):
        measure_p8_and_p14()
    if wanted("P10") or wanted("P11"):
        measure_p10_and_p11()
    if wanted("P13"):
        measure_p13()
    if wanted("P9"):
        measure_p9()


def main():
    if not LOAD.exists():
        sys.exit(f"error: {LOAD} is not built: make bench does it")
    if os.geteuid() != 0:
        sys.exit("error: sandboxes are launched by a privileged launcher: run this as root")
    results["machine"] = {**machine(), "busy_cpus_before": others_load()}
    print(json.dumps(results["machine"]), file=sys.stderr)
    if results["machine"]["busy_cpus_before"] > 0.2:
        print("warning: the machine is busy with other work: trust the ratios only", file=sys.stderr)
    if not options.only or wanted("floors"):
        measure_floors()
    if not options.only or wanted("peers"):
        measure_bubblewrap()
        measure_runc()
        measure_docker()
    measure_ours()
    results["machine"]["busy_cpus_after"] = others_load()
    figures = json.dumps({**results, "table": table}, indent=1)
    print(figures if options.json else text_table())
    path = HERE / "results" / f"{options.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(figures)
    print(f"\nwritten: {path}", file=sys.stderr)
    if any(cells[-1] == "failed" for cells in table):
        sys.exit(1)


if __name__ == "__main__":
    main()
