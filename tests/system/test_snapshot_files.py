#!/usr/bin/python3
"""Snapshots as files: what comes back is what was, on any machine; and what anybody makes up leads nowhere."""
import contextlib
import http.client
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_disks import disks_of, kill_everything
from test_snapshots import SnapshotTest

MIB = 1 << 20
MAGIC = b"\x5e\x2a\x4d\x18"

# All that a sandbox's user can make in its home.
FILL = r"""
cd; echo one >a; chmod 640 a; ln a hard; mkdir -p d/e/f; ln a d/hard; chmod 2755 d; chmod 1777 d/e; ln -s '../a b' d/link
ln -s dangling d/dangling; ln d/link d/link2; mkfifo -m 600 d/pipe; printf x >"$(printf 'new\nline \377')"; : >empty
truncate -s 3G sparse; printf middle | dd of=sparse bs=1M seek=1500 conv=notrunc status=none; truncate -s 5M hole
head -c 3000000 /dev/urandom >big; chmod 4711 big; touch -d '2001-02-03 04:05:06.123456789' a; touch -d '1960-01-01' empty
long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long/$long; echo deep >$long/$long/$long/$long; rm -f .bashrc; chmod 500 d/e/f
"""
LOOK = ("cd; find . ! -path './.*' -printf '%p|%y|%m|%U|%G|%s|%T@|%n|%l\\n' | sort; find . -type f -size -100M | sort | xargs -d '\\n' md5sum 2>&1;"
        " dd if=sparse bs=1M skip=1500 count=1 status=none | head -c 6; du -k sparse hole | cut -f1; stat -c %i a hard d/hard | uniq | wc -l")


def block(fields, kind=b"0"):
    """A header of ustar; `fields`: name, size, mode, uid, gid, link, device."""
    name, size, mode, uid, gid, link, device = fields
    head = (name[:100].ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, 0) + b" " * 8 + kind
            + link[:100].ljust(100, b"\0") + b"ustar\00000" + b"\0" * 64 + b"%07o\0%07o\0" % device).ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def record(key, value):
    rest = len(key) + len(value) + 3
    size = rest + 1
    while size != rest + len(str(size)):
        size += 1
    return b"%d %s=%s\n" % (size, key, value)


def member(path, kind=b"0", content=b"", mode=0o755, uid=0, gid=0, link=b"", device=(0, 0), records=()):
    """One member as an export has it."""
    said = [(b"path", path), (b"mtime", b"1.000000000"), *([(b"linkpath", link)] if link else []), *records]
    header = b"".join(record(key, value) for key, value in said)
    return (block((b"pax", len(header), 0, 0, 0, b"", (0, 0)), b"x") + padded(header)
            + block((path, len(content), mode, uid, gid, link, device), kind) + padded(content))


def archive(*members, top=True):
    """With its first directories and its end."""
    everything = ([member(b"disk", b"5"), member(b"disk/upper", b"5")] if top else []) + list(members)
    octets = 0
    for one in everything:
        header = int(one[124:135], 8)
        at = 512 + header + (-header % 512)
        octets += int(one[at + 124:at + 135], 8)
    return b"".join(everything) + member(b"end", content=b"%d %d\n" % (len(everything), octets)) + b"\0" * 1024


def zstd(data):
    """A frame of Zstandard whose blocks are not compressed."""
    parts = [data[i:i + 100_000] for i in range(0, len(data), 100_000)] or [b""]
    blocks = [struct.pack("<I", (len(part) << 3) | (part is parts[-1]))[:3] + part for part in parts]
    return b"\x28\xb5\x2f\xfd\x00\x50" + b"".join(blocks)


def frame(text):
    return MAGIC + struct.pack("<I", len(text)) + text


def manifest(fields, version=1):
    text = json.dumps(fields).encode()
    return frame(b"lm-sandbox-snapshot %d %08x\n" % (version, zlib.crc32(text)) + text)


def split(file):
    """The manifest's fields, and the archive within the rest."""
    size = struct.unpack("<I", file[4:8])[0]
    fields = json.loads(file[8:8 + size].split(b"\n", 1)[1])
    plain = subprocess.run(["zstd", "-dcq"], input=file, capture_output=True, check=True).stdout
    return fields, plain


