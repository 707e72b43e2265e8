"""docs/internals/containment.md, made from the table of probes."""
import pathlib

import probes

PATH = pathlib.Path(__file__).resolve().parents[2] / "docs/internals/containment.md"

# What stands in the way of a probe; the suite leaves each out by this name.
LAYERS = {
    "seccomp": "the filter of guest and commands: an allow-list with rules for arguments (src/sandbox/seccomp_table.cc)",
    "launcher_filter": "the launcher's filter, which a guest inherits (src/launcher/filters.cc)",
    "capabilities": "a command is uid 1000 without any capability, not root of its user namespace; with the profile root it is root of one "
                    "below, in which it has a few, and to which nothing else of the sandbox belongs, and nothing of what it shares with the "
                    "machine or other sandboxes",
    "user_max": "the user namespace may hold no further namespaces (`/proc/sys/user`)",
    "landlock": "Landlock: reading and executing everywhere, writing in the writable places alone (with the profile root everywhere), "
                "device nodes nowhere",
    "no_new_privs": "no program gives more power than its caller has",
    "nosuid": "no mount has setuid programs",
    "masks": "all of /proc but what is listed lies behind an empty file or directory",
    "read_only_proc": "/proc/sys and others are mounted read-only",
    "hidepid": "a command sees its own user's processes alone",
    "network": "a network namespace with nothing but lo",
    "ipc": "an IPC namespace",
    "keyring": "a session keyring of its own",
    "descriptors": "nothing is open that was not given",
    "rlimits": "resource limits of each process",
    "limits": "the limits that the sandbox was made with: control groups and the size of its disk",
    "nodev": "no mount has devices but /dev",
    "device_list_v1": "a list of the devices that may be opened, by the controller of cgroup v1 where there is one",
    "device_list": "the same list by a program of cgroup v2",
    "own_nodes": "the nodes in /dev are the launcher's own (where it may not make any, those of the machine stand there)",
    "socket_limit": "cgroup v1: what is in sockets has a limit of its own (on v2 it counts as memory)",
    "packet_times": "when a packet was sent is kept for nobody (`net.core.tstamp_allow_data`, Linux 6.13 and newer)",
    "outside": "no part of a sandbox can be left out for it: its mount, process and user namespaces. The probe has its "
               "way when it runs on the machine itself, as root",
}

