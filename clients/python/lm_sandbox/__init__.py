"""lm_sandbox: run commands in isolated Linux sandboxes of an lm-sandbox daemon.

    run(), run_stream()   a fresh sandbox for one command
    map()                 many of them at once, with back-off
    Sandbox               one that is kept: commands, files, processes, shell sessions, ports
    Client                another daemon than this machine's, or an API key

The daemon is found as the command line finds it: LM_SANDBOX_HOST, else the user's socket, else the system's;
LM_SANDBOX_API_KEY is the key. Everything blocks; threads may share everything but an iterator. The README beside this
package has examples, and each class and method says what it does.
"""
from .backoff import Backoff
from .batch import Done, Job, map
from .client import Client
from .errors import (AnswerTimeout, ApiError, Busy, Cancelled, CommandFailed, Conflict, ConnectionFailed, Error,
                     InvalidRequest, NoDaemon, NotAllowed, NotFound, Unavailable)
from .events import CommandEvent, CommandStream, Ended, Output, Started
from .fields import Limits
from .fileinfo import (FileEvent, FileInfo, FileStat, FoundFiles, Match, Matches, Moved, Replaced, Skipped, Unpacked)
from .files import Files
from .oneshot import plan, run, run_stream
from .port import Port, Preview
from .process import OutputPiece, Process, ProcessInfo
from .result import Ending, Result, Truncated, Usage
from .sandbox import Sandbox, SandboxInfo, Stats
from .session import Session
from .watch import Watch

__version__ = "0.1.0"
__all__ = [
    "AnswerTimeout", "ApiError", "Backoff", "Busy", "Cancelled", "Client", "CommandEvent", "CommandFailed",
    "CommandStream", "Conflict", "ConnectionFailed", "Done", "Ended", "Ending", "Error", "FileEvent", "FileInfo",
    "FileStat", "Files", "FoundFiles", "InvalidRequest", "Job", "Limits", "Match", "Matches", "Moved", "NoDaemon",
    "NotAllowed", "NotFound", "Output", "OutputPiece", "Port", "Preview", "Process", "ProcessInfo", "Replaced",
    "Result", "Sandbox", "SandboxInfo", "Session", "Skipped", "Started", "Stats", "Truncated", "Unavailable",
    "Unpacked", "Usage", "Watch", "map", "plan", "run", "run_stream",
]