class FileTest(SnapshotTest):
    def export(self, snapshot, daemon=None):
        answer = (daemon or self.daemon).request("GET", f"/v1/snapshots/{snapshot}/export")
        self.assertEqual(answer.status, 200, answer.body[:500])
        return answer.body

    def send(self, file, query="", daemon=None):
        return (daemon or self.daemon).request("POST", "/v1/snapshots/import" + query, file,
                                               {"Content-Type": "application/octet-stream"})

    def imported(self, file, query="", daemon=None):
        answer = self.send(file, query, daemon)
        self.assertEqual(answer.status, 201, answer.body)
        return answer.json()

    def fields(self, **changes):
        """Of a manifest that can be imported here."""
        image = next(one for one in self.daemon.request("GET", "/v1/images").json()["data"] if one["name"] == self.image)
        return {"id": "snp_" + "a" * 20, "name": "", "sandbox_id": "s" + "0" * 19, "created_at": "2026-01-01T00:00:00Z",
                "image": image["name"], "image_digest": image["digest"], "workdir": "/workspace", "env": {},
                "limits": {"memory_bytes": 256 * MIB, "cpu_millis": 1000, "processes": 64, "disk_bytes": 64 * MIB}, **changes}

    def forged(self, *members, **kw):
        return manifest(self.fields()) + zstd(archive(*members, **kw))

    def half_made(self):
        return [name for name in disks_of(self.daemon, "fresh") if name.startswith("snp_")]

    def settled(self):
        """Nothing of an import that failed."""
        lmsb.wait_until(lambda: not self.half_made(), "no snapshot that is half made")
        self.assertEqual(self.listed(), [])
        self.assertEqual(disks_of(self.daemon, "snapshots"), [])

    def second_daemon(self):
        other = lmsb.Daemon(sandboxes_stay=True)
        other.data_dir.mkdir()
        subprocess.run(["cp", "-al", self.daemon.data_dir / "images", other.data_dir], check=True)
        other.start()
        self.addCleanup(other.__exit__)
        return other


class Once(FileTest):
    def test_a_file_that_is_imported_twice_with_one_key_makes_one_snapshot_also_of_the_next_daemon(self):
        file = self.export(self.snapshot(self.create(), name="first")["id"])
        other = self.second_daemon()
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": "key"}

        def send(content, query="?name=moved"):
            return other.request("POST", "/v1/snapshots/import" + query, content, headers)

        broken = send(file[:-10])
        self.assertEqual((broken.status, broken.json()["error"]["code"]), (400, "snapshot_damaged"))
        first = send(file)
        self.assertEqual(first.status, 201, first.body)
        for daemon_ends in (False, True):
            if daemon_ends:
                other.stop()
                other.start()
            again = send(file)
            self.assertEqual((again.status, again.body), (201, first.body))
            self.assertEqual((again.headers["Idempotent-Replayed"], again.headers["Location"]), ("true", first.headers["Location"]))
            for wrong in (send(file[:-10]), send(file, "?name=else")):
                self.assertEqual((wrong.status, wrong.json()["error"]["code"]), (409, "idempotency_key_reused"))
        self.assertEqual(len(other.request("GET", "/v1/snapshots").json()["data"]), 1)


