#!/usr/bin/python3
"""A launcher that dies is started again, and the daemon with it: what stays in sandboxes goes on, and whoever connects waits."""
import contextlib
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lmsb
from test_disks import children_of, launcher_of
from test_staying import COUNT, StayingTest, kill

STARTS_AGAIN = "the launcher was killed by signal 9 (Killed): it and the daemon start again"


def comm(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def start_sidecar():
    """Of what becomes the daemon's parent: `sleep & exec lm-sandbox serve`."""
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "1031"])


class Healing(StayingTest):
    def kill_launcher(self):
        kill(launcher_of(self.daemon))

    def heal(self):
        """Its launcher dies, and the parent mends it."""
        parent, port = self.daemon.process.pid, self.daemon.port
        self.kill_launcher()
        self.daemon.come_back()
        self.assertEqual((self.daemon.process.pid, self.daemon.port), (parent, port), self.daemon.log_text()[-2000:])

    @contextlib.contextmanager
    def between_pairs(self):
        """The launcher has died and the daemon ended for it, and the parent has noticed nothing yet."""
        old, parent = self.daemon.daemon_pid(), self.daemon.process.pid
        os.kill(parent, signal.SIGSTOP)
        try:
            self.kill_launcher()
            lmsb.wait_until(lambda: pathlib.Path(f"/proc/{old}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z",
                            "the end of the daemon")
            yield
        finally:
            os.kill(parent, signal.SIGCONT)

    def ends(self, status):
        self.assertEqual(self.daemon.process.wait(60), status, self.daemon.log_text()[-2000:])

    # ---- what goes on

    def test_processes_go_on_without_a_gap_and_all_works_again(self):
        sandbox = self.create()
        counting = self.detach(sandbox, COUNT)
        for times in range(1, 4):
            before = self.numbers(sandbox, counting, 1)[-1]
            self.heal()
            self.assertEqual(self.state(sandbox), "running")
            seen = self.numbers(sandbox, counting, before + 100)
            self.assertEqual(seen, list(range(1, len(seen) + 1)))
            self.assertEqual(self.output(sandbox, f"kill -0 {counting['pid']} && echo alive"), "alive\n")
            self.assertEqual(self.daemon.run("echo new")["stdout"], "new\n")
            self.assertEqual(self.output(self.create(), "echo kept"), "kept\n")
            self.assertEqual(self.daemon.log_text().count(STARTS_AGAIN + "; sandboxes that stay go on, others have ended"), times)

    def test_who_connects_meanwhile_waits_and_is_answered(self):
        sandbox = self.create()
        with socket.socket() as waiting:
            waiting.settimeout(120)
            with self.between_pairs():
                waiting.connect((self.daemon.host, self.daemon.port))
                waiting.sendall(f"GET /v1/sandboxes/{sandbox} HTTP/1.1\r\nHost: {self.daemon.host}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(waiting)
            answer.begin()
            told = json.loads(answer.read())
            if answer.status == 503:  # a daemon that has just begun says so
                self.assertEqual(told["error"]["code"], "not_ready")
            else:
                self.assertEqual((answer.status, told["state"]), (200, "running"))
        self.daemon.come_back(starts=False)
        self.assertEqual(self.state(sandbox), "running")

    def test_sockets_below_the_run_directory_are_there_again(self):
        host = f"unix:{self.daemon.run_dir}/api.sock"
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            pathlib.Path(directory, "a").write_text("shown")
            command = [lmsb.BIN / "lm-sandbox", "run", "--host", host, "-v", f"{directory}:/mnt/mine:ro", "--", "cat", "/mnt/mine/a"]
            for heal in (lambda: None, self.heal, self.heal):
                heal()
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, "shown"), done.stderr)

    def test_one_that_was_told_to_end_is_healed_too(self):
        os.kill(launcher_of(self.daemon), signal.SIGTERM)
        self.daemon.come_back(starts=False)
        self.assertIn("the launcher ended with status 143: it and the daemon start again", self.daemon.log_text())

    def test_nobody_has_to_read_stderr(self):
        self.daemon.stop()
        read, write = os.pipe()
        self.daemon.before_exec = lambda: os.dup2(write, 2)
        self.daemon.start()
        self.daemon.before_exec = None
        os.close(write)
        os.close(read)
        self.heal()
        self.create()
        for pid in (self.daemon.daemon_pid(), *lmsb.sandbox_processes(b"lm-sandbox-guest")):
            blocked = int(pathlib.Path(f"/proc/{pid}/status").read_text().split("SigBlk:")[1].split()[0], 16)
            self.assertFalse(blocked >> (signal.SIGPIPE - 1) & 1, pid)

    def test_children_that_were_there_before_are_let_be(self):
        self.daemon.stop()
        self.daemon.before_exec = start_sidecar
        self.daemon.start()
        self.daemon.before_exec = None
        sidecar, = [pid for pid in children_of(self.daemon.process.pid) if comm(pid) == "sleep"]
        self.addCleanup(kill, sidecar)
        self.heal()
        self.assertEqual(comm(sidecar), "sleep")
        self.daemon.stop()
        self.assertEqual(comm(sidecar), "sleep")

    def test_only_parent_and_daemon_have_the_listening_socket(self):
        self.heal()
        self.create()
        with open("/proc/net/tcp") as lines:
            rows = [line.split() for line in lines]
        inode = next(row[9] for row in rows if row[1].endswith(f":{self.daemon.port:04X}") and row[3] == "0A")

        def holds(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                return f"socket:[{inode}]" in {os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
            return None

        launcher, parent = launcher_of(self.daemon), self.daemon.process.pid
        self.assertEqual([holds(parent), holds(self.daemon.daemon_pid()), holds(launcher)], [True, True, False])
        guests = lmsb.sandbox_processes(b"lm-sandbox-guest")
        self.assertTrue(guests)
        self.assertEqual([pid for pid in guests if holds(pid)], [])

    def test_sandboxes_that_were_taken_up_end_as_others_do(self):
        sandbox = self.create()
        self.heal()
        parent = self.daemon.process.pid
        lmsb.wait_until(lambda: len(children_of(parent)) == 3, lambda: f"the guest, beside {children_of(parent)}")
        self.assertEqual(self.daemon.request("DELETE", "/v1/sandboxes/" + sandbox).status, 204)
        lmsb.wait_until(lambda: len(children_of(parent)) == 2, lambda: f"the end of {children_of(parent)}")

    def test_the_settings_are_handed_over_again_and_at_sighup(self):
        self.heal()
        self.daemon.process.send_signal(signal.SIGHUP)
        lmsb.wait_until(lambda: "settings.reloaded" in self.daemon.log_text(), "the settings")
        self.assertEqual(self.daemon.run("true")["exit_code"], 0)

    def test_whoever_waited_for_the_first_one_hears_of_it_alone(self):
        self.daemon.stop()
        read, write = os.pipe()
        log = open(self.daemon.dir / "log", "ab")
        self.addCleanup(log.close)
        command = [lmsb.BIN / "lm-sandbox", "serve", "--listen", "127.0.0.1:0", "--data-dir", self.daemon.data_dir, "--run-dir",
                   self.daemon.run_dir, "--ready-fd", str(write)]
        process = subprocess.Popen([str(c) for c in command], pass_fds=[write], stderr=log)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.terminate)
        os.close(write)
        heard = []
        pipe = os.fdopen(read)
        self.addCleanup(pipe.close)
        hearing = threading.Thread(target=lambda: heard.append(pipe.read()), daemon=True)
        hearing.start()
        hearing.join(60)
        line, = heard  # to the end of it
        self.daemon.process, self.daemon.ready = process, json.loads(line)
        self.daemon.host, self.daemon.port = self.daemon.ready["http"][0].split(":")
        self.assertEqual(line.count("\n"), 1)
        self.heal()

    # ---- what ends

    def test_a_command_that_somebody_waits_for_ends_and_they_are_told(self):
        sandbox = self.create()
        answers = []

        def wait_in_vain(ask):
            try:
                answers.append(ask().status)
            except (http.client.HTTPException, OSError):
                answers.append(500)  # the connection has been closed

        asks = [lambda: self.daemon.post("/v1/run", {"cmd": "exec sleep 1021"}),
                lambda: self.do(sandbox, "exec", {"cmd": "exec sleep 1022"})]
        waiting = [threading.Thread(target=wait_in_vain, args=(ask,)) for ask in asks]
        for one in waiting:
            one.start()
        lmsb.wait_until(lambda: all(lmsb.sandbox_processes(b"sleep\0" + n) for n in (b"1021", b"1022")), "the commands")
        self.heal()
        for one in waiting:
            one.join(60)
        self.assertTrue(len(answers) == 2 and min(answers) >= 400, answers)
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(b"1021") and not lmsb.sandbox_processes(b"1022"), "their ends")
        self.assertEqual(self.state(sandbox), "running")

    def test_one_that_dies_too_often_ends_all(self):
        """Five times within a minute it is started again; on a machine where that takes longer ten times a day."""
        kills = 0
        while self.daemon.process.poll() is None:
            self.assertLess(kills, 11)
            self.kill_launcher()
            kills += 1
            self.daemon.come_back(starts=False)
        self.ends(128 + signal.SIGKILL)
        self.assertGreaterEqual(kills, 6)
        bound = "(5 times within 60 s|10 times within 24 h)" if kills == 11 else "5 times within 60 s"
        self.assertRegex(self.daemon.log_text(), f"it was started again {bound}, so all ends")

    def test_one_that_cannot_begin_again_ends_all_and_says_why(self):
        (self.daemon.run_dir / "sandboxes").chmod(0o755)
        self.kill_launcher()
        self.ends(1)
        log = self.daemon.log_text()
        self.assertIn(STARTS_AGAIN, log)
        self.assertIn("sandboxes is not a directory of root's alone", log)
        self.assertEqual(log.count("daemon.listening"), 1)

    def test_a_pair_that_the_machine_has_no_descriptors_for_ends_all_and_leaves_nothing(self):
        with self.between_pairs():
            few = 5  # as many as it waits for
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (few, few))
        self.ends(1)
        self.assertIn("socketpair: Too many open files", self.daemon.log_text())
        self.assertFalse((self.daemon.run_dir / "api.sock").is_symlink())
        lmsb.wait_until(lambda: not lmsb.sandbox_processes(), "the guests' end")

    def test_a_parent_that_is_to_end_starts_nothing(self):
        sandbox = self.create()
        self.detach(sandbox, "exec sleep 1023")
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            began = self.daemon.log_text().count("daemon.listening")
            with self.between_pairs():
                self.daemon.process.send_signal(signal_)
            self.daemon.process.wait(60)
            self.assertEqual(self.daemon.log_text().count("daemon.listening"), began)
            self.assertFalse((self.daemon.run_dir / "api.sock").is_symlink())
            self.daemon.log.close()
            self.daemon.start()
            self.assertEqual(self.state(sandbox), "running")  # it stays, as always

    def test_whenever_a_parent_is_to_end_nothing_is_left(self):
        """The moment is that of the kernel: before, while or after it heals."""
        for _ in range(4):
            running = threading.Thread(target=self.run_in_vain)
            running.start()
            lmsb.wait_until(lambda: lmsb.sandbox_processes(b"sleep\0" + b"1024"), "the command")
            self.kill_launcher()
            self.daemon.stop(signal.SIGTERM)
            running.join(60)
            lmsb.wait_until_clean(self.before)
            self.daemon.start()

    def run_in_vain(self):
        with contextlib.suppress(http.client.HTTPException, OSError, AssertionError):
            self.daemon.run("exec sleep 1024")

    def test_a_daemon_that_dies_ends_all_as_before(self):
        kill(self.daemon.daemon_pid())
        self.ends(128 + signal.SIGKILL)
        self.assertNotIn("start again", self.daemon.log_text())


class Stopping(StayingTest):
    """With --stop-sandboxes nothing stays, and it heals all the same."""

    flags = ("--stop-sandboxes",)

    def test_sandboxes_are_stopped_and_can_be_started(self):
        sandbox = self.create()
        self.output(sandbox, "echo kept >~/a")
        self.detach(sandbox, "exec sleep 1025")
        kill(launcher_of(self.daemon))
        self.daemon.come_back(starts=False)
        self.assertIsNone(self.daemon.process.poll())
        self.assertEqual((self.state(sandbox), lmsb.sandbox_processes(b"1025")), ("stopped", []))
        self.move(sandbox, "start", "running")
        self.assertEqual(self.output(sandbox, "cat ~/a"), "kept\n")


if __name__ == "__main__":
    lmsb.main()
