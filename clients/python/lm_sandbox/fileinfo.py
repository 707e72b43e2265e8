"""What the file API tells, as values. Paths are str; octets that are no UTF-8 stand in them as surrogates, as
os.fsdecode() has it, and such a path can be given to every method again. os.fsencode() gives the octets."""
from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from .result import pick


def path_of(fields: Mapping[str, Any], name: str = "path") -> str:
    encoded = fields.get(f"{name}_base64")
    if encoded is not None:
        return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
    return str(fields.get(name, ""))


@dataclass(frozen=True)
class FileInfo:
    """`path` is absolute. `type` is file, directory, symlink, fifo, socket, character_device, block_device or unknown.
    `owner` and `group` are names of the sandbox's own. `target` is where a symbolic link leads."""

    path: str
    name: str
    type: str
    size: int
    mode: int
    uid: int = 0
    gid: int = 0
    owner: str | None = None
    group: str | None = None
    links: int = 1
    modified_at: str = ""
    etag: str = ""
    target: str | None = None

    @staticmethod
    def of(fields: Mapping[str, Any]) -> FileInfo:
        return pick(FileInfo, fields, path=path_of(fields), name=path_of(fields, "name"), mode=int(fields["mode"], 8),
                    target=path_of(fields, "target") if "target" in fields else None)

    @property
    def is_file(self) -> bool:
        return self.type == "file"

    @property
    def is_directory(self) -> bool:
        return self.type == "directory"


@dataclass(frozen=True)
class FileStat:
    """`file` is what the path names; where that is a symbolic link, `target` is what it leads to (under the path of the
    link), None where that is nothing."""

    file: FileInfo
    target: FileInfo | None

    @property
    def followed(self) -> FileInfo:
        """The file that would be read."""
        return self.target or self.file


@dataclass(frozen=True)
class Skipped:
    """Something that was left out, and why."""

    path: str
    cause: str


@dataclass(frozen=True)
class LeftOut:
    """`skipped` names the first of what could not be read or done, `skipped_count` counts all of it."""

    skipped: Sequence[Skipped] = field(default=(), kw_only=True)
    skipped_count: int = field(default=0, kw_only=True)


def left_out(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"skipped": [Skipped(path_of(one), one.get("cause", "")) for one in fields.get("skipped", [])],
            "skipped_count": fields.get("skipped_count", 0)}


@dataclass(frozen=True)
class FoundFiles(LeftOut):
    """What glob() found; `truncated`: there is more than its limit."""

    files: Sequence[FileInfo]
    truncated: bool

    def __iter__(self) -> Iterator[FileInfo]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class Match:
    """A line that grep() found, from 1; `text_cut`: it is longer than `text`."""

    path: str
    line: int
    text: str
    text_cut: bool


@dataclass(frozen=True)
class Matches(LeftOut):
    """What grep() found; `files` counts those that were looked at; `truncated`: there is more than its limit."""

    matches: Sequence[Match]
    files: int
    truncated: bool

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)


@dataclass(frozen=True)
class Replaced(LeftOut):
    """What replace() did: how often, in all and by path; `truncated`: it stopped at its limit of files."""

    replacements: int
    files: Mapping[str, int]
    truncated: bool


@dataclass(frozen=True)
class Moved(LeftOut):
    """What move() and copy() did: `file` is where it is now; how many files and octets were copied for it."""

    file: FileInfo
    files: int
    bytes: int


@dataclass(frozen=True)
class Unpacked(LeftOut):
    """How many files and octets an upload brought."""

    files: int
    bytes: int


@dataclass(frozen=True)
class FileEvent:
    """`type` is created (or moved here), written, removed, renamed (moved away), changed (permissions, owner, times),
    lost (more happened than could be told) or gone (the directory itself: the last). `path` is None of the last two."""

    type: str
    path: str | None = None
    directory: bool = False

    @staticmethod
    def of(fields: Mapping[str, Any]) -> FileEvent:
        path = path_of(fields) if "path" in fields or "path_base64" in fields else None
        return FileEvent(str(fields.get("type", "")), path, bool(fields.get("directory")))