HEAD = """# What contains a sandbox

Made from the table of probes, `tests/escape/probes.py`, by its suite (`LMSB_TEST_ACCEPT=1 tests/escape/test_escape.py`);
edit that, not this page.

A probe is a short program that tries to reach out of a sandbox. The suite runs each in a real sandbox as it is: the layer
named first must refuse it, by the error that stands there. Then it runs it again without that layer, where the second
must refuse it, and so on; without all of them the probe must get what it wants, or it would prove nothing. And it runs it
where each layer stands alone, unless `outside` would refuse it with the same error. Where a layer is left out, guest and
launcher are other programs, linked for the suite alone (`tests/escape/weakened.cc`): those that are shipped have no such
switch.

Verdicts: CONTAINED (refused, by the layer that is named), BREACH, NOT-RUN (it cannot be tried on this machine, and says
why; only some may). The suite fails on every BREACH, on a refusal by anything else than what is named, and on a probe
that is not stopped where it is to be, nor stopping where it is not. Secrets lie on the machine where a sandbox must not
reach (files, sockets, keys, shared memory, the daemon's environment); none may show up in any answer, and settings,
mounts, modules and interfaces of the machine are the same afterwards.

Severities: Escape (out of the sandbox, or closer to the kernel than it should be), HostLeak (reads what is the machine's),
Exfil (reaches a network), Lateral (reaches another sandbox), HostDoS, PeerDoS (takes from the machine, or from others);
InternalEsc, Integrity (within one sandbox).

Each probe also runs in a sandbox with the profile root (docs/user/root.md), by every way to start a command. What stands under
"with root" is by what it is refused there, or that it is root's to do: in the sandbox, and without any effect outside. Where nothing
stands the answer is the one of every other. The layers behind the first are those of the profile user: with root, capabilities are
others, Landlock lets it write everywhere, and settings of its network are its own by their owner, so that mounts alone keep them from
it, of /proc and in it (PR-04, NC-10). There the suite leaves out one layer at a time, and what has several must still be refused.

All this is one level, `native`: namespaces and filters on the machine's own kernel. A fault in that kernel behind a call
that sandboxes need is not stopped by it.

## What is not stopped

- **Record locks** (`fcntl`, `lockf`) take memory of the kernel that it counts for nobody, and no limit of theirs is in
  force: 1.8 million took 340 MB in 6 s (Linux 6.18, one processor). Databases need them, so they are not refused. A command
  that does nothing else can bring the machine into want of memory; commands are then the first to be killed, by their
  score, though not this one before those that use more.
- **Filters of system calls** that commands install for themselves are turned into machine code, for which the whole machine
  has `net.core.bpf_jit_limit`. Some ten thousand large ones, by as many processes, use it up; until they end no sandbox
  starts. (Those on sockets are refused, KS-13.)
- **What stands in /proc for all**: `stat`, `meminfo`, `cpuinfo`, `loadavg`, `uptime`, `vmstat`, `version` are the machine's.
  What a module of the kernel adds at the top of /proc while a sandbox runs is not hidden in that one.
- **Image `host`** shows the machine's /usr: whoever may read a file there can be told (inotify) when anybody uses it. It is
  for a machine's own users; a daemon that is bound beyond loopback does not take it by default.
- **Sandboxes of one daemon** share the nodes in /dev and the files that hide parts of /proc, so that two that want to can
  signal to each other by locks on them. None can keep another from them (leases are refused, RX-13).
- **Counted by id alone** are descriptors on their way through unix sockets (16384), pages of pipes, and what epoll watches:
  with the profile root, which may be any of 65535 ids, each has as much. Their memory is the sandbox's; but before Linux 6.10 all
  who send descriptors on the machine wait for a search that takes longer the more of them are on their way. What else is counted by
  user all ids of a sandbox share. Locked pages of shared memory are no more than the sandbox's memory.
- **Netlink sockets of routes**, by which programs list network interfaces, hold answers of the kernel in memory that it
  counts for nobody, each at most twice `net.core.rmem_max`. A sandbox may have as many as hold 32 MiB together, but no more
  than 32 (13 MiB, where nobody has raised that setting) and no less than four. A message on its way to the kernel is not
  counted either: as much as twice `net.core.wmem_max` for each thread that sends one at this moment.
- **Groups of IPv4** (`IP_ADD_MEMBERSHIP`) take memory that is counted for nobody: 20 for each socket, 4 KiB.
- **Times of packets** (`SO_TIMESTAMPING`, asked for with each packet) wait in memory that is counted for nobody on kernels
  before 6.13, which cannot refuse them in a sandbox alone: 700 MB on 800 sockets.
- **What TCP may use** is bounded for the whole machine (`net.ipv4.tcp_mem`). On cgroup v1 all sandboxes together get half of
  it before the kernel spares; on v2 what their sockets hold counts as their memory, and has no bound beside that: several
  can use up what there is, and slow down everybody's connections.
- `sync` writes out what the whole machine has not written yet.
- Side channels of the processor: see the machine's kernel (`/sys/devices/system/cpu/vulnerabilities`).
"""


def with_root(one):
    """In a sandbox with the profile root."""
    if one.root is probes.AS_OTHERS:
        return ""
    return "root may" if one.root is None else one.root


def words(layers):
    return ", then ".join(f"{name} ({error})" for name, error in layers.items())


def text(cases, classes):
    parts = [HEAD, "\n## Layers\n\n| name | what it is |\n|---|---|\n"]
    parts += [f"| {name} | {what} |\n" for name, what in LAYERS.items()]
    for prefix, title in classes.items():
        mine = [one for one in cases.values() if one.id.startswith(prefix)]
        parts.append(f"\n## {prefix}: {title}\n\n| case | severity | the probe tries to | stopped by | verdict | with root |\n|---|---|---|---|---|---|\n")
        parts += [f"| {one.id} | {one.severity} | {one.what} | {words(one.layers)} | CONTAINED | {with_root(one)} |\n" for one in mine]
    return "".join(parts)