class RoundTrip(FileTest):
    def test_every_kind_of_file_comes_back_on_another_machine(self):
        sandbox = self.create(env={"WHO": "me"}, cwd="/tmp", limits={"memory_bytes": 256 * MIB, "disk_bytes": 100 * MIB})
        self.output(sandbox, FILL)
        before = self.exec(sandbox, LOOK)
        taken = self.snapshot(sandbox, name="first")
        file = self.export(taken["id"])
        self.assertLess(len(file), 8 * MIB, "holes are not in it")
        other = self.second_daemon()
        made = self.imported(file, daemon=other)
        self.assertEqual((made["name"], made["image_digest"], made["sandbox_id"]),
                         ("first", taken["image_digest"], taken["sandbox_id"]))
        created = other.post("/v1/sandboxes", {"snapshot": made["id"]}).json()
        self.assertEqual(created["limits"]["disk_bytes"], 100 * MIB)
        look = other.post(f"/v1/sandboxes/{created['id']}/exec", {"cmd": LOOK}).json()
        self.assertEqual(look.get("stdout_base64", look["stdout"]), before.get("stdout_base64", before["stdout"]))
        self.assertEqual(look["exit_code"], before["exit_code"])
        answer = other.post(f"/v1/sandboxes/{created['id']}/exec", {"cmd": 'echo "$WHO $PWD"; ls ~/.bashrc'}).json()
        self.assertEqual(answer["stdout"], "me /tmp\n", "what was removed of the image stays removed")
        self.assertIn("No such file", answer["stderr"])

    def test_of_image_host_too_and_what_is_made_from_it_can_be_forked_and_put_back(self):
        self.image = "host"
        sandbox = self.create()
        self.output(sandbox, "echo one >~/a")
        made = self.imported(self.export(self.snapshot(sandbox)["id"]), "?name=moved")
        self.assertEqual(made["name"], "moved")
        self.output(sandbox, "echo two >~/a")
        copy = self.create(snapshot=made["id"])
        self.assertEqual(self.output(copy, "cat ~/a"), "one\n")
        self.assertEqual(self.output(self.do(copy, "fork", {"count": 1}).json()["data"][0]["id"], "cat ~/a"), "one\n")
        self.assertEqual(self.roll_back(sandbox, made["id"]).status, 200)
        self.assertEqual(self.output(sandbox, "cat ~/a"), "one\n")

    def test_it_is_an_archive_that_other_programs_read(self):
        sandbox = self.create()
        self.output(sandbox, FILL)
        file = self.export(self.snapshot(sandbox)["id"])
        subprocess.run(["zstd", "-tq"], input=file, check=True)
        path = self.daemon.dir / "file.tar.zst"
        path.write_bytes(file)
        into = self.daemon.dir / "into"
        into.mkdir()
        subprocess.run(["tar", "--zstd", "-xf", path, "-C", into, "--no-same-owner"], check=True, capture_output=True)
        home = into / "disk/upper/home/user"
        self.assertEqual((home / "a").read_text(), "one\n")
        self.assertEqual((home / "a").stat().st_mtime_ns % 10**9, 123456789)
        self.assertEqual((home / "a").stat().st_ino, (home / "d/hard").stat().st_ino)
        self.assertEqual(((home / "sparse").stat().st_size, (home / "hole").stat().st_size), (3 << 30, 5 * MIB))
        with open(home / "sparse", "rb") as sparse:
            sparse.seek(1500 * MIB)
            self.assertEqual(sparse.read(6), b"middle")
        fields, plain = split(file)
        self.assertEqual(fields["image"], "base")
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            self.assertEqual(tar.getmembers()[-1].name, "end")

    def test_marks_and_attributes_come_back(self):
        docs = [member(b"disk/upper/usr", b"5"), member(b"disk/upper/usr/share", b"5"), member(
            b"disk/upper/usr/share/doc", b"5", records=[(b"SCHILY.xattr.user.overlay.opaque", b"y")])]
        made = self.imported(self.forged(
            member(b"disk/upper/home", b"5"), member(b"disk/upper/home/user", b"5", uid=1000, gid=1000),
            member(b"disk/upper/home/user/a", content=b"one\n", uid=1000, gid=1000,
                   records=[(b"SCHILY.xattr.user.what%3Dever", b"\0\n=value")]),
            member(b"disk/upper/home/user/.profile", b"3", mode=0), *docs))
        fields, plain = split(self.export(made["id"]))
        self.assertEqual(fields["limits"], self.fields()["limits"])
        self.assertIn(record(b"SCHILY.xattr.user.what%3Dever", b"\0\n=value"), plain)
        self.assertIn(record(b"SCHILY.xattr.user.overlay.opaque", b"y"), plain)
        self.assertNotEqual(self.output(self.create(), "ls /usr/share/doc; ls ~/.profile"), "")
        sandbox = self.create(snapshot=made["id"])
        self.assertEqual(self.output(sandbox, "cat ~/a; stat -c %u:%g ~/a; ls -A /usr/share/doc"), "one\n1000:1000\n")
        self.assertIn("No such file", self.exec(sandbox, "cat ~/.profile")["stderr"])

    def test_of_a_large_one_memory_stays_as_it_is(self):
        sandbox = self.create(limits={"disk_bytes": 1024 * MIB})
        self.output(sandbox, "head -c 300M /dev/urandom >~/big; sync")
        taken = self.snapshot(sandbox)["id"]
        path = self.daemon.dir / "file"
        with lmsb.stays_small(self.daemon.daemon_pid(), 24 * MIB):
            connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=150)
            connection.request("GET", f"/v1/snapshots/{taken}/export")
            with open(path, "wb") as file:
                shutil.copyfileobj(connection.getresponse(), file, 1 << 20)
            connection.close()
        self.assertGreater(path.stat().st_size, 300 * MIB)
        with lmsb.stays_small(self.daemon.daemon_pid(), 24 * MIB), open(path, "rb") as file:
            connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=150)
            connection.request("POST", "/v1/snapshots/import", body=file, headers={
                "Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 201, answer.read())
            connection.close()

    def test_of_a_full_disk_with_short_holes_it_fits(self):
        sandbox = self.create(limits={"disk_bytes": 64 * MIB})
        self.output(sandbox, "cd; head -c 30M /dev/urandom >full; for i in $(seq 2000); do echo x | "
                             "dd of=holes bs=1 seek=$((i * 60000)) conv=notrunc status=none; done; truncate -s 1000 hole; sync")
        file = self.export(self.snapshot(sandbox)["id"])
        again = self.create(snapshot=self.imported(file)["id"])
        look = "cd; md5sum full holes hole; stat -c %s holes; test $(du -k holes | cut -f1) -lt 20000 && echo small"
        self.assertEqual(self.output(again, look), self.output(sandbox, look))
        self.assertIn("small", self.output(again, look))

    def test_by_the_command_line(self):
        def run(*words, **kw):
            return subprocess.run([lmsb.BIN / "lm-sandbox", "--host", f"http://{self.daemon.host}:{self.daemon.port}", *words],
                                  capture_output=True, check=False, cwd=self.daemon.dir, **kw)
        sandbox = self.create()
        self.output(sandbox, "echo one >~/a")
        taken = self.snapshot(sandbox)["id"]
        done = run("snapshot", "export", taken)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{taken}.lmsnap\n".encode(), b""))
        told = json.loads(run("snapshot", "export", taken, "-o", "other", "--json").stdout)
        self.assertEqual((told["file"], told["bytes"]), ("other", (self.daemon.dir / "other").stat().st_size))
        streamed = run("snapshot", "export", taken, "-o", "-").stdout
        for words, more in (((taken + ".lmsnap",), {}), (("-", "--name", "again"), {"input": streamed})):
            made = run("snapshot", "import", *words, **more)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertEqual(self.output(self.create(snapshot=made.stdout.decode().strip()), "cat ~/a"), "one\n")
        refused = run("snapshot", "import", "log")
        self.assertEqual(refused.returncode, 1)
        self.assertIn(b"this is not the file of a snapshot", refused.stderr)
        self.assertFalse([name for name in os.listdir(self.daemon.dir) if name.startswith(".") and "lmsnap" in name])
        pipe = self.daemon.dir / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            self.assertEqual(run("snapshot", "export", taken, "-o", "pipe").returncode, 0)
            self.assertEqual(reader.stdout.read()[:4], MAGIC)
        self.assertTrue(pipe.is_fifo(), "what is no file is not replaced")
        self.assertIn(b"is a directory", run("snapshot", "export", taken, "-o", ".").stderr)
        missing = run("snapshot", "export", "snp_" + "a" * 20)
        self.assertEqual((missing.returncode, b"no snapshot" in missing.stderr), (1, True), missing.stderr)


class Refused(FileTest):
    def test_what_is_no_whole_file_leaves_nothing(self):
        sandbox = self.create()
        self.output(sandbox, "head -c 200000 /dev/urandom >~/a")
        taken = self.snapshot(sandbox)["id"]
        file = self.export(taken)
        self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + taken).status, 204)
        size = 8 + struct.unpack("<I", file[4:8])[0]
        for cut in (size, size + 10, len(file) // 2, len(file) - 4, len(file) - 1):
            self.refused(self.send(file[:cut]), 400, "snapshot_damaged")
        for cut in (0, 4, 8):
            self.refused(self.send(file[:cut]), 400, "not_a_snapshot" if cut < 8 else "snapshot_damaged")
        for at in (size - 20, size + 20, len(file) // 2, len(file) - 3):
            damaged = bytearray(file)
            damaged[at] ^= 0x10
            self.refused(self.send(bytes(damaged)), 400, "snapshot_damaged")
        self.refused(self.send(file + b"more"), 400, "snapshot_damaged")
        for garbage in (b"", b"garbage", os.urandom(100_000), b"\0" * 5000, zstd(b"x"), MAGIC + b"\xff\xff\xff\x7f"):
            self.refused(self.send(garbage), 400, "not_a_snapshot")
        self.settled()

    def test_what_does_not_fit_here_says_so(self):
        rest = zstd(archive())
        for changes, status, code in (({"image": "nothing"}, 404, "image_not_found"),
                                      ({"image_digest": "sha256:00"}, 409, "image_changed"),
                                      ({"name": "../x"}, 400, "invalid_name"), ({"workdir": "x"}, 400, "snapshot_damaged"),
                                      ({"limits": {}}, 400, "snapshot_damaged"), ({"env": {"A=B": "1"}}, 400, "snapshot_damaged")):
            self.refused(self.send(manifest(self.fields(**changes)) + rest), status, code)
        self.refused(self.send(manifest(self.fields(), 2) + rest), 400, "snapshot_version_unknown")
        good = manifest(self.fields()) + rest
        self.refused(self.send(good, "?name=a/b"), 400, "invalid_name")
        self.refused(self.send(good, "?disk_bytes=1"), 400, "limit_out_of_bounds")
        self.refused(self.send(good, f"?disk_bytes={1 << 39}"), 403, "policy_denied")
        self.refused(self.send(good, "?more=1"), 400, "invalid_request")
        self.refused(self.daemon.request("GET", f"/v1/snapshots/snp_{'a' * 20}/export"), 404, "snapshot_not_found")
        self.settled()

    def test_more_than_the_disk_may_hold_is_refused_however_it_is_said(self):
        content = os.urandom(MIB)
        members = [member(b"disk/upper/f%d" % i, content=content) for i in range(80)]
        self.refused(self.send(self.forged(*members)), 400, "snapshot_too_large")
        self.settled()
        made = self.imported(self.forged(*members), f"?disk_bytes={128 * MIB}")
        self.daemon.request("DELETE", "/v1/snapshots/" + made["id"])
        huge = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"%d" % (1 << 50))]
        self.refused(self.send(self.forged(member(b"disk/upper/huge", content=b"0\n".ljust(512, b"\0"), records=huge))),
                     400, "snapshot_too_large")
        many = [member(b"disk/upper/f%d" % i) for i in range(20_000)]
        small = self.fields(limits={**self.fields()["limits"], "disk_bytes": MIB})
        self.refused(self.send(manifest(small) + zstd(archive(*many))), 400, "snapshot_too_large")
        self.settled()

    def test_what_leads_elsewhere_or_is_no_file_of_a_sandbox_is_refused(self):
        link = member(b"disk/upper/link", b"2", link=b"/")
        directory = member(b"disk/upper/d", b"5")
        for what, members in {
                "above": [member(b"disk/upper/../../x")], "dots": [member(b"disk/upper/..", b"5")],
                "dot": [member(b"disk/upper/.")], "absolute": [member(b"/etc/x")], "another top": [member(b"other/x")],
                "work": [member(b"disk/work", b"5"), member(b"disk/work/work", b"5")], "beside": [member(b"disk/x")],
                "through a link": [link, member(b"disk/upper/link/x")],
                "twice": [member(b"disk/upper/a"), member(b"disk/upper/a")],
                "a link, then a directory": [link, member(b"disk/upper/link", b"5")],
                "into a file": [member(b"disk/upper/a"), member(b"disk/upper/a/b")],
                "out of order": [directory, member(b"disk/upper/e", b"5"), member(b"disk/upper/d/x")],
                "a name too long": [member(b"disk/upper/" + b"n" * 256)], "no name": [member(b"disk/upper/")],
                "a NUL": [member(b"disk/upper/a\0b")], "a path too long": [member(b"disk/upper/" + b"n/" * 3000)],
                "a device": [member(b"disk/upper/null", b"3", device=(1, 3))], "a disk": [member(b"disk/upper/sda", b"4")],
                "a hard link above": [member(b"disk/upper/h", b"1", link=b"disk/../../etc/passwd")],
                "a hard link out": [member(b"disk/upper/h", b"1", link=b"/etc/passwd")],
                "a hard link through a link": [link, member(b"disk/upper/h", b"1", link=b"disk/upper/link/etc/passwd")],
                "a hard link to a directory": [directory, member(b"disk/upper/h", b"1", link=b"disk/upper/d")],
                "an owner that nobody is": [member(b"disk/upper/a", uid=65536)],
                "trusted": [member(b"disk/upper/a", records=[(b"SCHILY.xattr.trusted.overlay.opaque", b"y")])],
                "capabilities": [member(b"disk/upper/a", records=[(b"SCHILY.xattr.security.capability", b"y")])],
                "a redirect": [member(b"disk/upper/d", b"5", records=[(b"SCHILY.xattr.user.overlay.redirect", b"/etc")])],
                "metacopy": [member(b"disk/upper/a", records=[(b"SCHILY.xattr.user.overlay.metacopy", b"")])],
                "another record": [member(b"disk/upper/a", records=[(b"GNU.sparse.name", b"x")])]}.items():
            with self.subTest(what):
                self.refused(self.send(self.forged(*members)), 400, "snapshot_damaged")
        with self.subTest("no top"):
            self.refused(self.send(self.forged(member(b"disk/upper/a"), top=False)), 400, "snapshot_damaged")
        with self.subTest("no end"):
            self.refused(self.send(manifest(self.fields()) + zstd(archive()[:-2048])), 400, "snapshot_damaged")
        self.settled()

    def test_what_it_says_of_its_sandbox_counts_if_that_can_be(self):
        for claimed, kept in (("s" + "0" * 19, "s" + "0" * 19), ("../x", ""), ("name", ""), ("", "")):
            made = self.imported(manifest(self.fields(sandbox_id=claimed)) + zstd(archive()))
            self.assertEqual(made["sandbox_id"], kept, claimed)
            self.daemon.request("DELETE", "/v1/snapshots/" + made["id"])

    def test_one_that_lies_on_another_image_puts_no_sandbox_back(self):
        sandbox = self.create(image="host")
        made = self.imported(manifest(self.fields(sandbox_id=sandbox)) + zstd(archive()))
        self.refused(self.roll_back(sandbox, made["id"]), 409, "image_changed")


