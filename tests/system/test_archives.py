#!/usr/bin/python3
"""Directories of kept sandboxes as archives, by the programs that everybody has, and what hostile archives do to them."""
import gzip
import io
import pathlib
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_files import FilesTest

TYPES = {"tar": "application/x-tar", "tar.zst": "application/zstd", "zip": "application/zip"}


class ArchiveTest(FilesTest):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-archive-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def pack(self, form, path):
        answer = self.call("GET", "archive", path=path, format=form)
        self.assertEqual(answer.status, 200, answer.body[:300])
        self.assertEqual(answer.headers["Content-Type"], TYPES[form])
        return answer.body

    def unpack(self, form, octets, path):
        return self.call("PUT", "archive", octets, {"Content-Type": TYPES[form]}, path=path)

    def tool(self, *words, cwd=None):
        if not shutil.which(words[0]):
            self.skipTest(f"{words[0]} is not installed: apt-get install {words[0]}")
        return subprocess.run(words, cwd=cwd or self.dir, check=True, stdout=subprocess.PIPE, timeout=120).stdout


class RoundTrips(ArchiveTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls.daemon.post(cls.base + "/exec", {"cmd": (
            "mkdir -p t/d/deep t/empty; echo 1 > t/d/f; head -c 3000000 /dev/urandom > t/d/noise; yes | head -c 5000000 > t/yes;"
            "touch t/nothing; ln -s ../nowhere t/d/l; printf x > 't/d/deep/größe mit Leerzeichen'; chmod 700 t/yes;"
            "touch -d '2001-02-03 04:05:06 UTC' t/d/f; mkfifo t/fifo; chmod 750 t/empty")}).json()
        assert made["exit_code"] == 0, made

    def listing(self, path):
        return self.sh(f"cd {path} && find . -type f -printf '%P %m %Ts\\n' | sort; find . -type l -printf '%P %l\\n' | sort; "
                       f"find . -type f -exec sha256sum {{}} + | sort; find . -type d -printf '%P %m\\n' | sort")

    def test_every_format_goes_there_and_back(self):
        for form in TYPES:
            answer = self.unpack(form, self.pack(form, "t"), "back-" + form)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.listing("back-" + form), self.listing("t"), form)

    def test_python_reads_our_zip(self):
        archive = zipfile.ZipFile(io.BytesIO(self.pack("zip", "t")))
        self.assertIsNone(archive.testzip())
        self.assertEqual(archive.read("d/f"), b"1\n")
        self.assertEqual(archive.getinfo("d/f").date_time, (2001, 2, 3, 4, 5, 6))
        self.assertIn("d/deep/größe mit Leerzeichen", archive.namelist())
        self.assertTrue(stat.S_ISLNK(archive.getinfo("d/l").external_attr >> 16))
        self.assertNotIn("fifo", archive.namelist())

    def test_unzip_and_tar_read_what_we_make(self):
        (self.dir / "t.zip").write_bytes(self.pack("zip", "t"))
        self.tool("unzip", "-q", "t.zip", "-d", "z")
        (self.dir / "t.tar.zst").write_bytes(self.pack("tar.zst", "t"))
        (self.dir / "s").mkdir()
        self.tool("zstd", "-q", "-t", "t.tar.zst")
        self.tool("tar", "--zstd", "-xf", "t.tar.zst", "-C", "s")
        self.tool("diff", "-r", "--no-dereference", "s", "z")
        self.assertEqual((self.dir / "z/d/l").readlink(), pathlib.Path("../nowhere"))
        self.assertEqual((self.dir / "z/yes").stat().st_mode & 0o777, 0o700)
        self.assertEqual(int((self.dir / "z/d/f").stat().st_mtime), 981173106)

    def test_we_read_what_zip_and_tar_make(self):
        tree = self.dir / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "sub/a").write_bytes(bytes(range(256)) * 5000)
        (tree / "sub/l").symlink_to("a")
        (tree / "b").write_text("b\n")
        for form, words in (("zip", ["zip", "-q", "-r", "-y", "../a", "."]), ("zip", ["zip", "-q", "-0", "-r", "-y", "../a0.zip", "."]),
                            ("tar.zst", ["tar", "--zstd", "-cf", "../a.tar.zst", "."])):
            self.tool(*words, cwd=tree)
        self.tool("zstd", "-q", "-19", "-o", "19.zst", "--", str(self.raw_tar(tree)))
        for form, name in (("zip", "a.zip"), ("zip", "a0.zip"), ("tar.zst", "a.tar.zst"), ("tar.zst", "19.zst")):
            answer = self.unpack(form, (self.dir / name).read_bytes(), "in-" + name)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(self.sh(f"cd in-{name}; readlink sub/l; cat b; stat -c %s sub/a"), "a\nb\n1280000\n")

    def raw_tar(self, tree):
        path = self.dir / "raw.tar"
        with tarfile.open(path, "w") as out:
            out.add(tree, ".")
        return path

    def test_a_zip_that_was_written_as_a_stream_is_read(self):
        class Pipe(io.RawIOBase):  # cannot seek: sizes follow the contents
            def __init__(self):
                self.octets = bytearray()

            def writable(self):
                return True

            def write(self, octets):
                self.octets += octets
                return len(octets)

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("a", b"1" * 100000)
            with out.open("b", "w", force_zip64=True) as part:
                part.write(b"2")
        self.assertEqual(self.unpack("zip", bytes(pipe.octets), "streamed").status, 200)
        self.assertEqual(self.sh("stat -c %s streamed/a; cat streamed/b"), "100000\n2")

    def test_one_file_is_an_archive_of_one(self):
        self.assertEqual(zipfile.ZipFile(io.BytesIO(self.pack("zip", "t/d/f"))).namelist(), ["f"])

    def test_the_archive_of_an_empty_directory_is_one(self):
        self.assertEqual(zipfile.ZipFile(io.BytesIO(self.pack("zip", "t/empty"))).namelist(), [])
        self.assertEqual(self.unpack("zip", self.pack("zip", "t/empty"), "empty2").json()["files"], 0)

    def test_unknown_formats_are_refused_with_those_that_there_are(self):
        self.refused(self.call("GET", "archive", path="t", format="rar"), 406, "unsupported_archive_format")
        self.refused(self.call("PUT", "archive", b"x", {"Content-Type": "application/gzip"}, path="t"), 415,
                     "unsupported_archive_format")


