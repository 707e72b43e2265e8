"""What the system tests of models share: fixtures, a data directory, a runner that can be found."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import lmsb

FIXTURE = lmsb.ROOT / "tests/fixtures/make_tiny_gguf.py"


def make_model(path, *flags):
    subprocess.run(["/usr/bin/python3", FIXTURE, path, *flags], check=True, stdout=subprocess.DEVNULL)


def image_data(directory):
    """A data directory of its own that shares the built images."""
    (directory / "data").mkdir()
    lmsb.lend_images(directory / "data")
    return directory / "data"


def can_connect(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class RawServer:
    """A TCP server on loopback that does with each connection what it is told; `act(connection)` closes by returning."""

    def __init__(self, act):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        self.act = act
        self.connected = threading.Event()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.connected.set()
                try:
                    self.act(connection)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(30)


class ModelTest(unittest.TestCase):
    """Each test has a directory of its own, and leaves the machine as it found it."""

    image = None  # of the runner; None = no image is needed

    def setUp(self):
        lmsb.require_root()
        if self.image:
            lmsb.require_image(self.image)
        self.before = lmsb.leftovers()
        lmsb.TEST_DATA.mkdir(parents=True, exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-models-", dir=lmsb.TEST_DATA))
        os.chmod(self.directory, 0o755)
        self.data = image_data(self.directory) if self.image else self.directory / "data"

    def tearDown(self):
        if self.image:
            lmsb.take_images_back(self.data)
        shutil.rmtree(self.directory)
        lmsb.wait_until_clean(self.before)

    def pull(self, daemon, *flags, name="tiny.gguf"):
        path = self.directory / name
        make_model(path, *flags)
        return daemon.post("/v1/models/pull", {"source": str(path)})

    def runner(self):
        """The llama-server process of the daemon's runner."""
        return next(iter(lmsb.sandbox_processes(b"llama-server")), None)

    def is_loaded(self, daemon):
        return any(model["loaded"] for model in daemon.request("GET", "/v1/models").json()["data"])

    def assert_detail(self, answer, statuses, *parts):
        """An error in FastAPI's shape that says what it should."""
        self.assertIn(answer.status, statuses, answer.body)
        for part in parts:
            self.assertIn(part, answer.json()["detail"])