class Interrupted(FileTest):
    def begin_import(self, file):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        connection.putrequest("POST", "/v1/snapshots/import")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(len(file)))
        connection.endheaders(file[:len(file) // 2])
        lmsb.wait_until(self.half_made, "the import")
        return connection

    def begin_export(self, snapshot):
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        connection.request("GET", f"/v1/snapshots/{snapshot}/export")
        answer = connection.getresponse()
        self.assertEqual((answer.status, len(answer.read(1000))), (200, 1000))
        return connection, answer

    def large(self):
        """A snapshot of more than all buffers on the way hold."""
        sandbox = self.create(limits={"disk_bytes": 256 * MIB})
        self.output(sandbox, "head -c 100M /dev/urandom >~/big")
        return self.snapshot(sandbox)["id"]

    def archivers(self):
        """In their disk, with no more power than they keep."""
        def is_one(pid):
            with contextlib.suppress(OSError):  # it has ended
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                return os.path.isdir(f"/proc/{pid}/root/upper") and "NoNewPrivs:\t1" in status
            return False

        return [pid for pid in lmsb.sandbox_processes() if is_one(pid)]

    def test_who_has_all_of_it_deletes_the_snapshot_at_once(self):
        sandbox = self.create()
        for _ in range(10):
            taken = self.snapshot(sandbox)["id"]
            self.export(taken)
            self.assertEqual(self.daemon.request("DELETE", "/v1/snapshots/" + taken).status, 204)

    def test_what_cannot_be_exported_breaks_off_and_leaves_nothing(self):
        sandbox = self.create()
        self.output(sandbox, "cd; for i in $(seq 17); do d=$(printf %0250d $i); mkdir $d; cd $d; done")
        taken = self.snapshot(sandbox)["id"]
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.port, timeout=60)
        connection.request("GET", f"/v1/snapshots/{taken}/export")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        with self.assertRaises((http.client.IncompleteRead, ConnectionError, ValueError)):
            answer.read()
        connection.close()
        lmsb.wait_until(lambda: self.daemon.request("DELETE", "/v1/snapshots/" + taken).status == 204, "nobody to read it")

    def test_who_leaves_an_import_leaves_nothing(self):
        self.begin_import(self.forged(*[member(b"disk/upper/f%d" % i, content=os.urandom(MIB)) for i in range(8)])).close()
        self.settled()

    def test_who_leaves_an_export_ends_it_and_the_snapshot_can_be_deleted(self):
        taken = self.large()
        connection, answer = self.begin_export(taken)
        self.refused(self.daemon.request("DELETE", "/v1/snapshots/" + taken), 409, "snapshot_busy")
        answer.close()
        connection.close()
        lmsb.wait_until(lambda: self.daemon.request("DELETE", "/v1/snapshots/" + taken).status == 204, "the end of the export")

    def test_only_so_many_are_on_their_way(self):
        taken = self.large()
        on_their_way = [self.begin_export(taken) for _ in range(2)]
        self.refused(self.daemon.request("GET", f"/v1/snapshots/{taken}/export"), 429, "sandbox_busy")
        self.refused(self.send(self.forged()), 429, "sandbox_busy")
        for connection, answer in on_their_way:
            answer.close()
            connection.close()
        lmsb.wait_until(lambda: self.send(self.forged()).status == 201, "a place")

    def test_a_daemon_that_ends_meanwhile_leaves_nothing(self):
        taken = self.large()
        file = self.forged(*[member(b"disk/upper/f%d" % i, content=os.urandom(MIB)) for i in range(8)])
        for end in (kill_everything, lmsb.Daemon.stop):
            connections = [self.begin_import(file), self.begin_export(taken)[0]]
            end(self.daemon)
            for connection in connections:
                connection.close()
            self.daemon.start()
            self.assertEqual(self.listed(), [taken])
            lmsb.wait_until(lambda: not self.half_made(), "the fresh disk's end")

    def test_an_archiver_has_one_disk_and_little_power(self):
        file = self.forged(*[member(b"disk/upper/f%d" % i, content=os.urandom(MIB)) for i in range(8)])
        for begin, power in ((lambda: self.begin_import(file), 0x1b), (lambda: self.begin_export(self.large())[0], 0x4)):
            connection = begin()
            lmsb.wait_until(self.archivers, "an archiver in its disk")
            archiver, = self.archivers()
            status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{archiver}/status").read_text().splitlines()
                          if ":\t" in line)
            for name, value in (("CapEff", power), ("CapPrm", power), ("CapBnd", 0), ("CapInh", 0), ("CapAmb", 0)):
                self.assertEqual(int(status[name], 16), value, name)
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
            self.assertLessEqual(set(os.listdir(f"/proc/{archiver}/root")), {"upper", "work"})
            self.assertEqual(len(pathlib.Path(f"/proc/{archiver}/mountinfo").read_text().splitlines()), 1)
            for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
                self.assertNotEqual(os.readlink(f"/proc/{archiver}/ns/{kind}"), os.readlink(f"/proc/self/ns/{kind}"), kind)
            connection.close()
            lmsb.wait_until(lambda: not os.path.exists(f"/proc/{archiver}"),  # pylint: disable=cell-var-from-loop
                            "the archiver's end")

    def test_what_was_written_down_is_there_after_a_kill(self):
        made = self.imported(self.forged(member(b"disk/upper/srv", b"5"), member(b"disk/upper/srv/a", content=b"one\n")))
        kill_everything(self.daemon)
        self.daemon.start()
        self.assertEqual(self.listed(), [made["id"]])
        self.assertEqual(self.output(self.create(snapshot=made["id"]), "cat /srv/a"), "one\n")


if __name__ == "__main__":
    lmsb.main()
