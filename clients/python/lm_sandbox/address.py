"""Address: where the daemon is. The same rules as of the command line `lm-sandbox`.

What is given comes first, then LM_SANDBOX_HOST, then the user's socket ($XDG_RUNTIME_DIR/lm-sandbox/api.sock), then the
system's (/run/lm-sandbox/api.sock). Unlike the command line, this starts no private daemon.
"""
from __future__ import annotations

import errno
import os
import socket
import urllib.parse
from dataclasses import dataclass
from typing import Callable, Mapping

from .errors import Error, NoDaemon

SYSTEM_SOCKET = "/run/lm-sandbox/api.sock"
JOIN_GROUP = "join its group (sudo usermod -aG lm-sandbox $USER, then log in again) or run as root"
_FORMS = "write http://HOST:PORT, https://HOST or unix:/PATH"


@dataclass(frozen=True)
class Address:
    """`scheme` is "http", "https" or "unix"; a socket has a `path`, the others `host`, `port` and `base`, what stands
    before every path of the API."""

    scheme: str
    host: str = "localhost"
    port: int = 0
    path: str = ""
    base: str = ""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}://{self.authority}{self.base}"

    @property
    def authority(self) -> str:
        """As it stands in the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == {"http": 80, "https": 443}.get(self.scheme, self.port)
        return host if is_default else f"{host}:{self.port}"

    @staticmethod
    def parse(text: str) -> Address:
        """Of "http://127.0.0.1:8000", "https://host/base" or "unix:/path". Raises Error for anything else."""
        if text.startswith("unix:"):
            return Address("unix", path=_socket_path(text))
        parts = urllib.parse.urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Error(f"{text!r} is not the address of a daemon", hint=_FORMS)
        if parts.username is not None or parts.query or parts.fragment:
            raise Error(f"{text!r}: a user name, query or fragment has no meaning there", hint=_FORMS)
        return Address(parts.scheme, parts.hostname, _port(parts), base=parts.path.rstrip("/"))

    @staticmethod
    def find(environ: Mapping[str, str] | None = None,
             try_socket: Callable[[str], int] | None = None) -> Address:
        """Of the daemon to ask where none is named. Raises NoDaemon, which says what to do."""
        environ = os.environ if environ is None else environ
        try_socket = try_socket or _try_socket
        if environ.get("LM_SANDBOX_HOST"):
            return Address.parse(environ["LM_SANDBOX_HOST"])
        if environ.get("XDG_RUNTIME_DIR"):
            path = environ["XDG_RUNTIME_DIR"] + "/lm-sandbox/api.sock"
            if try_socket(path) == 0:
                return Address("unix", path=path)
        refused = try_socket(SYSTEM_SOCKET)
        if refused == 0:
            return Address("unix", path=SYSTEM_SOCKET)
        if refused in (errno.EACCES, errno.EPERM):
            raise NoDaemon(f"a daemon is running, but {SYSTEM_SOCKET} is closed to you", hint=JOIN_GROUP,
                           may_have_run=False)
        raise NoDaemon("no daemon is running", may_have_run=False,
                       hint="start one (sudo lm-sandbox serve), or set LM_SANDBOX_HOST to where one is")


def _port(parts: urllib.parse.SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise Error(f"{parts.geturl()!r}: the port is none", hint=_FORMS)
    return port or {"http": 80, "https": 443}[parts.scheme]


def _socket_path(text: str) -> str:
    path = text[len("unix://"):] if text.startswith("unix://") else text[len("unix:"):]
    if not path or len(os.fsencode(path)) > 107:
        raise Error(f"{text!r}: the path of a socket has 1 to 107 octets", hint=_FORMS)
    return path


def _try_socket(path: str) -> int:
    """Connects and closes again: 0, or the errno."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) if len(os.fsencode(path)) <= 107 else errno.ENAMETOOLONG
