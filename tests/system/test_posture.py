#!/usr/bin/python3
"""What a running command and its guest may do, seen from the machine and compared with the golden rows of launch.md."""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

GOLDEN = lmsb.ROOT / "tests/golden/posture.json"
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def collect(pid):
    """The posture of one process, without anything that differs from sandbox to sandbox."""
    fields = status(pid)
    base = int(pathlib.Path(f"/proc/{pid}/uid_map").read_text().split()[1])
    mounts = []
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        where, options = before.split()[4:6]
        options = ",".join(o for o in options.split(",") if o not in ("relatime", "noatime"))
        mounts.append(f"{where} {after.split()[0]} {options}")
    fds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        fds[fd] = re.sub(r":\[?\d+\]?$", "", target)
    if "signalfd" in str(fds):  # the guest's numbers vary with what it does at the moment; what they are does not
        fds = sorted({re.sub(r"/c-\d+", "/c-N", f) for f in fds.values()})
    limits = {}
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        name, soft, hard = re.match(r"(.{25}) (\S+) +(\S+)", line).groups()
        limits[name.strip()] = f"{soft} {hard}"
    return {
        "uid": [int(u) - base for u in fields["Uid"].split()],
        "gid": [int(g) - base for g in fields["Gid"].split()],
        "groups": fields["Groups"].split(),
        "capabilities": {c: fields[c] for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
        "no_new_privs": fields["NoNewPrivs"],
        "seccomp": fields["Seccomp"],
        "seccomp_filters": fields["Seccomp_filters"],
        "new_namespaces": [n for n in NAMESPACES if os.readlink(f"/proc/{pid}/ns/{n}") != os.readlink(f"/proc/self/ns/{n}")],
        "uid_map": [pathlib.Path(f"/proc/{pid}/{m}").read_text().split()[0::2] for m in ("uid_map", "gid_map")],
        "fds": fds,
        "limits": limits,
        "mounts": sorted(mounts),
        "oom_score_adj": pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip(),
    }


class Posture(lmsb.SystemTest):
    data_dir = lmsb.TEST_DATA

    def processes_of(self, image):
        created = self.daemon.post("/v1/sandboxes", {"image": image}).json()
        path = "/v1/sandboxes/" + created["id"]
        self.daemon.post(path + "/exec", {"cmd": "sleep 300 </dev/null >/dev/null 2>&1 & echo"})
        self.addCleanup(self.daemon.request, "DELETE", path)
        branch = [pathlib.Path(c) for c in lmsb.our_cgroups() if c.endswith(created["id"]) and (pathlib.Path(c) / "work").exists()][0]
        guest = int((branch / "cgroup.procs").read_text().split()[0])

        def commands():
            pids = [int(p) for f in branch.glob("work/c-*/cgroup.procs") for p in f.read_text().split()]
            return [p for p in pids if pathlib.Path(f"/proc/{p}/cmdline").read_bytes().startswith(b"sleep\0")]

        lmsb.wait_until(commands, "the sleeping command")
        return guest, commands()[0]

    def check(self, image):
        guest, command = self.processes_of(image)
        seen = {"guest": collect(guest), "command": collect(command)}
        self.assertEqual(len({os.readlink(f"/proc/{guest}/ns/{n}") for n in NAMESPACES}), len(NAMESPACES))
        if os.environ.get("LMSB_TEST_ACCEPT") == "1":
            goldens = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
            goldens[image] = seen
            GOLDEN.write_text(json.dumps(goldens, indent=1, sort_keys=True) + "\n")
        golden = json.loads(GOLDEN.read_text())[image]
        for who in ("guest", "command"):
            for key, value in golden[who].items():
                if key == "mounts":  # the machine's own masks may be fewer: never more, never weaker
                    mine = [m for m in seen[who][key] if m not in value]
                    self.assertEqual([m for m in mine if not re.match(r"/(proc/\S+|dev/\S+|usr\S*) ", m)], [], f"{image} {who} mounts")
                    self.assertTrue([m for m in seen[who][key] if m.startswith("/proc/keys ")])
                else:
                    self.assertEqual(seen[who][key], value, f"{image} {who} {key}")

    def test_commands_of_image_host_have_the_golden_posture(self):
        self.check("host")

    def test_commands_of_image_base_have_the_golden_posture(self):
        lmsb.require_image("base")
        self.check("base")

    def test_no_capability_comes_back_by_a_setuid_program(self):
        script = "find / -xdev -perm -4000 2>/dev/null | head -3; grep CapEff /proc/self/status; su -c id 2>&1 </dev/null; true"
        self.assertIn("CapEff:\t0000000000000000", self.daemon.run(script)["stdout"])


if __name__ == "__main__":
    lmsb.main()
