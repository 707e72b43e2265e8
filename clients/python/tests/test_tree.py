"""Directories as archives: there and back, and what hostile ones may not do."""
import io
import os
import pathlib
import socket
import tarfile
import tempfile
import unittest

import support  # for the path of lm_sandbox
from lm_sandbox import ConnectionFailed, Error, tree

assert support


class TreeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.source, self.target = self.top / "source", self.top / "target"
        self.source.mkdir()

    def unpack(self, *members):
        """An archive of (name, kind, content or target)."""
        octets = io.BytesIO()
        with tarfile.open(fileobj=octets, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, kind, content in members:
                member = tarfile.TarInfo(name)
                member.type, member.mode = kind, 0o4755
                if kind == tarfile.REGTYPE:
                    member.size = len(content)
                else:
                    member.linkname = content
                archive.addfile(member, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
        return tree.unpack([octets.getvalue()], os.fsencode(self.target))


class ThereAndBack(TreeTest):
    def test_names_contents_modes_and_links_come_back(self):
        deep = self.source / ("d" * 200) / ("e" * 200)
        deep.mkdir(parents=True)
        (deep / "f").write_bytes(bytes(range(256)) * 5)
        (self.source / "empty").touch()
        (self.source / "run").write_text("x")
        (self.source / "run").chmod(0o750)
        (self.source / "link").symlink_to("t" * 300)
        with open(os.fsencode(self.source) + b"/\xff\n", "wb") as file:
            file.write(b"octets")
        left_out = []
        done = tree.unpack(tree.pack(os.fsencode(self.source), left_out), os.fsencode(self.target))
        self.assertEqual((done.files, done.bytes), (4, 1280 + 1 + 6))
        self.assertEqual((self.target / deep.relative_to(self.source) / "f").read_bytes(), bytes(range(256)) * 5)
        self.assertEqual((self.target / "run").stat().st_mode & 0o777, 0o750)
        self.assertEqual(os.readlink(self.target / "link"), "t" * 300)
        self.assertEqual(sorted(os.listdir(os.fsencode(self.target))),
                         [b"d" * 200, b"empty", b"link", b"run", b"\xff\n"])
        self.assertEqual(left_out, [])

    def test_what_has_no_content_is_left_out_and_said(self):
        os.mkfifo(self.source / "fifo")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(self.source / "socket"))
        left_out = []
        done = tree.unpack(tree.pack(os.fsencode(self.source), left_out), os.fsencode(self.target))
        self.assertEqual((done.files, sorted(one.path for one in left_out)), (0, ["fifo", "socket"]))

    def test_a_file_that_shrinks_while_it_is_read_is_an_error(self):
        (self.source / "f").write_bytes(bytes(1000))
        pieces = tree.pack(os.fsencode(self.source), [])
        next(pieces)  # its header
        os.truncate(self.source / "f", 10)
        with self.assertRaisesRegex(Error, "shorter"):
            list(pieces)

    def test_an_archive_may_come_in_pieces_of_any_size(self):
        (self.source / "f").write_bytes(b"content")
        whole = b"".join(tree.pack(os.fsencode(self.source), []))
        tree.unpack([whole[i:i + 1] for i in range(len(whole))], os.fsencode(self.target))
        self.assertEqual((self.target / "f").read_bytes(), b"content")

    def test_a_connection_that_breaks_in_the_middle_is_an_error(self):
        def broken():
            yield b"".join(tree.pack(os.fsencode(self.source), []))[:700]
            raise ConnectionFailed("broken")

        (self.source / "f").write_bytes(bytes(1000))
        self.assertRaises(ConnectionFailed, tree.unpack, broken(), os.fsencode(self.target))
        self.assertEqual(os.listdir(self.target), [])


class Hostile(TreeTest):
    def test_a_path_does_not_lead_out(self):
        for name in ("../evil", "/evil", "a/../../evil"):
            with self.assertRaisesRegex(Error, "leads out"):
                self.unpack((name, tarfile.REGTYPE, b"x"))
        self.assertFalse((self.top / "evil").exists())

    def test_a_link_is_made_and_not_followed(self):
        outside = self.top / "outside"
        outside.mkdir()
        with self.assertRaisesRegex(Error, "leads through 'l'"):
            self.unpack(("l", tarfile.SYMTYPE, "../outside"), ("l/evil", tarfile.REGTYPE, b"x"))
        self.unpack(("l", tarfile.REGTYPE, b"in its place"))
        self.assertEqual(((self.target / "l").read_bytes(), os.listdir(outside)), (b"in its place", []))

    def test_a_directory_takes_the_place_of_a_link(self):
        outside = self.top / "outside"
        outside.mkdir()
        self.target.mkdir()
        (self.target / "l").symlink_to(outside)
        self.unpack(("l", tarfile.DIRTYPE, ""), ("l/f", tarfile.REGTYPE, b"x"))
        self.assertEqual(((self.target / "l/f").read_bytes(), os.listdir(outside)), (b"x", []))

    def test_devices_and_hard_links_are_not_made_and_said(self):
        done = self.unpack(("null", tarfile.CHRTYPE, ""), ("h", tarfile.LNKTYPE, "../source"),
                           ("p", tarfile.FIFOTYPE, ""))
        self.assertEqual((os.listdir(self.target), [one.path for one in done.skipped]), ([], ["null", "h", "p"]))

    def test_bits_that_change_the_user_are_dropped(self):
        self.unpack(("f", tarfile.REGTYPE, b"x"), ("d", tarfile.DIRTYPE, ""))
        self.assertEqual([(self.target / name).stat().st_mode & 0o7000 for name in "fd"], [0, 0])

    def test_a_file_that_is_there_is_replaced_whole(self):
        self.unpack(("f", tarfile.REGTYPE, b"old"))
        kept = self.target / "kept"
        os.link(self.target / "f", kept)
        self.unpack(("f", tarfile.REGTYPE, b"new"))
        self.assertEqual(((self.target / "f").read_bytes(), kept.read_bytes()), (b"new", b"old"))

    def test_a_directory_that_is_there_is_not_replaced_by_a_file(self):
        (self.target / "d").mkdir(parents=True)
        self.assertRaises(OSError, self.unpack, ("d", tarfile.REGTYPE, b"x"))
        self.assertEqual(os.listdir(self.target), ["d"])


if __name__ == "__main__":
    unittest.main()
