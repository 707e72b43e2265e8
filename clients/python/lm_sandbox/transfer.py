"""Transfer: files and directories between this machine and a sandbox, in constant memory."""
from __future__ import annotations

import os
import stat
import uuid
from typing import IO, TYPE_CHECKING, Callable, Iterable, Iterator, Union

from . import tree
from .connection import PIECE
from .fields import Path
from .fileinfo import Skipped, Unpacked

if TYPE_CHECKING:
    from .files import Files


def octets_of(content: Union[str, bytes, IO[bytes], Iterable[bytes]]) -> Union[bytes, Iterable[bytes]]:
    """What a request sends of it."""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    read = getattr(content, "read", None)
    return content if read is None else _read_all(read)


def _read_all(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE):
        yield piece


def copy_pieces(pieces: Iterable[bytes], file: IO[bytes]) -> int:
    count = 0
    for piece in pieces:
        file.write(piece)
        count += len(piece)
    return count


def upload(files: Files, source: Path, path: Path) -> Unpacked:
    mode = os.stat(source).st_mode
    if stat.S_ISDIR(mode):
        left_out: list[Skipped] = []
        done = files.upload_archive(tree.pack(os.fsencode(source), left_out), path)
        return Unpacked(done.files, done.bytes, skipped=[*left_out, *done.skipped],
                        skipped_count=len(left_out) + done.skipped_count)
    if not stat.S_ISREG(mode):
        raise ValueError(f"{os.fsdecode(source)} is neither a file nor a directory")
    with open(source, "rb") as file:
        info = files.write(path, file, mode=mode & 0o777)
    return Unpacked(1, info.size)


def download(files: Files, path: Path, target: Path) -> Unpacked:
    info = files.stat(path).followed
    if info.is_directory:
        return tree.unpack(files.download_archive(path), os.fsencode(target))
    return Unpacked(1, replace_file(os.fsencode(target), files.pieces(path), info.mode & 0o777))


def replace_file(target: bytes, pieces: Iterable[bytes], mode: int) -> int:
    """Writes a file of this machine; the old one stays until the new one is whole. Returns how many octets it has."""
    part = os.path.join(os.path.dirname(target), f".lm-sandbox-{uuid.uuid4().hex}".encode())
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(opened, "wb") as file:
            count = copy_pieces(pieces, file)
        os.replace(part, target)
        return count
    except BaseException:
        if os.path.lexists(part):
            os.unlink(part)
        raise
