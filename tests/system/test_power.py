#!/usr/bin/python3
"""What parent, launcher and daemon may do once they serve (launch.md, "Processes and power")."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

SOURCE = (lmsb.ROOT / "src/launcher/power.h").read_text()
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
                "SYS_CHROOT": 18, "SYS_ADMIN": 21, "SYS_RESOURCE": 24}
KEPT = sum(1 << number for number in CAPABILITIES.values())


def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_files(pid):
    """What the descriptors of a process are."""
    files = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            files.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return files


def score(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
    except OSError:
        return "gone"


class Power(lmsb.SystemTest):
    def launcher(self):
        return [p for p in children(self.daemon.process.pid) if status(p)["Name"] == "lmsb-launcher"][0]

    def test_the_daemon_has_none(self):
        seen = status(self.daemon.daemon_pid())
        self.assertNotIn("0", seen["Uid"].split() + seen["Gid"].split() + seen["Groups"].split())
        self.assertEqual({seen[c] for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {"0" * 16})
        self.assertEqual((seen["NoNewPrivs"], seen["Seccomp"]), ("1", "2"))
        limits = pathlib.Path(f"/proc/{self.daemon.daemon_pid()}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +1 +1 ")

    def test_the_launcher_keeps_what_it_needs(self):
        seen = status(self.launcher())
        had = int(status("self")["CapPrm"], 16)  # a container's root may have less
        for which in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(seen[which], 16), KEPT & had, which)
        self.assertEqual(seen["Seccomp"], "2")
        self.assertEqual(sorted(re.findall(r"CAP_(\w+),", SOURCE)), sorted(CAPABILITIES))

    def test_the_kernel_kills_commands_first_when_memory_runs_out(self):
        if not int(status("self")["CapEff"], 16) >> CAPABILITIES["SYS_RESOURCE"] & 1:
            self.skipTest("without CAP_SYS_RESOURCE nobody may lower a score here")
        ours = (self.daemon.process.pid, self.launcher(), self.daemon.daemon_pid())
        self.assertEqual({pathlib.Path(f"/proc/{p}/oom_score_adj").read_text().strip() for p in ours}, {"-900"})
        # The pool's guests are the launcher's children; to what they were set they can go back, so it must not be below 0.
        # One that has just been cloned still has the launcher's.
        lmsb.wait_until(lambda: {score(p) for p in children(self.launcher())} == {"0"}, "guests with the score of others")

    def test_no_user_reaches_stored_images(self):
        images = self.daemon.data_dir / "images"
        info = images.stat()
        self.assertEqual((info.st_uid, oct(info.st_mode & 0o7777)), (0, "0o750"))
        self.assertIn(str(info.st_gid), status(self.daemon.daemon_pid())["Groups"].split())
        for path in ("/etc/passwd", "/etc/group"):
            self.assertNotIn(f":{info.st_gid}:", pathlib.Path(path).read_text())
        self.assertEqual(self.daemon.request("GET", "/v1/images").status, 200)

    def test_the_launcher_holds_no_file_of_the_machine(self):
        self.daemon.run("true")
        self.assertEqual([f for f in open_files(self.launcher()) if f.startswith(str(lmsb.ROOT)) or f.startswith("/etc")], [])


if __name__ == "__main__":
    lmsb.main()
