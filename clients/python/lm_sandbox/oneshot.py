"""One shots: a fresh sandbox for one command, gone with its end."""
from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from . import fields as f
from .client import COMMAND_TIMEOUT, Client, default_client
from .events import CommandStream
from .result import Result


def run(cmd: f.Cmd, *, files: Mapping[str, f.FileData] | None = None, outputs: Iterable[str] | None = None,
        timeout: float | None = None, env: Mapping[str, str] | None = None, image: str | None = None,
        limits: f.LimitsLike | None = None, stdin: f.Data | None = None, cwd: str | None = None,
        shell: str | None = None, user: str | None = None, mounts: Sequence[Mapping[str, Any]] | None = None,
        volumes: Mapping[str, Any] | None = None, runtime: str | None = None, egress: f.Egress | None = None,
        profile: str | None = None, models: Sequence[str] | None = None, model_limits: Mapping[str, int] | None = None,
        devices: Sequence[str] | None = None,
        merge_stderr: bool = False, client: Client | None = None) -> Result:
    """Runs a command in a fresh sandbox and returns how it ended, however that is; `.check()` raises unless well.

    `cmd` is a text for the shell or a list of arguments. `files` are written before it starts, {path: text, octets, or
    a pathlib.Path of this machine}; paths are relative to the working directory or absolute. `outputs` are paths of
    files to return in the result's `files` (the API's `collect`), 32 MiB in all; why one does not come stands in
    `left_out`. `timeout` is in seconds (default 120): at its end the whole tree of the command is killed and
    the result says timed_out. `env` comes on top of the image's variables. `limits` are Limits(memory_bytes=, cpus=,
    processes=, disk_bytes=, shm_bytes=), by default 1 GiB, 1 CPU, 256, 1 GiB and 64 MiB. `volumes` are {"/data": a Volume, or its name or
    id}, with ":ro" behind a name that is only to be read. `egress` is what it may reach: "none" (the default), "open",
    a list of hosts, or the API's object. With `profile` "root" the command is root inside, and may install packages.
    `models` are names of local models that programs in it may ask, within `model_limits`, {"tokens": ...,
    "requests_per_minute": ...}. `devices` are names of the machine's ("nvidia.com/gpu=0"). With `merge_stderr` what it writes to stderr is in stdout, in the order of writing.

    Never sent twice after the daemon may have got it: a connection that breaks raises ConnectionFailed.
    """
    asked = request(cmd, files=files, outputs=outputs, timeout=timeout, env=env, image=image, limits=limits,
                    stdin=stdin, cwd=cwd, shell=shell, user=user, mounts=mounts, volumes=volumes, runtime=runtime,
                    egress=egress, profile=profile, models=models, model_limits=model_limits, devices=devices,
                    merge_stderr=merge_stderr)
    return send(client or default_client(), asked)


def run_stream(cmd: f.Cmd, *, client: Client | None = None, **fields: Any) -> CommandStream:
    """The same, told as it happens. Takes what run() takes, but for `outputs`: these need a whole answer."""
    return CommandStream((client or default_client()).events("POST", "/v1/run", request(cmd, **fields)))


def plan(cmd: f.Cmd, *, client: Client | None = None, **fields: Any) -> str:
    """What the sandbox of a run() would be, line by line, for people. Nothing is started."""
    asked = {**request(cmd, **fields), "dry_run": True}
    return str((client or default_client()).call("POST", "/v1/run", asked)["plan"])


def request(cmd: f.Cmd, *, files: Mapping[str, f.FileData] | None = None, outputs: Iterable[str] | None = None,
            image: str | None = None, limits: f.LimitsLike | None = None,
            mounts: Sequence[Mapping[str, Any]] | None = None, volumes: Mapping[str, Any] | None = None,
            runtime: str | None = None, egress: f.Egress | None = None, profile: str | None = None,
            models: Sequence[str] | None = None, model_limits: Mapping[str, int] | None = None,
        devices: Sequence[str] | None = None,
            **command: Any) -> dict[str, Any]:
    """The body of POST /v1/run."""
    return {**f.command(cmd, **command),
            **f.given(files=f.files(files), collect=f.texts(outputs), image=image, limits=f.limits(limits),
                      mounts=mounts, volumes=f.volumes(volumes), runtime=runtime, egress=f.egress(egress),
                      profile=profile, models=f.texts(models), model_limits=model_limits,
                      devices=f.texts(devices))}


def send(client: Client, asked: Mapping[str, Any]) -> Result:
    limit = asked.get("timeout_ms", COMMAND_TIMEOUT * 1000) / 1000
    return Result.of(client.call("POST", "/v1/run", asked, timeout=limit))
