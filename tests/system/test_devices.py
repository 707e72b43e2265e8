#!/usr/bin/python3
"""Devices of the machine in sandboxes, by CDI files. The "GPU" is /dev/fuse under another name, its library a copy."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb

CARD = "example.org/card="
FUSE = (10, 229)
LIBRARY = "/usr/lib/lmsb-card/libstdc++.so.6.9.99"
# Says of each node whether it can be opened for writing, and what an ioctl answers that it does not know.
OPEN = """python3 -c '
import errno, fcntl, os, sys
for name in sys.argv[1:]:
    try:
        file = os.open("/dev/" + name, os.O_RDWR)
        fcntl.ioctl(file, 0x8004E500, bytes(4))
    except OSError as error:
        print(name, errno.errorcode[error.errno])
' """


def hook(program, *words):
    return {"hookName": "createContainer", "path": program, "args": [os.path.basename(program), *words]}


class DevicesTest(unittest.TestCase):
    policy = ""

    @classmethod
    def setUpClass(cls):
        lmsb.require_root()
        cls.cdi = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-cdi-"))
        cls.cdi.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.cdi)
        (cls.cdi / "lib").mkdir()
        source = next(pathlib.Path("/usr/lib/x86_64-linux-gnu").glob("libstdc++.so.6.*"))
        shutil.copy(source, cls.cdi / "lib/card.so")
        (cls.cdi / "lib/settings").write_text("of the card")
        (cls.cdi / "trace.sh").write_text(f"#!/bin/sh\ntouch {cls.cdi}/trace\n")
        (cls.cdi / "trace.sh").chmod(0o755)
        cls.write_files()
        cls.config = cls.cdi / "config.toml"
        cls.config.write_text(f'[devices]\ncdi_dirs = ["{cls.cdi}/specs"]\n{cls.policy}')
        before = lmsb.leftovers()
        cls.addClassCleanup(lmsb.wait_until_clean, before)
        cls.daemon = lmsb.Daemon("--config", str(cls.config)).__enter__()
        cls.addClassCleanup(cls.daemon.__exit__, None, None, None)

    @classmethod
    def write_files(cls):
        specs = cls.cdi / "specs"
        specs.mkdir()
        node = {"deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/fuse"}]}
        deep = {"deviceNodes": [{"path": "/dev/cards/render/1", "hostPath": "/dev/fuse"}]}
        edits = {
            "env": ["CARD=yes"],
            "mounts": [{"hostPath": f"{cls.cdi}/lib/card.so", "containerPath": LIBRARY},
                       {"hostPath": f"{cls.cdi}/lib/settings", "containerPath": "/etc/card/settings"}],
            "hooks": [hook("/usr/bin/nvidia-cdi-hook", "create-symlinks", "--link",
                           f"libstdc++.so.6::{os.path.dirname(LIBRARY)}/libcard.so"),
                      hook("/usr/bin/nvidia-ctk", "hook", "update-ldcache", "--folder", os.path.dirname(LIBRARY))]}
        devices = [{"name": "0", "containerEdits": node}, {"name": "1", "containerEdits": deep},
                   {"name": "all", "containerEdits": {"deviceNodes": [*node["deviceNodes"], *deep["deviceNodes"]]}},
                   {"name": "gone", "containerEdits": {"deviceNodes": [{"path": "/dev/card9"}]}},
                   {"name": "runs", "containerEdits": {**node, "hooks": [hook(f"{cls.cdi}/trace.sh", "x")]}}]
        (specs / "card.json").write_text(json.dumps(
            {"cdiVersion": "0.6.0", "kind": CARD[:-1], "containerEdits": edits, "devices": devices}))
        (specs / "broken.yaml").write_text("a: &a [*a, *a]\n")

    def ran(self, cmd, *devices, **fields):
        return self.daemon.run(cmd, devices=[CARD + name for name in devices], **fields)

    def images(self):
        return [one["name"] for one in self.daemon.request("GET", "/v1/images").json()["data"] if one["name"] == "base"]


class InSandboxes(DevicesTest):
    def test_a_command_opens_the_node_and_talks_to_it_and_has_no_other(self):
        said = self.ran(OPEN + "card0 fuse; stat -c '%t:%T %a' /dev/card0; test ! -e /dev/cards", "0")["stdout"]
        name, answer = said.splitlines()[0].split()
        self.assertEqual(name, "card0")
        self.assertNotIn(answer, ("EACCES", "EPERM", "ENOENT"), said)
        self.assertEqual(said.splitlines()[1:], ["fuse ENOENT", f"{FUSE[0]:x}:{FUSE[1]:x} 666"])

    def test_a_sandbox_without_devices_is_as_ever(self):
        ended = self.ran("ls /dev; env; ls -d /etc/card")
        self.assertNotIn("card", ended["stdout"], ended)
        self.assertNotIn("CARD", ended["stdout"])

    def test_its_files_are_there_and_cannot_be_written(self):
        for image in ("host", *self.images()):
            with self.subTest(image=image):
                ended = self.ran("cat /etc/card/settings; echo; echo $CARD; echo x >/etc/card/settings",
                                 "1", image=image)
                self.assertEqual(ended["stdout"], "of the card\nyes\n", ended)
                self.assertNotEqual(ended["exit_code"], 0, "written")
        self.assertEqual((self.cdi / "lib/settings").read_text(), "of the card")

    def test_programs_find_its_libraries_by_the_names_that_they_ask_for(self):
        for image in self.images():
            with self.subTest(image=image):
                ended = self.ran(f"cd {os.path.dirname(LIBRARY)} && ls && readlink libstdc++.so.6 libcard.so; "
                                      "echo $LD_LIBRARY_PATH", "0", image=image)
                self.assertEqual(ended["stdout"].split(), [
                    "libcard.so", "libstdc++.so.6", os.path.basename(LIBRARY), os.path.basename(LIBRARY),
                    "libstdc++.so.6", os.path.dirname(LIBRARY)], ended)

    def test_a_kept_sandbox_has_them_for_as_long_as_it_runs(self):
        made = self.daemon.post("/v1/sandboxes", {"devices": [CARD + "all", CARD + "0"]})
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(made.json()["devices"], [CARD + "all", CARD + "0"])
        box = made.json()["id"]
        said = self.daemon.post(f"/v1/sandboxes/{box}/exec",
                                {"cmd": OPEN + "card0 cards/render/1; echo $CARD"}).json()["stdout"]
        self.assertNotIn("EACCES", said)
        self.assertTrue(said.endswith("yes\n"), said)
        self.assertEqual(self.daemon.request("DELETE", f"/v1/sandboxes/{box}").status, 204)