def zip_of(*members):
    """Of (name, content, Unix mode)."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr, info.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
            out.writestr(info, content)
    return octets.getvalue()


FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777


class Hostile(ArchiveTest):
    def test_a_zip_does_not_escape(self):
        for members in ([("../evil", "x", FILE)], [("a/../../evil", "x", FILE)],
                        [("l", "/tmp", LINK), ("l/evil", "x", FILE)], [("l", "..", LINK), ("l/evil", "x", FILE)]):
            self.refused(self.unpack("zip", zip_of(*members), "e/s/c"), 400, "archive_escapes")
        self.assertEqual(self.unpack("zip", zip_of(("/tmp/evil", "x", FILE)), "abs").status, 200)
        self.assertEqual(self.sh("find / -xdev -name evil 2>/dev/null; true"), "/workspace/abs/tmp/evil\n")

    def test_a_link_that_is_replaced_is_not_followed(self):
        warnings.simplefilter("ignore")  # two members of one name
        self.sh("echo mine > target; mkdir -p dup; ln -s ../target dup/a")
        octets = zip_of(("a", "1", FILE), ("a", "../target", LINK), ("a", "2", FILE))
        self.assertEqual(self.unpack("zip", octets, "dup").status, 200)
        self.assertEqual(self.sh("cat target dup/a"), "mine\n2")

    def test_devices_are_left_out(self):
        answer = self.unpack("zip", zip_of(("dev", "", stat.S_IFCHR | 0o666), ("a", "1", FILE)), "devices")
        self.assertEqual((answer.status, len(answer.json()["skipped"])), (200, 1), answer.body)

    def test_what_is_packed_in_another_way_is_said_to_be(self):
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            octets = io.BytesIO()
            with zipfile.ZipFile(octets, "w", method) as out:
                out.writestr("a", "1")
            self.refused(self.unpack("zip", octets.getvalue(), "other"), 400, "unsupported_archive")
        (self.dir / "f").write_text("secret")
        self.tool("zip", "-q", "-P", "word", "locked.zip", "f")
        self.refused(self.unpack("zip", (self.dir / "locked.zip").read_bytes(), "other"), 400, "unsupported_archive")
        self.assertEqual(self.sh("ls other"), "")

    def test_what_is_nearly_all_holes_is_refused_before_anything_comes_or_left_out(self):
        self.sh("mkdir holes; echo a >holes/a; truncate -s 1T holes/b")
        for path in ("holes", "holes/b"):
            self.refused(self.call("GET", "archive", path=path), 409, "file_too_sparse")
        self.assertEqual(self.call("GET", "archive", path="holes", skip_unreadable="true").status, 200)

    def test_what_cannot_be_read_is_refused_before_anything_comes_or_named_behind_it(self):
        self.sh("mkdir -p part/d; echo a > part/a; echo b > part/d/b; chmod 000 part/d/b")
        refused = self.call("GET", "archive", path="part")
        self.refused(refused, 403, "file_access_denied")
        self.assertIn("part/d/b", refused.json()["error"]["message"])
        with socket.create_connection((self.daemon.host, self.daemon.port)) as raw:
            raw.sendall(f"GET {self.base}/archive?path=part&skip_unreadable=true HTTP/1.1\r\nHost: localhost\r\n"
                        "Connection: close\r\n\r\n".encode())
            octets = b"".join(iter(lambda: raw.recv(65536), b""))
        self.assertIn(b"X-Skipped-Count: 1\r\nX-Skipped: d%2Fb\r\n", octets[-100:])

    def test_second_names_of_files_stay_links(self):
        self.sh("mkdir -p twice/d back; echo a > twice/a; ln twice/a twice/d/b; truncate -s 5M twice/hole")
        self.assertEqual(self.call("PUT", "archive", self.call("GET", "archive", path="twice").body,
                                   {"Content-Type": "application/x-tar"}, path="back").status, 200)
        self.assertEqual(self.sh("stat -c %h back/a; cat back/d/b; stat -c %s back/hole"), "2\na\n5242880\n")
        self.assertLess(int(self.sh("du -k back/hole | cut -f1")), 100)

    def test_damaged_and_cut_off_archives_are_said_to_be(self):
        self.sh("mkdir -p whole; seq 100000 > whole/a; echo 2 > whole/b")
        for form in ("zip", "tar.zst"):
            whole = self.pack(form, "whole")
            for octets in (b"", whole[:10], whole[:len(whole) // 2], whole[:-1], b"\0" * 5000, b"text " * 1000):
                self.refused(self.unpack(form, octets, "cut"), 400, "invalid_archive")
            damaged = bytearray(whole)
            damaged[len(damaged) // 2] ^= 0x20
            self.refused(self.unpack(form, bytes(damaged), "cut"), 400, "invalid_archive")
        self.sh("cd cut; for f in *; do cmp $f ../whole/$f; done")  # a file is whole or not there

    def test_one_format_is_not_taken_for_another(self):
        self.refused(self.unpack("tar", zip_of(("a", "1", FILE)), "mixed"), 400, "invalid_archive")
        self.refused(self.unpack("zip", self.pack("tar", "/workspace"), "mixed"), 400, "invalid_archive")
        self.refused(self.unpack("tar.zst", self.pack("tar", "/workspace"), "mixed"), 400, "invalid_archive")
        for form, octets in (("tar", gzip.compress(b"short")), ("tar", gzip.compress(self.pack("tar", "/workspace"))),
                             ("tar", zip_of(("a", "1", FILE))), ("zip", gzip.compress(b"short"))):
            self.assertIn("another format", self.unpack(form, octets, "mixed").json()["error"]["message"])
        followed = self.unpack("zip", zip_of(("a", "1", FILE)) + b"more", "mixed")
        self.assertIn("follows the end", followed.json()["error"]["message"])

    def test_contents_that_lie_over_each_other_are_refused(self):
        octets = bytearray(zip_of(*((f"{i:03}", b"0" * 1_000_000, FILE) for i in range(2))))
        first = octets.index(b"PK\x01\x02")
        entry, end = bytes(octets[first:octets.index(b"PK\x01\x02", first + 4)]), octets[octets.rindex(b"PK\x05\x06"):]
        directory = entry * 500
        end[8:16] = struct.pack("<HHI", 500, 500, len(directory))
        self.refused(self.unpack("zip", bytes(octets[:first]) + directory + bytes(end), "over"), 400, "invalid_archive")


class SmallDisk(ArchiveTest):
    limits = {"disk_bytes": 160 << 20, "memory_bytes": 512 << 20}

    def test_a_bomb_fills_the_sandboxes_own_disk_and_no_more(self):
        ones = io.BytesIO()  # zeros would become holes
        with zipfile.ZipFile(ones, "w", zipfile.ZIP_DEFLATED) as out, out.open("ones", "w", force_zip64=True) as bomb:
            for _ in range(300):
                bomb.write(b"\1" * (1 << 20))
        packed = self.bomb_of_zstd(300)
        for form, octets in (("zip", ones.getvalue()), ("tar.zst", packed)):
            self.assertLess(len(octets), 1 << 20)
            self.refused(self.unpack(form, octets, "bomb"), 507, "disk_full")
            self.assertEqual(self.sh("ls bomb"), "")

    def bomb_of_zstd(self, mebibytes):
        with open(self.dir / "ones", "wb") as ones:
            for _ in range(mebibytes):
                ones.write(b"\1" * (1 << 20))
        with tarfile.open(self.dir / "plain.tar", "w") as out:
            out.add(self.dir / "ones", "ones")
        self.tool("zstd", "-q", "-3", "plain.tar", "-o", "bomb.zst")
        return (self.dir / "bomb.zst").read_bytes()

    def test_as_many_files_as_one_likes_take_no_memory_of_the_daemon(self):
        self.sh("mkdir many; cd many; for i in $(seq 3000); do echo $i > file-with-a-name-$i; done; head -c 20000000 /dev/urandom > big")
        for form in ("zip", "tar.zst"):
            self.assertEqual(self.unpack(form, self.pack(form, "many"), "many-" + form).status, 200)
            self.assertEqual(self.sh(f"diff -r many many-{form} && rm -r many-{form}"), "")


if __name__ == "__main__":
    lmsb.main()
