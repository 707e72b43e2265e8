"""Who has a sandbox of his own beside what a test does, and should notice nothing of it."""
import threading


class Neighbour(threading.Thread):
    """Asks a sandbox one thing after the other until it is told to end; keeps what was wrong."""

    def __init__(self, exec_in, sandbox):
        super().__init__()
        self.exec_in, self.sandbox, self.wrong, self.answers = exec_in, sandbox, [], 0
        self.is_ending = threading.Event()

    def run(self):
        while not self.is_ending.wait(0.02):
            result = self.exec_in(self.sandbox, f"echo {self.answers}")
            if (result["outcome"], result["stdout"]) != ("exited", f"{self.answers}\n"):
                self.wrong.append(result)
            self.answers += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_ending.set()
        self.join()
