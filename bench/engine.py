"""A Docker engine for the peers' figures: the one that runs, else one of our own that ends with the measurement."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time


def answers(environment):
    return subprocess.run(["docker", "info"], capture_output=True, env=environment).returncode == 0


@contextlib.contextmanager
def docker_engine():
    """Gives the environment in which `docker` reaches an engine. Raises RuntimeError when there is none to be had.

    Our own touches nothing of the machine's: its files lie in a temporary directory, and it changes no firewall rule and
    makes no bridge, for the peers run without a network.
    """
    if not shutil.which("docker"):
        raise RuntimeError("docker is not installed")
    if answers(os.environ):
        yield dict(os.environ)
        return
    if not shutil.which("dockerd"):
        raise RuntimeError("no engine runs, and dockerd is not installed")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-docker-", dir="/var/tmp"))
    address = f"unix://{directory}/docker.sock"
    environment = {**os.environ, "DOCKER_HOST": address}
    with open(directory / "log", "wb") as log:
        engine = subprocess.Popen(
            ["dockerd", "--host", address, "--data-root", directory / "data", "--exec-root", directory / "exec",
             "--pidfile", directory / "pid", "--bridge", "none", "--iptables=false", "--ip6tables=false"],
            stdout=log, stderr=log)
    try:
        wait_until_it_answers(engine, environment, directory / "log")
        yield environment
    finally:
        engine.terminate()
        engine.wait(60)
        shutil.rmtree(directory, ignore_errors=True)


def wait_until_it_answers(engine, environment, log):
    for _ in range(100):
        if answers(environment):
            return
        if engine.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError("dockerd does not start here: " + (log.read_text().strip().splitlines() or ["it says nothing"])[-1])