class HostileDisks(DevicesTest):
    """A disk that an earlier guest has left has links where the device's files are to be."""

    def made_on(self, cmd):
        post = self.daemon.post
        box = post("/v1/sandboxes", {"image": "host", "profile": "root"}).json()["id"]
        self.addCleanup(self.daemon.request, "DELETE", f"/v1/sandboxes/{box}")
        ended = post(f"/v1/sandboxes/{box}/exec", {"cmd": cmd}).json()
        self.assertEqual((ended["exit_code"], ended["stderr"]), (0, ""), ended)
        taken = post(f"/v1/sandboxes/{box}/snapshot", {})
        if taken.json().get("error", {}).get("code") == "disk_not_kept":
            self.skipTest("disks lie in memory here")
        self.assertEqual(taken.status, 201, taken.body)
        self.addCleanup(self.daemon.request, "DELETE", f"/v1/snapshots/{taken.json()['id']}")
        made = post("/v1/sandboxes", {"snapshot": taken.json()["id"], "devices": [CARD + "0"]})
        if made.status == 201:
            self.addCleanup(self.daemon.request, "DELETE", f"/v1/sandboxes/{made.json()['id']}")
        return made

    def test_a_link_into_another_mount_is_not_followed(self):
        for place in ("/proc", "/dev", "/run/lm-sandbox", "/nowhere"):
            with self.subTest(place=place):
                made = self.made_on(f"rm -rf /etc/card; ln -s {place} /etc/card")
                if place in ("/proc", "/dev"):  # mounted later, over what is put there
                    self.assertEqual(made.status, 201, made.body)
                    said = self.daemon.post(f"/v1/sandboxes/{made.json()['id']}/exec",
                                            {"cmd": f"test ! -e {place}/settings && ls /dev/card0"}).json()
                    self.assertEqual(said["exit_code"], 0, said)
                else:
                    self.assertNotEqual(made.status, 201, made.body)

    def test_a_link_in_the_place_of_a_file_is_replaced(self):
        made = self.made_on("mkdir /etc/card; ln -s /etc/passwd /etc/card/settings")
        self.assertEqual(made.status, 201, made.body)
        said = self.daemon.post(f"/v1/sandboxes/{made.json()['id']}/exec",
                                {"cmd": "cat /etc/card/settings; grep -c root /etc/passwd"}).json()
        self.assertEqual(said["stdout"], "of the card1\n", said)


class Asked(DevicesTest):
    def test_info_names_them_and_says_why_some_cannot_be_had(self):
        info = self.daemon.request("GET", "/v1/info").json()
        usable = {one["name"]: one["usable"] for one in info["devices"]}
        self.assertEqual(usable, {CARD + "0": True, CARD + "1": True, CARD + "all": True, CARD + "gone": False,
                                  CARD + "runs": False})
        self.assertIn("anchors", " ".join(info["device_faults"]))

    def test_what_cannot_be_had_is_refused_and_no_hook_is_run(self):
        for name, code in ((CARD + "gone", "device_not_usable"), (CARD + "runs", "device_not_usable"),
                           (CARD + "none", "device_not_found"), ("nvidia.com/gpu=all", "device_not_found")):
            answer = self.daemon.post("/v1/run", {"cmd": ["true"], "devices": [name]})
            self.assertEqual(answer.json()["error"]["code"], code, answer.body)
        self.assertFalse((self.cdi / "trace").exists(), "the hook was run")

    def test_the_command_line_asks_for_them_as_dockers_does(self):
        host = ("--host", f"http://{self.daemon.host}:{self.daemon.port}")

        def cli(*words):
            return subprocess.run([lmsb.BIN / "lm-sandbox", *host, *words], capture_output=True, text=True,
                                  timeout=120, check=False)
        ran = cli("run", "--device", CARD + "0", "--", "ls", "/dev/card0")
        self.assertEqual((ran.returncode, ran.stdout), (0, "/dev/card0\n"), ran.stderr)
        for words, named in ((("all",), "gpu=all"), (("device=7",), "gpu=7"), (("1",), "gpu=0")):
            refused = cli("run", "--gpus", *words, "--", "true")
            self.assertIn("nvidia.com/" + named, refused.stderr)
            self.assertNotEqual(refused.returncode, 0)


if __name__ == "__main__":
    unittest.main()
