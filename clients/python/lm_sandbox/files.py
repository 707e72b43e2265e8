"""Files: those of one sandbox, with the rights of its user.

A path is absolute, or relative to the sandbox's working directory; str, bytes, or a pathlib path. A write is all or
nothing: until the new file is whole, the old one stays.
"""
from __future__ import annotations

from typing import IO, Any, Iterable, Iterator, Mapping, Union

from . import fields as f
from . import transfer
from .client import TREE_TIMEOUT, Client
from .errors import InvalidRequest, NotFound
from .fileinfo import (FileInfo, FileStat, FoundFiles, Match, Matches, Moved, Replaced, Skipped, Unpacked,
                       left_out, path_of)
from .watch import Watch

Content = Union[str, bytes, IO[bytes], Iterable[bytes]]


class Files:
    """Errors are NotFound (file_not_found), NotAllowed (file_access_denied), Conflict (file_exists, is_a_directory,
    ...), ApiError (disk_full), and the other codes of docs/reference/errors.md."""

    def __init__(self, client: Client, base: str) -> None:
        self._client = client
        self._base = base

    # Content

    def read(self, path: f.Path, offset: int = 0, length: int | None = None) -> bytes:
        """A file, or `length` octets of it from `offset` on: fewer where it ends, none from behind its end."""
        return b"".join(self.pieces(path, offset, length))

    def read_text(self, path: f.Path, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read(path).decode(encoding, errors)

    def pieces(self, path: f.Path, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The same in pieces, so that a file of any size needs no memory. Not a snapshot: a file that becomes shorter
        meanwhile raises ConnectionFailed."""
        if length == 0:
            return iter(())
        last = "" if length is None else offset + length - 1
        headers = {} if offset == 0 and length is None else {"Range": f"bytes={offset}-{last}"}
        try:
            return self._client.open("GET", f"{self._base}/files", query=f.path(path), headers=headers).pieces()
        except InvalidRequest as error:
            if error.code == "range_not_satisfiable":
                return iter(())
            raise

    def read_into(self, path: f.Path, file: IO[bytes]) -> int:
        """Writes a file's content to `file` and returns how many octets that were."""
        return transfer.copy_pieces(self.pieces(path), file)

    def write(self, path: f.Path, content: Content, *, mode: int | None = None, owner: str | None = None,
              create: bool = False, if_match: str | None = None) -> FileInfo:
        """Makes or replaces a file; directories that are missing are made. `content` is text, octets, a file open for
        reading in binary, or an iterable of octets: the last two are sent as they are read. `mode` is by default that
        of the file that is replaced, or 0o644; `owner` is "USER" or "USER:GROUP", by name or number. With `create` it
        raises Conflict (file_exists) rather than replace one; with `if_match`, the etag of a FileInfo, ApiError
        (precondition_failed) rather than replace another content."""
        headers = {**({"If-None-Match": "*"} if create else {}), **f.given(**{"If-Match": if_match})}
        return self._put(path, content, f.given(mode=f.mode(mode), owner=owner), headers)

    def append(self, path: f.Path, content: Content) -> FileInfo:
        """Appends; not all or nothing."""
        return self._put(path, content, {"append": "true"}, {})

    # Looking

    def stat(self, path: f.Path) -> FileStat:
        answer = self._client.call("GET", f"{self._base}/files/stat", query=f.path(path))
        return FileStat(FileInfo.of(answer["file"]), FileInfo.of(answer["target"]) if answer.get("target") else None)

    def exists(self, path: f.Path) -> bool:
        """Whether something is there, if only a link that leads nowhere."""
        try:
            self.stat(path)
        except NotFound as error:
            if error.code == "file_not_found":
                return False
            raise
        return True

    def list(self, path: f.Path = ".", *, depth: int = 1) -> Listing:
        """Iterates over what is in a directory, by path, asked for page by page; 1 = the directory itself."""
        return Listing(self._client, self._base, {**f.path(path), "depth": str(depth)})

    def glob(self, pattern: str, path: f.Path = ".", *, limit: int = 1000) -> FoundFiles:
        """Files below `path` that match, as "**/*.py" does."""
        found = self._do("glob", **f.path(path), pattern=pattern, limit=limit)
        return FoundFiles([FileInfo.of(one) for one in found["data"]], found["truncated"], **left_out(found))

    def grep(self, pattern: str, path: f.Path = ".", *, regex: bool = False, ignore_case: bool = False,
             names: str | None = None, limit: int = 1000) -> Matches:
        """Lines of text files below `path`, or of that file, that contain a text or match a regular expression; with
        `names` ("*.py") only of files that are called so."""
        found = self._do("grep", **f.path(path), pattern=pattern, regex=regex, ignore_case=ignore_case, limit=limit,
                         **f.given(names=names))
        matches = [Match(path_of(one), one["line"], one["text"], one["text_cut"]) for one in found["matches"]]
        return Matches(matches, found["files"], found["truncated"], **left_out(found))

    def watch(self, path: f.Path = ".", *, recursive: bool = True) -> Watch:
        """Iterates over what happens in a directory from now on: when this returns, nothing is missed any more."""
        query = {**f.path(path), "recursive": "true" if recursive else "false"}
        return Watch(self._client.events("GET", f"{self._base}/files/watch", query=query))

    # Changing

    def replace(self, path: f.Path, old: str, new: str, *, names: str | None = None, limit: int = 1000) -> Replaced:
        """Replaces a text in a file, or in the files below a directory, each all or nothing."""
        done = self._do("replace", **f.path(path), old=old, new=new, limit=limit, **f.given(names=names))
        by_path = {path_of(one): one["replacements"] for one in done["files"]}
        return Replaced(done["replacements"], by_path, done["truncated"], **left_out(done))

    def mkdir(self, path: f.Path, *, mode: int = 0o755, parents: bool = True) -> FileInfo:
        """Makes a directory. With `parents` it may be there already, and what is missing above it is made."""
        return FileInfo.of(self._do("mkdir", **f.path(path), mode=f.mode(mode), parents=parents))

    def move(self, path: f.Path, to: f.Path, *, overwrite: bool = False) -> Moved:
        """`to` is the new path itself, not a directory to put it in."""
        return _moved(self._do("move", **f.path(path), **f.path(to, "to"), overwrite=overwrite))

    def copy(self, path: f.Path, to: f.Path, *, overwrite: bool = False) -> Moved:
        return _moved(self._do("copy", **f.path(path), **f.path(to, "to"), overwrite=overwrite))

    def chmod(self, path: f.Path, mode: int | None = None, *, owner: str | None = None, recursive: bool = False) -> int:
        """Changes permissions, the owner ("USER" or "USER:GROUP"), or both; returns how many files were changed."""
        asked = f.given(mode=f.mode(mode), owner=owner)
        return int(self._do("chmod", **f.path(path), **asked, recursive=recursive)["changed"])

    def remove(self, path: f.Path, *, recursive: bool = False) -> None:
        """A file, or an empty directory; with `recursive` also what is in it."""
        query = {**f.path(path), "recursive": "true" if recursive else "false"}
        self._client.call("DELETE", f"{self._base}/files", query=query, timeout=TREE_TIMEOUT)

    # Between this machine and the sandbox

    def upload(self, source: f.Path, path: f.Path) -> Unpacked:
        """Brings a file or a directory of this machine to `path`, which is its new path itself. Needs no memory. In a
        directory existing files are replaced, each all or nothing. Links stay links; devices, FIFOs and sockets are
        left out; owners are the sandbox's user."""
        return transfer.upload(self, source, path)

    def download(self, path: f.Path, target: f.Path) -> Unpacked:
        """Brings a file or a directory of the sandbox to `target`, which is its new path itself, and is made. Needs no
        memory. Nothing is written outside of it, whatever the sandbox says: links are kept as links and never followed,
        set-user-id bits are dropped. Files are replaced, each all or nothing."""
        return transfer.download(self, path, target)

    def upload_archive(self, archive: IO[bytes] | Iterable[bytes], path: f.Path, *, format: str = "tar",
                       owner: str | None = None) -> Unpacked:
        """Unpacks an archive ("tar", "tar.zst" or "zip") into a directory, which is made. It is sent as it is read.
        `owner` is of all that is made, else the sandbox's user."""
        query = {**f.path(path), "format": format, **f.given(owner=owner)}
        done = self._client.call("PUT", f"{self._base}/archive", query=query, body=transfer.octets_of(archive),
                                 timeout=TREE_TIMEOUT)
        return Unpacked(done["files"], done["bytes"], **left_out(done))

    def download_archive(self, path: f.Path, *, format: str = "tar", skip_unreadable: bool = False) -> Iterator[bytes]:
        """A directory as an archive ("tar", "tar.zst" or "zip"), in pieces; names are relative to it. What cannot be
        read is an error before the first piece, or is left out with `skip_unreadable`; what goes away meanwhile ends the
        archive with ConnectionFailed."""
        query = {**f.path(path), "format": format, "skip_unreadable": "true" if skip_unreadable else "false"}
        return self._client.open("GET", f"{self._base}/archive", query=query).pieces()

    def _put(self, path: f.Path, content: Content, query: Mapping[str, str], headers: Mapping[str, str]) -> FileInfo:
        return FileInfo.of(self._client.call("PUT", f"{self._base}/files", query={**f.path(path), **query},
                                             headers=headers, body=transfer.octets_of(content)))

    def _do(self, operation: str, **fields: Any) -> Any:
        return self._client.call("POST", f"{self._base}/files/{operation}", fields, timeout=TREE_TIMEOUT)


class Listing:
    """Iterates over the entries of a directory. `skipped` and `skipped_count` say what could not be read so far."""

    def __init__(self, client: Client, base: str, query: dict[str, str]) -> None:
        self.skipped: list[Skipped] = []
        self.skipped_count = 0
        self._entries = self._read(client, base, query)

    def __iter__(self) -> Iterator[FileInfo]:
        return self._entries

    def __next__(self) -> FileInfo:
        return next(self._entries)

    def _read(self, client: Client, base: str, query: dict[str, str]) -> Iterator[FileInfo]:
        while True:
            page = client.call("GET", f"{base}/files/list", query=query, timeout=TREE_TIMEOUT)
            missing = left_out(page)
            self.skipped += missing["skipped"]
            self.skipped_count += missing["skipped_count"]
            yield from map(FileInfo.of, page["data"])
            if not page.get("next_cursor"):
                return
            query = {**query, "cursor": page["next_cursor"]}


def _moved(done: Mapping[str, Any]) -> Moved:
    return Moved(FileInfo.of(done["file"]), done["files"], done["bytes"], **left_out(done))
