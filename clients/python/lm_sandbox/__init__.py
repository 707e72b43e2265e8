"""lm_sandbox: run commands in isolated Linux sandboxes of an lm-sandbox daemon.

    run(), run_stream()   a fresh sandbox for one command
    map()                 many of them at once, with back-off
    Sandbox               one that is kept: commands, files, processes, terminals, shell sessions, ports, logs
    Volume, Snapshot      what outlives a sandbox
    SandboxEvents         what happens to sandboxes, as it happens
    Key                   API keys, for administrators
    Image, Model          what the daemon has
    Client                another daemon than this machine's, or an API key

The daemon is found as the command line finds it: LM_SANDBOX_HOST, else the user's socket, else the system's;
LM_SANDBOX_API_KEY is the key. Everything blocks; threads may share everything but an iterator. The README beside this
package has examples, and each class and method says what it does.
"""
from .backoff import Backoff
from .batch import Done, Job, map
from .catalog import Image, Model
from .client import Client
from .errors import (AnswerTimeout, ApiError, Busy, Cancelled, CommandFailed, Conflict, ConnectionFailed, Error,
                     InvalidRequest, NoDaemon, NotAllowed, NotFound, TerminalClosed, Unavailable)
from .events import CommandEvent, CommandStream, Ended, Output, Started
from .fields import Limits
from .fileinfo import (FileEvent, FileInfo, FileStat, FoundFiles, Match, Matches, Moved, Replaced, Skipped, Unpacked)
from .files import Files
from .key import Key, KeyInfo, Quota
from .logs import LogEvent, LogStream, LogTail
from .oneshot import plan, run, run_stream
from .port import Port, Preview
from .process import OutputPiece, Process, ProcessInfo
from .result import Ending, Result, Truncated, Usage
from .sandbox import Sandbox
from .sandbox_events import SandboxEvent, SandboxEvents
from .sandbox_info import EgressEvent, EgressReport, NetworkUsage, SandboxInfo, Stats
from .session import Session, SessionInfo
from .snapshot import Snapshot, SnapshotInfo
from .terminal import Terminal
from .volume import Volume, VolumeInfo
from .watch import Watch

__version__ = "0.1.0"
__all__ = [
    "AnswerTimeout", "ApiError", "Backoff", "Busy", "Cancelled", "Client", "CommandEvent", "CommandFailed",
    "CommandStream", "Conflict", "ConnectionFailed", "Done", "EgressEvent", "EgressReport", "Ended", "Ending",
    "Error", "FileEvent", "FileInfo", "FileStat", "Files", "FoundFiles", "Image", "InvalidRequest", "Job", "Key",
    "KeyInfo", "Limits", "LogEvent", "LogStream", "LogTail", "Match", "Matches", "Model", "Moved", "NetworkUsage",
    "NoDaemon", "NotAllowed", "NotFound", "Output", "OutputPiece", "Port", "Preview", "Process", "ProcessInfo",
    "Quota", "Replaced", "Result", "Sandbox", "SandboxEvent", "SandboxEvents", "SandboxInfo", "Session",
    "SessionInfo", "Skipped", "Snapshot", "SnapshotInfo", "Started", "Stats", "Terminal", "TerminalClosed",
    "Truncated", "Unavailable", "Unpacked", "Usage", "Volume", "VolumeInfo", "Watch", "map", "plan", "run",
    "run_stream",
]
