"""Tree: directories of this machine as tar archives, in both directions and in constant memory.

What comes out of a sandbox is hostile. unpack() writes below its directory only: it goes from directory to directory by
descriptors, never through a link, and refuses "..". (tarfile's own filter for this is younger than Debian 12's Python.)
"""
from __future__ import annotations

import os
import stat
import tarfile
import uuid
from typing import Any, Callable, Iterable, Iterator

from .connection import PIECE
from .errors import Error
from .fileinfo import Skipped, Unpacked

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def pack(directory: bytes, left_out: list[Skipped]) -> Iterator[bytes]:
    """The archive of what is in a directory. Devices, FIFOs and sockets are added to `left_out`. A file that becomes
    shorter meanwhile raises Error."""
    for name, path in _walk(directory):
        info = _member(name, path)
        if info is None:
            left_out.append(Skipped(_text(name), "neither a file, a directory nor a symbolic link"))
            continue
        yield info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        if info.isreg():
            yield from _content(path, info.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _walk(directory: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What is below, by its name in the archive and its path; a directory before what is in it."""
    waiting = [b""]
    while waiting:
        above = waiting.pop()
        with os.scandir(os.path.join(directory, above)) as entries:
            for entry in entries:
                name = os.path.join(above, entry.name)
                yield name, entry.path
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)


def _member(name: bytes, path: bytes) -> tarfile.TarInfo | None:
    found = os.lstat(path)
    info = tarfile.TarInfo(_text(name))
    info.mode = stat.S_IMODE(found.st_mode)
    info.mtime = int(found.st_mtime)
    if stat.S_ISREG(found.st_mode):
        info.size = found.st_size
    elif stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, _text(os.readlink(path))
    else:
        return None
    return info


def _content(path: bytes, size: int) -> Iterator[bytes]:
    """Exactly so many octets, and the rest of the last block."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0) as file:
        left = size
        while left:
            piece = file.read(min(left, PIECE))
            if not piece:
                raise Error(f"{_text(path)} became shorter while it was read", hint="send it again when it is at rest")
            left -= len(piece)
            yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def unpack(archive: Iterable[bytes], directory: bytes) -> Unpacked:
    """Takes an archive into a directory, which is made. Files and links appear whole, in place of what stands there;
    directories are made, or kept, and are always open to their owner. The umask counts."""
    os.makedirs(directory, exist_ok=True)
    pieces = iter(archive)
    reader: Any = _Reader(pieces)
    with _Target(directory) as target, \
            tarfile.open(fileobj=reader, mode="r|", encoding="utf-8", errors="surrogateescape") as members:
        for member in members:
            target.take(members, member)
            members.members = []  # type: ignore  # it would keep them all
    for _ in pieces:
        pass  # what follows the end of the archive: whether it has come whole is known behind it
    return Unpacked(target.files, target.octets, skipped=target.skipped, skipped_count=len(target.skipped))


class _Reader:
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Target:
    """A directory that is written into, and nothing outside of it."""

    def __init__(self, directory: bytes) -> None:
        self.files = 0
        self.octets = 0
        self.skipped: list[Skipped] = []
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def take(self, members: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        *above, name = _parts(member.name) or [b""]
        if not name:
            return  # the directory itself
        parent = self._open(above)
        try:
            if member.isdir():
                _make_directory(parent, name, member.mode)
            elif member.issym():
                _replace(parent, name, lambda part: os.symlink(_octets(member.linkname), part, dir_fd=parent))
            elif member.isreg() and not member.issparse():
                self._take_file(members, member, parent, name)
            else:
                self.skipped.append(Skipped(member.name, "neither a file, a directory nor a symbolic link"))
        finally:
            os.close(parent)

    def _take_file(self, members: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: bytes) -> None:
        def write(part: bytes) -> None:
            content = members.extractfile(member)
            assert content is not None
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(part, flags, member.mode & 0o777, dir_fd=parent), "wb") as file:
                while piece := content.read(PIECE):
                    file.write(piece)

        _replace(parent, name, write)
        self.files += 1
        self.octets += member.size

    def _open(self, parts: list[bytes]) -> int:
        """The directory of that path, which is made where it is missing."""
        opened = os.dup(self._root)
        for part in parts:
            try:
                below = _open_below(opened, part)
            finally:
                os.close(opened)
            opened = below
        return opened


def _open_below(parent: int, name: bytes) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise Error(f"the archive leads through {_text(name)!r}, which is no directory here", cause=error.strerror,
                    hint="download into an empty directory") from error


def _make_directory(parent: int, name: bytes, mode: int) -> None:
    try:
        os.close(os.open(name, _DIRECTORY, dir_fd=parent))
        return
    except FileNotFoundError:
        pass
    except OSError:
        os.unlink(name, dir_fd=parent)  # a file or a link stands in its way
    os.mkdir(name, mode & 0o777 | 0o700, dir_fd=parent)


def _replace(parent: int, name: bytes, make: Callable[[bytes], None]) -> None:
    """Makes something under a name of its own, and puts it in the place of what stands there."""
    part = f".lm-sandbox-{uuid.uuid4().hex}".encode()
    try:
        make(part)
        os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        try:
            os.unlink(part, dir_fd=parent)
        except FileNotFoundError:
            pass
        raise


def _parts(name: str) -> list[bytes]:
    if name.startswith("/"):
        raise _escapes(name)
    parts = [part for part in _octets(name).split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise _escapes(name)
    return parts


def _escapes(name: str) -> Error:
    return Error(f"the archive has a path that leads out of the directory: {name!r}", hint="do not trust this sandbox")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
