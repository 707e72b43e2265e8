#!/usr/bin/python3
"""The daemon as a service of systemd: what it tells that, and what the unit lets it do."""
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import launcher_of
from test_settings import SettingsTest

UNIT = lmsb.ROOT / "packaging/systemd/lm-sandbox.service"


def settings_of(unit):
    """Of its [Service]: all values of a name as one."""
    found = {}
    for line in unit.read_text().split("[Service]")[1].split("[Install]")[0].splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found[name] = f"{found[name]} {value}" if name in found else value
    return found


class Manager(SettingsTest):
    """Who listens at NOTIFY_SOCKET."""

    def setUp(self):
        super().setUp()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(self.dir / "notify"))
        self.socket.settimeout(60)

    def heard(self):
        """A message, and whose it is: systemd listens to the unit's main process alone."""
        message, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
        return message.decode(), struct.unpack("iII", control[0][2])[0]

    def test_hears_from_the_process_that_it_started_how_far_that_is(self):
        config = self.file("config.toml", '[policy]\nprocesses = 100\n')
        daemon = lmsb.Daemon("--config", config, env={"NOTIFY_SOCKET": str(self.dir / "notify")}, is_private=False)
        with daemon:
            main = daemon.process.pid
            self.assertEqual(self.heard(), ("READY=1", main))
            self.assertEqual(daemon.run("true")["exit_code"], 0)
            for text in ('[policy]\nprocesses = 50\n', "no settings"):  # it goes on in spite of them
                self.file("config.toml", text)
                daemon.process.send_signal(signal.SIGHUP)
                said, who = self.heard()
                self.assertRegex(said, r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
                self.assertEqual((who, self.heard()), (main, ("READY=1", main)))
            self.assertIn("settings.reload_failed", daemon.log_text())
            self.assertNotIn("NOTIFY_SOCKET", pathlib.Path(f"/proc/{daemon.daemon_pid()}/environ").read_text())
            daemon.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.heard(), ("STOPPING=1", main))

    def test_hears_of_a_launcher_that_died_and_of_the_next_one(self):
        daemon = lmsb.Daemon(env={"NOTIFY_SOCKET": str(self.dir / "notify")}, is_private=False)
        with daemon:
            main = daemon.process.pid
            self.assertEqual(self.heard(), ("READY=1", main))
            os.kill(launcher_of(daemon), signal.SIGKILL)
            self.assertEqual(self.heard(), (
                "STATUS=The launcher was killed by signal 9 (Killed): it and the daemon start again", main))
            self.assertEqual(self.heard(), ("READY=1\nSTATUS=", main))
            daemon.come_back(starts=False)
            daemon.process.send_signal(signal.SIGHUP)
            self.assertTrue(self.heard()[0].startswith("RELOADING=1\n"))
            self.assertEqual(self.heard(), ("READY=1", main))

    def test_hears_nothing_of_a_daemon_that_is_a_commands_own(self):
        with lmsb.Daemon(env={"NOTIFY_SOCKET": str(self.dir / "notify")}) as daemon:
            self.assertEqual(daemon.run("true")["exit_code"], 0)
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.socket.recvmsg, 4096)


