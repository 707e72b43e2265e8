#!/usr/bin/python3
"""Nothing of a dead sandbox stays on the machine, however the daemon ends."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import lmsb
from test_disks import children_of


def words_of(pid):
    with contextlib.suppress(OSError):  # it has ended
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


class Lifetime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lmsb.require_root()

    def setUp(self):
        self.before = lmsb.leftovers()

    def with_commands_running(self, end):
        daemon = lmsb.Daemon().start()
        try:
            callers = [threading.Thread(target=self.ask, args=(daemon,)) for _ in range(4)]
            for caller in callers:
                caller.start()
            lmsb.wait_until(lambda: len(lmsb.sandbox_processes(b"sleep\0" + b"100")) >= 8, "running commands")
            end(daemon)
            for caller in callers:
                caller.join(60)
            return daemon
        finally:
            daemon.stop(signal.SIGKILL)

    @staticmethod
    def ask(daemon):
        try:
            daemon.post("/run-bash/", {"cmd": "sleep 100 & sleep 100"})
        except OSError:
            pass

    def check_clean(self):
        lmsb.wait_until_clean(self.before)

    def test_sigterm_with_commands_running_leaves_nothing(self):
        self.with_commands_running(lambda daemon: daemon.stop(signal.SIGTERM))
        self.check_clean()

    def test_a_killed_daemon_process_takes_everything_with_it(self):
        def kill(daemon):
            os.kill(daemon.daemon_pid(), signal.SIGKILL)
            daemon.process.wait(60)

        self.with_commands_running(kill)
        self.check_clean()

    def test_after_all_were_killed_a_restart_removes_what_is_left(self):
        def kill_all(daemon):
            parent = daemon.process.pid
            children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split()
            for pid in [parent, *map(int, children)]:
                with contextlib.suppress(ProcessLookupError):  # it went with the one before
                    os.kill(pid, signal.SIGKILL)
            daemon.process.wait(60)

        self.with_commands_running(kill_all)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(), "the guests' end")
        with lmsb.Daemon() as daemon:
            self.assertEqual(daemon.post("/run-bash/", {"cmd": "echo again"}).json()["output"], "again\n")
        self.check_clean()

    def test_the_sandboxes_of_a_killed_launcher_end_with_it(self):
        daemon = lmsb.Daemon().start()
        try:
            daemon.post("/v1/sandboxes", {"image": "host"})
            launcher = int(subprocess.run(["pgrep", "-P", str(daemon.process.pid), "lmsb-launcher"], capture_output=True,
                                          text=True).stdout)
            guests = [int(p) for p in pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]
            for guest in guests:
                with contextlib.suppress(ProcessLookupError):  # it only made a sandbox's ids
                    os.kill(guest, signal.SIGSTOP)  # it does not hear that its channel is closed
            os.kill(launcher, signal.SIGKILL)
            daemon.process.wait(60)
            self.assertEqual(lmsb.sandbox_processes(), [])
        finally:
            daemon.stop(signal.SIGKILL)
        with lmsb.Daemon():
            pass  # removes the cgroups
        self.check_clean()

    def test_a_daemon_whose_starter_has_ended_before_does_not_start(self):
        """It would never be told, and nobody would end it."""
        ended = subprocess.Popen(["true"])
        ended.wait()
        with self.assertRaisesRegex(RuntimeError, f"process {ended.pid}, has ended"):
            lmsb.Daemon("--started-by", str(ended.pid)).start()
        with tempfile.TemporaryDirectory() as directory:
            words = [lmsb.BIN / "lm-sandbox-launcher", "--die-with-parent", str(ended.pid)]
            for name in ("data-dir", "run-dir", "guest", "archiver", "gate"):
                words += ["--" + name, f"{directory}/{name}"]
            done = subprocess.run([*words, "--", "/bin/false"], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (1, "lm-sandbox: the command that started this daemon has ended\n"))
            self.assertEqual(os.listdir(directory), [])
        self.check_clean()

    @contextlib.contextmanager
    def parent_of(self, *daemon):
        """With something else in the daemon's place."""
        with tempfile.TemporaryDirectory() as directory:
            words = [lmsb.BIN / "lm-sandbox-launcher", "--data-dir", directory + "/data", "--run-dir", directory + "/run", "--disks", "memory"]
            for name in ("guest", "archiver", "gate"):
                words += ["--" + name, lmsb.BIN / ("lm-sandbox-" + name)]
            with subprocess.Popen([*map(str, words), "--", *daemon], stderr=subprocess.PIPE, text=True) as parent:
                try:
                    yield parent
                finally:
                    parent.terminate()
        self.check_clean()

    def test_a_stop_of_a_daemon_that_cannot_listen_yet_is_no_error(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(how.name), self.parent_of("/bin/sleep", "1026") as parent:
                lmsb.wait_until(lambda: any(words_of(pid) == b"/bin/sleep\x001026\0" for pid in children_of(parent.pid)), "the daemon")
                parent.send_signal(how)
                self.assertEqual((parent.wait(60), parent.stderr.read()), (0, ""))

    def test_a_daemon_whose_launcher_is_well_does_not_have_it_replaced(self):
        """By what a daemon says that has none any more: that it serves, and then that its launcher has gone."""
        says = "import os, sys; os.write(int(os.environ['LM_SANDBOX_FILES_FD']), bytes([2])); sys.exit(75)"
        with self.parent_of("/usr/bin/python3", "-c", says) as parent:
            self.assertEqual(parent.wait(60), 75)
            self.assertNotIn("start again", parent.stderr.read())

    def test_a_second_daemon_on_the_same_run_directory_is_refused(self):
        with lmsb.Daemon() as first:
            second = lmsb.Daemon(data_dir=first.data_dir)
            second.run_dir = first.run_dir
            with self.assertRaisesRegex(RuntimeError, "another lm-sandbox"):
                second.start()
        self.check_clean()

    def test_a_second_daemon_on_the_same_data_is_refused_wherever_disks_are(self):
        for disks in ("memory", "auto"):
            with self.subTest(disks), lmsb.Daemon("--disks", disks, is_private=False) as first:
                second = lmsb.Daemon("--disks", disks, data_dir=first.data_dir, is_private=False)
                who = f"another lm-sandbox \\(process {first.process.pid}, run directory {first.run_dir}\\)"
                with self.assertRaisesRegex(RuntimeError, f"{who} keeps its data in {first.data_dir}; stop it, .*--data-dir"):
                    second.start()
                self.assertFalse(second.run_dir.exists())
                with lmsb.Daemon("--disks", "memory", data_dir=first.data_dir) as private:  # a command's own keeps nothing there
                    self.assertEqual(private.run("echo mine")["stdout"], "mine\n")
                first.stop()
                with second:
                    self.assertEqual(second.run("echo now")["stdout"], "now\n")
        self.check_clean()

    def test_a_kill_of_everything_keeps_no_daemon_from_the_data(self):
        for disks in ("memory", "auto"):
            with self.subTest(disks), lmsb.Daemon("--disks", disks, is_private=False) as first:
                running = threading.Thread(target=self.ask, args=(first,))
                running.start()
                lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep"), "the command")
                ours = [first.process.pid, *children_of(first.process.pid)]
                copies = [child for pid in ours[1:] for child in children_of(pid)]  # of the launcher: they may hold its locks
                for pid in ours:
                    with contextlib.suppress(ProcessLookupError):  # it went with the one before
                        os.kill(pid, signal.SIGKILL)
                first.process.wait(60)
                running.join(60)
                lmsb.wait_until(lambda: all(lmsb.is_over(pid) for pid in ours + copies), "the end of what was killed")
                with lmsb.Daemon("--disks", disks, data_dir=first.data_dir, is_private=False) as second:
                    self.assertEqual(second.run("echo now")["stdout"], "now\n")
                    self.assertIn(f"process {second.process.pid}, ", (first.data_dir / "lock").read_text())
        self.check_clean()


if __name__ == "__main__":
    lmsb.main()
