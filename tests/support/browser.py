"""A real browser for tests: Debian's chromium without a window, spoken to by its DevTools protocol."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from websocket import WebSocket

PROGRAM = shutil.which("chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
         "--no-proxy-server", "--remote-debugging-port=0")


class Browser:
    """One window of a browser that begins with nothing, run by `user`; goes with the `with` block."""

    def __init__(self, user):
        self.user = user
        self.number = 0
        self.socket = None

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lmsb-browser-"))
        os.chown(self.directory, self.user, self.user)
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen([PROGRAM, *FLAGS, f"--user-data-dir={self.directory}/data", "about:blank"],
                                        stdout=self.log, stderr=self.log, env={**os.environ, "HOME": str(self.directory)},
                                        user=self.user, group=self.user, extra_groups=[], start_new_session=True)
        try:
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.socket:
            self.socket.drop()
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: all that it started
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self):
        told = self.directory / "data/DevToolsActivePort"
        end = time.monotonic() + 60
        while not (told.exists() and told.read_text().count("\n") >= 1):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("chromium does not start: " + (self.directory / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        port = int(told.read_text().splitlines()[0])
        pages = []
        while not pages:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/json/list")
            pages = [page for page in json.loads(connection.getresponse().read()) if page["type"] == "page"]
            connection.close()
        self.socket = WebSocket("127.0.0.1", port, urllib.parse.urlsplit(pages[0]["webSocketDebuggerUrl"]).path)
        self.call("Page.enable")
        while self.evaluate("document.readyState") != "complete":  # or its event is taken for that of the next page
            time.sleep(0.02)

    def call(self, method, **params):
        """What the browser answers; what it tells meanwhile is kept in `events`."""
        self.number += 1
        self.events = []
        self.socket.say({"id": self.number, "method": method, "params": params})
        while (message := self.socket.read()).get("id") != self.number:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def open(self, url):
        """Goes there, and waits until it is loaded with all it names."""
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise RuntimeError(f"{url}: {answer['errorText']}")
        told = self.events
        while not any(event.get("method") == "Page.loadEventFired" for event in told):
            told = [self.socket.read()]

    def evaluate(self, expression):
        """The value of JavaScript in the page; of a promise what it becomes."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")