class Unit(unittest.TestCase):
    def test_is_one_that_systemd_reads(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        text = UNIT.read_text().replace("/usr/local/bin/lm-sandbox", str(lmsb.BIN / "lm-sandbox"))
        with tempfile.TemporaryDirectory() as directory:
            unit = pathlib.Path(directory) / UNIT.name
            for drop_in in ("", (UNIT.parent / "older.conf").read_text()):
                unit.write_text(text + drop_in.replace("/usr/local/bin/lm-sandbox", str(lmsb.BIN / "lm-sandbox")))
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
                said = [line for line in (done.stdout + done.stderr).splitlines() if "'DelegateSubgroup'" not in line]
                self.assertEqual((done.returncode, said), (0, []))

    def test_keeps_sandboxes_alive_and_their_cgroups_its_own(self):
        unit = settings_of(UNIT)
        wanted = {"Type": "notify", "NotifyAccess": "main", "KillMode": "process", "Delegate": "yes", "DelegateSubgroup": "supervisor",
                  "OOMPolicy": "continue", "ExecReload": "/bin/kill -HUP $MAINPID"}
        self.assertEqual({name: unit.get(name) for name in wanted}, wanted)
        # What comes down to sandboxes, or hides the machine from those who show them parts of it.
        others = re.findall(r"^(?:Protect|Private|Restrict|SystemCall|NoNew|MemoryDeny|LockPers|Device|ReadOnly|RuntimeDir)\w*",
                            UNIT.read_text(), re.MULTILINE)
        self.assertEqual(others, [])


class Capabilities(SettingsTest):
    def test_of_the_unit_are_enough_for_everything(self):
        names = settings_of(UNIT)["CapabilityBoundingSet"].split()
        self.assertEqual(len(names), len(set(names)))
        bound = ",".join(["-all", *("+" + name[4:].lower() for name in names)])
        programs = self.dir / "programs"
        programs.mkdir()
        (programs / "lm-sandbox").write_text(f'#!/bin/sh\nexec setpriv --bounding-set {bound} "{lmsb.BIN}/lm-sandbox" "$@"\n')
        (programs / "lm-sandbox").chmod(0o755)
        daemon = lmsb.Daemon(is_private=False)
        daemon.programs = programs
        with daemon:
            status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
            bounding = int(re.search(r"CapBnd:\t(\w+)", status)[1], 16)
            self.assertLessEqual(bin(bounding).count("1"), len(names))  # this machine may have less
            self.use(daemon)
            self.show_a_directory(daemon)

    def use(self, daemon):
        def done(method, path, body=None, status=(200, 201, 204)):
            answer = daemon.request(method, path, body)
            self.assertIn(answer.status, status, answer.body[:500])
            return answer.json() if answer.body[:1] in (b"{", b"[") else answer.body

        allowed = {"egress": {"allow": ["name.test"]}}
        self.assertEqual(daemon.run("id -u; cat /proc/self/cgroup >/dev/null", **allowed)["stdout"], "1000\n")
        box = "/v1/sandboxes/" + done("POST", "/v1/sandboxes", {"name": "box", **allowed})["id"]
        volume = done("POST", "/v1/volumes", {"name": "data"})["id"]
        with_volume = done("POST", "/v1/sandboxes", {"volumes": [{"volume": volume, "target": "/data"}]})["id"]
        for one in (box, "/v1/sandboxes/" + with_volume):
            self.assertEqual(done("POST", one + "/exec", {"cmd": "echo one >~/a; cat ~/a"})["stdout"], "one\n")
        done("PATCH", box, {"limits": {"memory_bytes": 256 << 20}})
        if done("GET", box)["keeps_disk"]:
            snapshot = done("POST", box + "/snapshot", {})["id"]
            file = done("GET", f"/v1/snapshots/{snapshot}/export")
            imported = daemon.request("POST", "/v1/snapshots/import", file, {"Content-Type": "application/octet-stream"})
            self.assertEqual(imported.status, 201, imported.body)
            done("POST", box + "/fork", {"count": 1})
            done("POST", box + "/stop")
            done("POST", box + "/start")
            done("POST", box + "/rollback", {"snapshot": snapshot})
        done("DELETE", "/v1/sandboxes/" + with_volume)
        done("DELETE", "/v1/volumes/" + volume)

    def show_a_directory(self, daemon):
        shown = self.dir / "shown"
        shown.mkdir()
        (shown / "a").write_text("of the machine\n")
        ran = subprocess.run([lmsb.BIN / "lm-sandbox", "run", "--host", f"unix:{daemon.run_dir}/api.sock", "-v", f"{shown}:/workspace", "--",
                              "cat", "a"], capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout), (0, "of the machine\n"), ran.stderr)


if __name__ == "__main__":
    lmsb.main()
